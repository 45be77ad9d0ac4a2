"""Checks of a payload, its position and its device tree."""

from pathlib import Path

from gcpt.checkpoint.layouts import BLOCK_SIZE, MULTI_CORE_OFFSET, PAYLOAD_OFFSET, RESERVED_SIZE
from gcpt.errors import UserError
from gcpt.restorer import software
from gcpt.restorer.config import BuildConfig

#: Largest device tree in bytes: it shares the first MiB with the restorer and, in some modes, the checkpoint's state.
LARGEST_DTB = 0x8_0000
#: Largest gcpt.bin in bytes; zeros fill it from the restorer to the payload.
LARGEST_IMAGE = 1 << 32
#: Bytes that a restorer reads of a payload outside its image.
_FIRST_WORD = 4


def check(config: BuildConfig) -> None:
    """Check a configuration's payload, its position and its device tree.

    Args:
        config: The configuration.

    Raises:
        UserError: The payload is something else, such as an ELF file, overlaps the restorer, its memory or the
            checkpoint's state, leaves memory, or makes the image too large; or the device tree has no payload, or is
            something else.
    """
    if config.payload:
        software.check(config.payload, f"gcpt_payload={config.payload}")
    position = config.payload_position
    if position is not None:
        _check_position(config, position)
    if config.dtb:
        if position is None:
            raise UserError(
                f"gcpt_dtb={config.dtb}: there is no payload: set gcpt_payload=FILE or gcpt_payload_position= as well, "
                "or remove gcpt_dtb="
            )
        _check_dtb(config.dtb)


def _check_position(config: BuildConfig, position: int) -> None:
    """Raise UserError unless a payload of the image, or the first word of another one, fits at an address."""
    platform = config.platform
    if config.payload:
        end = position + config.payload.stat().st_size
        where = f"gcpt_payload={config.payload}: {position:#x} to {end:#x}"
    else:
        end = position + _FIRST_WORD
        where = f"gcpt_payload_position={position:#x}"
    memory_end = platform.dram + platform.dram_size
    lowest = platform.dram + (0 if config.flash else PAYLOAD_OFFSET)
    if position < platform.dram or end > memory_end:
        raise UserError(
            f"{where} is outside memory, which is {platform.dram:#x} to {memory_end:#x} on {platform.name}: "
            f"choose another gcpt_payload_position=, such as {lowest:#x}"
        )
    if position < lowest:
        raise UserError(
            f"{where} overlaps the restorer's first MiB: choose a gcpt_payload_position= of {lowest:#x} or more"
        )
    if config.payload and end - platform.dram > LARGEST_IMAGE:
        raise UserError(
            f"{where} makes gcpt.bin, which starts at {platform.dram:#x}, larger than {LARGEST_IMAGE >> 30} GiB: "
            "choose a lower gcpt_payload_position="
        )
    if config.ram is not None and config.ram <= position < config.ram + RESERVED_SIZE:
        raise UserError(
            f"{where} is in the MiB at ram={config.ram:#x}, which the restorer overwrites: choose another ram="
        )
    state = platform.dram + MULTI_CORE_OFFSET
    state_end = state + config.harts * BLOCK_SIZE
    if config.mode == "dual_core" and position < state_end and end > state:
        raise UserError(
            f"{where} overlaps the state of {config.harts} harts at {state:#x} to {state_end:#x}: "
            f"choose gcpt_payload_position={state_end:#x} or more, or a lower harts="
        )


def _check_dtb(path: Path) -> None:
    """Raise UserError unless a file is one complete device tree blob of an acceptable size."""
    software.check_device_tree(path, f"gcpt_dtb={path}")
    if path.stat().st_size > LARGEST_DTB:
        raise UserError(
            f"gcpt_dtb={path}: larger than {LARGEST_DTB:#x} bytes, so it does not fit into the restorer's MiB: "
            "dtc -I dtb -O dtb removes the padding that QEMU's dumpdtb adds"
        )
