"""A demo checkpoint: one hart of stock QEMU's virt machine in S mode that is printing a line.

``python -m gcpt.machines.demo FILE`` writes it as a sparse raw image of 128 MiB. The workload continues from its
registers alone: the position in its text, the addresses of the console and of the finisher.
"""

import struct
import sys
from pathlib import Path

from gcpt.checkpoint.layouts import PAYLOAD_OFFSET
from gcpt.checkpoint.places import SINGLE_CORE
from gcpt.checkpoint.state import HartState, block_size, write_hart
from gcpt.isa import mstatus
from gcpt.restorer import platforms

IMAGE_SIZE = 128 << 20
TEXT = b"This was printed before the checkpoint was taken ... and here it goes on, with every register in its place.\n"

#: Print the text at a0 on the 16550 at a1, then store a3 to the finisher at a2.
CODE = (
    0x00054283,  # 1: lbu  t0, (a0)
    0x00028863,  #    beqz t0, 2f
    0x00558023,  #    sb   t0, (a1)
    0x00150513,  #    addi a0, a0, 1
    0xFF1FF06F,  #    j    1b
    0x00D62023,  # 2: sw   a3, (a2)
    0x0000006F,  #    j    .
)


def image() -> dict[int, bytes]:
    """Return the pieces of the image by their offset in bytes."""
    machine = platforms.BY_NAME["qemu-virt"]
    text = PAYLOAD_OFFSET + 4 * len(CODE)
    state = HartState(pc=machine.dram + PAYLOAD_OFFSET, mode=mstatus.SUPERVISOR)
    state.x[10] = machine.dram + text + TEXT.index(b"...")
    state.x[11], state.x[12], state.x[13] = machine.uart.address, machine.finisher, 0x5555
    state.mtimecmp = (1 << 64) - 1
    state.set("mepc", state.pc)
    state.set("mstatus", mstatus.SUPERVISOR << 11)
    state.set("pmpcfg0", 0x1F)
    state.set("pmpaddr0", (1 << 54) - 1)
    block = bytearray(block_size(SINGLE_CORE.layout))
    write_hart(block, SINGLE_CORE.layout, 0, state, 1)
    return {0: bytes(block), PAYLOAD_OFFSET: struct.pack(f"<{len(CODE)}I", *CODE) + TEXT + b"\0"}


def main(argv: list[str] | None = None) -> int:
    """Write the demo checkpoint to a file.

    Args:
        argv: The command-line arguments, by default those of the process.

    Returns:
        The exit status.
    """
    arguments = sys.argv[1:] if argv is None else argv
    if len(arguments) != 1:
        print("usage: python -m gcpt.machines.demo FILE", file=sys.stderr)
        return 2
    with Path(arguments[0]).open("wb") as file:
        file.truncate(IMAGE_SIZE)
        for offset, data in image().items():
            file.seek(offset)
            file.write(data)
    return 0


if __name__ == "__main__":
    sys.exit(main())
