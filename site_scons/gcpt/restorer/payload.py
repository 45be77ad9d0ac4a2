"""Whether a payload and its device tree can lie where they are asked to."""

from pathlib import Path

from gcpt.checkpoint.layouts import BLOCK_SIZE, MULTI_CORE_OFFSET, PAYLOAD_OFFSET, RESERVED_SIZE
from gcpt.errors import UserError
from gcpt.restorer.platforms import Platform

#: The first bytes of a device tree blob (devicetree specification 0.4, 5.2).
DTB_MAGIC = b"\xd0\x0d\xfe\xed"
#: Bytes of a device tree: it shares the first MiB with the restorer and, in some modes, the checkpoint's state.
LARGEST_DTB = 0x8_0000
#: Bytes of gcpt.bin, which holds zeros from the restorer to the payload.
LARGEST_IMAGE = 1 << 32


def check(path: Path, position: int, mode: str, platform: Platform, harts: int) -> None:
    """UserError unless the file at ``position`` leaves alone what lies in memory before it runs."""
    end = position + path.stat().st_size
    where = f"gcpt_payload={path}: {position:#x} to {end:#x}"
    memory_end = platform.dram + platform.dram_size
    default = platform.dram + PAYLOAD_OFFSET
    if position < platform.dram or end > memory_end:
        raise UserError(
            f"{where} lies outside memory, {platform.dram:#x} to {memory_end:#x} on {platform.name}: "
            f"choose another gcpt_payload_position=, such as {default:#x}"
        )
    if position < platform.dram + RESERVED_SIZE:
        raise UserError(
            f"{where} overlaps the restorer's first MiB: choose a gcpt_payload_position= of {default:#x} or more"
        )
    if end - platform.dram > LARGEST_IMAGE:
        raise UserError(
            f"{where} would make gcpt.bin larger than {LARGEST_IMAGE >> 30} GiB, which starts at {platform.dram:#x}: "
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
    """UserError unless the file looks like a device tree blob that fits."""
    with path.open("rb") as file:
        magic = file.read(len(DTB_MAGIC))
    if magic != DTB_MAGIC:
        raise UserError(f"gcpt_dtb={path}: not a device tree blob: make one with dtc -O dtb")
    if path.stat().st_size > LARGEST_DTB:
        raise UserError(
            f"gcpt_dtb={path}: larger than {LARGEST_DTB:#x} bytes, which the restorer's first MiB has no room for: "
            "dtc -I dtb -O dtb leaves out the free space that QEMU's dumpdtb adds"
        )
