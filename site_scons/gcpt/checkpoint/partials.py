"""Partial files: new files beside those that they replace when they are complete.

A writer keeps its partial file locked until then. So the file of a writer that was killed is free, and the next writer
of the same file removes it.
"""

import fcntl
import os
import re
import socket
from collections.abc import Iterator
from contextlib import suppress
from itertools import count
from pathlib import Path
from typing import BinaryIO
from zlib import crc32

#: Characters of a file's name in the name of its partial file, which may be as long as the file's: 255 bytes.
_NAME_PART = 40
#: Numbers of this process's partial files.
_numbers = count()


def _prefix(target: Path) -> str:
    """How the names of a file's partial files begin on this machine: a lock may not be seen from another one."""
    return f".{target.name[:_NAME_PART]}.{crc32(socket.gethostname().encode()):08x}."


class Partial:
    """A partial file.

    Attributes:
        file: The file, open for writing and reading.
    """

    file: BinaryIO

    def __init__(self, target: Path) -> None:
        """Choose its name; nothing is created.

        Args:
            target: The file that it will replace.
        """
        self._target = target
        self._choose()

    def _choose(self) -> None:
        self._path = self._target.with_name(f"{_prefix(self._target)}{os.getpid()}.{next(_numbers)}.partial")

    def open(self) -> None:
        """Create the file, and remove those of writers that were killed.

        After any exception, such as Ctrl-C's, the file may exist, and ``remove`` takes it away.

        Raises:
            OSError: It cannot be created.
        """
        _remove_left(self._target)
        while True:
            self.file = self._path.open("w+b")
            with suppress(OSError):  # the file system has no locks, so nobody removes the file
                fcntl.flock(self.file, fcntl.LOCK_EX)
            if self._is_there():
                return
            self.file.close()  # another writer removed it before it was locked
            self._choose()

    def _is_there(self) -> bool:
        with suppress(FileNotFoundError):
            return os.path.samestat(self._path.stat(), os.fstat(self.file.fileno()))
        return False

    def replace(self) -> None:
        """Replace the file: it stays locked until it has its name. Only the rename itself can fail.

        Raises:
            OSError: The rename failed.
        """
        self._path.replace(self._target)
        self.file.close()

    def remove(self) -> None:
        """Remove what is written; the error that led to it matters more than one of the removal."""
        with suppress(OSError):
            self._path.unlink(missing_ok=True)
        with suppress(OSError, AttributeError):  # it may not be open yet
            self.file.close()


def _remove_left(target: Path) -> None:
    """Remove the partial files of a file whose writers do not live any more."""
    for path in _partials(target):
        with suppress(OSError), path.open("r+b") as file:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            path.unlink()


def _partials(target: Path) -> Iterator[Path]:
    name = re.compile(re.escape(_prefix(target)) + r"\d+\.\d+\.partial")
    with suppress(OSError), os.scandir(target.parent) as entries:
        for entry in entries:
            if name.fullmatch(entry.name) and entry.is_file(follow_symlinks=False):
                yield Path(entry.path)
