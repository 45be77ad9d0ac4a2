"""What a restorer makes of an image, before it touches a register: what it finds there, and whether it takes it.

The same decisions as firmware/plan.c, header.c and decode.c make. Addresses are physical, in bytes.
"""

from collections.abc import Mapping
from dataclasses import dataclass

from gcpt.checkpoint import search, stamp
from gcpt.checkpoint.layouts import BLOCK_SIZE, RESERVED_SIZE
from gcpt.checkpoint.places import DUAL_CORE, SINGLE_CORE, PlaceKind
from gcpt.checkpoint.reader import Reader
from gcpt.checkpoint.search import HeaderError, Location, Targets
from gcpt.restorer import budgets
from gcpt.restorer.config import STACK_SHIFT, BuildConfig
from gcpt.restorer.platforms import Platform
from gcpt.restorer.resolution import resolve

#: The ``mode=`` of the smallest restorer that finds a checkpoint.
MODES: dict[PlaceKind, str] = {
    PlaceKind.SINGLE_CORE: "single_core",
    PlaceKind.DUAL_CORE: "dual_core",
    PlaceKind.PROTOBUF: "normal",
}
#: What only the build can follow of the options that a stamp holds.
_OF_FILES = ("gcpt_payload", "gcpt_payload_position", "gcpt_dtb")
_WORD = 1 << 64


def misplacement(found: Location, platform: Platform, image: int, image_end: int) -> str:
    """Why a restorer refuses where a header's blocks lie on its machine, or nothing.

    Args:
        found: What the header leads to.
        platform: The machine.
        image: The address of the image that is searched, where the restorer begins.
        image_end: The first address after the restorer and its memory.
    """
    low, high = found.place.layout.span(found.harts)
    begin = (image + found.place.base + low) % _WORD
    end = begin + (found.harts - 1) * found.place.stride + high - low
    areas = [(platform.dram, platform.dram_size)]
    areas += [(platform.flash, RESERVED_SIZE + BLOCK_SIZE)] if platform.flash else []
    if not any(area <= begin and end <= area + length for area, length in areas):
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


def _wanted(config: BuildConfig) -> Targets:
    """What a restorer of ``config`` looks for."""
    fixed = {"auto": (DUAL_CORE, SINGLE_CORE), "dual_core": (DUAL_CORE,), "single_core": (SINGLE_CORE,)}
    at = -1 if config.header_addr is None else config.header_addr - config.platform.dram
    return Targets(config.protobuf, fixed.get(config.mode, ()), at)


def find(read: Reader, config: BuildConfig, size: int | None = None) -> Location | None:
    """What a restorer of ``config`` finds in an image; None where there is no checkpoint for it.

    Args:
        read: Reads the image.
        config: The restorer's.
        size: Bytes of the restorer that the image carries; None where it carries none.

    Raises:
        HeaderError: There is a header that ends the run.
    """
    found = search.find(read, _wanted(config))
    if found is None or found.header is None:
        return found
    if fault := misplacement(found, config.platform, config.load_address, restorer_end(config, size)):
        raise HeaderError("header-value", found.place.header_at, fault)
    return found


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
