"""Count nonzero pages, for any division of the content into chunks."""

from hypothesis import given, settings
from hypothesis import strategies as st

from gcpt.isa.paging import PAGE_SIZE
from gcpt.report import occupancy
from gcpt.report.occupancy import CELLS, measure

_PIECES = st.lists(
    st.tuples(
        st.sampled_from((1, 7, PAGE_SIZE - 1, PAGE_SIZE, PAGE_SIZE + 1, 5 * PAGE_SIZE, 1 << 20)),
        st.sampled_from((b"\0", b"\1")),
    ),
    max_size=12,
)


@settings(deadline=None)
@given(_PIECES)
def test_any_chunks(pieces: list[tuple[int, bytes]]) -> None:
    chunks = [byte * size for size, byte in pieces]
    whole = b"".join(chunks)
    filled = [bool(whole[at : at + PAGE_SIZE].strip(b"\0")) for at in range(0, len(whole), PAGE_SIZE)]
    measured = measure(chunks)
    assert (measured.length, measured.pages, measured.filled) == (len(whole), len(filled), sum(filled))
    expected = [sum(filled[at : at + measured.cell_pages]) for at in range(0, len(filled), measured.cell_pages)]
    assert measured.cells == expected


@settings(deadline=None)
@given(st.lists(st.tuples(st.integers(1, 3 * CELLS), st.booleans()), max_size=10))
def test_counters_are_bounded(runs: list[tuple[int, bool]]) -> None:
    measured = occupancy.Occupancy()
    pages: list[bool] = []
    for count, filled in runs:
        measured.add(count, filled)
        pages += [filled] * count
    step = measured.cell_pages
    assert len(measured.cells) <= CELLS and (step == 1 or len(pages) > CELLS * step // 2)
    assert measured.cells == [sum(pages[at : at + step]) for at in range(0, len(pages), step)]


def test_rows() -> None:
    measured = occupancy.Occupancy(cell_pages=4, cells=[4, 4, 0, 1, 4, 0, 0, 0, 3])
    drawn = [(run.row, run.first, run.count, run.level) for run in occupancy.rows(measured, 4)]
    assert drawn == [(0, 0, 2, 4), (0, 3, 1, 1), (1, 0, 1, 4), (2, 0, 1, 3)]
