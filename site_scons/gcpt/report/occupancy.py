"""Which pages of an image are not zero, in a bounded number of counters whatever its length."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field

from gcpt.isa.paging import PAGE_SIZE

#: Bytes of a page.
#: Counters at most: one for each cell of a drawing.
CELLS = 4096
_ZEROS = bytes(1 << 20)
_ZERO_PAGE = bytes(PAGE_SIZE)


@dataclass
class Occupancy:
    """length: bytes of content. pages, filled: how many there are, and are not zero. cells: those of each cell.

    cell_pages: pages of a cell, a power of two.
    """

    length: int = 0
    pages: int = 0
    filled: int = 0
    cell_pages: int = 1
    cells: list[int] = field(default_factory=list)

    def add(self, count: int, filled: bool) -> None:
        """``count`` more pages, all zero or each not."""
        while count:
            cell, within = divmod(self.pages, self.cell_pages)
            if cell >= CELLS:
                pairs = zip(self.cells[::2], self.cells[1::2], strict=True)
                self.cells, self.cell_pages = [a + b for a, b in pairs], 2 * self.cell_pages
                continue
            if cell == len(self.cells):
                self.cells.append(0)
            now = min(count, self.cell_pages - within)
            self.cells[cell] += now * filled
            self.pages += now
            self.filled += now * filled
            count -= now


def _runs(content: Iterable[bytes]) -> Iterator[tuple[int, int, bool]]:
    """Bytes, pages and whether they are filled."""
    rest = b""
    for chunk in content:
        if not rest and len(chunk) % PAGE_SIZE == 0 and chunk == _ZEROS[: len(chunk)]:
            yield len(chunk), len(chunk) // PAGE_SIZE, False
            continue
        data = rest + chunk
        whole = len(data) - len(data) % PAGE_SIZE
        for at in range(0, whole, PAGE_SIZE):
            yield PAGE_SIZE, 1, data[at : at + PAGE_SIZE] != _ZERO_PAGE
        rest = data[whole:]
    if rest:
        yield len(rest), 1, any(rest)


def measure(content: Iterable[bytes]) -> Occupancy:
    """The occupancy of ``content``, in chunks of any length; the last page may be cut short."""
    found = Occupancy()
    for length, pages, filled in _runs(content):
        found.length += length
        found.add(pages, filled)
    return found


@dataclass(frozen=True)
class Run:
    """Cells ``first`` to ``first + count - 1`` of a row that are alike. level: 1 a few pages, up to 4 nearly all."""

    row: int
    first: int
    count: int
    level: int


def rows(found: Occupancy, columns: int) -> list[Run]:
    """The cells that are not empty, row by row of ``columns`` cells."""
    drawn: list[Run] = []
    for cell, filled in enumerate(found.cells):
        if not filled:
            continue
        level = min(4, 1 + 4 * filled // (found.cell_pages + 1))
        row, column = divmod(cell, columns)
        last = drawn[-1] if drawn else None
        if last and (last.row, last.first + last.count, last.level) == (row, column, level):
            drawn[-1] = Run(row, last.first, last.count + 1, level)
        else:
            drawn.append(Run(row, column, 1, level))
    return drawn
