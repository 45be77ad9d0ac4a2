"""Sound checkpoints, and faults to plant in them, each with the finding that ``gcpt validate`` must report."""

import struct
from collections.abc import Callable
from dataclasses import dataclass, field

from gcpt.checkpoint import extended
from gcpt.checkpoint.extended import DeviceWrite
from gcpt.checkpoint.layouts import DEFAULT, EXTENDED_OFFSET, MIB
from gcpt.checkpoint.state import HartState
from gcpt.isa import mstatus
from gcpt.machines import synthetic
from gcpt.machines.synthetic import DRAM, Mode, Recipe, Synthetic

#: Handler of traps into M mode: a loop.
TRAP = DRAM + 0x18_0000
#: Memory that holds zeros.
EMPTY = DRAM + 0x70_0000
LOOP = struct.pack("<I", 0x6F)
_L, _R, _W, _X = 0x80, 1, 2, 4
_TOR, _NA4, _NAPOT = 1 << 3, 2 << 3, 3 << 3
_ALL = (1 << 54) - 1
_PAGE = 1 << 12
_FAR = (1 << 64) - 1


def sound(recipe: Recipe | None = None) -> Synthetic:
    """A checkpoint of ``recipe`` whose pointers are valid, whose timers are not due and whose CSRs are all restored."""
    checkpoint = synthetic.make(recipe or Recipe(locks=False))
    for state in checkpoint.harts:
        state.set("mtvec", TRAP)
        state.set("medeleg", 0)
        level = state.mode, bool(state.get("mstatus") & mstatus.MPV)
        if level not in ((0, False), (1, False)):
            state.set("satp", 0)
        if state.mode == mstatus.MACHINE or not level[1]:
            state.set("vsatp", 0)
            state.set("hgatp", 0)
        for event in range(4, 32):
            state.set(f"mhpmevent{event}", 0)
        state.x[2] = state.pc & -_PAGE  # a stack pointer that page tables map
        state.set("mie", state.get("mie") | 0x20)  # STIE; pending interrupts stay disabled
    return Synthetic(checkpoint.harts, [*checkpoint.memory, (TRAP, LOOP)])


Change = Callable[[HartState], None]


@dataclass(frozen=True)
class Fault:
    """A fault.

    code: of the finding. change: damages hart 0. recipe: of the checkpoint. causes: possible mcause of the trap at the
    first instruction, if the checkpoint restores. memory: further pieces of memory. options: of the restorer.
    """

    code: str
    change: Change
    recipe: Recipe = field(default_factory=lambda: Recipe(locks=False))
    causes: tuple[int, ...] = ()
    memory: tuple[tuple[int, bytes], ...] = ()
    options: tuple[tuple[str, str], ...] = ()


def _set(**values: int) -> Change:
    def change(state: HartState) -> None:
        for name, value in values.items():
            state.set(name, value)

    return change


def _mstatus(clear: int, bits: int) -> Change:
    return lambda state: state.set("mstatus", state.get("mstatus") & ~clear | bits)


def _at(pc: int) -> Change:
    """Set the pc, and mepc as generators do below M mode."""

    def change(state: HartState) -> None:
        state.pc = pc
        if state.mode != mstatus.MACHINE:
            state.set("mepc", pc)

    return change


def _field(**values: object) -> Change:
    def change(state: HartState) -> None:
        for name, value in values.items():
            setattr(state, name, value)

    return change


def _extended(data: bytes) -> Change:
    """Put these bytes where the extended state is."""
    return lambda state: state.free.update(misc_reserve=bytes(EXTENDED_OFFSET) + data)


def _one_write(address: int) -> bytes:
    """An extended state that writes 4 bytes at an address."""
    return extended.serialise([DeviceWrite(address, 4, 1)])


#: Options of a restorer that writes the extended state.
_EXTENDED = (("extended", "1"),)


def entry(config: int, address: int, before: int = 0) -> Change:
    """Set PMP entry 1, after an entry 0 that is off, and an entry that allows the rest."""

    def change(state: HartState) -> None:
        for number in range(16):
            state.set(f"pmpaddr{number}", _ALL if number == 15 else 0)
        state.set("pmpaddr0", before)
        state.set("pmpaddr1", address)
        state.set("pmpcfg0", config << 8)
        state.set("pmpcfg2", (_NAPOT | _R | _W | _X) << 56)

    return change


def _napot(start: int, size: int) -> int:
    return start >> 2 | (size >> 3) - 1


def _denied(address: int, access: int, size: int = _PAGE) -> Change:
    """Permit only ``access`` to the page at ``address``, or to ``size`` bytes."""
    return entry(_NAPOT | access, _napot(address & -size, size))


def _physical(state: HartState) -> int:
    """The physical pc: whatever translates it maps its GiB to DRAM."""
    return DRAM + state.pc % (1 << 30)


def _without_execution_at_the_pc(state: HartState) -> None:
    _denied(_physical(state), _R | _W)(state)


