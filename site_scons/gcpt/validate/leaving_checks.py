"""Checks of a hart's way from the restorer to the workload: VLEN, privilege, jump or mret, the last CSR writes."""

from collections.abc import Iterator

from gcpt.checkpoint.layouts import DEFAULT_VLEN, MAX_VLEN, RESERVED_SIZE
from gcpt.checkpoint.state import HartState
from gcpt.isa import mstatus, pmp
from gcpt.isa.fields import decode
from gcpt.isa.guests import shows_guest
from gcpt.restorer import trampoline
from gcpt.validate.subject import Finding, Subject, finding

#: The bits of mseccfg that restrict M mode (Smepmp): they bind the restorer too.
_MML_MMWP = 3


def is_possible_vlenb(vlenb: int) -> bool:
    """Return whether ``vlenb`` is a vector register length in bytes that a hart can have.

    Args:
        vlenb: Length in bytes.

    Returns:
        Whether it is a power of two in range.
    """
    return DEFAULT_VLEN // 8 <= vlenb <= MAX_VLEN // 8 and not vlenb & vlenb - 1


def check_vlen(subject: Subject, hart: int, state: HartState) -> Iterator[Finding]:
    """Report a VLEN that no hart, or no hart of the platform, has.

    Args:
        subject: The checkpoint, its restorer and its machine.
        hart: The hart.
        state: Its state.

    Yields:
        The findings.
    """
    vlenb, used = state.get("vlenb"), state.get("mstatus") & mstatus.VS
    if "v" not in subject.config.csr_groups or not used:
        return
    if vlenb and not is_possible_vlenb(vlenb):
        yield finding("vlenb", f"vlenb is {vlenb:#x}", hart)
        return
    vlen, (least, most) = 8 * vlenb or DEFAULT_VLEN, subject.config.platform.vlen
    if not least <= vlen <= most:
        supported = f"{least}" if least == most else f"{least} to {most}"
        yield finding("vlen-platform", f"VLEN is {vlen} bits; {subject.config.platform.name} has {supported}", hart)


def check_leaving(subject: Subject, hart: int, state: HartState) -> Iterator[Finding]:
    """Check what the end of firmware/restore.S checks, in its order: the restorer reports the first finding.

    Args:
        subject: The checkpoint, its restorer and its machine.
        hart: The hart.
        state: Its state.

    Yields:
        The findings.
    """
    value, mtvec = state.get("mstatus"), state.get("mtvec")
    if mtvec in subject.reserved:
        yield finding("mtvec-in-restorer", f"mtvec is {mtvec:#x}", hart)
    if state.mode not in (mstatus.USER, mstatus.SUPERVISOR, mstatus.MACHINE):
        yield finding("mode", f"mode is {state.mode:#x}", hart)
        return
    if state.mode == mstatus.MACHINE:
        yield from _check_leaving_to_m(subject, hart, state)
        return
    if mstatus.mpp(value) != state.mode:
        yield finding("mpp", f"the mode is {state.mode}, mstatus.MPP is {mstatus.mpp(value)}", hart)
    if value & mstatus.MPRV:
        yield finding("mprv", f"the mode is {state.mode}, mstatus is {value:#x}", hart)
    lost = value & (mstatus.SIE | mstatus.SPIE) == mstatus.SPIE
    if lost and state.count is None and subject.location.harts == 1 and subject.config.generator == "auto":
        yield finding("generator-unknown", f"mstatus is {value:#x}, and the layout has no csr_reserve", hart)
    if state.get("mepc") != state.pc:
        yield finding("mepc", f"mepc is {state.get('mepc'):#x}, the pc {state.pc:#x}", hart)


def _check_leaving_to_m(subject: Subject, hart: int, state: HartState) -> Iterator[Finding]:
    value = state.get("mstatus")
    if state.pc in subject.reserved:
        yield finding("pc-in-restorer", f"the pc is {state.pc:#x}", hart)
    if value & mstatus.MPRV:
        yield finding("m-mode-mprv", f"mstatus is {value:#x}", hart)
    by_mret = state.get("mepc") == state.pc and mstatus.mpp(value) == mstatus.MACHINE
    if by_mret or value & mstatus.MPRV or state.pc in subject.reserved or _jump_reaches(subject, hart, state.pc):
        return
    code = "m-mode-far-exact" if subject.config.exact else "m-mode-far"
    yield finding(code, f"the pc is {state.pc:#x}, mepc {state.get('mepc'):#x}", hart)


def _jump_reaches(subject: Subject, hart: int, pc: int) -> bool:
    """Return whether the jal at the end of the hart's trampoline reaches ``pc``."""
    if subject.config.flash:
        return False  # the trampolines are at ram=, whose distance is not known before the build
    return trampoline.reaches(subject.dram, hart, pc)


def check_last_writes(subject: Subject, hart: int, state: HartState) -> Iterator[Finding]:
    """Report CSRs whose restored value would stop the restorer before it leaves.

    Args:
        subject: The checkpoint, its restorer and its machine.
        hart: The hart.
        state: Its state.

    Yields:
        The findings.
    """
    groups = subject.config.csr_groups
    if "h" not in groups and shows_guest(state):
        yield finding(
            "no-hypervisor", f"mstatus is {state.get('mstatus'):#x}, hgatp {state.get('hgatp'):#x}: csrs=+h", hart
        )
    if state.get("mseccfg") & _MML_MMWP:
        code = "mseccfg" if "smepmp" in groups else "mseccfg-left-out"
        yield finding(code, f"mseccfg is {state.get('mseccfg'):#x}", hart)
    trigger = {bits.name for bits in decode("tdata1", state.get("tdata1")) if bits.value}
    if "sdtrig" in groups and "m" in trigger:
        yield finding("trigger", f"tdata1 is {state.get('tdata1'):#x}", hart)
    if not subject.pmp_entries:
        return
    starts = [subject.reserved.start]
    if not subject.config.direct:
        block = subject.block(hart)
        starts += [block, block + subject.location.place.layout.int_reg]
    areas = (range(start, start + RESERVED_SIZE) for start in starts)
    if entry := pmp.locking_out(state, areas, subject.pmp_entries):
        yield finding("pmp-locked", f"entry {entry.number}, {entry.start:#x} to {entry.end:#x}", hart)
