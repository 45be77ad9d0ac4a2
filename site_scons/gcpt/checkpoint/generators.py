"""The generator of a checkpoint, and what NEMU does to mstatus.

In every mode, NEMU sets MPIE = MIE, MIE = 0, SPIE = SIE, SIE = 0, MPP and MPV to the mode and mepc to the pc, and it
clears mip.MTIP. vsstatus stays as it was. An mret restores MIE; the restorer restores SIE from SPIE. The old SPIE is
lost, and in M mode the old MPIE, MPP and mepc. QEMU leaves SIE and SPIE alone, and writes the number of harts into
csr_reserve.
"""

from collections.abc import Iterable, Sequence

from gcpt.checkpoint.state import HartState
from gcpt.isa import mstatus

NEMU, QEMU, UNKNOWN = "NEMU", "QEMU", "unknown"


def identify(harts: Sequence[HartState]) -> tuple[str, str]:
    """Identify the generator of a checkpoint by the number of harts that it wrote, or did not write.

    Args:
        harts: The harts' states, from hart 0.

    Returns:
        NEMU, QEMU or UNKNOWN, and the reason.
    """
    if len(harts) > 1:
        return QEMU, f"{len(harts)} harts: NEMU has one"
    count = harts[0].count
    if count is None:
        return UNKNOWN, "the layout has no csr_reserve"
    if count:
        return QEMU, f"csr_reserve is {count}: NEMU leaves it 0"
    return NEMU, "csr_reserve is 0: QEMU writes the number of harts"


def assume(harts: Iterable[HartState], generator: str) -> None:
    """Set the count of harts as if a generator had written it, as a restorer of this ``generator=`` assumes.

    Args:
        harts: The harts' states, which change.
        generator: "nemu", "qemu", or "auto" for no change.
    """
    if generator != "auto":
        for state in harts:
            state.count = 0 if generator == "nemu" else 1


def leaves_by_mret(state: HartState) -> bool:
    """Return whether an mret resumes the hart.

    Below M mode it always does; in M mode if the generator prepared for it, as NEMU does (mepc is the pc).

    Args:
        state: The hart's state in the checkpoint.

    Returns:
        Whether it is an mret, not a jump.
    """
    return state.mode != mstatus.MACHINE or (
        state.get("mepc") == state.pc and mstatus.mpp(state.get("mstatus")) == mstatus.MACHINE
    )
