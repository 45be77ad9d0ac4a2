"""Count the nonzero pages of an image of any length in a bounded number of counters."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field

from gcpt.isa.paging import PAGE_SIZE

#: The most counters: one per cell of the drawing.
CELLS = 4096
_ZEROS = bytes(1 << 20)
_ZERO_PAGE = bytes(PAGE_SIZE)


@dataclass
class Occupancy:
    """The nonzero pages of an image.

    Attributes:
        length: Bytes of content.
        pages: Number of pages.
        filled: Number of nonzero pages.
        cell_pages: Pages per cell, a power of two.
        cells: Number of nonzero pages in each cell.
    """

    length: int = 0
    pages: int = 0
    filled: int = 0
    cell_pages: int = 1
    cells: list[int] = field(default_factory=list)

    def add(self, count: int, filled: bool) -> None:
        """Append pages.

        Args:
            count: Number of pages.
            filled: Whether each of them is nonzero; otherwise all are zero.
        """
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
    """Runs of pages: length in bytes, number of pages, whether each page is nonzero."""
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
    """Count the nonzero pages of an image.

    Args:
        content: The image in chunks of any length; its last page may be incomplete.

    Returns:
        The counts.
    """
    occupancy = Occupancy()
    for length, pages, filled in _runs(content):
        occupancy.length += length
        occupancy.add(pages, filled)
    return occupancy


@dataclass(frozen=True)
class Run:
    """Adjacent cells of one row with the same level.

    Attributes:
        row: The row.
        first: The first cell's column.
        count: Number of cells.
        level: Share of nonzero pages, from 1 (few) to 4 (nearly all).
    """

    row: int
    first: int
    count: int
    level: int


def rows(occupancy: Occupancy, columns: int) -> list[Run]:
    """Arrange the nonempty cells in rows.

    Args:
        occupancy: The counts.
        columns: Cells per row.

    Returns:
        The runs in the order of the cells.
    """
    runs: list[Run] = []
    for cell, filled in enumerate(occupancy.cells):
        if not filled:
            continue
        level = min(4, 1 + 4 * filled // (occupancy.cell_pages + 1))
        row, column = divmod(cell, columns)
        last = runs[-1] if runs else None
        if last and (last.row, last.first + last.count, last.level) == (row, column, level):
            runs[-1] = Run(row, last.first, last.count + 1, level)
        else:
            runs.append(Run(row, column, 1, level))
    return runs
