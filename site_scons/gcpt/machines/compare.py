"""Is a restored machine in the state of its checkpoint? Read through gdb at each hart's first instruction."""

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace

from gcpt.checkpoint.layouts import RESERVED_SIZE
from gcpt.checkpoint.state import HartState
from gcpt.isa import mstatus
from gcpt.isa.csrs import BY_NAME, INVENTORY, When
from gcpt.machines.gdb import Gdb, GdbError, GdbTimeoutError
from gcpt.machines.qemu import Qemu
from gcpt.restorer import trampoline
from gcpt.restorer.platforms import CLINT_MTIME, CLINT_MTIMECMP

#: Ticks of mtime in a second on QEMU's virt and spike machines.
TIMEBASE = 10_000_000

_COMPARED = (When.EARLY, When.TIMER, When.LOCK, When.LAST, When.ALIAS, When.VECTOR)
#: What a trap into M mode changes, and what is written to bring that trap about.
TRAP = ("mstatus", "mepc", "mcause", "mtval", "mtval2", "mtinst", "medeleg", "mip")
ECALL = bytes.fromhex("73000000")
_S_INTERRUPTS, _VS_INTERRUPTS, _HS_INTERRUPTS, _VSSIP = 0x222, 0x444, 0x1444, 0x4
_STIP, _VSTIP, _STCE = 1 << 5, 1 << 6, 1 << 63
_PMP_LOCKS = 0x8080_8080_8080_8080
#: How many of the harts that did not arrive a message names.
_SHOWN = 4
#: Bits of mip that can be put back: SSIP, STIP, SEIP, and MSIP through the CLINT; the VS ones are hvip's. MTIP, MEIP
#: and SGEIP are wires.
_MIP_RESTORED = 0x22A


@dataclass(frozen=True)
class Mismatch:
    """wanted, got: as text. reason: why it is no fault of the restorer, or nothing."""

    hart: int
    name: str
    wanted: str
    got: str
    reason: str = ""

    def __str__(self) -> str:
        why = f" ({self.reason})" if self.reason else ""
        return f"hart {self.hart}: {self.name}: wanted {self.wanted}, got {self.got}{why}"


@dataclass(frozen=True)
class Comparison:
    """items: how many values were compared."""

    items: int
    differences: list[Mismatch]

    @property
    def faults(self) -> list[Mismatch]:
        return [difference for difference in self.differences if not difference.reason]


def leaves_by_mret(state: HartState) -> bool:
    """Whether an mret resumes the hart: always below M mode; in M mode where NEMU prepared for it (mepc is the pc)."""
    return state.mode != mstatus.MACHINE or (
        state.get("mepc") == state.pc and mstatus.mpp(state.get("mstatus")) == mstatus.MACHINE
    )


def wanted_csrs(state: HartState, groups: tuple[str, ...]) -> dict[str, int]:
    """What each CSR of ``groups`` reads as at the hart's first instruction, views of others included."""
    csr = state.get
    value = csr("mstatus")
    value = mstatus.with_sd(mstatus.after_mret(value) if leaves_by_mret(state) else value)
    frm, fflags = csr("frm") | csr("fcsr") >> 5, csr("fflags") | csr("fcsr") & 0x1F
    vxrm, vxsat = csr("vxrm") | csr("vcsr") >> 1, csr("vxsat") | csr("vcsr") & 1
    mie, delegated, guest = csr("mie"), csr("mideleg"), csr("hideleg")
    mip = csr("mip") & _MIP_RESTORED | csr("hvip") & _VS_INTERRUPTS
    if csr("menvcfg") & _STCE:
        mip = mip & ~_STIP | (_STIP if csr("stimecmp") <= state.mtime else 0)
    if csr("menvcfg") & csr("henvcfg") & _STCE:
        due = csr("vstimecmp") <= (state.mtime + csr("htimedelta")) % (1 << 64)
        mip = mip & ~_VSTIP | (_VSTIP if due else 0)
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
        "mip": mip,
        "sie": mie & delegated & _S_INTERRUPTS,
        "sip": mip & delegated & _S_INTERRUPTS,
        "hie": mie & _HS_INTERRUPTS,
        "hvip": mip & _VS_INTERRUPTS,
        "hip": mip & _HS_INTERRUPTS,
        "vsie": (mie & guest & _VS_INTERRUPTS) >> 1,
        "vsip": (mip & guest & _VSSIP) >> 1,  # QEMU 7.2 shows no more of it
    }
    compared = [entry.name for entry in INVENTORY if entry.when in _COMPARED and entry.group in groups]
    return {name: computed.get(name, csr(name)) for name in compared}


@dataclass(frozen=True)
class Observed:
    """What one hart is seen to hold; csr: None where it has no such CSR. v: empty without vector registers."""

    pc: int
    privilege: int
    virtual: bool
    x: list[int]
    f: list[int]
    v: list[bytes]
    csr: dict[str, int | None]


