"""Random access to the bytes of an image, in a file of any container."""

from collections.abc import Callable
from pathlib import Path

from gcpt.checkpoint import containers, streams
from gcpt.checkpoint.layouts import MIB

#: A function that reads bytes of an image: offset and number of bytes; fewer come back if the image ends first.
Reader = Callable[[int, int], bytes]

#: Bytes from the start of a compressed image that stay in memory: headers and most state are there.
_KEPT = 8 * MIB
#: The longest possible image, in bytes.
_FARTHEST = 1 << 40


def read_word(read: Reader, offset: int) -> int:
    """Read a 64-bit little-endian word.

    Args:
        read: Reads the image.
        offset: Offset of the word in the image.

    Returns:
        The word; bytes after the end of the image count as 0.
    """
    return int.from_bytes(read(offset, 8), "little")


class FileReader:
    """A Reader of a checkpoint file in any container.

    It decompresses the file only as far as needed. It keeps the start of the image and the bytes of the last call in
    memory; a call for an earlier offset decompresses the file again.
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
        """Read bytes of the image.

        Args:
            offset: Offset of the first byte in the image. Headers may give any value.
            size: Number of bytes.

        Returns:
            The bytes, fewer if the image ends first; none for an offset outside any image.

        Raises:
            UserError: The file cannot be read or is damaged.
        """
        if not 0 <= offset < _FARTHEST:
            return b""
        if self._seekable:
            return streams.read_at(self._path, offset, size)
        if offset + size <= len(self._start):
            return bytes(self._start[offset : offset + size])
        if offset < self._at:
            self._rewind()
        self._advance(offset, offset + size)
        return bytes(self._window[offset - self._at :][:size])

    def _advance(self, begin: int, end: int) -> None:
        """Read on until the window holds the bytes from ``begin`` to ``end``, or the image ends."""
        while self._at + len(self._window) < end and (chunk := next(self._chunks, b"")):
            if self._at + len(self._window) == len(self._start) < _KEPT:
                self._start += chunk
            self._window += chunk
            surplus = min(max(0, begin - self._at), len(self._window))
            del self._window[:surplus]
            self._at += surplus
