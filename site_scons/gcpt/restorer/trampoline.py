"""Where the trampolines lie from which M-mode harts leave by a jump, and how far that goes (docs/restore-path.md)."""

from gcpt.checkpoint.layouts import RESERVED_SIZE

#: Bytes of one hart's trampoline, as a power of two; see firmware/restore.S.
SHIFT = 4
#: Bytes at the end of the reserved MiB that hold the trampolines.
REGION = 1 << 12
#: Where in it the jal is, and how far a jal reaches (unprivileged specification 2.5).
_JAL, _REACH = 8, 1 << 20


def address(base: int, hart: int) -> int:
    """The trampoline of ``hart``, in the reserved MiB at ``base``: hart 0's is the last."""
    return base + RESERVED_SIZE - (hart + 1 << SHIFT)


def reaches(base: int, hart: int, pc: int) -> bool:
    """Whether the jump gets to ``pc``; below the reserved MiB it does not look."""
    return 0 <= pc - (address(base, hart) + _JAL) < _REACH
