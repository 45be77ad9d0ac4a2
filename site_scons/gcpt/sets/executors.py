"""Where the work is done: processes on this machine, or a cluster through Dask.

Every executor has the interface of concurrent.futures.
"""

import os
from collections.abc import Iterator
from concurrent.futures import Executor
from contextlib import contextmanager
from importlib import import_module
from pathlib import Path
from typing import Any

from gcpt.errors import UserError
from gcpt.sets.pool import Pool, core_sets

#: The address on which schedulers that gcpt starts listen: nobody else can reach it.
_LOOPBACK = "127.0.0.1"
_REMEDY = "pip install 'gcpt[set]'"
WHERE = ("dask://HOST:PORT", "slurm", "ssh:HOSTS.txt")


@contextmanager
def embedded(jobs: int, cores: int) -> Iterator[Executor]:
    """Start workers on this machine.

    Args:
        jobs: Their number; 0 for as many as there are cores, or parts of ``cores`` cores.
        cores: Cores that each worker is pinned to; 0 to leave that to the system.

    Yields:
        The executor. When the ``with`` block is left by an exception, workers and simulators are stopped at once.

    Raises:
        UserError: There are fewer cores than that.
    """
    free = len(os.sched_getaffinity(0))
    if cores > free:
        raise UserError(f"--cores {cores}: gcpt may use {free} cores here: give at most {free}")
    parts = core_sets(cores) if cores else []
    pool = Pool(jobs or len(parts) or free, parts)
    try:
        yield pool
    except BaseException:
        pool.shutdown(wait=False, cancel_futures=True)
        raise
    pool.shutdown()


def _package(name: str) -> Any:
    """Import a package of the extra ``set``."""
    try:
        return import_module(name)
    except ImportError as error:
        raise UserError(f"{error.name} is not installed, which clusters need: {_REMEDY}") from error


@contextmanager
def _client(cluster: Any) -> Iterator[Executor]:
    """Connect to a scheduler: an address, or a cluster that gcpt started."""
    with _package("distributed").Client(cluster, set_as_default=False) as client:
        executor: Executor = client.get_executor(pure=False, retries=0)
        try:
            yield executor
        except BaseException:
            executor.shutdown(wait=False, cancel_futures=True)
            raise


@contextmanager
def on_dask(address: str) -> Iterator[Executor]:
    """Use a Dask scheduler that runs already.

    Args:
        address: HOST:PORT.

    Yields:
        The executor.

    Raises:
        UserError: Dask is not installed, or no scheduler answers.
    """
    _package("distributed")
    try:
        with _client(f"tcp://{address}") as executor:
            yield executor
    except (OSError, ValueError) as error:
        if isinstance(error, OSError) and error.errno:
            raise
        raise UserError(f"dask://{address}: no scheduler answers: start one with dask scheduler") from error


@contextmanager
def on_slurm(jobs: int, cores: int) -> Iterator[Executor]:
    """Start workers as Slurm jobs.

    Args:
        jobs: Their number.
        cores: Cores of each; 0 for one.

    Yields:
        The executor.

    Raises:
        UserError: dask-jobqueue is not installed.
    """
    _package("distributed")
    slurm = _package("dask_jobqueue").SLURMCluster
    settings = {"cores": 1, "processes": 1, "job_cpu": cores or 1, "memory": "1GiB"}
    with slurm(**settings, scheduler_options={"dashboard": False}) as cluster:
        cluster.scale(jobs=jobs or 1)
        with _client(cluster) as executor:
            yield executor


@contextmanager
def on_ssh(hosts: Path, jobs: int) -> Iterator[Executor]:
    """Start workers on hosts with ssh; the scheduler listens on loopback alone if all hosts are this one.

    Args:
        hosts: A file with a host in each line; ``#`` starts a comment.
        jobs: Workers on each host; 0 for one.

    Yields:
        The executor.

    Raises:
        UserError: The file names no host, or a package is not installed.
    """
    distributed = _package("distributed")
    try:
        lines = hosts.read_text(encoding="utf-8").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise UserError(f"{hosts}: cannot be read: give a file with a host in each line") from error
    names = [name for line in lines if (name := line.partition("#")[0].strip())]
    if not names:
        raise UserError(f"{hosts}: names no host: write one in each line")
    try:
        with (
            distributed.SSHCluster(
                [_LOOPBACK, *names],
                worker_options={"nthreads": 1, "n_workers": jobs or 1},
                scheduler_options={"dashboard": False},
            ) as cluster,
            _client(cluster) as executor,
        ):
            yield executor
    except ImportError as error:
        raise UserError(f"{error.name} is not installed, which ssh needs: {_REMEDY}") from error


@contextmanager
def open_executor(where: str, jobs: int, cores: int) -> Iterator[Executor]:
    """Open the executor that an option names.

    Args:
        where: One of WHERE; "" for this machine.
        jobs: Number of workers; 0 for the default.
        cores: Cores of each worker; 0 for the default.

    Yields:
        The executor.

    Raises:
        UserError: There is no such place, or a package is not installed.
    """
    kind, _, rest = where.partition(":")
    if not where:
        chosen = embedded(jobs, cores)
    elif kind == "dask" and rest.startswith("//") and rest[2:]:
        chosen = on_dask(rest[2:])
    elif where == "slurm":
        chosen = on_slurm(jobs, cores)
    elif kind == "ssh" and rest:
        chosen = on_ssh(Path(rest), jobs)
    else:
        raise UserError(f"--engine {where}: no such engine: give {', '.join(WHERE[:-1])} or {WHERE[-1]}")
    with chosen as executor:
        yield executor