def observe(gdb: Gdb, hart: int, groups: tuple[str, ...]) -> Observed:
    """Read everything of a hart that stands at its first instruction, which is lost in doing so.

    QEMU's stub shows neither V nor, while V = 1, the state of HS mode: so below M mode the hart is led out, by an ecall
    that goes to M mode, and all that a trap leaves alone is read there.
    """
    pc, privilege = gdb.read_int(hart, "pc"), gdb.read_int(hart, "priv")
    x = [gdb.read_int(hart, number) for number in range(32)]
    f = [gdb.read_int(hart, gdb.numbers["ft0"] + number) for number in range(32)]
    v = [gdb.read(hart, f"v{number}") for number in range(32)] if "v0" in gdb.numbers else []
    names = [entry.name for entry in INVENTORY if entry.when in _COMPARED and entry.group in groups]
    first = {name: gdb.read_csr(hart, BY_NAME[name].number) for name in TRAP}
    virtual = False
    if privilege != mstatus.MACHINE:
        virtual = lead_out(gdb, hart, pc)
    csr = {name: first.get(name) if name in TRAP else gdb.read_csr(hart, BY_NAME[name].number) for name in names}
    if virtual:
        # While V = 1 the supervisor's fields of mstatus were the guest's.
        mixed = (first["mstatus"] or 0) & ~mstatus.SSTATUS | (_csr(gdb, hart, "mstatus") & mstatus.SSTATUS)
        csr["mstatus"] = mixed
    csr["mstatus"] = mstatus.with_sd(csr["mstatus"] or 0)
    if csr.get("vsstatus") is not None:
        csr["vsstatus"] = mstatus.with_sd(csr["vsstatus"] or 0)
    if csr.get("vsip") is not None:
        csr["vsip"] = (csr["vsip"] or 0) & _VSSIP >> 1
    for name in ("mip", "hip", "hvip"):
        if csr.get(name) is not None:
            csr[name] = (csr[name] or 0) & (_MIP_RESTORED | _VS_INTERRUPTS)
    return Observed(pc, privilege, virtual, x, f, v, csr)


def _csr(gdb: Gdb, hart: int, name: str) -> int:
    value = gdb.read_csr(hart, BY_NAME[name].number)
    if value is None:
        raise GdbError(f"hart {hart}: {name} cannot be read")
    return value


def lead_out(gdb: Gdb, hart: int, pc: int) -> bool:
    """Trap from ``pc`` into M mode; whether V was 1."""
    gdb.write_csr(hart, BY_NAME["medeleg"].number, 0)
    try:
        gdb.write_memory(pc, ECALL, hart, physical=False)
    except GdbError as error:
        raise GdbError(
            f"hart {hart}: is its pc {pc:#x} mapped? gcpt validate follows its page tables ({error})"
        ) from error
    gdb.step_away(hart)
    if gdb.read_int(hart, "priv") != mstatus.MACHINE:
        raise GdbError(f"hart {hart}: its ecall at {pc:#x} did not reach M mode")
    return bool(_csr(gdb, hart, "mstatus") & mstatus.MPV)


def explanation(state: HartState, name: str, bits: int) -> str:
    """Why the hart cannot hold ``bits`` of a CSR as the checkpoint has them, or nothing."""
    if name == "mideleg" and not bits & ~_HS_INTERRUPTS:
        return "a hart with H delegates VS interrupts always"
    enabled = (state.get("menvcfg") & _STCE, state.get("menvcfg") & state.get("henvcfg") & _STCE)
    unruled = sum(bit for bit, stce in zip((_STIP, _VSTIP), enabled, strict=True) if not stce)
    if name in ("mip", "sip", "hip", "hvip") and not bits & ~unruled:
        return "QEMU 7.2 lets a compare value that is not enabled raise its interrupt"
    return ""


def compare_hart(hart: int, state: HartState, seen: Observed, groups: tuple[str, ...]) -> Comparison:
    """Everything of one hart but its timers."""
    virtual = state.mode != mstatus.MACHINE and bool(state.get("mstatus") & mstatus.MPV)
    numbers: dict[str, tuple[int, int | None]] = {
        "pc": (state.pc, seen.pc),
        "privilege": (state.mode, seen.privilege),
        "virtualisation": (virtual, seen.virtual),
    }
    numbers |= {f"x{i}": (state.x[i], seen.x[i]) for i in range(1, 32)}
    numbers |= {f"f{i}": (state.f[i], seen.f[i]) for i in range(32)}
    numbers |= {name: (wanted, seen.csr.get(name)) for name, wanted in wanted_csrs(state, groups).items()}
    items, differences = 0, []
    for name, (wanted, got) in numbers.items():
        if got is None and wanted == 0:
            continue  # not on this hart, and not used
        items += 1
        if got is None:
            differences.append(Mismatch(hart, name, f"{wanted:#x}", "none", "the hart has no such CSR"))
        elif wanted != got:
            differences.append(
                Mismatch(hart, name, f"{wanted:#x}", f"{got:#x}", explanation(state, name, wanted ^ got))
            )
    if seen.v or any(any(register) for register in state.v):
        items += 32
        pairs = zip(state.v, seen.v or [b""] * 32, strict=True)
        wrong = [(i, wanted, got) for i, (wanted, got) in enumerate(pairs) if wanted != got]
        differences += [Mismatch(hart, f"v{i}", wanted.hex(), got.hex() or "none") for i, wanted, got in wrong]
    return Comparison(items, differences)


