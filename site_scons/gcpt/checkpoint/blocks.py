"""A checkpoint's state as bytes of an image: which bytes it takes, and what is in them. Pure functions."""

from dataclasses import replace
from itertools import pairwise

from gcpt.checkpoint import header
from gcpt.checkpoint.edits import Range
from gcpt.checkpoint.header import Header
from gcpt.checkpoint.layouts import DEFAULT_VLEN, HEADER_WINDOW
from gcpt.checkpoint.places import Checkpoint, PlaceKind, own_ranges, own_size
from gcpt.checkpoint.search import SEVERAL
from gcpt.checkpoint.state import HartState, register_ranges, write_hart
from gcpt.errors import UserError


def _encoded_header(checkpoint: Checkpoint) -> bytes:
    place = checkpoint.place
    layout = place.layout if place.marked else replace(place.layout, magic_number=0)
    origin = 0 if place.header_at == HEADER_WINDOW else place.header_at  # from a restorer's window, of its image
    offset = (place.base - origin) % (1 << 64)
    return header.encode(Header(offset, len(checkpoint.harts), place.stride, layout=layout))


def _vlenb(state: HartState) -> int:
    return len(state.v[0])


def ranges(checkpoint: Checkpoint) -> list[Range]:
    """The bytes of the image that the state takes, and the header with it."""
    place = checkpoint.place
    found = [one for hart, state in enumerate(checkpoint.harts) for one in own_ranges(place, hart, _vlenb(state))]
    if place.header_at >= 0:
        found.append((place.header_at, place.header_at + len(_encoded_header(checkpoint))))
    return sorted(found)


def _count(checkpoint: Checkpoint, state: HartState) -> int:
    """The number of harts for a block: as it was, where a restorer that goes by it would restore as many."""
    harts = len(checkpoint.harts)
    right = (state.count or 1) == harts or (state.count == SEVERAL and harts > SEVERAL)
    return state.count if right or checkpoint.place.kind is PlaceKind.SINGLE_CORE else harts


def pieces(checkpoint: Checkpoint) -> list[tuple[int, bytes]]:
    """What goes over an image, (offset, bytes): exactly what is in ``ranges``.

    UserError where the place cannot hold the state: fields that would overlap, or that there are none for.
    """
    place, harts = checkpoint.place, checkpoint.harts
    _check(checkpoint)
    made = []
    for hart, state in enumerate(harts):
        block = bytearray(own_size(place, hart, _vlenb(state)))
        write_hart(block, place.layout, hart, state, _count(checkpoint, state), marked=place.marked)
        base = place.block(hart)
        for begin, end in own_ranges(place, hart, _vlenb(state)):
            made.append((begin, bytes(block[begin - base : end - base])))
    if place.header_at >= 0:
        made.append((place.header_at, _encoded_header(checkpoint)))
    return made


def _check(checkpoint: Checkpoint) -> None:
    place, harts = checkpoint.place, checkpoint.harts
    held = []
    for hart, state in enumerate(harts):
        vlenb = state.get("vlenb") or DEFAULT_VLEN // 8
        if [len(one) for one in state.v] != [vlenb] * 32:
            raise UserError(f"hart {hart}: its vlenb stands for 32 vector registers of {vlenb} bytes: v has others")
        for name, (begin, end) in register_ranges(place.layout, hart, vlenb).items():
            if name != "magic_number" or place.marked:
                held.append((place.block(hart) + begin, place.block(hart) + end, f"{name} of hart {hart}"))
    if place.header_at >= 0:
        held.append((place.header_at, place.header_at + len(_encoded_header(checkpoint)), "the header"))
    held.sort()
    for (_, end, one), (begin, _, other) in pairwise(held):
        if begin < end:
            raise UserError(
                f"this layout cannot hold the state: {one} and {other} would overlap "
                f"(VLEN {8 * _vlenb(harts[0])}, {place.stride:#x} bytes from hart to hart)"
            )
