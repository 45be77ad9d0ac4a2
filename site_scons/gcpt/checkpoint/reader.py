"""Bytes of an image, read where they are asked for."""

from collections.abc import Callable
from pathlib import Path

from gcpt.checkpoint import containers, streams
from gcpt.checkpoint.layouts import MIB

#: Reads a number of bytes at an offset of an image; fewer where the image ends.
Reader = Callable[[int, int], bytes]

#: Bytes from the start of a compressed image that a reader keeps: what says where the state is, and most state.
_KEPT = 8 * MIB
#: No image is longer, in bytes.
_FARTHEST = 1 << 40


def read_word(read: Reader, offset: int) -> int:
    """The 8 bytes at ``offset``, little endian; zeros where the image ends."""
    return int.from_bytes(read(offset, 8), "little")


class FileReader:
    """A Reader of a checkpoint file, of any container.

    Reads, and decompresses, no more of it than up to what is asked for, and holds no more than its start and the last
    piece that was asked for. Asked for one before that, it starts again.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._seekable = containers.container_of(path) == "raw" and path.is_file()
        self._start = bytearray()
        self._rewind()

    def _rewind(self) -> None:
        self._chunks = streams.chunks(self._path)
        self._window, self._at = bytearray(), 0

    def __call__(self, offset: int, size: int) -> bytes:
        if not 0 <= offset < _FARTHEST:
            return b""  # what a header says leads there
        if self._seekable:
            return streams.read_at(self._path, offset, size)
        if offset + size <= len(self._start):
            return bytes(self._start[offset : offset + size])
        if offset < self._at:
            self._rewind()
        self._advance(offset, offset + size)
        return bytes(self._window[offset - self._at :][:size])

    def _advance(self, begin: int, end: int) -> None:
        """Read on until the window holds what is from ``begin`` to ``end``, as far as there is any."""
        while self._at + len(self._window) < end and (chunk := next(self._chunks, b"")):
            if self._at + len(self._window) == len(self._start) < _KEPT:
                self._start += chunk
            self._window += chunk
            passed = min(max(0, begin - self._at), len(self._window))
            del self._window[:passed]
            self._at += passed
