"""Where an image keeps the blocks of its harts, and which bytes of it they take."""

from dataclasses import dataclass, replace
from enum import Enum

from gcpt.checkpoint.layouts import (
    BLOCK_SIZE,
    DEFAULT,
    MULTI_CORE,
    MULTI_CORE_OFFSET,
    NEMU_PROTOBUF_OFFSET,
    RESERVED_SIZE,
    Layout,
)
from gcpt.checkpoint.state import HartState, block_size, register_ranges
from gcpt.errors import UserError


class PlaceKind(Enum):
    """Where a checkpoint keeps its blocks, as ``mode=`` names it."""

    SINGLE_CORE = "single_core"
    DUAL_CORE = "dual_core"
    PROTOBUF = "protobuf"


@dataclass(frozen=True)
class Place:
    """Where the blocks are: hart h's at byte ``base + h * stride`` of the image. header_at: a header's, or -1.

    marked: the blocks have the magic number, which one variant of QEMU leaves out where there is a header.
    """

    kind: PlaceKind
    base: int
    stride: int = BLOCK_SIZE
    layout: Layout = DEFAULT
    header_at: int = -1
    marked: bool = True

    def block(self, hart: int) -> int:
        return self.base + hart * self.stride


SINGLE_CORE = Place(PlaceKind.SINGLE_CORE, 0)
DUAL_CORE = Place(PlaceKind.DUAL_CORE, MULTI_CORE_OFFSET)
#: A protobuf header where QEMU writes it, the blocks behind it as its generator packs them.
PROTOBUF = Place(
    PlaceKind.PROTOBUF,
    MULTI_CORE_OFFSET + NEMU_PROTOBUF_OFFSET,
    MULTI_CORE.vector_reg_done + 8,
    MULTI_CORE,
    MULTI_CORE_OFFSET,
)
#: NEMU's protobuf header, at the very start of the image.
NEMU = Place(PlaceKind.PROTOBUF, NEMU_PROTOBUF_OFFSET, header_at=0)
#: The same where a restorer has overwritten that header.
NEMU_BARE = replace(NEMU, header_at=-1)

#: The places to write to, by the names that commands have for them.
PLACES: dict[str, Place] = {"single_core": SINGLE_CORE, "dual_core": DUAL_CORE, "protobuf": PROTOBUF, "nemu": NEMU}


def place_for(layout: str, harts: int) -> Place:
    """The place of ``layout``; "auto": single_core for one hart, else dual_core. UserError when it cannot hold them."""
    name = layout if layout != "auto" else "single_core" if harts == 1 else "dual_core"
    if name in ("single_core", "nemu") and harts > 1:
        raise UserError(f"layout {name} holds one hart, and there are {harts}: use dual_core or protobuf")
    return PLACES[name]


@dataclass(frozen=True)
class Checkpoint:
    """All harts of a checkpoint and where their blocks are."""

    place: Place
    harts: list[HartState]


def own_size(place: Place, hart: int, vlenb: int) -> int:
    """The bytes of a hart's block, from its begin, that are the state's.

    Of a block in the restorer's MiB, only registers are beyond that: NEMU's ends among the workload's first bytes.
    """
    whole, room = block_size(place.layout, hart + 1), RESERVED_SIZE - place.block(hart)
    if not 0 < room < whole:
        return whole
    return max(room, *(end for _, end in register_ranges(place.layout, hart, vlenb).values()))


def own_ranges(place: Place, hart: int, vlenb: int) -> list[tuple[int, int]]:
    """The bytes of the image (begin, end) that the state of a hart takes, sorted; those that touch are one range."""
    base, size = place.block(hart), own_size(place, hart, vlenb)
    extents = place.layout.extents(hart)
    if not place.marked:
        del extents["magic_number"]
    ranges: list[tuple[int, int]] = []
    for begin, end in sorted((base + begin, base + min(end, size)) for begin, end in extents.values() if begin < size):
        if ranges and begin <= ranges[-1][1]:
            ranges[-1] = (ranges[-1][0], max(end, ranges[-1][1]))
        else:
            ranges.append((begin, end))
    return ranges
