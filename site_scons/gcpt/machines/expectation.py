"""What a hart's CSRs read as at its first restored instruction, computed from its checkpoint."""

from collections.abc import Iterator

from gcpt.checkpoint.generators import leaves_by_mret
from gcpt.checkpoint.state import HartState
from gcpt.isa import mstatus
from gcpt.isa.csrs import BY_NAME, INVENTORY, Csr, When

#: Views of CSRs that a hart may lack although it has what they show.
OPTIONAL_VIEWS = ("scountinhibit",)
_COMPARED = (When.EARLY, When.TIMER, When.LOCK, When.LAST, When.ALIAS, When.VECTOR)
#: Bits of mip, mie, mideleg and hideleg: interrupts of S mode, of VS mode, of VS and HS mode, and VSSIP.
S_INTERRUPTS, VS_INTERRUPTS, HS_INTERRUPTS, VSSIP = 0x222, 0x444, 0x1444, 0x4
_SSIP, STIP, VSTIP, SEIP, _STCE = 1 << 1, 1 << 5, 1 << 6, 1 << 9, 1 << 63
#: A compare value that no time reaches.
_NEVER = (1 << 64) - 1
#: Bits of mip that a restorer can write: SSIP, STIP, SEIP, and MSIP through the CLINT; the VS bits are in hvip. MTIP,
#: MEIP and SGEIP follow external signals.
MIP_RESTORED = 0x22A


def compared_csrs() -> Iterator[Csr]:
    """List the CSRs that have a value to compare: those that a restorer writes, and their views."""
    return (csr for csr in INVENTORY if csr.when in _COMPARED)


def expected_csrs(state: HartState, groups: tuple[str, ...]) -> dict[str, int]:
    """Compute what a hart's CSRs read as at its first restored instruction.

    Args:
        state: The hart's state in the checkpoint.
        groups: The CSR groups that the restorer writes.

    Returns:
        The value of each CSR of ``groups`` by name, including views of other CSRs (sstatus, sie, fcsr, ...).
    """
    csr = state.get
    value = csr("mstatus")
    if leaves_by_mret(state):
        value = mstatus.after_mret(mstatus.with_sie(value) if state.count == 0 else value)
    value = mstatus.with_sd(value)
    frm, fflags = csr("frm") | csr("fcsr") >> 5, csr("fflags") | csr("fcsr") & 0x1F
    vxrm, vxsat = csr("vxrm") | csr("vcsr") >> 1, csr("vxsat") | csr("vcsr") & 1
    mie, delegated, guest = csr("mie"), csr("mideleg"), csr("hideleg")
    mip = csr("mip") & MIP_RESTORED | csr("hvip") & VS_INTERRUPTS
    if csr("menvcfg") & _STCE:
        mip = mip & ~STIP | (STIP if csr("stimecmp") <= state.mtime else 0)
    if csr("menvcfg") & csr("henvcfg") & _STCE:
        due = csr("vstimecmp") <= (state.mtime + csr("htimedelta")) % (1 << 64)
        mip = mip & ~VSTIP | (VSTIP if due else 0)
    computed = {
        "mstatus": value,
        "sstatus": value & (mstatus.SSTATUS | mstatus.SD),
        "vsstatus": mstatus.with_sd(csr("vsstatus")),
        "fcsr": frm << 5 | fflags,
        "frm": frm,
        "fflags": fflags,
        "vcsr": vxrm << 1 | vxsat,
        "vxrm": vxrm,
        "vxsat": vxsat,
        "scountinhibit": csr("mcountinhibit") & csr("mcounteren"),  # Smcdeleg
        "mip": mip,
        "sie": mie & delegated & S_INTERRUPTS,
        "sip": mip & delegated & S_INTERRUPTS,
        "hie": mie & HS_INTERRUPTS,
        "hvip": mip & VS_INTERRUPTS,
        "hip": mip & HS_INTERRUPTS,
        "vsie": (mie & guest & VS_INTERRUPTS) >> 1,
        "vsip": (mip & guest & VSSIP) >> 1,  # QEMU 7.2 shows only this bit
    }
    names = (entry.name for entry in compared_csrs() if entry.group in groups)
    return {name: computed.get(name, csr(name)) for name in names}


def explanation(state: HartState, name: str, bits: int, qemu: bool = True) -> str:
    """Explain why the hart cannot hold some bits of a CSR as the checkpoint has them.

    Args:
        state: The hart's state in the checkpoint.
        name: The CSR.
        bits: The bits that differ.
        qemu: Whether QEMU ran it, with QEMU's own deviations.

    Returns:
        The reason; "" if none is known.
    """
    if name == "mvip" and not bits & ~(state.get("mip") & _SSIP & ~state.get("mvien")):
        return "mvip.SSIP is an alias of mip.SSIP where mvien.SSIP is clear"
    if name == "mideleg" and not bits & ~HS_INTERRUPTS:
        return "a hart with H always delegates VS interrupts"
    if name in ("mnepc", "mnstatus") and not leaves_by_mret(state):
        return "an mnret resumes the hart where no jump reaches"
    csr = BY_NAME.get(name)
    if csr and csr.group == "counters" and not state.get("mcountinhibit") >> (csr.number & 0x1F) & 1:
        return "the counter goes on while the restorer runs"
    if not qemu:
        return ""
    enabled = (state.get("menvcfg") & _STCE, state.get("menvcfg") & state.get("henvcfg") & _STCE)
    disabled = sum(bit for bit, stce in zip((STIP, VSTIP), enabled, strict=True) if not stce)
    if name in ("mip", "sip", "hip", "hvip") and not bits & ~disabled:
        return "QEMU lets a compare value that is not enabled raise its interrupt"
    if name == "vstimecmp" and not enabled[1] and not state.get(name) and bits == _NEVER:
        return "a vstimecmp of 0 that is not enabled raises VSTIP in QEMU 10: the restorer writes the last time"
    read_in_m = state.mode == mstatus.MACHINE or state.get("mstatus") & mstatus.MPV
    if name == "sip" and bits == STIP and enabled[0] and state.get("stimecmp") <= state.mtime and read_in_m:
        return "QEMU 10 reads sip.STIP as 0 in M mode while menvcfg.STCE is set; mip, which is compared, has the bit"
    return ""
