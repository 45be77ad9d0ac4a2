"""What a worker does with a point: the work, the checks of its inputs, and the result's file."""

import errno
import socket
import time
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Protocol

from gcpt.checkpoint.containers import unchanging
from gcpt.errors import UserError, one_line
from gcpt.sets import results
from gcpt.sets.points import Point
from gcpt.sets.results import Result, failure

#: Errors of a disk that has no space left.
DISK = frozenset({errno.ENOSPC, errno.EDQUOT})


class Work(Protocol):
    """What is done with each point."""

    def __call__(self, point: Point, folder: Path) -> Result:
        """Do it; the folder exists where results are kept."""
        ...

    def identity(self) -> dict[str, Any]:
        """What the result depends on besides files, as JSON."""
        ...

    def files(self) -> list[Path]:
        """The files besides the checkpoint that the result depends on."""
        ...

    def folder(self, point: Point) -> str:
        """The name of a point's folder."""
        ...

    def holds(self, earlier: Result) -> bool:
        """Whether the files that an earlier result names are still there."""
        ...

    def again(self, point: Point, folder: Path, earlier: Result) -> Result | None:
        """A new reading of an earlier result; None if it stays."""
        ...


@dataclass(frozen=True)
class Task:
    """The work on one point.

    Attributes:
        point: The point.
        work: What is done.
        folder: The point's folder; None if no result is kept.
        shared: SHA-256 of the files that all points share, by path.
        earlier: The result that is there already, whose key did not match or was not computed yet.
        run: The run, to tell its results from earlier ones.
        attempt: How often the point was tried, this time included.
    """

    point: Point
    work: Work
    folder: Path | None
    shared: tuple[tuple[str, str], ...]
    earlier: Result | None
    run: str
    attempt: int = 1


def images(point: Point) -> list[Path]:
    """Return the files of a point.

    Args:
        point: The point.
    """
    return [point.path, *([point.flash] if point.flash else [])]


def key(work: Work, digests: dict[str, str], shared: tuple[tuple[str, str], ...]) -> str:
    """Compute the key of a point's result: it does not depend on where the set lies.

    Args:
        work: What is done.
        digests: SHA-256 of the point's images by path.
        shared: SHA-256 of the files that all points share, by path.
    """
    roles = {f"image {number}": value for number, value in enumerate(digests.values())}
    roles |= {f"file {number}": value for number, (_, value) in enumerate(shared)}
    return results.key_of(work.identity(), roles)


def message_of(error: Exception) -> str:
    """Return one line about an error, with the file.

    Args:
        error: The error.
    """
    if isinstance(error, OSError):
        return f"{error.filename}: {error.strerror}" if error.filename else str(error.strerror or error)
    return one_line(str(error)) or type(error).__name__


def perform(task: Task) -> Result:
    """Do a task and write its result; called in a worker.

    Args:
        task: The task.

    Returns:
        The result.

    Raises:
        OSError: The disk is full: no result is written, and the point can be done later.
    """
    point, folder, start = task.point, task.folder, time.monotonic()
    known: dict[str, list[Any]] = {}
    result_key = ""
    try:
        if folder:
            for path in images(point):
                known[str(path)] = [results.known_digest(path, task.earlier), results.identity(path)]
            digests = {path: str(entry[0]) for path, entry in known.items()}
            result_key = key(task.work, digests, task.shared)
            if task.earlier and task.earlier.key == result_key:
                return _keep(task, replace(task.earlier, files=known))
    except OSError as error:
        return _keep(task, failure(point, "input", message_of(error), attempts=task.attempt))
    try:
        if folder:
            folder.mkdir(parents=True, exist_ok=True)
        with unchanging():
            result = task.work(point, folder or Path.cwd())
    except UserError as error:
        result = failure(point, "input", message_of(error))
    except OSError as error:
        if error.errno in DISK:
            raise
        result = failure(point, "error", message_of(error))
    except Exception as error:
        result = failure(point, "error", f"{type(error).__name__}: {message_of(error)}")
    result = replace(_checked(point, known, result), key=result_key, files=known, attempts=task.attempt)
    seconds = result.seconds or time.monotonic() - start
    return _keep(task, replace(result, seconds=round(seconds, 3), host=socket.gethostname()))


def _checked(point: Point, known: dict[str, list[Any]], result: Result) -> Result:
    """The result, or a failure if an image is not the one from before the work."""
    for path, (_, identity) in known.items():
        try:
            if results.identity(Path(path)) == identity:
                continue
            message = f"{path}: changed during the work"
        except OSError as error:
            message = message_of(error)
        return failure(point, "input", message, seconds=result.seconds)
    return result


def _keep(task: Task, result: Result) -> Result:
    result = replace(result, run=task.run)
    if task.folder:
        task.folder.mkdir(parents=True, exist_ok=True)
        results.write(task.folder, result)
    return result
