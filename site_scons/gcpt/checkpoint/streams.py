"""The content of a checkpoint file, uncompressed, as a stream of chunks.

Images decompress to gigabytes, nearly all of them zero: no function holds a whole image, or reads holes of raw files.
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

#: A function that passes chunks on unchanged, to count them for a progress bar.
Watch = Callable[[Iterable[bytes]], Iterable[bytes]]

#: Bytes per read of a compressed file.
_COMPRESSED_PIECE = 1 << 16
#: The largest chunk, in bytes: limited, because 4 bytes of zstd can decompress to 128 KiB.
PIECE = 1 << 20
#: A chunk of zeros.
ZEROS = bytes(PIECE)
#: The largest zstd window that is decompressed, as a power of two: the default limit of the zstd command.
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
    decompressor: _Decompressor
    if name == "zstd":
        decompressor = zstd.ZstdDecompressor(options={zstd.DecompressionParameter.window_log_max: _WINDOW_LOG})
    else:
        decompressor = igzip_lib.IgzipDecompressor(flag=igzip_lib.DECOMP_GZIP)
    return decompressor


def _decompress(file: BinaryIO, name: str) -> Iterator[bytes]:
    """Decompress all frames (members) of ``file``; UserError when it is damaged or the last frame is incomplete."""
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
    """The content of a raw file; its holes become zeros without being read."""
    size, at = os.fstat(file.fileno()).st_size, 0
    while at < size:
        try:
            data = os.lseek(file.fileno(), at, os.SEEK_DATA)
        except OSError:
            data = size  # the rest is a hole
        for start in range(at, data, PIECE):
            yield ZEROS[: min(PIECE, data - start)]
        end = os.lseek(file.fileno(), data, os.SEEK_HOLE) if data < size else size
        for start in range(data, end, PIECE):
            if not (piece := os.pread(file.fileno(), min(PIECE, end - start), start)):
                return  # the file was truncated meanwhile
            yield piece
        at = end


def raw_chunks(path: Path) -> Iterator[bytes]:
    """Read a file as raw, whatever its first bytes are.

    Args:
        path: The file.

    Yields:
        Its content, in chunks of 1 byte to 1 MiB.

    Raises:
        UserError: The file cannot be read.
    """
    with opened(path) as file:
        yield from _extents(file)


def read_at(path: Path, offset: int, size: int) -> bytes:
    """Read bytes of a raw file.

    Args:
        path: The file.
        offset: Offset of the first byte.
        size: Number of bytes.

    Returns:
        The bytes, fewer if the file ends first.

    Raises:
        UserError: The file cannot be read.
    """
    with opened(path) as file:
        file.seek(offset)
        return file.read(size)


def chunks(path: Path) -> Iterator[bytes]:
    """Read a file of any container.

    Args:
        path: The file.

    Yields:
        The uncompressed content, in chunks of 1 byte to 1 MiB.

    Raises:
        UserError: The file cannot be read or is damaged.
    """
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
    """Read the first bytes of the uncompressed content.

    Args:
        path: The file, in any container.
        size: Number of bytes.

    Returns:
        The bytes, fewer if the content is shorter.

    Raises:
        UserError: The file cannot be read or is damaged.
    """
    prefix = bytearray()
    for chunk in chunks(path):
        prefix += chunk[: size - len(prefix)]
        if len(prefix) == size:
            break
    return bytes(prefix)


def pages(content: Iterable[bytes]) -> Iterator[tuple[int, bytes]]:
    """Split an image into pages and leave out those that are zero.

    Args:
        content: The image, in chunks.

    Yields:
        Offset and bytes of each page that is not zero. The last page comes even if it is zero; it may be shorter than
        PAGE_SIZE.
    """
    buffer, at, last = bytearray(), 0, -1
    for chunk in chain(content, [b""]):
        buffer += chunk
        whole = len(buffer) - len(buffer) % PAGE_SIZE if chunk else len(buffer)
        if buffer[:whole] != bytes(whole):
            for start in range(0, whole, PAGE_SIZE):
                page = bytes(buffer[start : min(start + PAGE_SIZE, whole)])
                if page != ZEROS[: len(page)]:
                    last = at + start
                    yield last, page
        at += whole
        del buffer[:whole]
    end = max(0, at - 1) // PAGE_SIZE * PAGE_SIZE
    if last != end:
        yield end, ZEROS[: at - end]
