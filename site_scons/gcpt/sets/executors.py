"""Where the work is done: processes on this machine, or workers of Dask on other hosts.

Every executor has the interface of concurrent.futures.
"""

import os
from collections.abc import Callable, Iterator
from concurrent.futures import Executor
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from pathlib import Path

from gcpt.errors import UserError
from gcpt.sets import memory
from gcpt.sets.cluster import PROTOCOLS, on_dask, parse_address
from gcpt.sets.hosts import read
from gcpt.sets.pool import Pool, core_sets
from gcpt.sets.queues import SYSTEMS, on_queue, parse_options
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


@dataclass(frozen=True)
class Workplace:
    """Where the workers of a run are.

    Attributes:
        name: What the user calls it; "" for this machine.
        open: Opens the executor for what a run needs; a UserError says what is not installed or does not start.
        counts_jobs: Whether the number of jobs has to be given.
    """

    name: str
    open: Callable[[Needs], AbstractContextManager[Executor]]
    counts_jobs: bool = False

    def check(self, jobs: int, cores: int) -> None:
        """Check the options that go with it.

        Args:
            jobs: The number of workers; 0 if it is not given.
            cores: Cores that each worker is pinned to; 0 if it is not given.

        Raises:
            UserError: They do not fit.
        """
        if self.name and cores:
            raise UserError("--cores: only workers on this machine are pinned: leave out --cores or --on")
        if self.counts_jobs and not jobs:
            raise UserError(f"{self.name}: the number of jobs is missing: give it with --jobs")


def find_workplace(where: str) -> Workplace:
    """Find the place that an option names; nothing starts.

    Args:
        where: ``ssh:FILE``, ``slurm`` or another queueing system with its options, ``dask://HOST:PORT`` or
            ``tls://HOST:PORT``; "" for this machine.

    Returns:
        The place.

    Raises:
        UserError: There is no such engine, a file of hosts cannot be used, or an option or address is none.
    """
    kind, _, rest = where.partition(":")
    if not where:
        return Workplace("", lambda needs: embedded(needs.jobs, needs.cores))
    if kind in PROTOCOLS:
        address = parse_address(rest, where)
        return Workplace(where, lambda needs: on_dask(kind, address, needs.paths))
    if kind == "ssh":
        hosts = read(rest)
        return Workplace(where, lambda needs: on_ssh(hosts, rest, needs.folder, needs.paths))
    if kind in SYSTEMS:
        options = parse_options(rest, kind)
        return Workplace(
            kind, lambda needs: on_queue(kind, options, needs.jobs, needs.folder, needs.paths), counts_jobs=True
        )
    engines = ", ".join(("ssh:FILE", *SYSTEMS, *(f"{name}://HOST:PORT" for name in PROTOCOLS)))
    raise UserError(f"{where}: no such engine: give one of {engines}, or leave it out for this machine")
