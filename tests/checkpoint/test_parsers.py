"""Parsers of input files: they read any bytes, or refuse them with a UserError in one line.

test_header_differential.py tests the header's decoder, test_containers.py and test_streams.py the containers.
"""

import contextlib
import struct
import tempfile
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from gcpt.checkpoint import blocks, containers, edits, files, header, output, reader, stamp
from gcpt.checkpoint.files import open_checkpoint
from gcpt.checkpoint.header import Header
from gcpt.checkpoint.layouts import (
    CHECKPOINT_MAGIC,
    DEFAULT,
    DEFAULT_VLEN,
    MIB,
    MULTI_CORE,
    MULTI_CORE_OFFSET,
    NEMU_PROTOBUF_OFFSET,
    Layout,
)
from gcpt.checkpoint.places import PLACES, Checkpoint, Place, PlaceKind
from gcpt.checkpoint.state import HartState
from gcpt.errors import UserError
from gcpt.machines import synthetic
from gcpt.machines.synthetic import Mode, Recipe
from gcpt.report import drawing, memory_map

_WORD = 1 << 64
_NUMBERS = st.one_of(st.integers(0, _WORD - 1), st.integers(0, 1 << 21).map(lambda n: 8 * n), st.integers(0, 4096))
_SIZE = 8 * MIB
_LAYOUT = sorted(DEFAULT.items())


@st.composite
def _layouts(draw: st.DrawFn) -> Layout:
    changed = draw(st.dictionaries(st.sampled_from(_LAYOUT), _NUMBERS, max_size=3))
    return replace(draw(st.sampled_from([DEFAULT, MULTI_CORE])), **changed)


@st.composite
def _images(draw: st.DrawFn) -> list[tuple[int, bytes]]:
    """Random headers, magic numbers and vlenb at the offsets that a search reads, and random bytes anywhere."""
    pieces = []
    for at in draw(st.lists(st.sampled_from([0, MULTI_CORE_OFFSET]), max_size=2, unique=True)):
        value = Header(draw(_NUMBERS), draw(st.integers(0, 130) | _NUMBERS), draw(_NUMBERS), layout=draw(_layouts()))
        data = bytearray(header.encode(value))
        for _ in range(draw(st.integers(0, 2))):
            data[draw(st.integers(0, len(data) - 1))] = draw(st.integers(0, 255))
        pieces.append((at, bytes(data)))
    for base in (0, NEMU_PROTOBUF_OFFSET, MULTI_CORE_OFFSET, MULTI_CORE_OFFSET + MIB):
        if draw(st.booleans()):
            pieces.append((base + DEFAULT.magic_number, struct.pack("<Q", CHECKPOINT_MAGIC)))
            pieces.append(
                (base + DEFAULT.csr(0xC22), struct.pack("<Q", draw(st.sampled_from([0, 16, 256, 257]) | _NUMBERS)))
            )
    pieces += draw(st.lists(st.tuples(st.integers(0, _SIZE - 1), st.binary(min_size=1, max_size=9)), max_size=3))
    return pieces


class _Reader:
    """A Reader of an image in memory. It records the size of the largest read."""

    def __init__(self, pieces: list[tuple[int, bytes]], size: int) -> None:
        self._data = bytearray(size)
        self.largest_read = 0
        for offset, data in pieces:
            self.put(offset, data)

    def put(self, offset: int, data: bytes) -> None:
        inside = data[: max(0, len(self._data) - offset)]
        self._data[offset : offset + len(inside)] = inside

    def __call__(self, offset: int, size: int) -> bytes:
        assert offset >= 0 and size >= 0
        self.largest_read = max(self.largest_read, size)
        return bytes(self._data[offset : offset + size])


@given(_images(), st.sampled_from([0, 100, MIB, MULTI_CORE_OFFSET + 50, _SIZE]))
@settings(max_examples=150, deadline=None, derandomize=True)
@example([(0, header.encode(Header(64, 1, 0, layout=replace(MULTI_CORE, magic_number=40))))], MIB)  # misc_done
def test_any_image_is_read_or_refused(pieces: list[tuple[int, bytes]], size: int) -> None:
    """The state that is read encodes to the same bytes, unless its fields overlap.

    Exception: a count that would restore fewer harts changes.
    """
    read = _Reader(pieces, size)
    with contextlib.suppress(UserError):
        checkpoint = files.read_checkpoint(read)
        place = checkpoint.place
        rewritten = _Reader([*pieces, *blocks.pieces(checkpoint)], size)
        for hart in range(len(checkpoint.harts)):
            count = place.block(hart) + place.layout.csr_reserve
            read.put(count, rewritten(count, 8))
        for offset, data in blocks.pieces(checkpoint):
            if offset != place.header_at:
                assert read(offset, len(data)) == data[: max(0, size - offset)]
    assert read.largest_read <= 17 * MIB


