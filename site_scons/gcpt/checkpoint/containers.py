"""What a checkpoint file is stored in: raw, gzip, zstd or ELF, told apart by its first bytes and never by its name."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO

from gcpt.checkpoint import elf_image
from gcpt.errors import UserError

CONTAINERS = ("raw", "gzip", "zstd")
#: A container by the ending of a file that is to be written.
ENDINGS = {".gz": "gzip", ".zst": "zstd", ".zstd": "zstd", ".raw": "raw", ".bin": "raw", ".img": "raw"}
MAGICS = {"gzip": b"\x1f\x8b", "zstd": b"\x28\xb5\x2f\xfd", "elf": elf_image.MAGIC}


def container(head: bytes) -> str:
    """The container by the first four bytes of a file: "gzip", "zstd", "elf" or "raw"."""
    return next((name for name, magic in MAGICS.items() if head.startswith(magic)), "raw")


@contextmanager
def opened(path: Path) -> Iterator[BinaryIO]:
    """The file ``path``; UserError when it cannot be read, or only once, as a pipe."""
    try:
        with path.open("rb") as file:
            if not file.seekable():
                raise UserError(f"{path}: this is a pipe, and the file is read more than once: save it first")
            yield file
    except OSError as error:
        raise UserError(f"{path}: {error.strerror}") from error


def container_of(path: Path) -> str:
    """The container of the file ``path``; UserError when it cannot be read."""
    with opened(path) as file:
        return container(file.read(4))


def container_for(path: Path, default: str) -> str:
    """The container that the name ``path`` asks for by its ending; ``default`` for any other ending."""
    return ENDINGS.get(path.suffix, default if default in CONTAINERS else "raw")


def container_like(path: Path, source: Path) -> str:
    """The container that the name ``path`` asks for by its ending; else that of ``source``, raw for an ELF."""
    own = container_of(source)
    return container_for(path, own if own in CONTAINERS else "raw")
