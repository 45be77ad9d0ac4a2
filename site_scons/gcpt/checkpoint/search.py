"""Search for the state in an image: the places that a restorer checks, in the restorer's order.

The decisions are those of firmware/plan.c, header.c and decode.c, without the checks that depend on the machine:
``restorer.plan`` checks that the blocks are in memory and do not overlap the restorer.
"""

from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass, replace

from gcpt.checkpoint import header, stamp
from gcpt.checkpoint.header import Header
from gcpt.checkpoint.layouts import (
    CHECKPOINT_MAGIC,
    HEADER_VERSIONS,
    HEADER_WINDOW,
    LARGEST_OFFSET,
    MAX_HARTS,
    MULTI_CORE_OFFSET,
)
from gcpt.checkpoint.places import DUAL_CORE, NEMU_BARE, SINGLE_CORE, Place, PlaceKind
from gcpt.checkpoint.reader import Reader, read_word
from gcpt.errors import UserError

_WORD = 1 << 64
#: The count that QEMU writes for any number of harts above 1.
SEVERAL = 2


class NoCheckpointError(UserError):
    """There is no checkpoint at any known place of an image."""


class HeaderError(UserError):
    """A protobuf header that a restorer refuses.

    Attributes:
        code: The code of the finding in ``gcpt validate``.
        what: The image offset of the header, and the fault.
    """

    def __init__(self, code: str, at: int, fault: str) -> None:
        self.code, self.what = code, f"at {at:#x}: {fault}"
        super().__init__(f"the protobuf header {self.what}")


@dataclass(frozen=True)
class Targets:
    """The places to search.

    Attributes:
        headers: Whether to search for protobuf headers, and for NEMU's block after its header is overwritten.
        fixed: Places without a header, in the order of the search.
        header_at: Image offset to search for a header first; -1 for none.
    """

    headers: bool = True
    fixed: tuple[Place, ...] = (DUAL_CORE, SINGLE_CORE)
    header_at: int = -1


#: The places that a restorer with mode=auto, and the tools, search.
EVERYTHING = Targets()


@dataclass(frozen=True)
class Location:
    """The result of a search.

    Attributes:
        place: The place of the blocks.
        harts: Number of harts.
        header: The protobuf header, if the place comes from one.
    """

    place: Place
    harts: int
    header: Header | None = None


def is_marked(read: Reader, place: Place, hart: int) -> bool:
    """Check whether a block has the magic number.

    Args:
        read: Reads the image.
        place: The place of the blocks.
        hart: The hart whose block to check.

    Returns:
        Whether it has.
    """
    return read_word(read, place.block(hart) + place.layout.magic_number) == CHECKPOINT_MAGIC


def _first_unmarked(read: Reader, place: Place, first: int) -> int:
    """The first hart from ``first`` on whose block has no magic number; MAX_HARTS if all have it."""
    return next((hart for hart in range(first, MAX_HARTS) if not is_marked(read, place, hart)), MAX_HARTS)


def needs_marks(read: Reader, place: Place) -> bool:
    """Check whether a restorer refuses a counted block without the magic number: if the first one has it.

    One variant of QEMU omits all of them after a header.

    Args:
        read: Reads the image.
        place: The place of the blocks.

    Returns:
        Whether it does.
    """
    return place.layout.has_mark and is_marked(read, place, 0)


def marked_harts(read: Reader, place: Place, harts: int) -> frozenset[int]:
    """List the harts whose blocks have the magic number, and those that a larger count would include.

    Args:
        read: Reads the image.
        place: The place of the blocks.
        harts: The number of harts by ``count_harts``.

    Returns:
        The marked harts of ``harts``, and the consecutive marked ones that follow, up to MAX_HARTS.
    """
    counted = min(harts, MAX_HARTS)
    marked = {hart for hart in range(counted) if is_marked(read, place, hart)}
    return frozenset(marked | set(range(counted, _first_unmarked(read, place, counted))))


