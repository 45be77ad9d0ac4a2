"""The page store of an archive: each page once, in zstd frames of many pages, and the pages of each file as runs."""

import hashlib
import sys
from array import array
from collections import OrderedDict
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from itertools import chain
from pathlib import Path
from typing import BinaryIO

from backports import zstd

from gcpt.checkpoint.streams import PIECE, ZEROS
from gcpt.errors import UserError
from gcpt.isa.paging import PAGE_SIZE

#: Pages of a frame. Pages lie in the order in which they appeared, so neighbours compress together.
FRAME_PAGES = 1024
#: Runs of one file, at most: enough for 32 GiB without two neighbouring pages in order.
MAX_RUNS = 1 << 23
_RUN_SIZE = 8
_LEVEL = 3
#: Pages that are recognised when they come again: those of the last two generations of this many pages.
_GENERATION = 400_000
#: Frames that stay decompressed while files are read: 128 MiB.
_CACHED = 32
_WINDOW_LOG = 27


@dataclass(frozen=True)
class Stored:
    """A file in the page store.

    Attributes:
        size: Its length in bytes.
        sha256: Its SHA-256, in hexadecimal.
        runs_at: Archive offset of its compressed runs.
        runs_size: Their compressed size in bytes.
        runs: Their number. A run is two numbers of 32 bits: how many pages, and the number of the first; 0 for zeros.
    """

    size: int
    sha256: str
    runs_at: int
    runs_size: int
    runs: int


def _little(numbers: "array[int]") -> "array[int]":
    """Numbers in the machine's order of bytes, in the order of the archive, or the other way round."""
    if sys.byteorder == "big":
        numbers.byteswap()
    return numbers


def _rows(content: Iterable[bytes], digest: "hashlib._Hash") -> Iterator[bytes]:
    """Content in pieces of whole pages; the last one may be shorter."""
    rest = b""
    for chunk in chain(content, [b""]):
        digest.update(chunk)
        data = rest + chunk if rest else chunk
        whole = len(data) - len(data) % PAGE_SIZE if chunk else len(data)
        rest = data[whole:]
        if whole:
            yield data[:whole] if rest else data


class _Runs:
    """Numbers of pages, as runs."""

    def __init__(self) -> None:
        self.numbers = array("I")

    def add(self, count: int, first: int) -> None:
        """Add pages that are zero (``first`` is 0) or have numbers from ``first`` on."""
        numbers = self.numbers
        if numbers:
            before, start = numbers[-2:]
            if (first == 0 == start) or (first and start and start + before == first):
                numbers[-2] = before + count
                return
        numbers.extend((count, first))

    def __len__(self) -> int:
        return len(self.numbers) // 2


