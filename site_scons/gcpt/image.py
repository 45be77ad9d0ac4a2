"""Checkpoint files in and out: raw, gzip or zstd, told apart by their first bytes and never by their name.

Images decompress to gigabytes, nearly all zero: everything here streams, and what is written is sparse.
"""

import zlib
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import BinaryIO, Protocol

import zstandard

from gcpt.errors import UserError

_MAGICS = {"gzip": b"\x1f\x8b", "zstd": b"\x28\xb5\x2f\xfd"}
#: Bytes of a compressed file taken at once: small, because 4 bytes of zstd can stand for 128 KiB.
_COMPRESSED_PIECE = 1 << 10
_RAW_PIECE = 1 << 20
#: What a hole in a sparse file is made of, in bytes.
_HOLE = 1 << 16


class _Decompressor(Protocol):
    @property
    def eof(self) -> bool: ...
    @property
    def unused_data(self) -> bytes: ...
    def decompress(self, data: bytes, /) -> bytes: ...


def container(head: bytes) -> str:
    """ "gzip", "zstd" or "raw", by the first four bytes of a file."""
    return next((name for name, magic in _MAGICS.items() if head.startswith(magic)), "raw")


def container_of(path: Path) -> str:
    """The container of the file ``path``; UserError when it cannot be read."""
    try:
        with path.open("rb") as file:
            return container(file.read(4))
    except OSError as error:
        raise UserError(f"{path}: {error.strerror}") from error


def _decompressor(name: str) -> _Decompressor:
    if name == "zstd":
        return zstandard.ZstdDecompressor().decompressobj()
    return zlib.decompressobj(wbits=31)


def _decompress(file: BinaryIO, name: str) -> Iterator[bytes]:
    """The content of all frames (members) of ``file``; UserError when the last one is incomplete."""
    stream = _decompressor(name)
    while piece := file.read(_COMPRESSED_PIECE):
        while piece:
            if stream.eof:
                if not piece.startswith(_MAGICS[name][: len(piece)]):
                    return  # padding after the last frame
                stream = _decompressor(name)
            if content := stream.decompress(piece):
                yield content
            piece = stream.unused_data
    if not stream.eof:
        raise UserError(f"{file.name}: the file ends in the middle of its {name} stream: copy it again")


def chunks(path: Path) -> Iterator[bytes]:
    """The uncompressed content of ``path``, in pieces of 1 byte or more; UserError when it cannot be read."""
    try:
        with path.open("rb") as file:
            name = container(file.read(4))
            file.seek(0)
            if name == "raw":
                while piece := file.read(_RAW_PIECE):
                    yield piece
            else:
                yield from _decompress(file, name)
    except OSError as error:
        raise UserError(f"{path}: {error.strerror}") from error
    except (zlib.error, zstandard.ZstdError) as error:
        raise UserError(f"{path}: damaged: {error}") from error


def read_prefix(path: Path, size: int) -> bytes:
    """The first ``size`` bytes of the uncompressed content, fewer when it is shorter."""
    prefix = bytearray()
    for chunk in chunks(path):
        prefix += chunk[: size - len(prefix)]
        if len(prefix) == size:
            break
    return bytes(prefix)


def unpack(path: Path, out: Path, size: int = 0) -> int:
    """Write the uncompressed content of ``path`` to ``out`` as a sparse file of at least ``size`` bytes.

    Returns the length of the content in bytes.
    """
    zeros = bytes(_HOLE)
    length = 0
    with out.open("wb") as file:
        for chunk in chunks(path):
            for start in range(0, len(chunk), _HOLE):
                block = chunk[start : start + _HOLE]
                if block != zeros[: len(block)]:
                    file.seek(length + start)
                    file.write(block)
            length += len(chunk)
        file.truncate(max(length, size))
    return length


def write_pieces(out: Path, pieces: Iterable[tuple[int, bytes]], size: int) -> None:
    """A sparse file of ``size`` bytes that holds ``pieces`` (offset, bytes) and is zero elsewhere."""
    with out.open("wb") as file:
        file.truncate(size)
        for offset, data in pieces:
            file.seek(offset)
            file.write(data)
