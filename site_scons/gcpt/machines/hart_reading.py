"""Read a hart of a stopped machine through QEMU's gdb stub, in the form that generators write, and leave it unchanged.

Below M mode the stub shows neither V nor, while V = 1, the state of HS mode. So an ecall leads the hart into M mode,
where it is read, and an mret leads it back: the machine can continue.
"""

from gcpt.checkpoint import extended
from gcpt.checkpoint.state import HartState
from gcpt.isa import mstatus
from gcpt.isa.csrs import BY_NAME, INVENTORY, When
from gcpt.machines.expectation import HS_INTERRUPTS, S_INTERRUPTS
from gcpt.machines.extended_reading import read_selected
from gcpt.machines.gdb import Gdb
from gcpt.machines.observation import TRAP_CSRS, lead_out
from gcpt.restorer.platforms import CLINT_MSIP, CLINT_MTIMECMP

_SAVED = (When.EARLY, When.TIMER, When.LOCK, When.LAST, When.ALIAS, When.VECTOR)
#: Read-only CSRs that a checkpoint holds: they describe the hart.
_READ_ONLY = ("vlenb", "misa", "mhartid", "mvendorid", "marchid", "mimpid")
_MRET = bytes.fromhex("73002030")
#: Bytes of an ecall or mret.
_CODE_SIZE = 4
_MSIE = 1 << 3


def read_hart(gdb: Gdb, hart: int, clint: int, mtime: int) -> HartState:
    """Read the state of a hart. The hart is unchanged afterwards.

    Args:
        gdb: The stopped machine.
        hart: The hart.
        clint: Physical address of the CLINT.
        mtime: mtime when the machine stopped; it advances whenever a hart is stepped.

    Returns:
        The state.

    Raises:
        GdbError: The hart cannot be led into M mode and back, or the stub refused.
    """
    state = _read_registers(gdb, hart, clint, mtime)
    if state.mode == mstatus.MACHINE:
        _read_csrs(gdb, hart, state)
        return state
    before = {name: gdb.read_csr(hart, BY_NAME[name].number) for name in (*TRAP_CSRS, "mie")}
    code = gdb.read_memory(state.pc, _CODE_SIZE, hart, physical=False)
    msip_address = clint + CLINT_MSIP + 4 * hart
    msip = gdb.read_memory(msip_address, 4)
    # A hart that sleeps in a wfi takes no step until an enabled interrupt is pending; a step takes no interrupt.
    gdb.write_csr(hart, BY_NAME["mie"].number, _MSIE)
    gdb.write_memory(msip_address, (1).to_bytes(4, "little"))
    virtual = lead_out(gdb, hart, state.pc)
    gdb.write_memory(msip_address, msip)
    gdb.write_csr(hart, BY_NAME["mie"].number, before["mie"] or 0)  # sie, hie and vsie are views of it
    try:
        _read_csrs(gdb, hart, state)
        # While V = 1 the stub shows the guest's supervisor fields of mstatus; a trap does not change those of HS mode.
        supervisor_fields = state.get("mstatus") & mstatus.SSTATUS
        for name, value in before.items():
            state.set(name, value or 0)
        # Time passes in a step: the views of mip may show what became due since.
        state.set("sip", state.get("mip") & state.get("mideleg") & S_INTERRUPTS)
        state.set("hip", state.get("mip") & HS_INTERRUPTS)
        state.set("mstatus", mstatus.with_sd((before["mstatus"] or 0) & ~mstatus.SSTATUS | supervisor_fields))
        _prepare_for_mret(state, virtual)
    finally:
        _lead_back(gdb, hart, state, virtual, before)
        gdb.write_memory(state.pc, code, hart, physical=False)
    return state


def read_hart_in_place(gdb: Gdb, hart: int, clint: int, mtime: int) -> HartState:
    """Read the state of a hart whose V is 0, without executing an instruction: the stub makes its mode M meanwhile.

    Args:
        gdb: The stopped machine.
        hart: The hart.
        clint: Physical address of the CLINT.
        mtime: mtime when the machine stopped.

    Returns:
        The state, as ``read_hart`` returns it.

    Raises:
        GdbError: The stub refused.
    """
    state = _read_registers(gdb, hart, clint, mtime)
    gdb.write(hart, "priv", mstatus.MACHINE)
    try:
        _read_csrs(gdb, hart, state)
    finally:
        gdb.write(hart, "priv", state.mode)
    if state.mode != mstatus.MACHINE:
        _prepare_for_mret(state, virtual=False)
    return state


def _read_registers(gdb: Gdb, hart: int, clint: int, mtime: int) -> HartState:
    """Read everything but the CSRs."""
    state = HartState(pc=gdb.read_int(hart, "pc"), mode=gdb.read_int(hart, "priv") & 3, mtime=mtime)
    state.mtimecmp = int.from_bytes(gdb.read_memory(clint + CLINT_MTIMECMP + 8 * hart, 8), "little")
    state.x = [0, *(gdb.read_int(hart, number) for number in range(1, 32))]
    if "ft0" in gdb.numbers:
        state.f = [gdb.read_int(hart, gdb.numbers["ft0"] + number) for number in range(32)]
    if "v0" in gdb.numbers:
        state.v = [gdb.read(hart, f"v{number}") for number in range(32)]
    return state


def _read_csrs(gdb: Gdb, hart: int, state: HartState) -> None:
    for csr in INVENTORY:
        if csr.when in _SAVED or csr.name in _READ_ONLY:
            state.csr[csr.number] = gdb.read_csr(hart, csr.number) or 0
    if state.v and not state.get("vlenb"):
        state.set("vlenb", len(state.v[0]))
    extended.put(state, read_selected(gdb, hart))


def _prepare_for_mret(state: HartState, virtual: bool) -> None:
    """Change mstatus and mepc as generators do below M mode, so that an mret resumes the hart (docs/formats.md)."""
    value = state.get("mstatus")
    prepared = value & ~(mstatus.MIE | mstatus.MPIE | mstatus.MPP | mstatus.MPV | mstatus.MPRV)
    prepared |= state.mode << 11 | (mstatus.MPIE if value & mstatus.MIE else 0) | (mstatus.MPV if virtual else 0)
    state.set("mstatus", prepared)
    state.set("mepc", state.pc)


def _lead_back(gdb: Gdb, hart: int, state: HartState, virtual: bool, before: dict[str, int | None]) -> None:
    """Lead the hart from the trap vector back to its pc by a temporary mret, and restore the CSRs ``before``."""
    vector = gdb.read_int(hart, "pc")
    code = gdb.read_memory(vector, _CODE_SIZE)
    current = gdb.read_csr(hart, BY_NAME["mstatus"].number) or 0
    target = current & ~(mstatus.MPP | mstatus.MPV) | state.mode << 11 | (mstatus.MPV if virtual else 0)
    gdb.write_csr(hart, BY_NAME["mstatus"].number, target)
    gdb.write_csr(hart, BY_NAME["mepc"].number, state.pc)
    gdb.write_memory(vector, _MRET)
    gdb.step_away(hart)
    gdb.write_memory(vector, code)
    for name, value in before.items():
        if value is not None and name != "mip":
            gdb.write_csr(hart, BY_NAME[name].number, value)
