"""The content of a checkpoint file, uncompressed, as a stream of chunks.

Images decompress to gigabytes, nearly all zero: nothing here holds a whole one, and holes of raw files are not read.
"""

import os
import stat
from collections.abc import Callable, Iterable, Iterator
from functools import partial
from itertools import chain
from pathlib import Path
from typing import BinaryIO, Protocol

from backports import zstd
from isal import igzip_lib

from gcpt.checkpoint import elf_image
from gcpt.checkpoint.containers import MAGICS, container, opened
from gcpt.errors import UserError
from gcpt.isa.paging import PAGE_SIZE

#: What the content goes through on its way.
Watch = Callable[[Iterable[bytes]], Iterable[bytes]]

#: Bytes of a compressed file taken at once, and of content made of them at once: 4 bytes of zstd can stand for 128 KiB.
_COMPRESSED_PIECE, PIECE = 1 << 16, 1 << 20
ZEROS = bytes(PIECE)
#: The longest zstd window that is decompressed, as a power of two: what the command zstd takes without being asked.
_WINDOW_LOG = 27


class _Decompressor(Protocol):
    @property
    def eof(self) -> bool: ...
    @property
    def needs_input(self) -> bool: ...
    @property
    def unused_data(self) -> bytes: ...
    def decompress(self, data: bytes, max_length: int = -1) -> bytes: ...


def _decompressor(name: str) -> _Decompressor:
    if name == "zstd":
        made: _Decompressor = zstd.ZstdDecompressor(options={zstd.DecompressionParameter.window_log_max: _WINDOW_LOG})
    else:
        made = igzip_lib.IgzipDecompressor(flag=igzip_lib.DECOMP_GZIP)
    return made


def _decompress(file: BinaryIO, name: str) -> Iterator[bytes]:
    """The content of all frames (members) of ``file``; UserError when the last one is incomplete."""
    stream, data = _decompressor(name), file.read(_COMPRESSED_PIECE)
    while True:
        if stream.eof:
            data = stream.unused_data or file.read(_COMPRESSED_PIECE)
            if len(data) < 4:
                data += file.read(4)
            if not data.startswith(MAGICS[name]):
                return  # padding after the last frame
            stream = _decompressor(name)
        elif stream.needs_input and not data and not (data := file.read(_COMPRESSED_PIECE)):
            raise UserError(f"{file.name}: the file ends in the middle of its {name} stream: copy it again")
        try:
            content, data = stream.decompress(data, PIECE), b""
        except (igzip_lib.IsalError, zstd.ZstdError) as error:  # type: ignore[misc]  # isal types it as an instance
            raise UserError(f"{file.name}: damaged: {error}") from error
        if content:
            yield content


def _extents(file: BinaryIO) -> Iterator[bytes]:
    """A raw file; its holes are zeros that nobody reads from a disk."""
    size, at = os.fstat(file.fileno()).st_size, 0
    while at < size:
        try:
            data = os.lseek(file.fileno(), at, os.SEEK_DATA)
        except OSError:
            data = size  # nothing but a hole is left
        for start in range(at, data, PIECE):
            yield ZEROS[: min(PIECE, data - start)]
        end = os.lseek(file.fileno(), data, os.SEEK_HOLE) if data < size else size
        for start in range(data, end, PIECE):
            if not (piece := os.pread(file.fileno(), min(PIECE, end - start), start)):
                return  # somebody cut the file meanwhile
            yield piece
        at = end


def raw_chunks(path: Path) -> Iterator[bytes]:
    """The content of a file that is known to be raw, whatever its first bytes look like."""
    with opened(path) as file:
        yield from _extents(file)


def read_at(path: Path, offset: int, size: int) -> bytes:
    """Bytes of a file that is known to be raw, fewer where it ends."""
    with opened(path) as file:
        file.seek(offset)
        return file.read(size)


def chunks(path: Path) -> Iterator[bytes]:
    """The uncompressed content of ``path``, in pieces of 1 byte to 1 MiB; UserError when it cannot be read."""
    with opened(path) as file:
        name = container(file.read(4))
        file.seek(0)
        if name == "elf":
            yield from elf_image.chunks(file, PIECE)
        elif name != "raw":
            yield from _decompress(file, name)
        elif stat.S_ISREG(os.fstat(file.fileno()).st_mode):
            yield from _extents(file)
        else:
            yield from iter(partial(file.read, PIECE), b"")


def read_prefix(path: Path, size: int) -> bytes:
    """The first ``size`` bytes of the uncompressed content, fewer when it is shorter."""
    prefix = bytearray()
    for chunk in chunks(path):
        prefix += chunk[: size - len(prefix)]
        if len(prefix) == size:
            break
    return bytes(prefix)


def pages(content: Iterable[bytes]) -> Iterator[tuple[int, bytes]]:
    """The pages of ``content`` that are not zero, with their offsets; the last one, which may be shorter, always."""
    rest, at, last = bytearray(), 0, -1
    for chunk in chain(content, [b""]):
        rest += chunk
        whole = len(rest) - len(rest) % PAGE_SIZE if chunk else len(rest)
        if rest[:whole] != bytes(whole):
            for start in range(0, whole, PAGE_SIZE):
                page = bytes(rest[start : min(start + PAGE_SIZE, whole)])
                if page != ZEROS[: len(page)]:
                    last = at + start
                    yield last, page
        at += whole
        del rest[:whole]
    end = max(0, at - 1) // PAGE_SIZE * PAGE_SIZE
    if last != end:
        yield end, ZEROS[: at - end]