def _without_reading(register: str) -> Change:
    """The root that ``register`` points to; that of a guest's vsatp is a guest physical address."""

    def change(state: HartState) -> None:
        root = (state.get(register) << 12) % (1 << 30)
        _denied(DRAM + root, _X, 4 * _PAGE)(state)  # hgatp's has four pages

    return change


def _deep(mode: int) -> Change:
    """Translate with the root ``EMPTY``, whose entries point to a second table; PMP forbids to read that."""

    def change(state: HartState) -> None:
        _root(EMPTY, mode)(state)
        _denied(EMPTY + _PAGE, _X)(state)

    return change


def _stack(address: int) -> Change:
    """Move the stack to a page that PMP forbids to write."""

    def change(state: HartState) -> None:
        state.x[2] += address - (_physical(state) & -_PAGE)
        _denied(address, _R | _X)(state)

    return change


def _root(address: int, mode: int = 8) -> Change:
    return _set(satp=mode << 60 | address >> 12)


def _table(entry: int, address: int = EMPTY) -> tuple[int, bytes]:
    """A page table in place of zeros whose entries are all the same."""
    return address, struct.pack("<Q", entry) * 512


def _pointer(address: int) -> int:
    return address >> 12 << 10 | 1


#: Two levels of tables that map every address to the first GiB of DRAM, or to its first 2 MiB.
_TWO_LEVELS = (_table(_pointer(EMPTY + _PAGE)), _table(_pointer(DRAM) | 0xCE, EMPTY + _PAGE))


def _unmapped(state: HartState) -> None:
    _at(state.pc ^ 1 << 30)(state)


def _unmapped_stack(state: HartState) -> None:
    state.x[2] ^= 1 << 30


def _only_four_vectors(state: HartState) -> None:
    state.v[4:] = [bytes(16)] * 28


def _csr(number: int, value: int) -> Change:
    def change(state: HartState) -> None:
        state.csr[number] = value

    return change


def _due(change: Change) -> Change:
    def both(state: HartState) -> None:
        state.set("mie", 0)
        state.set("stimecmp", _FAR)
        change(state)

    return both


_M, _S, _U, _VS = (Recipe((mode,), locks=False) for mode in (Mode.M, Mode.S, Mode.U, Mode.VS))
_BARE = Recipe((Mode.S,), paging=False, locks=False)
_NEMU = Recipe((Mode.M_NEMU,), locks=False)

#: Faults that the restorer refuses.
REFUSED: tuple[Fault, ...] = (
    Fault("extended-damaged", _extended(b"extstate" + bytes([2])), options=_EXTENDED),
    Fault("extended-device", _extended(_one_write(DRAM + 4 * MIB)), options=_EXTENDED),
    Fault("mode", _field(mode=2)),
    Fault("mode", _field(mode=5)),
    Fault("mpp", _mstatus(mstatus.MPP, 0)),
    Fault("mpp", _mstatus(0, 3 << 11), Recipe((Mode.U,), locks=False)),
    Fault("mprv", _mstatus(0, mstatus.MPRV)),
    Fault("m-mode-mprv", _mstatus(0, mstatus.MPRV), _M),
    Fault("mtvec-in-restorer", _set(mtvec=DRAM + 0x101)),
    Fault("mtvec-in-restorer", _set(mtvec=DRAM + MIB - 4), _M),
    Fault("pc-in-restorer", _at(DRAM + 0x100), _M),
    Fault("m-mode-far-exact", _at(DRAM + 0x50_0000), _M, memory=((DRAM + 0x50_0000, LOOP),), options=(("exact", "1"),)),
    Fault("mseccfg", _set(mseccfg=1)),
    Fault("trigger", _set(tdata1=2 << 60 | 1 << 6), options=(("csrs", "+sdtrig"),)),
    Fault("trigger", _set(tdata1=5 << 60 | 1 << 9), options=(("csrs", "+sdtrig"),)),
    Fault("pmp-locked", entry(_L | _NAPOT | _W, _ALL)),
    Fault("pmp-locked", entry(_L | _NAPOT | _R, DRAM >> 2 | 0x1FF)),
    Fault("pmp-locked", entry(_L | _TOR, DRAM + 0x200 >> 2, DRAM >> 2)),
    Fault("pmp-locked", entry(_L | _NA4, DRAM + 0x100 >> 2)),
    Fault("pmp-locked", entry(_L | _TOR, 0, DRAM >> 4)),
    Fault("vlenb", _set(vlenb=24)),
    Fault("vlen-platform", _set(), Recipe(vlen=2048, locks=False)),
)

