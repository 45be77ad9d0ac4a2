"""The values of a header: the last that a restorer accepts, and the first that it refuses; all places of an image."""

from dataclasses import replace

import pytest

from gcpt.checkpoint import header
from gcpt.checkpoint.header import Header
from gcpt.checkpoint.layouts import CHECKPOINT_MAGIC, DEFAULT, LARGEST_OFFSET, MAX_HARTS, MIB
from gcpt.checkpoint.places import DUAL_CORE, NEMU_BARE, SINGLE_CORE, Place, PlaceKind
from gcpt.checkpoint.search import find_all, header_fault, header_target, needs_marks

GOOD = Header(cpt_offset=168, cpu_num=2, single_core_size=MIB)
LOW, HIGH = DEFAULT.span(2)
SIZE = HIGH - LOW
_BELOW = (1 << 64) - 64


def _at(name: str, offset: int) -> Header:
    return replace(GOOD, layout=replace(DEFAULT, **{name: offset}), cpu_num=1)


@pytest.mark.parametrize(
    ("good", "bad", "word"),
    [
        (replace(GOOD, cpu_num=1), replace(GOOD, cpu_num=0), "cpu_num"),
        (replace(GOOD, cpu_num=MAX_HARTS), replace(GOOD, cpu_num=MAX_HARTS + 1), "cpu_num"),
        (_at("mtime", LARGEST_OFFSET), _at("mtime", LARGEST_OFFSET + 8), "mtime"),
        (_at("mtime", 16), _at("mtime", 12), "mtime"),
        (
            replace(GOOD, single_core_size=HIGH - LOW),
            replace(GOOD, single_core_size=HIGH - LOW - 8),
            "single_core_size",
        ),
        (replace(GOOD, single_core_size=MIB + 8), replace(GOOD, single_core_size=MIB + 4), "single_core_size"),
        (replace(GOOD, single_core_size=LARGEST_OFFSET), replace(GOOD, single_core_size=LARGEST_OFFSET + 8), "most"),
        (replace(GOOD, cpu_num=1, single_core_size=0), replace(GOOD, single_core_size=0), "single_core_size"),
        (replace(GOOD, cpu_num=1, single_core_size=5), replace(GOOD, single_core_size=MIB + 1), "single_core_size"),
        (replace(GOOD, cpt_offset=176), replace(GOOD, cpt_offset=172), "cpt_offset"),
    ],
)
def test_limits(good: Header, bad: Header, word: str) -> None:
    assert header_fault(good, 0) == ""
    assert word in header_fault(bad, 0)


def test_the_origin_counts() -> None:
    """The sum must be a multiple of 8; an offset that wraps around is below the header."""
    assert header_fault(replace(GOOD, cpt_offset=164), 4) == ""
    assert "cpt_offset" in header_fault(GOOD, 4)
    assert header_target(GOOD, 8, 16).base == 184
    assert header_target(replace(GOOD, cpt_offset=_BELOW), 8, 128).base == 64
    assert header_target(replace(GOOD, cpt_offset=_BELOW), 8, 0).base == -64
    assert header_target(replace(GOOD, cpt_offset=(1 << 63) - 1), 8, 0).base == (1 << 63) - 1
    assert header_target(replace(GOOD, cpt_offset=1 << 63), 8, 0).base == -(1 << 63)


@pytest.mark.parametrize("with_header", [False, True])
def test_all_places_once(with_header: bool) -> None:
    """A header at the start of the image describes the block that a restorer also finds without it."""
    image = bytearray(8 * MIB)
    for place in (SINGLE_CORE, NEMU_BARE, DUAL_CORE):
        at = place.block(0) + place.layout.magic_number
        image[at : at + 8] = CHECKPOINT_MAGIC.to_bytes(8, "little")
    if with_header:
        data = header.encode(replace(GOOD, cpu_num=1))
        image[: len(data)] = data
    bases = [place.base for place in find_all(lambda offset, size: bytes(image[offset : offset + size]))]
    assert bases == ([168, DUAL_CORE.base, 0] if with_header else [DUAL_CORE.base, 0, 168])


@pytest.mark.parametrize("distance", [0, 8])
def test_a_magic_number_is_right_before_the_pc(distance: int) -> None:
    """Blocks whose header has it elsewhere have none, whatever lies there."""
    layout = replace(DEFAULT, magic_number=DEFAULT.magic_number - distance)
    place = Place(PlaceKind.PROTOBUF, 168, MIB, layout, 0)
    assert needs_marks(lambda offset, size: CHECKPOINT_MAGIC.to_bytes(8, "little"), place) == (distance == 0)