def compare_timers(gdb: Gdb, harts: Mapping[int, HartState], clint: int, elapsed: float) -> Comparison:
    """Mtimecmp of each hart, and mtime: the saved value and what ``elapsed`` seconds may add to it."""
    differences = []
    for hart, state in harts.items():
        got = int.from_bytes(gdb.read_memory(clint + CLINT_MTIMECMP + 8 * hart, 8), "little")
        if got != state.mtimecmp:
            differences.append(Mismatch(hart, "mtimecmp", f"{state.mtimecmp:#x}", f"{got:#x}"))
    saved = next(iter(harts.values())).mtime
    latest = saved + int(elapsed * TIMEBASE)
    mtime = int.from_bytes(gdb.read_memory(clint + CLINT_MTIME, 8), "little")
    if not saved <= mtime <= latest:
        differences.append(Mismatch(min(harts), "mtime", f"{saved:#x}..{latest:#x}", f"{mtime:#x}"))
    return Comparison(len(harts) + 1, differences)


def run_to_first(gdb: Gdb, pcs: Mapping[int, int], timeout: float) -> None:
    """Run until each hart of ``pcs`` stands at its pc, where it stays. GdbTimeoutError tells where the others are."""
    for pc in set(pcs.values()):
        gdb.set_breakpoint(pc)
    waiting = dict(pcs)
    others = [hart for hart in range(len(gdb.threads)) if hart not in pcs]
    deadline = time.monotonic() + timeout
    while waiting:
        gdb.resume([*waiting, *others])
        try:
            hart = gdb.wait_stop(max(0.0, deadline - time.monotonic()))
        except GdbTimeoutError as error:
            gdb.interrupt()
            where = _whereabouts(gdb, waiting)
            raise GdbTimeoutError(f"not all harts arrived within {timeout:g} s: {where}") from error
        if waiting.get(hart) == gdb.read_int(hart, "pc"):
            del waiting[hart]
        elif hart in others:
            others.remove(hart)  # at a pc that is not its own: it would only stop there again
        else:
            raise GdbError("a hart is at another hart's pc: " + _whereabouts(gdb, {hart: waiting[hart]}))
    for pc in set(pcs.values()):
        gdb.clear_breakpoint(pc)


def run_restored(gdb: Gdb, harts: Mapping[int, HartState], timeout: float, leave: int | None = None) -> None:
    """Run until each of ``harts`` stands at its first restored instruction, which it has not executed.

    leave: the address of the restorer's mret, in memory. Stepped over, it lets no interrupt in that is pending, which
    would come before the first instruction and change what is to be compared.
    """
    last = {hart: (state.pc, 0) if leave is None else _last(hart, state, leave) for hart, state in harts.items()}
    run_to_first(gdb, {hart: at for hart, (at, _) in last.items()}, timeout)
    for hart, (_, steps) in last.items():
        for _ in range(steps):
            gdb.step_away(hart)
        if gdb.read_int(hart, "pc") != harts[hart].pc:
            raise GdbError("the restorer left elsewhere: " + _whereabouts(gdb, {hart: harts[hart].pc}))


def _last(hart: int, state: HartState, leave: int) -> tuple[int, int]:
    """Where the restorer can be interrupted by the workload's interrupts first, and how many steps it is to the pc.

    By mret that is the mret; by jump, the csrsi in the hart's trampoline (docs/restore-path.md).
    """
    base = leave // RESERVED_SIZE * RESERVED_SIZE
    if leaves_by_mret(state) or not trampoline.reaches(base, hart, state.pc):
        return leave, 1
    return trampoline.address(base, hart) + 4, 2


def _whereabouts(gdb: Gdb, harts: Mapping[int, int]) -> str:
    def of(hart: int) -> str:
        values = {name: gdb.read_csr(hart, BY_NAME[name].number) or 0 for name in ("mepc", "mcause", "mtval")}
        traps = " ".join(f"{name}={value:#x}" for name, value in values.items())
        return f"hart {hart} is at {gdb.read_int(hart, 'pc'):#x}, not {harts[hart]:#x} ({traps})"

    return "; ".join(of(hart) for hart in list(harts)[:_SHOWN]) + ("; ..." if len(harts) > _SHOWN else "")


