"""What a stopped hart holds, read through QEMU's gdb stub."""

from dataclasses import dataclass

from gcpt.isa import mstatus
from gcpt.isa.csrs import BY_NAME
from gcpt.machines.expectation import MIP_RESTORED, VS_INTERRUPTS, VSSIP, compared_csrs
from gcpt.machines.gdb import Gdb, GdbError

#: CSRs that a trap into M mode changes, and those that must be written to bring that trap about.
TRAP_CSRS = ("mstatus", "mepc", "mcause", "mtval", "mtval2", "mtinst", "medeleg", "mip")
_ECALL = bytes.fromhex("73000000")


@dataclass(frozen=True)
class Observation:
    """The registers of one hart.

    Attributes:
        pc: The program counter.
        privilege: 0 (U), 1 (S) or 3 (M).
        virtual: Whether V is 1.
        x: 32 integer registers.
        f: 32 floating-point registers.
        v: 32 vector registers of vlenb bytes; empty if the hart has none.
        csr: CSRs by name; None: the hart has no such CSR.
    """

    pc: int
    privilege: int
    virtual: bool
    x: list[int]
    f: list[int]
    v: list[bytes]
    csr: dict[str, int | None]


def observe(gdb: Gdb, hart: int, groups: tuple[str, ...]) -> Observation:
    """Read all registers of a hart at its first restored instruction. The hart cannot continue afterwards.

    QEMU's stub shows neither V nor, while V = 1, the state of HS mode. So below M mode an ecall leads the hart into M
    mode, and what a trap does not change is read there. While V = 0, sip is read in the hart's own mode: QEMU 10 reads
    its STIP as 0 in M mode while menvcfg.STCE is set.

    Args:
        gdb: The machine.
        hart: The hart.
        groups: The CSR groups to read.

    Returns:
        The registers before the trap.

    Raises:
        GdbError: The stub refused, or the ecall did not reach M mode.
    """
    pc, privilege = gdb.read_int(hart, "pc"), gdb.read_int(hart, "priv")
    x = [gdb.read_int(hart, number) for number in range(32)]
    f = [gdb.read_int(hart, gdb.numbers["ft0"] + number) for number in range(32)]
    v = [gdb.read(hart, f"v{number}") for number in range(32)] if "v0" in gdb.numbers else []
    names = [csr.name for csr in compared_csrs() if csr.group in groups]
    before = {name: gdb.read_csr(hart, BY_NAME[name].number) for name in (*TRAP_CSRS, "sip")}
    virtual = False
    if privilege != mstatus.MACHINE:
        virtual = lead_out(gdb, hart, pc)
    if virtual:
        before["sip"] = gdb.read_csr(hart, BY_NAME["sip"].number)  # before the trap, the stub shows vsip
    csr = {name: before[name] if name in before else gdb.read_csr(hart, BY_NAME[name].number) for name in names}
    if virtual:
        # While V = 1 the stub shows the guest's supervisor fields of mstatus; a trap restores those of HS mode.
        mixed = (before["mstatus"] or 0) & ~mstatus.SSTATUS | (read_present(gdb, hart, "mstatus") & mstatus.SSTATUS)
        csr["mstatus"] = mixed
    return Observation(pc, privilege, virtual, x, f, v, comparable(csr))


def comparable(csr: dict[str, int | None]) -> dict[str, int | None]:
    """Leave out of CSRs what judges show differently, or what a restorer cannot write.

    Args:
        csr: Values by name; None: the hart has no such CSR.

    Returns:
        The values with SD as hardware has it, and without pending bits that follow signals.
    """
    masks = {"vsip": VSSIP >> 1, "hvip": VS_INTERRUPTS}  # QEMU 10 shows mip's STIP in hvip
    masks |= dict.fromkeys(("mip", "hip"), MIP_RESTORED | VS_INTERRUPTS)
    result = {name: value if value is None else value & masks.get(name, -1) for name, value in csr.items()}
    for name in ("mstatus", "vsstatus"):
        if (value := result.get(name)) is not None:
            result[name] = mstatus.with_sd(value)
    return result


def read_present(gdb: Gdb, hart: int, name: str) -> int:
    """Read a CSR that the hart must have.

    Args:
        gdb: The machine.
        hart: The hart.
        name: The CSR.

    Returns:
        Its value.

    Raises:
        GdbError: The hart has no such CSR.
    """
    value = gdb.read_csr(hart, BY_NAME[name].number)
    if value is None:
        raise GdbError(f"hart {hart}: {name} cannot be read")
    return value


def lead_out(gdb: Gdb, hart: int, pc: int) -> bool:
    """Lead a hart below M mode into M mode by an ecall at its pc, with exceptions no longer delegated.

    Args:
        gdb: The machine.
        hart: The hart.
        pc: Its pc; the ecall overwrites the instruction there.

    Returns:
        Whether V was 1 before the trap.

    Raises:
        GdbError: The pc is not mapped, or the ecall did not reach M mode.
    """
    gdb.write_csr(hart, BY_NAME["medeleg"].number, 0)
    try:
        gdb.write_memory(pc, _ECALL, hart, physical=False)
    except GdbError as error:
        raise GdbError(
            f"hart {hart}: cannot write to its pc {pc:#x}, which may not be mapped: "
            f"gcpt validate follows its page tables ({error})"
        ) from error
    gdb.step_away(hart)
    if gdb.read_int(hart, "priv") != mstatus.MACHINE:
        raise GdbError(f"hart {hart}: its ecall at {pc:#x} did not reach M mode")
    return bool(read_present(gdb, hart, "mstatus") & mstatus.MPV)
