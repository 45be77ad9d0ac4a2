"""Where an image keeps its state: the places that a restorer looks at, in its order.

The same decisions as firmware/plan.c, header.c and decode.c make, but for what depends on the machine: whether blocks
are in its memory and apart from the restorer, which ``restorer.plan`` adds.
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
from gcpt.checkpoint.reading import Reader, read_word
from gcpt.errors import UserError

_WORD = 1 << 64
#: What QEMU writes as the number of harts whenever there are several.
SEVERAL = 2


class NoCheckpointError(UserError):
    """An image in which there is no checkpoint at any known place."""


class HeaderError(UserError):
    """A protobuf header that a restorer refuses.

    Attributes:
        code: The finding of ``gcpt validate`` that this is.
        what: What is wrong, and at which byte of the image the header is.
    """

    def __init__(self, code: str, at: int, fault: str) -> None:
        self.code, self.what = code, f"at {at:#x}: {fault}"
        super().__init__(f"the protobuf header {self.what}")


@dataclass(frozen=True)
class Wanted:
    """What is looked for.

    Attributes:
        headers: Whether protobuf headers are, and NEMU's blocks whose header a restorer overwrote.
        fixed: Places without a header, in their order.
        header_at: The byte of the image at which a header is looked for first; -1: none.
    """

    headers: bool = True
    fixed: tuple[Place, ...] = (DUAL_CORE, SINGLE_CORE)
    header_at: int = -1


#: What a restorer of mode=auto looks for, and so do tools.
EVERYTHING = Wanted()


@dataclass(frozen=True)
class Found:
    """Where the blocks are, of how many harts, and the header that says so, if one does."""

    place: Place
    harts: int
    header: Header | None = None


def is_marked(read: Reader, place: Place, hart: int) -> bool:
    """Whether the block of ``hart`` has the magic number."""
    return read_word(read, place.block(hart) + place.layout.magic_number) == CHECKPOINT_MAGIC


def count_marked(read: Reader, place: Place) -> int:
    """How many blocks in a row, the first on, have the magic number."""
    return next((hart for hart in range(MAX_HARTS) if not is_marked(read, place, hart)), MAX_HARTS)


def written_count(read: Reader, place: Place) -> int:
    """The number of harts that the generator wrote into hart 0's block; 0: none."""
    return read_word(read, place.block(0) + place.layout.csr_reserve)


def count_harts(read: Reader, place: Place) -> int:
    """How many harts a restorer finds at ``place``.

    The count is the header's, or else the one in hart 0's block, where 0 means one hart. QEMU writes 2 for any number
    of harts: from the third block on, consecutive blocks with the magic number count too.
    """
    if place.header_at >= 0:
        return header.decode(_header_bytes(read, place.header_at))[0].cpu_num
    if place.kind is not PlaceKind.DUAL_CORE:
        return 1
    count = written_count(read, place) or 1
    if count != SEVERAL:
        return count
    return next((hart for hart in range(SEVERAL, MAX_HARTS) if not is_marked(read, place, hart)), MAX_HARTS)


def _header_bytes(read: Reader, at: int) -> bytes:
    """The bytes in which a restorer looks for a header; zeros where the image ends."""
    return read(at, header.MAX_SIZE).ljust(header.MAX_SIZE, b"\0")


def _header_places(read: Reader, wanted: Wanted) -> Iterator[tuple[int, int]]:
    """Where headers are looked for, and from where cpt_offset counts: offsets in the image.

    A header at the start of an image without a restorer stands for the one in a restorer's window, where ``gcpt pack``
    puts it.
    """
    if wanted.header_at >= 0:
        yield wanted.header_at, wanted.header_at
    carries = stamp.size(read(0, HEADER_WINDOW)) is not None
    yield (HEADER_WINDOW if carries else 0), 0
    yield MULTI_CORE_OFFSET, MULTI_CORE_OFFSET