def written_count(read: Reader, place: Place) -> int:
    """Read the count that the generator wrote into hart 0's block.

    Args:
        read: Reads the image.
        place: The place of the blocks.

    Returns:
        The number of harts; 0 if the generator wrote none.
    """
    return read_word(read, place.block(0) + place.layout.csr_reserve)


def count_harts(read: Reader, place: Place) -> int:
    """Count the harts as a restorer does.

    The number comes from the header, else from the count in hart 0's block, where 0 means one hart. QEMU writes 2 for
    any number of harts above 1: from the third block on, consecutive blocks with the magic number then count too.

    Args:
        read: Reads the image.
        place: The place of the blocks.

    Returns:
        The number of harts, which may be above MAX_HARTS in a damaged image.

    Raises:
        UserError: The header cannot be decoded.
    """
    if place.header_at >= 0:
        return header.decode(_header_bytes(read, place.header_at))[0].cpu_num
    if place.kind is not PlaceKind.DUAL_CORE:
        return 1
    count = written_count(read, place) or 1
    if count != SEVERAL:
        return count
    return _first_unmarked(read, place, SEVERAL)


def _header_bytes(read: Reader, at: int) -> bytes:
    """The bytes in which a restorer looks for a header; zeros where the image ends."""
    return read(at, header.MAX_SIZE).ljust(header.MAX_SIZE, b"\0")


def _header_places(read: Reader, targets: Targets) -> Iterator[tuple[int, int]]:
    """Image offsets to search for a header, each with the image offset from which its cpt_offset counts.

    A header at the start of an image without a restorer counts as one in a restorer's header window: ``gcpt pack``
    moves it there.
    """
    if targets.header_at >= 0:
        yield targets.header_at, targets.header_at
    embedded = stamp.size(read(0, HEADER_WINDOW)) is not None
    yield (HEADER_WINDOW if embedded else 0), 0
    yield MULTI_CORE_OFFSET, MULTI_CORE_OFFSET


def header_fault(value: Header, origin: int) -> str:
    """Check the values of a header as a restorer does on any machine.

    Args:
        value: The header.
        origin: Image offset from which cpt_offset counts.

    Returns:
        The fault; "" if there is none.
    """
    if not 1 <= value.cpu_num <= MAX_HARTS:
        return f"cpu_num is {value.cpu_num}: want 1 to {MAX_HARTS}"
    offsets = value.layout.items()
    for name in value.layout.restored(value.cpu_num):
        if offsets[name] % 8 or offsets[name] > LARGEST_OFFSET:
            return f"{name} is at {offsets[name]:#x}: want a multiple of 8 up to {LARGEST_OFFSET:#x}"
    low, high = value.layout.span(value.cpu_num)
    stride = value.single_core_size
    if stride > LARGEST_OFFSET:
        return f"single_core_size is {stride:#x}: want at most {LARGEST_OFFSET:#x}"
    if value.cpu_num > 1 and (stride % 8 or stride < high - low):
        return (
            f"single_core_size is {stride:#x}: want a multiple of 8 and at least {high - low:#x}, the size of a block"
        )
    if (origin + value.cpt_offset) % 8:
        return f"cpt_offset is {value.cpt_offset:#x}: want a multiple of 8"
    return ""


def header_target(value: Header, at: int, origin: int) -> Place:
    """Compute the place that a header describes.

    Args:
        value: The header.
        at: Image offset of the header.
        origin: Image offset from which its cpt_offset counts.

    Returns:
        The place; its base may be outside the image.
    """
    base = (origin + value.cpt_offset) % _WORD
    base -= _WORD if base >= _WORD // 2 else 0  # blocks below the header have an offset that wraps around
    return Place(PlaceKind.PROTOBUF, base, value.single_core_size, value.layout, at)