class PageWriter:
    """Writes files into a page store.

    Attributes:
        at: Archive offset of what is written next.
        frames: Offset and compressed size of each frame, one after another.
        pages: Number of pages.
    """

    def __init__(self, file: BinaryIO, at: int) -> None:
        self.at, self.pages = at, 0
        self.frames: list[int] = []
        self._file = file
        self._frame: list[bytes] = []
        self._young: dict[bytes, int] = {}
        self._old: dict[bytes, int] = {}

    def write(self, data: bytes) -> int:
        """Append bytes to the archive.

        Args:
            data: The bytes.

        Returns:
            Their offset.
        """
        at = self.at
        self._file.write(data)
        self.at += len(data)
        return at

    def add(self, content: Iterable[bytes], name: str) -> Stored:
        """Add a file.

        Args:
            content: Its bytes, in chunks of at most 1 MiB.
            name: Its name, for messages.

        Returns:
            Where it is.

        Raises:
            UserError: It has too many different pages in too wild an order.
        """
        digest, runs, size = hashlib.sha256(), _Runs(), 0
        for data in _rows(content, digest):
            size += len(data)
            if data == ZEROS[: len(data)]:
                runs.add(-(-len(data) // PAGE_SIZE), 0)
                continue
            for start in range(0, len(data), PAGE_SIZE):
                page = data[start : start + PAGE_SIZE]
                runs.add(1, 0 if page == ZEROS[: len(page)] else self._number(page.ljust(PAGE_SIZE, b"\0")))
            if len(runs) > MAX_RUNS:
                raise UserError(f"{name}: more than {MAX_RUNS:,} runs of pages: an archive cannot hold it")
        data = zstd.compress(_little(runs.numbers).tobytes(), _LEVEL)
        return Stored(size, digest.hexdigest(), self.write(data), len(data), len(runs))

    def _number(self, page: bytes) -> int:
        """The number of a page, which is stored if it is new."""
        key = hashlib.blake2b(page, digest_size=20).digest()
        number = self._young.get(key) or self._old.get(key)
        if not number:
            self.pages += 1
            number = self.pages
            self._frame.append(page)
            if len(self._frame) == FRAME_PAGES:
                self.flush()
        if len(self._young) >= _GENERATION:
            self._old, self._young = self._young, {}
        self._young[key] = number
        return number

    def flush(self) -> None:
        """Write the pages that are not yet in a frame."""
        if self._frame:
            data = zstd.compress(b"".join(self._frame), _LEVEL)
            self.frames += (self.write(data), len(data))
            self._frame.clear()


def most_packed(length: int) -> int:
    """Return the largest size that zstd gives any content, and some more.

    Args:
        length: The size of the content in bytes.
    """
    return length + (length >> 7) + 1024


class PageReader:
    """Reads files from a page store. All numbers may be hostile.

    Args:
        path: The archive, for messages.
        file: The archive, open.
        frames: Offset and compressed size of each frame, one after another.
        pages: Number of pages.
    """

    def __init__(self, path: Path, file: BinaryIO, frames: list[int], pages: int) -> None:
        self._path, self._file, self._frames, self._pages = path, file, frames, pages
        self._cache: OrderedDict[int, bytes] = OrderedDict()

    def _damaged(self, what: str) -> UserError:
        return UserError(f"{self._path}: damaged: {what}: copy the archive again")

    def unpack(self, at: int, size: int, length: int, what: str) -> bytes:
        """Read and decompress a part of the archive.

        Args:
            at: Its offset.
            size: Its compressed size in bytes.
            length: Its size in bytes.
            what: Its name, for messages.

        Returns:
            Its content.

        Raises:
            UserError: It is damaged, or has another size.
        """
        if size > most_packed(length):
            raise self._damaged(f"{what} has another size")
        self._file.seek(at)
        data = self._file.read(size)
        stream = zstd.ZstdDecompressor(options={zstd.DecompressionParameter.window_log_max: _WINDOW_LOG})
        try:
            content = stream.decompress(data, length)
            is_whole = len(content) == length and (stream.eof or not stream.decompress(b"", 1)) and stream.eof
        except (zstd.ZstdError, EOFError) as error:
            raise self._damaged(f"{what}: {error}") from error
        if not is_whole or stream.unused_data:
            raise self._damaged(f"{what} has another size")
        return content

    def _frame(self, number: int) -> bytes:
        if number in self._cache:
            self._cache.move_to_end(number)
            return self._cache[number]
        pages = min(FRAME_PAGES, self._pages - number * FRAME_PAGES)
        at, size = self._frames[2 * number : 2 * number + 2]
        content = self.unpack(at, size, pages * PAGE_SIZE, f"frame {number}")
        self._cache[number] = content
        if len(self._cache) > _CACHED:
            self._cache.popitem(last=False)
        return content

    def _runs(self, stored: Stored, name: str) -> "array[int]":
        """The runs of a file, which have its length and only pages that there are."""
        numbers = array("I")
        numbers.frombytes(self.unpack(stored.runs_at, stored.runs_size, stored.runs * _RUN_SIZE, f"the runs of {name}"))
        _little(numbers)
        counts, firsts = numbers[::2], numbers[1::2]
        if sum(counts) != -(-stored.size // PAGE_SIZE):
            raise self._damaged(f"{name} has other pages than its size")
        if any(first and first + count - 1 > self._pages for count, first in zip(counts, firsts, strict=True)):
            raise self._damaged(f"{name} has a page that is not there")
        return numbers

    def content(self, stored: Stored, name: str) -> Iterator[bytes]:
        """Read a file.

        Args:
            stored: Where it is.
            name: Its name, for messages.

        Yields:
            Its bytes, in chunks of at most 1 MiB.

        Raises:
            UserError: It is damaged: after the last chunk if only its digest says so.
        """
        digest, left = hashlib.sha256(), stored.size
        numbers = self._runs(stored, name)
        for place in range(0, len(numbers), 2):
            count, first = numbers[place : place + 2]
            while count:
                piece = self._piece(first, min(count, PIECE // PAGE_SIZE))
                count -= len(piece) // PAGE_SIZE
                first += len(piece) // PAGE_SIZE if first else 0
                piece = piece[:left]
                left -= len(piece)
                digest.update(piece)
                yield piece
        if digest.hexdigest() != stored.sha256:
            raise self._damaged(f"{name} has another SHA-256")

    def _piece(self, first: int, count: int) -> bytes:
        """Pages from a number on, at most ``count``, as far as they are in one frame."""
        if not first:
            return ZEROS[: count * PAGE_SIZE]
        frame, start = divmod(first - 1, FRAME_PAGES)
        return self._frame(frame)[start * PAGE_SIZE : (start + count) * PAGE_SIZE]