def header_fault(value: Header, origin: int) -> str:
    """Why a restorer refuses the values of a header on any machine, or nothing. origin: what cpt_offset counts from."""
    if not 1 <= value.cpu_num <= MAX_HARTS:
        return f"cpu_num is {value.cpu_num}, not 1 to {MAX_HARTS}"
    offsets = value.layout.items()
    for name in value.layout.restored(value.cpu_num):
        if offsets[name] % 8 or offsets[name] > LARGEST_OFFSET:
            return f"{name} is at {offsets[name]:#x}: want a multiple of 8 up to {LARGEST_OFFSET:#x}"
    low, high = value.layout.span(value.cpu_num)
    stride = value.single_core_size
    if stride > LARGEST_OFFSET:
        return f"single_core_size is {stride:#x}, above {LARGEST_OFFSET:#x}"
    if value.cpu_num > 1 and (stride % 8 or stride < high - low):
        return f"single_core_size is {stride:#x}: want a multiple of 8, {high - low:#x} at least, which a block takes"
    if (origin + value.cpt_offset) % 8:
        return f"cpt_offset is {value.cpt_offset:#x}: want a multiple of 8"
    return ""


def header_target(value: Header, at: int, origin: int) -> Place:
    """Where the blocks are by the header ``value`` at byte ``at``, whose cpt_offset counts from ``origin``."""
    base = (origin + value.cpt_offset) % _WORD
    base -= _WORD if base >= _WORD // 2 else 0  # an offset below the header is one that wraps around
    return Place(PlaceKind.PROTOBUF, base, value.single_core_size, value.layout, at)


def _follow(read: Reader, data: bytes, at: int, origin: int) -> Found:
    """What the header ``data`` at byte ``at`` leads to. HeaderError where it is refused."""
    try:
        value, _ = header.decode(data)
    except UserError as error:
        raise HeaderError("header-undecodable", at, str(error)) from error
    if value.version not in HEADER_VERSIONS:
        known = " and ".join(map(hex, HEADER_VERSIONS))
        raise HeaderError("header-version", at, f"version {value.version:#x}; known are {known}")
    if fault := header_fault(value, origin):
        raise HeaderError("header-value", at, fault)
    place = header_target(value, at, origin)
    return Found(place if is_marked(read, place, 0) else replace(place, marked=False), value.cpu_num, value)


def find(read: Reader, wanted: Wanted = EVERYTHING) -> Found | None:
    """What a restorer finds first in an image; None where it finds nothing.

    Args:
        read: Reads the image.
        wanted: What the restorer looks for.

    Raises:
        HeaderError: There is a protobuf header, which ends the search, and it is refused.
    """
    for at, origin in _header_places(read, wanted) if wanted.headers else ():
        data = _header_bytes(read, at)
        if header.present(data):
            return _follow(read, data, at, origin)
    fixed = (*wanted.fixed, NEMU_BARE) if wanted.headers else wanted.fixed
    place = next((place for place in fixed if is_marked(read, place, 0)), None)
    return Found(place, count_harts(read, place)) if place else None


def locate(read: Reader) -> Found:
    """What a restorer of mode=auto finds. NoCheckpointError where it finds nothing; HeaderError as ``find`` has it."""
    found = find(read)
    if found is None:
        raise NoCheckpointError(
            "no checkpoint: neither a protobuf header nor the magic number 0xbeef at any known place"
        )
    return found


def find_all(read: Reader) -> list[Place]:
    """Every place at which an image has marks of a checkpoint, in the order in which mode=auto looks."""
    places: list[Place] = []
    for at, origin in _header_places(read, EVERYTHING):
        data = _header_bytes(read, at)
        if header.present(data):
            with suppress(HeaderError):
                places.append(_follow(read, data, at, origin).place)
    bases = {place.base for place in places}
    fixed = (*EVERYTHING.fixed, NEMU_BARE)
    return places + [place for place in fixed if place.base not in bases and is_marked(read, place, 0)]
