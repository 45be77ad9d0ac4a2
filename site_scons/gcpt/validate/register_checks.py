"""Checks of a hart's registers: CSRs that the restorer does not write, vector registers, due timers."""

from collections.abc import Iterator
from dataclasses import replace

from gcpt.checkpoint.layouts import CSR_COUNT
from gcpt.checkpoint.state import HartState
from gcpt.isa import mstatus
from gcpt.isa.csrs import BY_NUMBER, GROUPS, INVENTORY, Csr, Loss, When
from gcpt.validate.leaving_checks import check_last_writes
from gcpt.validate.subject import Finding, Subject, finding

#: Bits 11:10 of a CSR's number if it is read-only (privileged specification, CSR address mapping).
_READ_ONLY = 3
_STCE, _STIE = 1 << 63, 1 << 5
_NMIE = 1 << 3
#: A compare value that is never due.
_NEVER = (1 << 64) - 1
#: The most register names in one line.
_MAX_NAMES = 6


def check_csrs(subject: Subject, hart: int, state: HartState) -> Iterator[Finding]:
    """Report CSRs that are not zero and that the restorer does not write.

    Args:
        subject: The checkpoint, its restorer and its machine.
        hart: The hart.
        state: Its state.

    Yields:
        The findings.
    """
    left_out = list(_left_out(subject, state))
    refusals = {group: _refusal(subject, hart, state, group) for group in dict.fromkeys(csr.group for csr in left_out)}
    for loss in Loss:
        code = "csrs-left-out-minor" if loss is Loss.COUNTS else "csrs-left-out"
        csrs = [csr for csr in left_out if GROUPS[csr.group].loss is loss]
        if writable := [csr for csr in csrs if not refusals[csr.group]]:
            yield finding(code, f"{_listed(writable)}: {_option(writable)}; without it, {loss.value}", hart)
        # The finding mseccfg-left-out reports mseccfg.
        if refused := [csr for csr in csrs if refusals[csr.group] and csr.name != "mseccfg"]:
            codes = ", ".join(str(signal) for signal in dict.fromkeys(refusals[csr.group] for csr in refused))
            what = f"{_listed(refused)}: no restorer can write them: {_option(refused)} ends with code {codes}"
            yield finding(code, f"{what}; without them, {loss.value}", hart)
    unknown = [n for n in range(CSR_COUNT) if state.csr[n] and n not in BY_NUMBER and n >> 10 != _READ_ONLY]
    if unknown:
        yield finding("csrs-unknown", _joined(list(map(hex, unknown))), hart)


def _left_out(subject: Subject, state: HartState) -> Iterator[Csr]:
    """List the CSRs that are state, are not zero, and are not written."""
    for csr in INVENTORY:
        if csr.group in subject.config.csr_groups or csr.when in (When.ALIAS, When.NEVER):
            continue
        value = state.get(csr.name)
        if csr.name == "mnstatus":
            value &= ~_NMIE  # which every restorer sets when it starts
        if value:
            yield csr


def _refusal(subject: Subject, hart: int, state: HartState, group: str) -> int:
    """Return the code with which a restorer that wrote ``group`` too would refuse the checkpoint; 0 if none."""
    config = replace(subject.config, csrs=",".join((*subject.config.csr_groups, group)))
    present = set(check_last_writes(subject, hart, state))
    added = set(check_last_writes(replace(subject, config=config), hart, state)) - present
    return max((finding.signal for finding in added), default=0)


def _option(csrs: list[Csr]) -> str:
    return "csrs=" + ",".join(f"+{group}" for group in dict.fromkeys(csr.group for csr in csrs))


def _listed(csrs: list[Csr]) -> str:
    return _joined([csr.name for csr in csrs])


def _joined(names: list[str]) -> str:
    more = f" and {len(names) - _MAX_NAMES} more" if len(names) > _MAX_NAMES else ""
    return ", ".join(names[:_MAX_NAMES]) + more


def check_vectors(subject: Subject, hart: int, state: HartState) -> Iterator[Finding]:
    """Report vector state of which only v0 to v3 were saved.

    Args:
        subject: The checkpoint, its restorer and its machine.
        hart: The hart.
        state: Its state.

    Yields:
        The findings.
    """
    dirty = state.get("mstatus") & mstatus.VS == mstatus.VS
    if dirty and any(map(any, state.v[:4])) and not any(map(any, state.v[4:])):
        yield finding("vectors-4-only", "mstatus.VS is Dirty", hart)


def check_timers(subject: Subject, hart: int, state: HartState) -> Iterator[Finding]:
    """Report compare values that are already due, and an armed stimecmp whose interrupt is disabled.

    Args:
        subject: The checkpoint, its restorer and its machine.
        hart: The hart.
        state: Its state.

    Yields:
        The findings.
    """
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
