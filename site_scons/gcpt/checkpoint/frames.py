"""Decompression of gzip and zstd files: members and frames one after another, zstd skippable frames, zero padding."""

import os
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO, Protocol

from isal import igzip_lib

from gcpt.checkpoint.containers import HEAD_SIZE, MAGICS, container, foreign, is_cut_magic, is_skippable
from gcpt.errors import UserError

if sys.version_info >= (3, 14):
    from compression import zstd
else:
    from backports import zstd

#: Bytes per read of a compressed file.
_READ = 1 << 16
#: Bytes that a new frame gets first: small, because a file may be a long row of small frames.
_FIRST = 1 << 12
#: The longest header of a zstd frame, and the header of a skippable frame, in bytes (RFC 8878, section 3.1).
_ZSTD_HEADER, _SKIPPABLE_HEADER = 18, 8
#: The largest zstd window that is decompressed, as a power of two: the limit of the zstd command (--long=31). The
#: window is in memory, but only as much of it as there is content.
_WINDOW_LOG = 31


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


class _Input:
    """The bytes of a compressed file, in order.

    Attributes:
        name: Name of the file.
    """

    def __init__(self, file: BinaryIO) -> None:
        self.name = file.name
        self._file, self._data, self._next, self._read = file, b"", 0, 0

    @property
    def at(self) -> int:
        """File offset of the next byte."""
        return self._read - len(self._data) + self._next

    def peek(self, size: int) -> bytes:
        """Return the next bytes without taking them; fewer if the file ends."""
        while len(self._data) - self._next < size and (more := self._file.read(_READ)):
            self._data, self._next = self._data[self._next :] + more, 0
            self._read += len(more)
        return self._data[self._next : self._next + size]

    def take(self, limit: int) -> bytes:
        """Take at least one byte and at most ``limit``; none if the file ends."""
        if self._next == len(self._data):
            self.peek(1)
        data = self._data[self._next : self._next + limit]
        self._next += len(data)
        return data

    def give_back(self, size: int) -> None:
        """Return the last bytes of the last ``take``."""
        self._next -= size

    def skip(self, size: int) -> None:
        """Skip bytes; UserError if the file has fewer."""
        target = self.at + size
        if target > os.fstat(self._file.fileno()).st_size:
            raise UserError(f"{self.name}: the file ends in the middle of a skippable zstd frame: copy it again")
        self._read = self._file.seek(target)
        self._data, self._next = b"", 0


def decompress(file: BinaryIO, name: str, piece: int) -> Iterator[bytes]:
    """Decompress all frames (zstd) or members (gzip) of a file.

    Skippable zstd frames and zero bytes before, between and after frames are skipped; anything else is an error.

    Args:
        file: The file, at its start.
        name: "gzip" or "zstd".
        piece: The largest chunk in bytes.

    Yields:
        The content, in chunks of 1 byte to ``piece`` bytes.

    Raises:
        UserError: The file is damaged or incomplete, has other data between frames, or needs a dictionary.
        OSError: The file cannot be read.
    """
    source = _Input(file)
    while head := source.peek(4):
        if head.startswith(MAGICS[name]):
            yield from _frame(source, name, piece)
        elif name == "zstd" and is_skippable(head):
            size = int.from_bytes(source.peek(_SKIPPABLE_HEADER)[4:], "little")
            source.skip(_SKIPPABLE_HEADER + size)
        elif not head[0]:
            zeros = source.take(_READ)
            source.give_back(len(zeros.lstrip(b"\0")))
        else:
            raise _stray(source, name)


def end_of_start(file: BinaryIO, name: str, size: int) -> int | None:
    """Find the end of a first frame or member that holds the start of the content, and no more.

    Args:
        file: The file, at its start.
        name: "gzip" or "zstd".
        size: Bytes of the start.

    Returns:
        The file offset after that frame; None if the first frame holds less or more.

    Raises:
        UserError: The first frame is damaged or incomplete, or needs a dictionary.
        OSError: The file cannot be read.
    """
    source, length = _Input(file), 0
    if not source.peek(4).startswith(MAGICS[name]):
        return None
    for chunk in _frame(source, name, size):
        length += len(chunk)
        if length > size:
            return None
    return source.at if length == size else None


def _stray(source: _Input, name: str) -> UserError:
    """The error for data that is no frame."""
    head, at = source.peek(HEAD_SIZE), source.at
    if is_cut_magic(head, name):
        return UserError(f"{source.name}: the file ends in the middle of its {name} stream: copy it again")
    match = foreign(head, Path(source.name))
    kind = match[0] if match else container(head)
    what = f"{kind} data" if kind != "raw" else f"neither {name} data nor padding"
    return UserError(f"{source.name}: {what} at byte {at:#x}, after {name} data: copy the file again, or cut it there")


def _frame(source: _Input, name: str, piece: int) -> Iterator[bytes]:
    """Decompress one frame or member."""
    start, limit = source.at, _FIRST
    if name == "zstd":
        _check_dictionary(source)
    stream = _decompressor(name)
    while not stream.eof:
        data = b""
        if stream.needs_input:
            if not (data := source.take(limit)):
                raise UserError(f"{source.name}: the file ends in the middle of its {name} stream: copy it again")
            limit = _READ
        try:
            content = stream.decompress(data, piece)
        except (igzip_lib.IsalError, zstd.ZstdError) as error:  # type: ignore[misc]  # isal types it as an instance
            raise _damage(source.name, start, name, str(error)) from error
        except MemoryError as error:
            raise UserError(
                f"{source.name}: not enough memory for its zstd window: compress it again without --long"
            ) from error
        if content:
            yield content
    source.give_back(len(stream.unused_data))


def _check_dictionary(source: _Input) -> None:
    try:
        number = zstd.get_frame_info(source.peek(_ZSTD_HEADER)).dictionary_id
    except zstd.ZstdError:
        return  # the header is damaged or incomplete, as the decompressor reports
    if number:
        raise _dictionary(source.name, f" (number {number})")


def _dictionary(name: str, number: str = "") -> UserError:
    return UserError(
        f"{name}: compressed with a zstd dictionary{number}, which gcpt does not have: unpack it first: "
        "zstd -dc -D DICTIONARY"
    )


def _damage(file: str, start: int, name: str, error: str) -> UserError:
    """The error for a frame that cannot be decompressed."""
    if name == "zstd" and "ictionary" in error:
        return _dictionary(file)
    if name == "zstd" and "memory" in error:
        return UserError(
            f"{file}: its zstd window is above 2 GiB or above the free memory: compress it again ({error})"
        )
    return UserError(f"{file}: damaged: {name} data at byte {start:#x}: {error}")
