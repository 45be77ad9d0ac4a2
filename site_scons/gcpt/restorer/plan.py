"""The decisions of a restorer about an image, before it writes a register: where the state is, and what it refuses.

firmware/plan.c, header.c and decode.c make the same decisions. Addresses are physical, in bytes.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from gcpt.checkpoint import extended, search, stamp
from gcpt.checkpoint.extended import DeviceWrite, ExtendedError
from gcpt.checkpoint.layouts import BLOCK_SIZE, RESERVED_SIZE
from gcpt.checkpoint.places import DUAL_CORE, SINGLE_CORE, Place, PlaceKind
from gcpt.checkpoint.reader import Reader
from gcpt.checkpoint.search import HeaderError, Location, Targets
from gcpt.checkpoint.state import HartState
from gcpt.restorer import budgets
from gcpt.restorer.config import STACK_SHIFT, BuildConfig
from gcpt.restorer.platforms import Platform
from gcpt.restorer.resolution import resolve

#: The ``mode=`` of the smallest restorer that finds a checkpoint at a place.
MODES: dict[PlaceKind, str] = {
    PlaceKind.SINGLE_CORE: "single_core",
    PlaceKind.DUAL_CORE: "dual_core",
    PlaceKind.PROTOBUF: "normal",
}
#: Options of a stamp that name files, which exist only where the restorer was built.
_FILE_OPTIONS = ("gcpt_payload", "gcpt_payload_position", "gcpt_dtb")
#: Options that a restorer for another machine can share.
_PORTABLE_OPTIONS = (
    *("mode", "harts", "stop_cpu", "display_cpu", "header_addr", "csrs", "exact", "extended", "generator"),
    *("selfcheck", "flash", "ram", "log"),
)
_WORD = 1 << 64


def mode_for(place: Place, flash: bool) -> str:
    """Choose the mode of the smallest restorer that finds a checkpoint.

    Args:
        place: Where the image keeps its blocks.
        flash: The image is the flash image of a pair.

    Returns:
        The value of ``mode=``.
    """
    return "single_core" if flash else MODES[place.kind]


def misplacement(match: Location, platform: Platform, image: int, image_end: int) -> str:
    """Check whether a header's blocks are in memory and clear of the restorer.

    Args:
        match: The place that the header describes.
        platform: The machine.
        image: Address of the searched image, which is the restorer's start.
        image_end: First address after the restorer and its memory.

    Returns:
        Why a restorer refuses the blocks, or "".
    """
    low, high = match.place.layout.span(match.harts)
    begin = (image + match.place.base + low) % _WORD
    end = begin + (match.harts - 1) * match.place.stride + high - low
    areas = [(platform.dram, platform.dram_size)]
    areas += [(platform.flash, RESERVED_SIZE + BLOCK_SIZE)] if platform.flash else []
    if not any(area <= begin and end <= area + length for area, length in areas):
        return f"the blocks at {begin:#x} to {end:#x} are not in memory"
    if begin < image_end and image < end:
        return f"the blocks at {begin:#x} to {end:#x} overlap the restorer at {image:#x} to {image_end:#x}"
    return ""


def refusal(state: HartState, platform: Platform) -> tuple[str, str] | None:
    """Find out whether a restorer with ``extended=1`` refuses a hart's extended state.

    Args:
        state: The hart's state.
        platform: The machine.

    Returns:
        The code of the finding and the cause; None if the restorer accepts it, or there is none.
    """
    try:
        entries = extended.of(state) or ()
    except ExtendedError as error:
        return "extended-damaged", str(error)
    for entry in entries:
        if isinstance(entry, DeviceWrite) and not any(each.has(entry.address, entry.size) for each in platform.devices):
            return "extended-device", f"{entry.name}: no device of {platform.name}"
    return None


def has_extended(harts: Iterable[HartState], platform: Platform) -> bool:
    """Decide whether to build the restorer of a checkpoint with ``extended=1``.

    Args:
        harts: The states of the restored harts.
        platform: The machine.

    Returns:
        Whether a hart has an extended state, and the restorer accepts all of them.
    """
    states = list(harts)
    return any(map(extended.present, states)) and not any(refusal(state, platform) for state in states)


def built_from(options: Mapping[str, str]) -> BuildConfig:
    """Convert a stamp's options to a configuration.

    Args:
        options: The stamp's options; those of a payload are ignored.

    Returns:
        The configuration.

    Raises:
        UserError: The options are invalid: another version of gcpt wrote them.
    """
    return resolve({name: value for name, value in options.items() if name not in _FILE_OPTIONS})


def portable(config: BuildConfig) -> dict[str, str]:
    """List the options of a restorer that do not depend on its machine.

    Args:
        config: The restorer's configuration.

    Returns:
        Options by name, without platform and addresses of devices, payload and toolchain.
    """
    return {name: value for name, value in config.options.items() if name in _PORTABLE_OPTIONS}


def restorer_end(config: BuildConfig, size: int | None) -> int:
    """The first address after a restorer and its stacks.

    Args:
        config: The restorer's configuration.
        size: Bytes of its image; None for the budget.

    Returns:
        The physical address.
    """
    stacks = 0 if config.direct or config.ram is not None else config.harts << STACK_SHIFT
    return config.load_address + (budgets.budget(config) if size is None else size) + stacks


def _wanted(config: BuildConfig) -> Targets:
    """The places that a restorer of ``config`` searches."""
    fixed = {"auto": (DUAL_CORE, SINGLE_CORE), "dual_core": (DUAL_CORE,), "single_core": (SINGLE_CORE,)}
    at = -1 if config.header_addr is None else config.header_addr - config.platform.dram
    return Targets(config.protobuf, fixed.get(config.mode, ()), at)


def find(read: Reader, config: BuildConfig, size: int | None = None) -> Location | None:
    """Find the checkpoint that a restorer finds in an image.

    Args:
        read: Reader of the image.
        config: The restorer's configuration.
        size: Bytes of the embedded restorer; None if the image has none.

    Returns:
        The place, or None if the restorer finds no checkpoint.

    Raises:
        HeaderError: The restorer ends the run because of a header.
    """
    match = search.find(read, _wanted(config))
    if match is None or match.header is None:
        return match
    if fault := misplacement(match, config.platform, config.load_address, restorer_end(config, size)):
        raise HeaderError("header-value", match.place.header_at, fault)
    return match


@dataclass(frozen=True)
class Embedded:
    """The restorer at the start of an image.

    Attributes:
        size: Bytes, according to its size word.
        options: Options of its stamp; None without a stamp.
        whole: Its last 8 bytes are the completeness flag.
    """

    size: int
    options: dict[str, str] | None
    whole: bool


def embedded(head: bytes) -> Embedded | None:
    """Find the restorer at the start of an image.

    Args:
        head: The image's first MiB.

    Returns:
        The restorer; None if the image does not start with a jump and a size word.
    """
    size = stamp.size(head)
    if size is None:
        return None
    image_stamp = stamp.find(head)
    return Embedded(size, image_stamp.options if image_stamp else None, stamp.complete(head))
