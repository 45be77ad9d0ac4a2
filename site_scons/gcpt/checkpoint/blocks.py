"""The state of a checkpoint as bytes of an image: which bytes it occupies, and their values."""

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
    # In a restorer's header window, cpt_offset counts from the start of the image.
    origin = 0 if place.header_at == HEADER_WINDOW else place.header_at
    offset = (place.base - origin) % (1 << 64)
    return header.encode(Header(offset, len(checkpoint.harts), place.stride, layout=layout))


def _vlenb(state: HartState) -> int:
    return len(state.v[0])


def ranges(checkpoint: Checkpoint) -> list[Range]:
    """List the parts of an image that the state and its header occupy.

    Args:
        checkpoint: The state and its place.

    Returns:
        The parts, sorted.
    """
    place = checkpoint.place
    parts = [part for hart, state in enumerate(checkpoint.harts) for part in own_ranges(place, hart, _vlenb(state))]
    if place.header_at >= 0:
        parts.append((place.header_at, place.header_at + len(_encoded_header(checkpoint))))
    return sorted(parts)


def _count(checkpoint: Checkpoint, state: HartState) -> int:
    """The count to write: the present one, if a restorer that reads it restores the same number of harts.

    A count of 0 means NEMU, and so it stays.
    """
    harts = len(checkpoint.harts)
    if state.count is None:
        return harts
    valid = (state.count or 1) == harts or (state.count == SEVERAL and harts > SEVERAL)
    return state.count if valid or checkpoint.place.kind is PlaceKind.SINGLE_CORE else harts


def pieces(checkpoint: Checkpoint) -> list[tuple[int, bytes]]:
    """Encode the state and its header.

    Args:
        checkpoint: The state and its place.

    Returns:
        Image offset and bytes of each part; the parts are those of ``ranges``.

    Raises:
        UserError: The place cannot hold the state: fields would overlap, or have no room for it.
    """
    place, harts = checkpoint.place, checkpoint.harts
    _check(checkpoint)
    parts = []
    for hart, state in enumerate(harts):
        block = bytearray(own_size(place, hart, _vlenb(state)))
        write_hart(block, place.layout, hart, state, _count(checkpoint, state), marked=place.marked)
        base = place.block(hart)
        for begin, end in own_ranges(place, hart, _vlenb(state)):
            parts.append((begin, bytes(block[begin - base : end - base])))
    if place.header_at >= 0:
        parts.append((place.header_at, _encoded_header(checkpoint)))
    return parts


def _check(checkpoint: Checkpoint) -> None:
    place, harts = checkpoint.place, checkpoint.harts
    parts = []
    for hart, state in enumerate(harts):
        vlenb = state.get("vlenb") or DEFAULT_VLEN // 8
        if [len(register) for register in state.v] != [vlenb] * 32:
            raise UserError(f"hart {hart}: v must be 32 vector registers of {vlenb} bytes, as vlenb says")
        for name, (begin, end) in register_ranges(place.layout, hart, vlenb).items():
            if name != "magic_number" or place.marked:
                parts.append((place.block(hart) + begin, place.block(hart) + end, f"{name} of hart {hart}"))
    if place.header_at >= 0:
        parts.append((place.header_at, place.header_at + len(_encoded_header(checkpoint)), "the header"))
    parts.sort()
    for (_, end, name), (begin, _, next_name) in pairwise(parts):
        if begin < end:
            raise UserError(
                f"this layout cannot hold the state: {name} and {next_name} would overlap "
                f"(VLEN {8 * _vlenb(harts[0])}, {place.stride:#x} bytes from block to block): choose another layout"
            )
