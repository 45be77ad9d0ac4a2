"""Checks of a hart's registers: CSRs that the restorer does not write, vector registers, due timers."""

from collections.abc import Iterator

from gcpt.checkpoint.layouts import CSR_COUNT
from gcpt.checkpoint.state import HartState
from gcpt.isa import mstatus
from gcpt.isa.csrs import BY_NUMBER, INVENTORY, When
from gcpt.validate.subject import Finding, Subject, finding

#: Groups that count, tune or debug: software computes the same results without them.
_MINOR_GROUPS = {"hpm3", "hpm", "counters", "smcntrpmf", "smctr", "sdtrig", "smrnmi", "xscustom"}
#: Bits 11:10 of a CSR's number if it is read-only (privileged specification, CSR address mapping).
_READ_ONLY = 3
_STCE, _STIE = 1 << 63, 1 << 5
#: A compare value that is never due.
_NEVER = (1 << 64) - 1
#: The most register names in one line.
_MAX_NAMES = 6


def check_csrs(subject: Subject, hart: int, state: HartState) -> Iterator[Finding]:
    """Report CSRs that are not zero and that the restorer does not write."""
    groups, unwritten = subject.config.csr_groups, (When.ALIAS, When.NEVER)
    left_out = [
        csr for csr in INVENTORY if csr.group not in groups and csr.when not in unwritten and state.get(csr.name)
    ]
    for code, minor in (("csrs-left-out", False), ("csrs-left-out-minor", True)):
        csrs = [csr for csr in left_out if (csr.group in _MINOR_GROUPS) == minor]
        if csrs:
            option = ",".join(f"+{group}" for group in dict.fromkeys(csr.group for csr in csrs))
            yield finding(code, f"{_listed([csr.name for csr in csrs])}: csrs={option}", hart)
    unknown = [n for n in range(CSR_COUNT) if state.csr[n] and n not in BY_NUMBER and n >> 10 != _READ_ONLY]
    if unknown:
        yield finding("csrs-unknown", _listed(list(map(hex, unknown))), hart)


def _listed(names: list[str]) -> str:
    more = f" and {len(names) - _MAX_NAMES} more" if len(names) > _MAX_NAMES else ""
    return ", ".join(names[:_MAX_NAMES]) + more


def check_vectors(subject: Subject, hart: int, state: HartState) -> Iterator[Finding]:
    """Report vector state of which only v0 to v3 were saved."""
    dirty = state.get("mstatus") & mstatus.VS == mstatus.VS
    if dirty and any(map(any, state.v[:4])) and not any(map(any, state.v[4:])):
        yield finding("vectors-4-only", "mstatus.VS is Dirty", hart)


def check_timers(subject: Subject, hart: int, state: HartState) -> Iterator[Finding]:
    """Report compare values that are already due, and an armed stimecmp whose interrupt is disabled."""
    csr = state.get
    if state.mtimecmp <= state.mtime:
        yield finding("mtimecmp-due", f"mtimecmp is {state.mtimecmp:#x}, mtime {state.mtime:#x}", hart)
    if not csr("menvcfg") & _STCE:
        return
    if csr("stimecmp") <= state.mtime:
        yield finding("stimecmp-due", f"stimecmp is {csr('stimecmp'):#x}, mtime {state.mtime:#x}", hart)
    if csr("stimecmp") not in (0, _NEVER) and not csr("mie") & _STIE:
        yield finding("stie-clear", f"stimecmp is {csr('stimecmp'):#x}, mie {csr('mie'):#x}", hart)
    guest_time = (state.mtime + csr("htimedelta")) % (1 << 64)
    if csr("henvcfg") & _STCE and csr("vstimecmp") <= guest_time:
        yield finding("vstimecmp-due", f"vstimecmp is {csr('vstimecmp'):#x}, the guest's time {guest_time:#x}", hart)
