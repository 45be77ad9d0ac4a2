"""Containers of checkpoint files: raw, gzip, zstd or ELF, identified by their first bytes, never by their names."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO

from gcpt.checkpoint import elf_image
from gcpt.errors import UserError

#: The containers that files are written in.
CONTAINERS = ("raw", "gzip", "zstd")
#: The container of a file to write, by the ending of its name.
ENDINGS = {".gz": "gzip", ".zst": "zstd", ".zstd": "zstd", ".raw": "raw", ".bin": "raw", ".img": "raw"}
#: The first bytes of a file in each container; raw files have none.
MAGICS = {"gzip": b"\x1f\x8b", "zstd": b"\x28\xb5\x2f\xfd", "elf": elf_image.MAGIC}


def container(head: bytes) -> str:
    """Identify the container of a file.

    Args:
        head: The first four bytes of the file.

    Returns:
        "gzip", "zstd", "elf" or "raw".
    """
    return next((name for name, magic in MAGICS.items() if head.startswith(magic)), "raw")


@contextmanager
def opened(path: Path) -> Iterator[BinaryIO]:
    """Open a file for reading.

    Args:
        path: The file.

    Yields:
        The open file, at its start.

    Raises:
        UserError: The file cannot be read, or is a pipe, which can be read only once.
    """
    try:
        with path.open("rb") as file:
            if not file.seekable():
                raise UserError(f"{path}: is a pipe, but gcpt reads the file more than once: save it to a file first")
            yield file
    except OSError as error:
        raise UserError(f"{path}: {error.strerror}") from error


def container_of(path: Path) -> str:
    """Identify the container of a file.

    Args:
        path: The file.

    Returns:
        "gzip", "zstd", "elf" or "raw".

    Raises:
        UserError: The file cannot be read.
    """
    with opened(path) as file:
        return container(file.read(4))


def container_for(path: Path, default: str) -> str:
    """Choose the container of a file to write by the ending of its name.

    Args:
        path: The file to write.
        default: The container for other endings; "elf" stands for "raw".

    Returns:
        One of CONTAINERS.
    """
    return ENDINGS.get(path.suffix, default if default in CONTAINERS else "raw")


def container_like(path: Path, source: Path) -> str:
    """Choose the container of a file to write by the ending of its name, else use that of another file.

    Args:
        path: The file to write.
        source: The other file; an ELF file stands for "raw".

    Returns:
        One of CONTAINERS.

    Raises:
        UserError: ``source`` cannot be read.
    """
    return container_for(path, container_of(source))
