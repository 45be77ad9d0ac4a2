"""Places: where an image keeps the blocks of its harts, and which bytes the state occupies there."""

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
    """The kinds of places, with the names that ``mode=`` uses."""

    SINGLE_CORE = "single_core"
    DUAL_CORE = "dual_core"
    PROTOBUF = "protobuf"


@dataclass(frozen=True)
class Place:
    """Where an image keeps its blocks.

    Attributes:
        kind: The kind of place.
        base: Image offset of hart 0's block, in bytes.
        stride: Bytes from one hart's block to the next.
        layout: Offsets of the fields in a block.
        header_at: Image offset of the protobuf header; -1 without a header.
        marked: Whether the blocks have the magic number; one variant of QEMU omits it in checkpoints with a header.
    """

    kind: PlaceKind
    base: int
    stride: int = BLOCK_SIZE
    layout: Layout = DEFAULT
    header_at: int = -1
    marked: bool = True

    def block(self, hart: int) -> int:
        """Compute the image offset of a hart's block.

        Args:
            hart: The hart.

        Returns:
            The offset in bytes.
        """
        return self.base + hart * self.stride


#: One hart, whose block is the restorer's MiB.
SINGLE_CORE = Place(PlaceKind.SINGLE_CORE, 0)
#: Several harts, from 3 MiB on.
DUAL_CORE = Place(PlaceKind.DUAL_CORE, MULTI_CORE_OFFSET)
#: QEMU's protobuf header at 3 MiB, with the blocks behind it.
PROTOBUF = Place(
    PlaceKind.PROTOBUF,
    MULTI_CORE_OFFSET + NEMU_PROTOBUF_OFFSET,
    MULTI_CORE.vector_reg_done + 8,
    MULTI_CORE,
    MULTI_CORE_OFFSET,
)
#: NEMU's protobuf header at the start of the image, with the block behind it.
NEMU = Place(PlaceKind.PROTOBUF, NEMU_PROTOBUF_OFFSET, header_at=0)
#: NEMU's block after a restorer has overwritten the header.
NEMU_BARE = replace(NEMU, header_at=-1)

#: The places that can be written, by layout name.
PLACES: dict[str, Place] = {"single_core": SINGLE_CORE, "dual_core": DUAL_CORE, "protobuf": PROTOBUF, "nemu": NEMU}


def place_for(layout: str, harts: int) -> Place:
    """Choose the place for the state.

    Args:
        layout: A name in PLACES, or "auto": single_core for one hart, else dual_core.
        harts: Number of harts.

    Returns:
        The place.

    Raises:
        UserError: The layout cannot hold so many harts.
    """
    name = layout if layout != "auto" else "single_core" if harts == 1 else "dual_core"
    if name in ("single_core", "nemu") and harts > 1:
        raise UserError(f"layout {name} holds one hart, but there are {harts}: use dual_core or protobuf")
    return PLACES[name]


@dataclass(frozen=True)
class Checkpoint:
    """The state of all harts, and the place of their blocks."""

    place: Place
    harts: list[HartState]


def own_size(place: Place, hart: int, vlenb: int) -> int:
    """Compute the size of the part of a hart's block that belongs to the state.

    If a block begins in the restorer's MiB and ends behind it, only its registers count there: NEMU's block extends
    into the workload's memory.

    Args:
        place: The place of the blocks.
        hart: The hart.
        vlenb: Bytes of a vector register.

    Returns:
        The size in bytes, from the start of the block.
    """
    whole, room = block_size(place.layout, hart + 1), RESERVED_SIZE - place.block(hart)
    if not 0 < room < whole:
        return whole
    return max(room, *(end for _, end in register_ranges(place.layout, hart, vlenb).values()))


def own_ranges(place: Place, hart: int, vlenb: int) -> list[tuple[int, int]]:
    """List the parts of the image that the state of a hart occupies.

    Args:
        place: The place of the blocks.
        hart: The hart.
        vlenb: Bytes of a vector register.

    Returns:
        Image offsets of the first byte and after the last byte of each part, sorted; adjacent parts are merged.
    """
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
