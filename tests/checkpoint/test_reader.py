"""Random access to a compressed image: any row of reads returns the image's bytes, also those that were dropped."""

import gzip
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from gcpt.checkpoint import reader
from gcpt.isa.paging import PAGE_SIZE

#: Pages: what is kept, what is dropped, and zeros; the end is within a page.
FULL = {0, 1, 2, 3, 5, 6, 7, 8, 10, 12, 13, 14, 16}
IMAGE = b"".join((bytes([page + 1]) if page in FULL else b"\0") * PAGE_SIZE for page in range(17))[:-100]
_OFFSETS = st.integers(-1, len(IMAGE) + 10) | st.integers(0, 17).map(lambda page: page * PAGE_SIZE)
_READS = st.lists(st.tuples(_OFFSETS, st.integers(0, 2 * PAGE_SIZE) | st.just(8)), min_size=1, max_size=8)


@pytest.fixture(autouse=True)
def _small(monkeypatch: pytest.MonkeyPatch) -> None:
    """Limits of a few pages, and chunks that are smaller: the reader passes at most one chunk more than it must."""
    monkeypatch.setattr(reader, "_KEPT", 2 * PAGE_SIZE)
    monkeypatch.setattr(reader, "_RECENT_PAGES", 4)
    chunks = reader.streams.chunks

    def small(path: Path) -> Iterator[bytes]:
        for chunk in chunks(path):
            yield from (chunk[at : at + 3000] for at in range(0, len(chunk), 3000))

    monkeypatch.setattr(reader.streams, "chunks", small)


@given(_READS, st.booleans())
@example([(15 * PAGE_SIZE, 8), (3 * PAGE_SIZE, 8), (14 * PAGE_SIZE, 8)], True)
@example([(16 * PAGE_SIZE, 8), (10 * PAGE_SIZE, 8), (8 * PAGE_SIZE, 8)], True)
def test_any_row_of_reads(reads: list[tuple[int, int]], compressed: bool) -> None:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "image")
        path.write_bytes(gzip.compress(IMAGE, 1) if compressed else IMAGE)
        read = reader.FileReader(path)
        for offset, size in reads:
            assert read(offset, size) == (IMAGE[offset : offset + size] if offset >= 0 else b"")


def _passes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, reads: list[tuple[int, int]]) -> int:
    """How often these reads decompress the image from its start."""
    (tmp_path / "image").write_bytes(gzip.compress(IMAGE, 1))
    chunks, passes = reader.streams.chunks, []
    monkeypatch.setattr(reader.streams, "chunks", lambda path: passes.append(path) or chunks(path))
    read = reader.FileReader(tmp_path / "image")
    for offset, size in reads:
        read(offset, size)
    return len(passes)


@pytest.mark.parametrize(
    ("reads", "passes"),
    [
        ([(16, 1), (0, 2), (1, 1)], 1),  # the start stays
        ([(16, 1), (14, 1), (13, 1), (16, 1)], 1),  # so do the last pages
        ([(16, 1), (2, 1)], 2),
        ([(16, 1), (1, 2)], 2),
        ([(2, 1), (16, 1), (15, 1)], 1),
    ],
)
def test_the_image_is_decompressed_once_if_it_can_be(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, reads: list[tuple[int, int]], passes: int
) -> None:
    rows = [(page * PAGE_SIZE, count * PAGE_SIZE) for page, count in reads]
    assert _passes(tmp_path, monkeypatch, rows) == passes


def test_a_word() -> None:
    assert reader.read_word(lambda offset, size: bytes(range(offset, offset + size)), 1) == 0x0807060504030201
    assert reader.read_word(lambda offset, size: b"\1\2", 0) == 0x0201
