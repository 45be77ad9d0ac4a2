"""Where the work is done: processes on this machine, or the workers of a Dask scheduler.

Every executor has the interface of concurrent.futures.
"""

import os
from collections.abc import Iterator
from concurrent.futures import Executor
from contextlib import contextmanager

from gcpt.errors import UserError
from gcpt.sets.cluster import on_dask
from gcpt.sets.pool import Pool, core_sets


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


@contextmanager
def open_executor(where: str, jobs: int, cores: int) -> Iterator[Executor]:
    """Open the executor that an option names.

    Args:
        where: ``dask://HOST:PORT``; "" for this machine.
        jobs: Number of workers on this machine; 0 for the default.
        cores: Cores of each worker on this machine; 0 for the default.

    Yields:
        The executor.

    Raises:
        UserError: There is no such place, or Dask is not installed.
    """
    kind, _, address = where.partition("://")
    if where and (kind != "dask" or not address):
        raise UserError(f"{where}: no such engine: give dask://HOST:PORT, or leave it out for this machine")
    with on_dask(address) if where else embedded(jobs, cores) as executor:
        yield executor
