"""What a restorer makes of an image, before it touches a register: where the blocks are, and whether it takes them.

The same decisions as firmware/plan.c, header.c and decode.c make. Addresses are physical, in bytes.
"""

from collections.abc import Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass

from gcpt.checkpoint import header, stamp
from gcpt.checkpoint.header import Header
from gcpt.checkpoint.layouts import (
    BLOCK_SIZE,
    CHECKPOINT_MAGIC,
    CSR_COUNT,
    DEFAULT_VLEN,
    HEADER_VERSIONS,
    HEADER_WINDOW,
    LARGEST_OFFSET,
    MAX_HARTS,
    MULTI_CORE_OFFSET,
    NEMU_PROTOBUF_OFFSET,
    RESERVED_SIZE,
    Layout,
)
from gcpt.checkpoint.state import DUAL_CORE, SINGLE_CORE, Kind, Place, Reader
from gcpt.errors import UserError
from gcpt.restorer import budgets
from gcpt.restorer.config import STACK_SHIFT, BuildConfig, resolve
from gcpt.restorer.platforms import Platform

#: The ``mode=`` of the smallest restorer that finds a checkpoint.
MODES: dict[Kind, str] = {Kind.SINGLE_CORE: "single_core", Kind.DUAL_CORE: "dual_core", Kind.PROTOBUF: "normal"}
#: What only the build can follow of the options that a stamp holds.
_OF_FILES = ("gcpt_payload", "gcpt_payload_position", "gcpt_dtb")
_NEMU = Place(Kind.PROTOBUF, NEMU_PROTOBUF_OFFSET)
_WORD = 1 << 64


@dataclass(frozen=True)
class Plan:
    """place: where the blocks are, relative to the image. harts: how many the restorer takes. header: if any."""

    place: Place
    harts: int
    header: Header | None = None


class RefusedError(Exception):
    """The restorer takes no plan from this header. code: of the finding that says so (``findings``)."""

    def __init__(self, code: str, what: str) -> None:
        super().__init__(what)
        self.code = code


