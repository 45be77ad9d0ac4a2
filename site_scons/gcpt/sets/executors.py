"""Where the work is done: processes on this machine, or workers of Dask on other hosts.

Every executor has the interface of concurrent.futures.
"""

import os
from collections.abc import Iterator
from concurrent.futures import Executor
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from gcpt.errors import UserError
from gcpt.sets import memory
from gcpt.sets.cluster import on_dask
from gcpt.sets.pool import Pool, core_sets
from gcpt.sets.queues import SYSTEMS, on_queue
from gcpt.sets.ssh import on_ssh


@contextmanager
def embedded(jobs: int, cores: int) -> Iterator[Executor]:
    """Start workers on this machine.

    Args:
        jobs: Their number; 0 for as many as there are cores, or parts of ``cores`` cores.
        cores: Cores that each worker is pinned to; 0 to leave that to the system.

    Yields:
        The executor. When the ``with`` block is left by an exception, workers and simulators are stopped at once.

    Raises:
        UserError: There are fewer cores than that, or no memory for a worker.
    """
    free = len(os.sched_getaffinity(0))
    if cores > free:
        raise UserError(f"--cores {cores}: gcpt may use {free} cores here: give at most {free}")
    parts = core_sets(cores) if cores else []
    pool = Pool(memory.fitting(jobs or len(parts) or free, memory.free()), parts)
    try:
        yield pool
    except BaseException:
        pool.shutdown(wait=False, cancel_futures=True)
        raise
    pool.shutdown()


@dataclass(frozen=True)
class Needs:
    """What a run needs of its engine.

    Attributes:
        jobs: Number of workers; 0 for the default.
        cores: Cores that each worker on this machine is pinned to; 0 for the default.
        folder: A folder that all hosts see, for files of the engine.
        paths: Files and folders that all workers must see.
    """

    jobs: int
    cores: int
    folder: Path
    paths: tuple[Path, ...]


@contextmanager
def open_executor(where: str, needs: Needs) -> Iterator[Executor]:
    """Open the executor that an option names.

    Args:
        where: ``ssh:FILE``, ``slurm`` or another queueing system, ``dask://HOST:PORT``; "" for this machine.
        needs: What the run needs.

    Yields:
        The executor.

    Raises:
        UserError: There is no such engine, a part of it is not installed, or it does not start.
    """
    if where and needs.cores:
        raise UserError("--cores: only workers on this machine are pinned: leave out --cores or --on")
    kind, _, rest = where.partition(":")
    if not where:
        opened = embedded(needs.jobs, needs.cores)
    elif kind == "dask" and rest.startswith("//") and len(rest) > 2:
        opened = on_dask(rest[2:], needs.paths)
    elif kind == "ssh" and rest:
        opened = on_ssh(rest, needs.folder, needs.paths)
    elif kind in SYSTEMS:
        opened = on_queue(kind, rest, needs.jobs, needs.folder, needs.paths)
    else:
        engines = ", ".join(("ssh:FILE", *SYSTEMS, "dask://HOST:PORT"))
        raise UserError(f"{where}: no such engine: give one of {engines}, or leave it out for this machine")
    with opened as executor:
        yield executor
