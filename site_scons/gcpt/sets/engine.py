"""Do the work on all points: what is left to do, in which order, with retries, on any executor."""

import fcntl
import os
import secrets
import socket
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import CancelledError, Executor, Future
from contextlib import contextmanager, suppress
from dataclasses import dataclass, replace
from operator import itemgetter
from pathlib import Path
from queue import SimpleQueue
from typing import Any

from gcpt import __version__
from gcpt.errors import UserError
from gcpt.sets import perform, results
from gcpt.sets.perform import DISK, Task, Work
from gcpt.sets.points import Point
from gcpt.sets.process import stop_leftover
from gcpt.sets.results import LASTING, Result, failure

#: The file that describes a run, in its folder.
RUN = "run.json"
#: The file that a run keeps locked.
LOCK = ".run.lock"


@contextmanager
def owned(folder: Path) -> Iterator[None]:
    """Keep other runs out of a folder of results.

    Args:
        folder: The folder; created if it does not exist.

    Yields:
        Nothing.

    Raises:
        UserError: Another run works in the folder, or it cannot be written.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with (folder / LOCK).open("a+") as file:
            try:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                file.seek(0)
                owner = file.read().strip() or "another process"
                raise UserError(f"{folder}: in use by {owner}: wait for it, or choose another folder") from None
            file.truncate(0)
            file.write(f"process {os.getpid()} on {socket.gethostname()}")
            file.flush()
            yield
    except OSError as error:
        raise UserError(f"{error.filename or folder}: {error.strerror or error}: choose another folder") from error


@dataclass(frozen=True)
class Plan:
    """What a run has to do.

    Attributes:
        kept: Results that are there already.
        tasks: What is left, in the order in which it starts.
    """

    kept: list[Result]
    tasks: list[Task]


def plan(points: Sequence[Point], work: Work, folder: Path | None, do_failed: bool = False) -> Plan:
    """Find out what is left to do.

    A result stays if its key still holds. Failures that may not be the checkpoint's are done again.

    Args:
        points: The points.
        work: What is done with each.
        folder: The folder of the results; None if none are kept.
        do_failed: Whether all failures are done again.

    Returns:
        The plan, the longest points first.

    Raises:
        UserError: Two points have the same folder, or a shared file cannot be read.
    """
    try:
        shared = tuple((str(path), results.digest(path)) for path in work.files()) if folder else ()
    except OSError as error:
        raise UserError(f"{error.filename}: {error.strerror}: give another file") from error
    run = secrets.token_hex(8)
    kept: list[Result] = []
    tasks: list[tuple[float, Task]] = []
    owners: dict[str, Point] = {}
    for point in points:
        name = work.folder(point)
        if folder and (other := owners.setdefault(name, point)) is not point:
            raise UserError(f"{other.path} and {point.path} are both called {name}: remove one from the set")
        place = folder / name if folder else None
        earlier = results.read(place) if place else None
        if earlier and place and _stands(earlier, point, work, shared, do_failed):
            changed = work.again(point, place, earlier)
            if changed:
                changed = replace(changed, key=earlier.key, files=earlier.files, host=earlier.host)
                results.write(place, changed)
            kept.append(replace(changed or earlier, weight=point.weight))
        else:
            is_void = earlier is None or _must_repeat(earlier, work, do_failed)
            task = Task(point, work, place, shared, None if is_void else earlier, run)
            tasks.append((_order(point, earlier), task))
    return Plan(kept, [task for _, task in sorted(tasks, key=itemgetter(0))])


def _stands(earlier: Result, point: Point, work: Work, shared: tuple[tuple[str, str], ...], do_failed: bool) -> bool:
    """Whether a result belongs to the point's images as they are, without reading them."""
    if _must_repeat(earlier, work, do_failed):
        return False
    try:
        digests = {}
        for path in perform.images(point):
            known = earlier.files[str(path)]
            if known[1] != results.identity(path):
                return False
            digests[str(path)] = str(known[0])
    except (OSError, KeyError):
        return False
    return earlier.key == perform.key(work, digests, shared)


def _must_repeat(earlier: Result, work: Work, do_failed: bool) -> bool:
    if earlier.is_finished:
        return not work.holds(earlier)
    if earlier.cause == "time limit":
        limit = getattr(work, "limit", None)
        if limit is None or earlier.limit is None or limit > earlier.limit:
            return True
    return do_failed or earlier.cause not in LASTING


def _order(point: Point, earlier: Result | None) -> float:
    """Longest first, by the times of an earlier run in the same folder or of an index; else the largest image first."""
    seconds = earlier.seconds if earlier and earlier.seconds else point.seconds
    if seconds is not None:
        return -seconds
    try:
        return point.path.stat().st_size / -(1 << 60)
    except OSError:
        return 0


def begin(folder: Path, points: Sequence[Point], folder_of: Callable[[Point], str], **facts: Any) -> None:
    """Write what a run is about, for ``status`` and ``report``.

    Args:
        folder: The folder of the results.
        points: The points of the run.
        folder_of: Returns the name of a point's folder.
        facts: Further values as JSON.

    Raises:
        UserError: The file cannot be written.
    """
    rows = [
        {"workload": point.workload, "point": point.point, "weight": point.weight, "folder": folder_of(point)}
        for point in points
    ]
    content = {"version": __version__, "started": time.time(), **facts, "points": rows}
    try:
        results.write_json(folder / RUN, content)
    except OSError as error:
        raise UserError(f"{error.filename or folder}: {error.strerror}: choose another folder") from error


def execute(
    executor: Executor, tasks: Sequence[Task], retries: int, perform_task: Callable[[Task], Result] = perform.perform
) -> Iterator[Result]:
    """Do tasks on an executor.

    Args:
        executor: The executor.
        tasks: The tasks.
        retries: How often a point is tried again after a failure that may not be the checkpoint's.
        perform_task: What a worker does with a task.

    Yields:
        The result of each point, as it ends.

    Raises:
        UserError: The disk is full: the points that have no result can be done later.
    """
    ended: SimpleQueue[tuple[Task, Future[Result]]] = SimpleQueue()

    def submit(task: Task) -> Future[Result]:
        future = executor.submit(perform_task, task)
        future.add_done_callback(lambda done: ended.put((task, done)))
        return future

    waiting = {submit(task) for task in tasks}
    while waiting:
        task, future = ended.get()
        waiting.discard(future)
        result = _outcome(task, future, waiting)
        if task.attempt <= retries and _is_retried(result):
            waiting.add(submit(replace(task, attempt=task.attempt + 1, earlier=None)))
            continue
        yield result


def _outcome(task: Task, future: "Future[Result]", waiting: "set[Future[Result]]") -> Result:
    try:
        return future.result()
    except OSError as error:
        if error.errno in DISK:
            for other in waiting:
                other.cancel()
            where = error.filename or task.folder
            raise UserError(f"{where}: {error.strerror}: free space, and start the same command again") from error
        message = str(error)
    except (CancelledError, Exception) as error:
        message = str(error) or type(error).__name__
    if task.folder:
        stop_leftover(task.folder)
        done = results.read(task.folder)
        if done and done.run == task.run and done.attempts == task.attempt:
            return done  # only the answer was lost
    result = failure(task.point, "killed", message, attempts=task.attempt, run=task.run)
    if task.folder:
        with suppress(OSError):  # it is only for reports: the point is done again in any case
            task.folder.mkdir(parents=True, exist_ok=True)
            results.write(task.folder, result)
    return result


def _is_retried(result: Result) -> bool:
    return not result.is_finished and result.cause not in LASTING and result.cause != "input"