#: Faults that restore and trap at the first instruction.
TRAPPED: tuple[Fault, ...] = (
    Fault("pmp-pc", _without_execution_at_the_pc, _BARE, (1,)),
    *(Fault("pmp-pc", _without_execution_at_the_pc, recipe, (1,)) for recipe in (_S, _U)),
    # For a guest, QEMU 7.2 reports guest page faults (20, 21) where the specification has an access fault.
    Fault("pmp-pc", _without_execution_at_the_pc, _VS, (1, 20)),
    Fault("pmp-root", _without_reading("satp"), _S, (1,)),
    Fault("pmp-root", _without_reading("hgatp"), _VS, (1, 21)),
    Fault("pmp-table", _without_reading("vsatp"), _VS, (1,)),
    *(Fault("pmp-table", _deep(mode), _S, (1,), _TWO_LEVELS) for mode in (8, 9)),
    Fault("pc-outside", _at(0x4000_0000), _BARE, (1, 2)),
    Fault("pc-overwritten", _at(DRAM + DEFAULT.csr(0x7D0)), _BARE, (2,)),
    Fault("pc-empty", _at(EMPTY), _BARE, (2,)),
    Fault("translation-mode", _root(EMPTY, 3), _S, (1,)),
    Fault("root-outside", _root(0x3000_0000), _S, (1, 12)),
    Fault("root-overwritten", _root(DRAM + 0xF_0000), _S, (1, 12)),
    Fault("root-empty", _root(EMPTY), _S, (12,)),
    Fault("pc-unmapped", _unmapped, _S, (12,)),
    Fault("pc-unmapped", _root(EMPTY), _S, (12,), (_table(_pointer(DRAM) | 0xC6),)),
    Fault("table-outside", _root(EMPTY), _S, (1, 12), (_table(_pointer(0x3000_0000)),)),
    Fault("table-overwritten", _root(EMPTY), _S, (1, 12), (_table(_pointer(DRAM + 0xF_0000)),)),
)

#: Faults that restore and continue: warnings and notes.
RESTORED: tuple[Fault, ...] = (
    Fault("extended-left-out", _extended(_one_write(0xC00_0004)), options=(("extended", "0"),)),
    Fault("m-mode-far", _at(DRAM + 0x50_0000), _M, memory=((DRAM + 0x50_0000, LOOP),)),
    Fault("mepc", _set(mepc=DRAM + 0x12_3450)),
    Fault("pointer-outside", _set(mtvec=0x4000_0000)),
    Fault("pc-absent", _root(EMPTY), _S, memory=(_table(_pointer(DRAM) | 0xE),)),
    Fault("stack-unmapped", _unmapped_stack, _S),
    *(Fault("pmp-stack", _stack(EMPTY), recipe) for recipe in (_BARE, _S, _VS)),
    Fault("csrs-left-out", _set(pmpaddr20=5)),
    Fault("csrs-left-out", _set(mnstatus=1 << 7), options=(("csrs", "rva22"),)),
    Fault("csrs-left-out", _set(mstateen0=1 << 63), options=(("csrs", "rva22"),)),
    Fault("csrs-left-out-minor", _set(mhpmevent9=5)),
    Fault("csrs-left-out-minor", _set(srmcfg=5)),
    Fault("csrs-unknown", _csr(0x7C0, 1)),
    Fault("vectors-4-only", _only_four_vectors),
    # With the interrupt disabled: it would be taken before the first instruction.
    Fault("mtimecmp-due", _due(_field(mtimecmp=5))),
    Fault("stimecmp-due", _due(_set(stimecmp=0))),
    Fault("vstimecmp-due", _due(_set(vstimecmp=5, htimedelta=0, stimecmp=_FAR))),
    Fault("stie-clear", _set(mie=0x80)),
)
#: An error that a restorer does not notice, because it does not write mseccfg.
UNNOTICED = Fault("mseccfg-left-out", _set(mseccfg=1), options=(("csrs", "rva22"),))
#: Groups that a restorer leaves out and that it could not write: further restorers' ``csrs=`` and its code.
_LOCKED_LATER = _set(pmpaddr16=_ALL, pmpcfg4=_L | _NAPOT | _R)
NOT_ADVISED: tuple[tuple[Fault, str, str], ...] = (
    (UNNOTICED, "+smepmp", "PMP"),
    (Fault("csrs-left-out-minor", _set(tdata1=2 << 60 | 1 << 6)), "+sdtrig", "TRIGGER"),
    (Fault("csrs-left-out", _LOCKED_LATER), "+pmp64", "PMP"),
)
#: Faults with which the mret itself, or the first fetch, traps on harts with PMP.
OFF: tuple[Fault, ...] = (
    Fault("pmp-off", _set(pmpcfg0=0, pmpcfg2=0), _S),
    Fault("pmp-off", _set(pmpcfg0=0, pmpcfg2=0), _BARE),
    Fault("pmp-off", _set(pmpcfg0=0, pmpcfg2=0), Recipe((Mode.U,), locks=False)),
    Fault("pmp-off", _set(pmpcfg0=0, pmpcfg2=0, pmpaddr16=_ALL, pmpcfg4=_NAPOT | _R | _W | _X), _S),
)