def _sizes(layout: Layout, harts: int, vlenb: int = DEFAULT_VLEN // 8) -> dict[str, int]:
    """The fields of a block that a restore reads or writes, with their bytes."""
    sizes = dict.fromkeys(("pc", "mode", "mtime", "misc_reserve"), 8)
    sizes |= {"mtime_cmp": 8 * harts, "int_reg": 32 * 8, "float_reg": 32 * 8, "csr_reg": 8 * CSR_COUNT}
    sizes["vector_reg"] = 32 * vlenb
    if not layout.misc_reserve:
        del sizes["misc_reserve"]
    return sizes


def extent(layout: Layout, harts: int, vlenb: int = DEFAULT_VLEN // 8) -> tuple[int, int]:
    """The first byte of a block that a restore of ``harts`` harts needs, and the first after the last one."""
    sizes, offsets = _sizes(layout, harts, vlenb), layout.items()
    return min(offsets[name] for name in sizes), max(offsets[name] + size for name, size in sizes.items())


def header_fault(value: Header, origin: int, platform: Platform, image: int, image_end: int) -> str:
    """Why a restorer refuses the values of a header, or nothing.

    origin: the address that cpt_offset counts from. image, image_end: what the restorer occupies.
    """
    if not 1 <= value.cpu_num <= MAX_HARTS:
        return f"cpu_num is {value.cpu_num}, not 1 to {MAX_HARTS}"
    offsets = value.layout.items()
    for name in _sizes(value.layout, value.cpu_num):
        if offsets[name] % 8 or offsets[name] > LARGEST_OFFSET:
            return f"{name} is at {offsets[name]:#x}: want a multiple of 8 up to {LARGEST_OFFSET:#x}"
    low, high = extent(value.layout, value.cpu_num)
    stride = value.single_core_size
    if stride > LARGEST_OFFSET:
        return f"single_core_size is {stride:#x}, above {LARGEST_OFFSET:#x}"
    if value.cpu_num > 1 and (stride % 8 or stride < high - low):
        return f"single_core_size is {stride:#x}: want a multiple of 8, {high - low:#x} at least, which a block takes"
    base = (origin + value.cpt_offset) % _WORD
    if base % 8:
        return f"cpt_offset is {value.cpt_offset:#x}: want a multiple of 8"
    begin = (base + low) % _WORD
    end = begin + (value.cpu_num - 1) * stride + high - low
    areas = [(platform.dram, platform.dram_size)]
    areas += [(platform.flash, RESERVED_SIZE + BLOCK_SIZE)] if platform.flash else []
    if not any(area <= begin and end <= area + size for area, size in areas):
        return f"the blocks at {begin:#x} to {end:#x} are not in memory"
    if begin < image_end and image < end:
        return f"the blocks at {begin:#x} to {end:#x} overlap the restorer, which has {image:#x} to {image_end:#x}"
    return ""


def built_from(options: Mapping[str, str]) -> BuildConfig:
    """The configuration that a stamp's options tell; UserError where they are another version's."""
    return resolve({name: value for name, value in options.items() if name not in _OF_FILES})


def restorer_end(config: BuildConfig, size: int | None) -> int:
    """The first byte after the restorer and its memory; ``size``: of its image, None for the most that it may be."""
    stacks = 0 if config.direct or config.ram is not None else config.harts << STACK_SHIFT
    return config.load_address + (budgets.budget(config) if size is None else size) + stacks


def _word(read: Reader, offset: int) -> int:
    return int.from_bytes(read(offset, 8), "little")


def marked(read: Reader, place: Place, hart: int) -> bool:
    """Whether the hart's block has the magic number."""
    return _word(read, place.block(hart) + place.layout.magic_number) == CHECKPOINT_MAGIC


def count_marked(read: Reader, place: Place) -> int:
    """How many blocks in a row, the first on, have the magic number."""
    return next((hart for hart in range(MAX_HARTS) if not marked(read, place, hart)), MAX_HARTS)


def counted(read: Reader, place: Place) -> int:
    """The number of harts in csr_reserve of hart 0's block, as it was written."""
    return _word(read, place.block(0) + place.layout.csr_reserve)


def _multi_core_harts(read: Reader) -> int:
    count = counted(read, DUAL_CORE) or 1
    return max(count, count_marked(read, DUAL_CORE)) if count == 2 else count


def _headers(config: BuildConfig, carried: bool) -> Iterator[tuple[int, int]]:
    """Where a restorer looks for a header, and from where cpt_offset counts: offsets in the image.

    A header at the start of an image without a restorer counts as the one in the window, where gcpt puts it.
    """
    dram = config.platform.dram
    if config.header_addr is not None and config.header_addr >= dram:
        yield config.header_addr - dram, config.header_addr - dram
    yield (HEADER_WINDOW if carried else 0), 0
    yield MULTI_CORE_OFFSET, MULTI_CORE_OFFSET


def find(read: Reader, config: BuildConfig, size: int | None = None) -> Plan | None:
    """What a restorer of ``config`` finds in an image; None where there is no checkpoint for it.

    size: of the restorer that the image carries; None where it carries none. RefusedError where a header ends the run.
    """
    if config.protobuf:
        for at, origin in _headers(config, size is not None):
            data = read(at, header.MAX_SIZE)
            if header.present(data):
                return _of_header(data, at, origin, config, size)
    if config.mode in ("dual_core", "auto") and marked(read, DUAL_CORE, 0):
        return Plan(DUAL_CORE, _multi_core_harts(read))
    if config.mode in ("single_core", "auto") and marked(read, SINGLE_CORE, 0):
        return Plan(SINGLE_CORE, 1)
    if config.protobuf and marked(read, _NEMU, 0):
        return Plan(_NEMU, 1)
    return None


def _of_header(data: bytes, at: int, origin: int, config: BuildConfig, size: int | None) -> Plan:
    try:
        value, _ = header.decode(data)
    except UserError as error:
        raise RefusedError("header-undecodable", f"at {at:#x}: {error}") from error
    if value.version not in HEADER_VERSIONS:
        known = " and ".join(map(hex, HEADER_VERSIONS))
        raise RefusedError("header-version", f"at {at:#x}: version {value.version:#x}; known are {known}")
    image = config.load_address
    if fault := header_fault(value, image + origin, config.platform, image, restorer_end(config, size)):
        raise RefusedError("header-value", f"at {at:#x}: {fault}")
    base = (image + origin + value.cpt_offset) % _WORD - image
    return Plan(Place(Kind.PROTOBUF, base, value.single_core_size, value.layout, at), value.cpu_num, value)


def places(read: Reader) -> list[Place]:
    """Every place where an image has marks of a checkpoint, in the order in which a restorer of mode=auto looks."""
    found: list[Place] = []
    window = HEADER_WINDOW if stamp.size(read(0, HEADER_WINDOW)) is not None else 0
    for at, origin in ((window, 0), (MULTI_CORE_OFFSET, MULTI_CORE_OFFSET)):
        data = read(at, header.MAX_SIZE)
        if header.present(data):
            with suppress(UserError):
                value, _ = header.decode(data)
                base = (origin + value.cpt_offset) % _WORD
                found.append(Place(Kind.PROTOBUF, base, value.single_core_size, value.layout, at))
    bases = {place.base for place in found}
    return found + [one for one in (DUAL_CORE, SINGLE_CORE, _NEMU) if one.base not in bases and marked(read, one, 0)]


@dataclass(frozen=True)
class Carried:
    """The restorer that an image starts with. size: in bytes. options: of its stamp, None where it has none.

    whole: its last 8 bytes are the completeness flag, which it looks at first.
    """

    size: int
    options: dict[str, str] | None
    whole: bool


def carried(head: bytes) -> Carried | None:
    """The restorer, a jump and its size, with which an image of this first MiB starts; None if there is none."""
    size = stamp.size(head)
    if size is None:
        return None
    found = stamp.find(head)
    return Carried(size, found.options if found else None, stamp.complete(head))
