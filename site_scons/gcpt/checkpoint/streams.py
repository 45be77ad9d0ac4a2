"""The content of a checkpoint file, uncompressed, as a stream of chunks.

Images decompress to gigabytes, nearly all of them zero: no function holds a whole image, or reads holes of raw files.
"""

import errno
import os
import stat
from collections.abc import Callable, Iterable, Iterator, Sequence
from functools import partial
from itertools import chain
from pathlib import Path
from typing import BinaryIO

from gcpt.checkpoint import elf_image, frames
from gcpt.checkpoint.containers import (
    HEAD_SIZE,
    check_unchanged,
    check_unpacked,
    checked_container,
    identity_of,
    opened,
    read_exactly,
)
from gcpt.isa.paging import PAGE_SIZE

#: A function that passes chunks on unchanged, to count them for a progress bar.
Watch = Callable[[Iterable[bytes]], Iterable[bytes]]

#: The largest chunk, in bytes: limited, because 4 bytes of zstd can decompress to 128 KiB.
PIECE = 1 << 20
#: A chunk of zeros.
ZEROS = bytes(PIECE)


def _extents(file: BinaryIO) -> Iterator[bytes]:
    """The content of a raw file; its holes become zeros without being read."""
    size, at = os.fstat(file.fileno()).st_size, 0
    while at < size:
        try:
            data = os.lseek(file.fileno(), at, os.SEEK_DATA)
        except OSError as error:
            if error.errno != errno.ENXIO:
                raise
            data = size  # the rest is a hole
        for start in range(at, data, PIECE):
            yield ZEROS[: min(PIECE, data - start)]
        end = os.lseek(file.fileno(), data, os.SEEK_HOLE) if data < size else size
        for start in range(data, end, PIECE):
            yield read_exactly(file, min(PIECE, end - start), start)
        at = end


def raw_chunks(path: Path) -> Iterator[bytes]:
    """Read a file as raw, whatever its first bytes are. It may differ from one reading to the next.

    Args:
        path: The file.

    Yields:
        Its content, in chunks of 1 byte to 1 MiB.

    Raises:
        UserError: The file cannot be read, or changes before its end.
    """
    with opened(path, remember=False) as file:
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
        length = os.fstat(file.fileno()).st_size
        return read_exactly(file, max(0, min(size, length - offset)), offset)


def chunks(path: Path) -> Iterator[bytes]:
    """Read a file of any container.

    Args:
        path: The file.

    Yields:
        The uncompressed content, in chunks of 1 byte to 1 MiB.

    Raises:
        UserError: The file cannot be read, is damaged or in a foreign format, or changes before its end.
    """
    with opened(path) as file:
        before = identity_of(file)
        name = checked_container(file.read(HEAD_SIZE), path)
        file.seek(0)
        for chunk in _content(file, name, path):
            check_unchanged(path, file, before)
            yield chunk


def _content(file: BinaryIO, name: str, path: Path) -> Iterator[bytes]:
    """The uncompressed content of an open file in container ``name``."""
    if name == "elf":
        return elf_image.chunks(file, PIECE)
    if name != "raw":
        return _unpacked_once(frames.decompress(file, name, PIECE), name, path)
    if stat.S_ISREG(os.fstat(file.fileno()).st_mode):
        return _extents(file)
    return iter(partial(file.read, PIECE), b"")


def _unpacked_once(content: Iterator[bytes], name: str, path: Path) -> Iterator[bytes]:
    """``content``, unless it is in a container again: then UserError."""
    start: list[bytes] = []
    while sum(map(len, start)) < HEAD_SIZE and (chunk := next(content, b"")):
        start.append(chunk)
    check_unpacked(b"".join(start)[:HEAD_SIZE], name, path)
    yield from start
    yield from content


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
    return first_bytes(chunks(path), size)


def first_bytes(content: Iterable[bytes], size: int) -> bytes:
    """Return the first bytes of an image.

    Args:
        content: The image, in chunks.
        size: Number of bytes.

    Returns:
        The bytes, fewer if the image is shorter.
    """
    prefix = bytearray()
    for chunk in content:
        prefix += chunk[: size - len(prefix)]
        if len(prefix) == size:
            break
    return bytes(prefix)


def pages(content: Iterable[bytes], keep: Sequence[tuple[int, int]] = ()) -> Iterator[tuple[int, bytes]]:
    """Split an image into pages and leave out those that are zero.

    Args:
        content: The image, in chunks.
        keep: Offsets of the first byte and after the last byte of each part whose pages are not left out.

    Yields:
        Offset and bytes of each page that is not zero or has a byte of ``keep``. The last page comes even if it is
        zero; it may be shorter than PAGE_SIZE.
    """
    buffer, at, last = bytearray(), 0, -1
    for chunk in chain(content, [b""]):
        buffer += chunk
        whole = len(buffer) - len(buffer) % PAGE_SIZE if chunk else len(buffer)
        kept = [(begin, end) for begin, end in keep if begin < at + whole and at < end]
        if kept or buffer[:whole] != bytes(whole):
            for start in range(0, whole, PAGE_SIZE):
                page = bytes(buffer[start : min(start + PAGE_SIZE, whole)])
                first, after = at + start, at + start + len(page)
                if page != ZEROS[: len(page)] or any(begin < after and first < end for begin, end in kept):
                    last = first
                    yield last, page
        at += whole
        del buffer[:whole]
    end = max(0, at - 1) // PAGE_SIZE * PAGE_SIZE
    if last != end:
        yield end, ZEROS[: at - end]