def header_overlap(value: Header, place: Place, size: int) -> str:
    """Check that the blocks do not overlap their header.

    Args:
        value: The header.
        place: The place that it describes.
        size: The size of the header in bytes.

    Returns:
        The fault; "" if there is none.
    """
    low, high = value.layout.span(value.cpu_num)
    begin, end = place.block(0) + low, place.block(value.cpu_num - 1) + high
    overlap = begin < place.header_at + size and place.header_at < end
    return f"the blocks at {begin:#x} to {end:#x} overlap the header" if overlap else ""


def vector_overlap(place: Place, hart: int, harts: int, vlenb: int) -> str:
    """Check that a hart's vector registers end before the next block and the header.

    The checks of a header do not know their length, which is in the block.

    Args:
        place: The place of the blocks.
        hart: The hart.
        harts: Number of harts in the checkpoint.
        vlenb: Bytes of a vector register of this hart.

    Returns:
        The fault; "" if there is none.
    """
    low, high = place.layout.span(harts, vlenb)
    begin, end = place.block(hart) + low, place.block(hart) + high
    neighbours = {"the next block": place.block(hart + 1) + low} if hart + 1 < harts else {}
    neighbours |= {"the header": place.header_at} if place.header_at >= 0 else {}
    at = next((name for name, start in neighbours.items() if begin <= start < end), "")
    return f"with VLEN {8 * vlenb} its state at {begin:#x} to {end:#x} overlaps {at}" if at else ""


def _follow(read: Reader, data: bytes, at: int, origin: int) -> Location:
    """The location that the header ``data`` at image offset ``at`` describes; HeaderError if it is refused."""
    try:
        value, size = header.decode(data)
    except UserError as error:
        raise HeaderError("header-undecodable", at, str(error)) from error
    if value.version not in HEADER_VERSIONS:
        known = " or ".join(map(hex, HEADER_VERSIONS))
        raise HeaderError("header-version", at, f"version is {value.version:#x}: want {known}")
    if fault := header_fault(value, origin):
        raise HeaderError("header-value", at, fault)
    place = header_target(value, at, origin)
    if at == origin and (fault := header_overlap(value, place, size)):  # a window is in the restorer, which is checked
        raise HeaderError("header-value", at, fault)
    return Location(place if is_marked(read, place, 0) else replace(place, marked=False), value.cpu_num, value)


def find(read: Reader, targets: Targets = EVERYTHING) -> Location | None:
    """Search an image as a restorer does.

    Args:
        read: Reads the image.
        targets: The places that the restorer searches.

    Returns:
        The first location; None if there is none.

    Raises:
        HeaderError: The search meets a protobuf header, which ends it, and a restorer refuses the header.
    """
    for at, origin in _header_places(read, targets) if targets.headers else ():
        data = _header_bytes(read, at)
        if header.present(data):
            return _follow(read, data, at, origin)
    fixed = (*targets.fixed, NEMU_BARE) if targets.headers else targets.fixed
    place = next((place for place in fixed if is_marked(read, place, 0)), None)
    return Location(place, count_harts(read, place)) if place else None


def locate(read: Reader) -> Location:
    """Search an image as a restorer with mode=auto does.

    Args:
        read: Reads the image.

    Returns:
        The first location.

    Raises:
        NoCheckpointError: There is no location.
        HeaderError: The search meets a protobuf header, which ends it, and a restorer refuses the header.
    """
    location = find(read)
    if location is None:
        raise NoCheckpointError(
            "no checkpoint: neither a protobuf header nor the magic number 0xbeef at any known place"
        )
    return location


def find_all(read: Reader) -> list[Place]:
    """List all places of an image that have a valid header or a magic number.

    Args:
        read: Reads the image.

    Returns:
        The places, in the order in which mode=auto searches.
    """
    places: list[Place] = []
    for at, origin in _header_places(read, EVERYTHING):
        data = _header_bytes(read, at)
        if header.present(data):
            with suppress(HeaderError):
                places.append(_follow(read, data, at, origin).place)
    bases = {place.base for place in places}
    fixed = (*EVERYTHING.fixed, NEMU_BARE)
    return places + [place for place in fixed if place.base not in bases and is_marked(read, place, 0)]