@given(_layouts(), st.integers(1, 3))
@settings(max_examples=150, deadline=None, derandomize=True)
@example(replace(DEFAULT, int_reg=0), 1)
def test_any_layout_is_drawn_or_refused(layout: Layout, harts: int) -> None:
    place = Place(PlaceKind.PROTOBUF, MULTI_CORE_OFFSET + NEMU_PROTOBUF_OFFSET, MIB, layout, MULTI_CORE_OFFSET)
    with contextlib.suppress(UserError):
        files.check_block(layout, harts)
        panels = memory_map.of_checkpoint(place, harts, DEFAULT_VLEN // 8, _SIZE, 0, False)
        assert "Registers" in [panel.title for panel in panels]
        for picture in map(drawing.draw, panels):
            assert all(picture.top <= box.y < box.y + box.height <= picture.bottom + 1e-6 for box in picture.boxes)


@given(st.binary(max_size=2048))
@settings(deadline=None)
def test_any_bytes_are_searched_for_a_stamp(data: bytes) -> None:
    stamp.find(data)
    size = struct.pack("<I", len(data) + 8)
    stamp.find(b"\x6f\0\0\0" + size + data[:-8] + struct.pack("<Q", 0xCAFF))


_FREE = st.dictionaries(
    st.sampled_from(["misc_done", "int_reg_done", "float_reg_done", "csr_reg_done", "vector_reg_done"]),
    st.binary(min_size=1, max_size=8).map(lambda data: data[:-1] + b"\1"),
)


@st.composite
def _harts(draw: st.DrawFn) -> list[HartState]:
    recipe = Recipe(
        tuple(draw(st.lists(st.sampled_from(list(Mode)), min_size=1, max_size=4))),
        harts=draw(st.integers(1, 5)),
        seed=draw(st.integers(0, 99)),
        vlen=draw(st.sampled_from([128, 192, 512, 2048])),
    )
    harts = synthetic.make(recipe).harts
    free = draw(_FREE)
    for hart, state in enumerate(harts):
        state.free = {name: data for name, data in free.items() if not (hart and name == "misc_done")}
        state.csr[draw(st.integers(0x800, 0xBFF))] = draw(st.integers(0, _WORD - 1))
    return harts


@given(
    _harts(), st.sampled_from(["dual_core", "protobuf"]), st.sampled_from([DEFAULT, MULTI_CORE]), st.integers(20, 70)
)
@settings(max_examples=60, deadline=None, derandomize=True)
def test_read_undoes_write(harts: list[HartState], name: str, layout: Layout, apart: int) -> None:
    """At the places that commands write, and behind a header with its own layout and offset."""
    base = MULTI_CORE_OFFSET + 8 * apart
    places = [PLACES[name], *(Place(PlaceKind.PROTOBUF, base, MIB, layout, at) for at in (0, MULTI_CORE_OFFSET))]
    for place in places:
        pieces = blocks.pieces(Checkpoint(place, harts))
        parts = blocks.ranges(Checkpoint(place, harts))
        assert [(at, at + len(data)) for at, data in sorted(pieces)] == parts
        read = _Reader(pieces, MULTI_CORE_OFFSET + 7 * MIB)
        assert files.read_checkpoint(read) == Checkpoint(place, harts)


@given(_harts(), st.sampled_from(["free", "vlenb", "stride"]))
@settings(max_examples=20, deadline=None, derandomize=True)
def test_state_that_does_not_fit_is_refused(harts: list[HartState], what: str) -> None:
    place = Place(PlaceKind.PROTOBUF, MULTI_CORE_OFFSET + 168, 0x13248, MULTI_CORE, MULTI_CORE_OFFSET)
    blocks.pieces(Checkpoint(place, harts))
    if what == "free":
        harts[-1].free["misc_reserve"] = bytes(4080) + b"x"
    elif what == "vlenb":
        harts[0].v[31] += bytes(8)
    else:
        harts = [*harts, harts[0]]
        place = replace(place, stride=0x11240)
    with pytest.raises(UserError):
        blocks.pieces(Checkpoint(place, harts))


def _pieces_of(data: bytes, cuts: list[int]) -> Iterator[bytes]:
    at = 0
    for cut in [*sorted(cuts), len(data)]:
        if data[at:cut]:
            yield data[at:cut]
        at = max(at, cut)


@given(
    st.binary(max_size=60),
    st.lists(st.integers(0, 60), max_size=4),
    st.lists(st.integers(0, 70), min_size=2, max_size=6),
)
def test_free_in(data: bytes, cuts: list[int], edges: list[int]) -> None:
    """``free_in`` reports the first byte in use, however the image is cut into chunks."""
    edges = sorted(edges[: len(edges) // 2 * 2])
    ranges = list(zip(edges[::2], edges[1::2], strict=True))
    used = [at for begin, end in ranges for at in range(begin, min(end, len(data))) if data[at]]
    try:
        passed = b"".join(edits.free_in(_pieces_of(data, cuts), ranges, lambda at: UserError(str(at))))
    except UserError as error:
        assert used and int(str(error)) in used
        assert not [at for at in used if at < int(str(error))] or int(str(error)) == min(used)
    else:
        assert not used and passed == data


@given(
    st.lists(st.tuples(st.integers(0, 12 * MIB), st.integers(0, 2 * MIB)), max_size=5),
    st.sampled_from(containers.CONTAINERS),
)
@settings(max_examples=15, deadline=None, derandomize=True)
def test_a_reader_gives_the_bytes_of_the_image(requests: list[tuple[int, int]], container: str) -> None:
    """In any order, forward and backward, beyond the end, from every container."""
    content = b"".join(struct.pack("<Q", word).ljust(4096, b"\7") for word in range(10 << 8))
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "image")
        output.write(path, [content], container)
        read = reader.FileReader(path)
        assert [read(at, 8) for at in (-8, 1 << 50, _WORD)] == [b""] * 3
        for offset, size in requests:
            assert read(offset, size) == content[offset : offset + size]


def test_blocks_below_their_header(tmp_path: Path) -> None:
    """cpt_offset has 64 bits and wraps around, as in the restorer."""
    place = Place(PlaceKind.PROTOBUF, 0x20_0000, 0x20000, MULTI_CORE, MULTI_CORE_OFFSET)
    harts = synthetic.make(Recipe(harts=2)).harts
    path = tmp_path / "below"
    output.write_pieces(path, blocks.pieces(Checkpoint(place, harts)), _SIZE)
    assert open_checkpoint(path).checkpoint == Checkpoint(place, harts)
