"""Whether a hart's state needs the hypervisor extension (privileged specification 18)."""

from gcpt.isa import mstatus
from gcpt.isa.pmp import Registers


def shows_guest(state: Registers) -> bool:
    """Return whether a hart runs a guest, handles a trap of one, or has one's memory set up.

    A hart or a restorer without H would continue it without its translation; firmware/restore.S makes the same check.

    Args:
        state: The hart's CSRs.

    Returns:
        Whether mstatus.MPV is set or hgatp is not 0.
    """
    return bool(state.get("mstatus") & mstatus.MPV or state.get("hgatp"))
