"""The result of one point of a set, and its file.

A result file is written to a temporary name and renamed, so it is whole or absent. Its key says what the result belongs
to: the content of the checkpoint, the work, and gcpt's version.
"""

import hashlib
import json
import os
from dataclasses import asdict, dataclass, field, fields
from pathlib import Path
from typing import Any

from gcpt import __version__
from gcpt.checkpoint.partials import Partial
from gcpt.errors import UserError
from gcpt.sets.points import Point

#: The result's file in the folder of a point.
NAME = "result.json"

FINISHED, FAILED = "finished", "failed"
#: Why a point failed, with the words of reports.
CAUSES = {
    "log": "the log says that it failed",
    "silent": "it ended, but no log says that it finished",
    "status": "the exit status says that it failed",
    "time limit": "it took longer than the time limit",
    "start": "the command did not start",
    "killed": "the worker was killed",
    "input": "the checkpoint is missing, damaged, changed or unfit",
    "findings": "the checkpoint would not restore",
    "mismatch": "the restore differs from the checkpoint",
    "disk": "the disk is full",
    "error": "the work ended with an error",
}
#: The causes that lie in the checkpoint or the simulator: the same work would fail again.
LASTING = frozenset({"log", "status", "time limit", "findings", "mismatch"})


@dataclass(frozen=True)
class Result:
    """What became of a point.

    Attributes:
        workload: The point's workload.
        point: The point's number.
        weight: The point's weight; None if unknown.
        state: FINISHED or FAILED.
        cause: One of CAUSES for a failure, else "".
        message: One line about a failure, else "".
        status: The exit status of the command, negative for a signal; None if it has none.
        seconds: Time of the last attempt.
        attempts: How often the point was tried.
        figures: Figures by name.
        facts: What else the work found out, as JSON.
        key: What the result belongs to.
        files: SHA-256 and identity of each input, by its path.
        limit: The time limit in seconds; None without one.
        host: The machine that did the work.
        run: The run that wrote it.
    """

    workload: str
    point: str
    weight: float | None
    state: str
    cause: str = ""
    message: str = ""
    status: int | None = None
    seconds: float = 0
    attempts: int = 1
    figures: dict[str, float] = field(default_factory=dict)
    facts: dict[str, Any] = field(default_factory=dict)
    key: str = ""
    files: dict[str, list[Any]] = field(default_factory=dict)
    limit: float | None = None
    host: str = ""
    run: str = ""

    @property
    def name(self) -> str:
        """The point's name."""
        return f"{self.workload}_{self.point}"

    @property
    def is_finished(self) -> bool:
        """Whether the point may be scored."""
        return self.state == FINISHED


def failure(point: Point, cause: str, message: str, **others: Any) -> Result:
    """Describe a point that failed.

    Args:
        point: The point.
        cause: One of CAUSES.
        message: One line.
        others: Further attributes of the result.

    Returns:
        The result.
    """
    return Result(point.workload, point.point, point.weight, FAILED, cause, message, **others)


def write_json(path: Path, content: object) -> None:
    """Write a JSON file, completely or not at all.

    Args:
        path: The file.
        content: Its content.

    Raises:
        OSError: It cannot be written.
    """
    partial = Partial(path)
    try:
        partial.open()
        partial.file.write(json.dumps(content).encode() + b"\n")
        partial.file.flush()
        os.fsync(partial.file.fileno())
        partial.replace()
    except BaseException:
        partial.remove()
        raise


def write(folder: Path, result: Result) -> None:
    """Write the result of a point.

    Args:
        folder: The point's folder.
        result: The result.

    Raises:
        OSError: It cannot be written.
    """
    write_json(folder / NAME, asdict(result))


def read(folder: Path) -> Result | None:
    """Read the result of a point.

    Args:
        folder: The point's folder.

    Returns:
        The result; None if there is none, or the file is not one of this version of gcpt.
    """
    try:
        content = json.loads((folder / NAME).read_bytes())
        result = Result(**{name.name: content[name.name] for name in fields(Result)})
        is_whole = result.state in (FINISHED, FAILED) and isinstance(result.files, dict)
    except (OSError, ValueError, KeyError, TypeError):
        return None
    return result if is_whole else None


def key_of(work: dict[str, Any], digests: dict[str, str]) -> str:
    """Compute the key of a result.

    Args:
        work: What is done with the point.
        digests: SHA-256 of each input by its role.

    Returns:
        A SHA-256.
    """
    text = json.dumps([__version__, work, digests], sort_keys=True)
    return hashlib.sha256(text.encode()).hexdigest()


def identity(path: Path) -> list[int]:
    """Return what changes when a file changes: device, inode, size, and times of change in nanoseconds.

    Args:
        path: The file.

    Raises:
        OSError: There is no such file.
    """
    status = path.stat()
    return [status.st_dev, status.st_ino, status.st_size, status.st_mtime_ns, status.st_ctime_ns]


def digest(path: Path) -> str:
    """Compute the SHA-256 of a file.

    Args:
        path: The file.

    Raises:
        OSError: It cannot be read.
    """
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def known_digest(path: Path, earlier: Result | None) -> str:
    """Return the SHA-256 of a file; only a file that changed since an earlier result is read.

    Args:
        path: The file.
        earlier: The earlier result; None without one.

    Raises:
        OSError: It cannot be read.
    """
    known = earlier.files.get(str(path)) if earlier else None
    return str(known[0]) if known and known[1] == identity(path) else digest(path)


def folder_name(name: str) -> str:
    """Return a name of a folder for any name of a point.

    Args:
        name: The name, of any characters.

    Returns:
        The name, with ``%XX`` for bytes that are not letters, digits or one of ``._+-=@,``.

    Raises:
        UserError: The name is too long for a folder.
    """
    from urllib.parse import quote

    quoted = quote(name, safe="+=@,")
    quoted = "%2E" + quoted[1:] if quoted.startswith(".") else quoted
    if len(quoted) > 255:
        raise UserError(f"{name[:40]}...: this name is too long for a folder: rename the workload")
    return quoted
