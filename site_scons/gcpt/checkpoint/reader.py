"""Random access to the bytes of an image, in a file of any container."""

from collections.abc import Callable
from pathlib import Path

from gcpt.checkpoint import containers, streams
from gcpt.checkpoint.layouts import MIB
from gcpt.isa.paging import PAGE_SIZE

#: A function that reads bytes of an image: offset and number of bytes; fewer come back if the image ends first.
Reader = Callable[[int, int], bytes]

#: Bytes from the start of a compressed image whose pages stay in memory: headers and most state are there.
_KEPT = 8 * MIB
#: The most pages after these that stay in memory: the blocks of 128 harts, which are mostly zero, or the largest block.
_RECENT_PAGES = 64 * MIB // PAGE_SIZE
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

    It decompresses the file only as far as needed, and once unless the image is unusually full: it keeps the pages of
    the image's start and the last pages that are not zero. A call for pages that it no longer has decompresses the file
    again.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._seekable = containers.container_of(path) == "raw" and path.is_file()
        self._start: dict[int, bytes] = {}
        self._rewind()

    def _rewind(self) -> None:
        """Start again: ``_recent`` are pages from _KEPT on, of which those before ``_floor`` are dropped."""
        self._chunks = streams.chunks(self._path)
        self._recent: dict[int, bytes] = {}
        self._floor = _KEPT
        self._page, self._rest = 0, bytearray()

    @property
    def _end(self) -> int:
        """The image offset up to which the file is decompressed."""
        return self._page * PAGE_SIZE + len(self._rest)

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
        if max(offset, _KEPT) < min(offset + size, self._floor):
            self._rewind()
        self._advance(offset + size)
        end = min(offset + size, self._end)
        first = offset // PAGE_SIZE
        pages = b"".join(map(self._content, range(first, -(-end // PAGE_SIZE))))
        return pages[offset - first * PAGE_SIZE : max(0, end - first * PAGE_SIZE)]

    def _content(self, page: int) -> bytes:
        """The bytes of a page that is decompressed; of the last one, those that are."""
        if page == self._page:
            return bytes(self._rest)
        pages = self._start if page * PAGE_SIZE < _KEPT else self._recent
        return pages.get(page, streams.ZEROS[:PAGE_SIZE])

    def _advance(self, end: int) -> None:
        """Decompress up to image offset ``end``, or to the end of the image."""
        while self._end < end and (chunk := next(self._chunks, b"")):
            self._rest += chunk
            whole = len(self._rest) // PAGE_SIZE
            data = bytes(self._rest[: whole * PAGE_SIZE])
            del self._rest[: whole * PAGE_SIZE]
            if data != streams.ZEROS[: len(data)]:
                for number in range(whole):
                    self._keep(self._page + number, data[number * PAGE_SIZE : (number + 1) * PAGE_SIZE])
            self._page += whole

    def _keep(self, page: int, data: bytes) -> None:
        if data == streams.ZEROS[:PAGE_SIZE]:
            return
        if page * PAGE_SIZE < _KEPT:
            self._start[page] = data
            return
        self._recent[page] = data
        if len(self._recent) > _RECENT_PAGES:
            dropped = next(iter(self._recent))
            del self._recent[dropped]
            self._floor = (dropped + 1) * PAGE_SIZE
