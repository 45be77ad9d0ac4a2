"""Temporary folders of one command."""

import contextlib
import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from gcpt.errors import UserError

#: The longest path of a Unix socket, in bytes (unix(7)).
LONGEST_SOCKET = 107
_PREFIX = "gcpt-"
_REMEDY = "set TMPDIR to another folder"


def _new(parent: str | None = None) -> str:
    try:
        return tempfile.mkdtemp(prefix=_PREFIX, dir=parent)
    except OSError as error:
        tried = parent or os.environ.get("TMPDIR") or tempfile.gettempprefix()
        raise UserError(f"{error.filename or tried}: no temporary folder: {error.strerror}: {_REMEDY}") from error


def _cause(error: BaseException, folder: Path) -> OSError | None:
    """The OSError of a file in ``folder`` that led to ``error``, if there is one."""
    cause = error if isinstance(error, OSError) else error.__cause__ if isinstance(error, UserError) else None
    if not isinstance(cause, OSError) or isinstance(cause, BrokenPipeError):
        return None
    name = str(error) if isinstance(error, UserError) else str(cause.filename or folder)
    return cause if name.startswith(str(folder)) else None


@contextmanager
def scratch_folder() -> Iterator[Path]:
    """Create a folder in TMPDIR, or the system's folder for temporary files, and remove it at the end.

    Yields:
        The folder.

    Raises:
        UserError: It cannot be created or removed, or a file in it cannot be written: the message names TMPDIR.
    """
    folder = Path(_new())
    try:
        with removal_of(folder):
            yield folder
    except BaseException as error:
        if cause := _cause(error, folder):
            raise UserError(f"{folder.parent}: temporary files: {cause.strerror or cause}: {_REMEDY}") from error
        raise


@contextmanager
def removal_of(folder: Path) -> Iterator[Path]:
    """Remove a temporary folder at the end of the ``with`` block.

    Args:
        folder: The folder.

    Yields:
        The folder.

    Raises:
        UserError: It, or a file in it, cannot be removed; after an exception, that one is raised.
    """
    try:
        yield folder
    except BaseException:
        shutil.rmtree(folder, ignore_errors=True)  # the error matters more than one of the removal
        raise
    remove_folder(folder)


def remove_folder(folder: Path) -> None:
    """Remove a temporary folder with all its files.

    Args:
        folder: The folder.

    Raises:
        UserError: It, or a file in it, cannot be removed.
    """
    try:
        shutil.rmtree(folder)
    except OSError as error:
        raise UserError(f"{folder}: temporary files were not removed: {error.strerror}: remove the folder") from error


def fits_socket(path: str | Path) -> bool:
    """Return whether a Unix socket can have this path.

    Args:
        path: The path.
    """
    return len(os.fsencode(path)) <= LONGEST_SOCKET


def short_folder(name: str) -> Path:
    """Create a folder for a Unix socket: in the temporary folder if its path is short enough, else elsewhere.

    Args:
        name: The socket's name.

    Returns:
        The folder, which the caller removes.

    Raises:
        UserError: No folder with a short path can be created.
    """
    candidates = (tempfile.gettempdir(), os.environ.get("XDG_RUNTIME_DIR", ""), "/tmp", "/var/tmp")
    for parent in candidates:
        if parent and fits_socket(Path(parent, f"{_PREFIX}12345678", name)):
            with contextlib.suppress(OSError):
                return Path(tempfile.mkdtemp(prefix=_PREFIX, dir=parent))
    raise UserError(f"{candidates[0]}: no temporary folder for a socket, whose path has at most {LONGEST_SOCKET} bytes")
