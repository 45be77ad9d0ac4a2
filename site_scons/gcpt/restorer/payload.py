"""Checks of a payload, its position and its device tree."""

from pathlib import Path

from gcpt.checkpoint.layouts import BLOCK_SIZE, MULTI_CORE_OFFSET, PAYLOAD_OFFSET, RESERVED_SIZE
from gcpt.errors import UserError
from gcpt.restorer import software
from gcpt.restorer.platforms import Platform

#: Largest device tree in bytes: it shares the first MiB with the restorer and, in some modes, the checkpoint's state.
LARGEST_DTB = 0x8_0000
#: Largest gcpt.bin in bytes; zeros fill it from the restorer to the payload.
LARGEST_IMAGE = 1 << 32


def check(path: Path, position: int, mode: str, platform: Platform, harts: int) -> None:
    """Check that a payload is code, and overlaps neither the restorer nor the checkpoint's state.

    Args:
        path: The payload.
        position: The payload's physical address in bytes.
        mode: The restorer's mode.
        platform: The machine.
        harts: The number of harts.

    Raises:
        UserError: The payload is something else, such as an ELF file, overlaps them, leaves memory, or makes the image
            too large.
    """
    software.check(path, f"gcpt_payload={path}")
    end = position + path.stat().st_size
    where = f"gcpt_payload={path}: {position:#x} to {end:#x}"
    memory_end = platform.dram + platform.dram_size
    default = platform.dram + PAYLOAD_OFFSET
    if position < platform.dram or end > memory_end:
        raise UserError(
            f"{where} is outside memory, which is {platform.dram:#x} to {memory_end:#x} on {platform.name}: "
            f"choose another gcpt_payload_position=, such as {default:#x}"
        )
    if position < platform.dram + RESERVED_SIZE:
        raise UserError(
            f"{where} overlaps the restorer's first MiB: choose a gcpt_payload_position= of {default:#x} or more"
        )
    if end - platform.dram > LARGEST_IMAGE:
        raise UserError(
            f"{where} makes gcpt.bin, which starts at {platform.dram:#x}, larger than {LARGEST_IMAGE >> 30} GiB: "
            "choose a lower gcpt_payload_position="
        )
    state = platform.dram + MULTI_CORE_OFFSET
    state_end = state + harts * BLOCK_SIZE
    if mode == "dual_core" and position < state_end and end > state:
        raise UserError(
            f"{where} overlaps the state of {harts} harts at {state:#x} to {state_end:#x}: "
            f"choose gcpt_payload_position={state_end:#x} or more, or a lower harts="
        )


def check_dtb(path: Path) -> None:
    """Check that a file is one complete device tree blob of an acceptable size.

    Args:
        path: The file.

    Raises:
        UserError: The file is no device tree blob, is truncated, has data after the tree, or is too large.
    """
    software.check_device_tree(path, f"gcpt_dtb={path}")
    if path.stat().st_size > LARGEST_DTB:
        raise UserError(
            f"gcpt_dtb={path}: larger than {LARGEST_DTB:#x} bytes, so it does not fit into the restorer's MiB: "
            "dtc -I dtb -O dtb removes the padding that QEMU's dumpdtb adds"
        )