def _unlocked(gdb: Gdb, hart: int, name: str) -> bool:
    """Whether a write to the CSR can show what the hart makes of it: no PMP entry is locked, or it is none of PMP's."""
    return not name.startswith("pmp") or not any(
        (gdb.read_csr(hart, BY_NAME[f"pmpcfg{register}"].number) or 0) & _PMP_LOCKS for register in range(0, 16, 2)
    )


def _came_due(gdb: Gdb, hart: int, found: Mismatch, clint: int) -> bool:
    """Whether the difference is a timer interrupt that is pending now because time went on since mtime was written."""
    bits = int(found.wanted, 16) ^ int(found.got, 16)
    if found.name not in ("mip", "sip", "hip", "hvip") or bits & ~(_STIP | _VSTIP) or bits & int(found.wanted, 16):
        return False
    now = int.from_bytes(gdb.read_memory(clint + CLINT_MTIME, 8), "little")
    guest = (now + _csr(gdb, hart, "htimedelta")) % (1 << 64) if bits & _VSTIP else 0
    return (not bits & _STIP or _csr(gdb, hart, "stimecmp") <= now) and (
        not bits & _VSTIP or _csr(gdb, hart, "vstimecmp") <= guest
    )


def _proven(gdb: Gdb, hart: int, found: Mismatch, clint: int) -> Mismatch:
    """With a reason where the hart shows one: a timer came due; WARL: given the value again, it reads as before."""
    if not found.reason and found.got != "none" and _came_due(gdb, hart, found, clint):
        return replace(found, reason="the compare value came due since then")
    entry = BY_NAME.get(found.name)
    if found.reason or entry is None or not _unlocked(gdb, hart, found.name):
        return found
    if entry.when == When.VECTOR or (entry.when == When.ALIAS and entry.name != "sstatus"):
        return found
    gdb.write_csr(hart, entry.number, int(found.wanted, 16))
    again = gdb.read_csr(hart, entry.number)
    if entry.name in ("mstatus", "sstatus", "vsstatus") and again is not None:
        again = mstatus.with_sd(again)
    return replace(found, reason="WARL: the hart holds no more of it") if again == int(found.got, 16) else found


def _left_out(gdb: Gdb, hart: int, state: HartState, groups: tuple[str, ...]) -> Comparison:
    """CSRs that the checkpoint holds and the restorer was not built to write."""
    used = [csr for csr in INVENTORY if csr.when in _COMPARED and csr.group not in groups and state.get(csr.name)]
    differences = []
    for csr in used:
        got = gdb.read_csr(hart, csr.number)
        if got != state.get(csr.name):
            reason = "the hart has no such CSR" if got is None else f"the restorer leaves group {csr.group} out (csrs=)"
            shown = "none" if got is None else f"{got:#x}"
            differences.append(Mismatch(hart, csr.name, f"{state.get(csr.name):#x}", shown, reason))
    return Comparison(len(used), differences)


def verify_machine(
    qemu: Qemu, harts: Mapping[int, HartState], groups: tuple[str, ...], clint: int, timeout: float, leave: int | None
) -> Comparison:
    """``compare_machine``, with the reasons that can be proven on the hart, and the CSRs outside ``groups`` as well."""

    def explain(gdb: Gdb, hart: int, report: Comparison) -> Comparison:
        proven = [_proven(gdb, hart, found, clint) for found in report.differences]
        more = _left_out(gdb, hart, harts[hart], groups)
        return Comparison(report.items + more.items, proven + more.differences)

    return compare_machine(qemu, harts, groups, clint, timeout, explain, leave)


def compare_machine(
    qemu: Qemu,
    harts: Mapping[int, HartState],
    groups: tuple[str, ...],
    clint: int,
    timeout: float = 30.0,
    explain: Callable[[Gdb, int, Comparison], Comparison] = lambda gdb, hart, report: report,
    leave: int | None = None,
) -> Comparison:
    """Run a paused machine to the first instruction of each of ``harts``, and compare (CSRs: those of ``groups``).

    explain: given each hart's report while the hart can still be asked. leave: as for ``run_restored``. QemuError when
    they do not arrive there within ``timeout`` seconds.
    """
    with qemu.gdb() as gdb:
        start = time.monotonic()
        try:
            run_restored(gdb, harts, timeout, leave)
            parts = [compare_timers(gdb, harts, clint, time.monotonic() - start)]
            for hart, state in harts.items():
                parts.append(explain(gdb, hart, compare_hart(hart, state, observe(gdb, hart, groups), groups)))
        except GdbError as error:
            raise qemu.failure(str(error)) from error
    return Comparison(sum(part.items for part in parts), [found for part in parts for found in part.differences])
