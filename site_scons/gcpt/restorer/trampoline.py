"""The addresses of the trampolines, from which M-mode harts jump to their pc (docs/restore-path.md)."""

from gcpt.checkpoint.layouts import RESERVED_SIZE

#: log2 of the size in bytes of one hart's trampoline; see firmware/restore.S.
SHIFT = 4
#: Bytes at the end of the reserved MiB that hold the trampolines.
REGION = 1 << 12
#: Offset of the jal in a trampoline, and its reach, both in bytes (unprivileged specification 2.5). With without_c=1,
#: the offset is 12: 4 bytes more are in reach than this says.
_JAL, _REACH = 8, 1 << 20


def address(base: int, hart: int) -> int:
    """The address of a trampoline; hart 0's trampoline is the last.

    Args:
        base: Physical address of the reserved MiB.
        hart: The hart's number.

    Returns:
        The physical address.
    """
    return base + RESERVED_SIZE - (hart + 1 << SHIFT)


def reaches(base: int, hart: int, pc: int) -> bool:
    """Whether a trampoline's jump reaches a pc; a pc below the trampoline counts as out of reach.

    Args:
        base: Physical address of the reserved MiB.
        hart: The hart's number.
        pc: The target's physical address.

    Returns:
        True if the jump reaches it.
    """
    return 0 <= pc - (address(base, hart) + _JAL) < _REACH
