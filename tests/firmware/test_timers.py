"""Timers and interrupts continue from the checkpoint."""

import pytest
from bench import DRAM, Bench, assert_exact

from gcpt.checkpoint.places import DUAL_CORE, SINGLE_CORE, Place
from gcpt.checkpoint.state import HartState
from gcpt.isa import mstatus
from gcpt.isa.csrs import BY_NAME
from gcpt.machines import synthetic
from gcpt.machines.arrival import run_to_first
from gcpt.machines.comparison import TIMEBASE
from gcpt.machines.qemu import Machine
from gcpt.machines.synthetic import Mode, Recipe
from gcpt.restorer import trampoline
from gcpt.restorer.platforms import BY_NAME as PLATFORMS
from gcpt.restorer.platforms import CLINT_MTIME

_MIP = BY_NAME["mip"].number
_SOON = 1
#: Options of QEMU: time passes by instructions, 1024 ns each, so a second takes at most a million of them.
_BY_INSTRUCTIONS = ("-icount", "shift=10")
_SIE, _SSIP, _STCE = 1 << 1, 1 << 1, 1 << 63


def _due(state: HartState, timer: str, ticks: int) -> None:
    """Set ``timer`` to expire ``ticks`` after mtime, and disable all interrupts."""
    state.set("mie", 0)
    if timer == "mtimecmp":
        state.mtimecmp = state.mtime + ticks
    else:
        state.set(timer, state.mtime + ticks + (state.get("htimedelta") if timer == "vstimecmp" else 0))


@pytest.mark.parametrize(("mode", "place"), [("single_core", SINGLE_CORE), ("dual_core", DUAL_CORE)])
@pytest.mark.parametrize(("timer", "bit"), [("mtimecmp", 7), ("stimecmp", 5), ("vstimecmp", 6)])
def test_a_timer_that_is_soon_due_fires_then(bench: Bench, mode: str, place: object, timer: str, bit: int) -> None:
    """Not before: at the first instruction the interrupt is enabled, and it enters its handler later."""
    checkpoint = synthetic.make(Recipe((Mode.S,), harts=1 if mode == "single_core" else 2, paging=False))
    handler = DRAM + 0x10_1000
    for state in checkpoint.harts:
        _due(state, timer, _SOON * TIMEBASE)
        for name, value in (("mideleg", 0x1444), ("hideleg", 0), ("mtvec", handler), ("stvec", handler)):
            state.set(name, value)
    harts = range(len(checkpoint.harts))
    memory = bench.restored(checkpoint, place, bench.build(mode))  # type: ignore[arg-type]
    machine = Machine(harts=len(harts), extra=_BY_INSTRUCTIONS)
    with bench.run(memory, machine, paused=True) as qemu, qemu.gdb() as gdb:
        run_to_first(gdb, {hart: state.pc for hart, state in enumerate(checkpoint.harts)})
        for hart in harts:
            assert not (gdb.read_csr(hart, _MIP) or 0) >> bit & 1
            gdb.write_csr(hart, BY_NAME["mie"].number, 1 << bit)
            gdb.write_csr(hart, BY_NAME["mstatus"].number, (gdb.read_csr(hart, BY_NAME["mstatus"].number) or 0) | _SIE)
        run_to_first(gdb, dict.fromkeys(harts, handler))
        cause = BY_NAME["scause" if timer == "vstimecmp" else "mcause"].number
        assert [gdb.read_csr(hart, cause) for hart in harts] == [1 << 63 | bit] * len(harts)
        now = int.from_bytes(gdb.read_memory(PLATFORMS["qemu-virt"].clint + CLINT_MTIME, 8), "little")
        assert now >= checkpoint.harts[0].mtime + _SOON * TIMEBASE


@pytest.mark.parametrize("timer", ["mtimecmp", "stimecmp"])
def test_a_timer_that_was_due_is_pending(bench: Bench, timer: str) -> None:
    checkpoint = synthetic.make(Recipe((Mode.S,)))
    _due(checkpoint.harts[0], timer, -1)
    memory = bench.restored(checkpoint, SINGLE_CORE, bench.build("single_core"))
    with bench.run(memory, Machine(), paused=True) as qemu, qemu.gdb() as gdb:
        run_to_first(gdb, {0: checkpoint.harts[0].pc})
        assert (gdb.read_csr(0, _MIP) or 0) >> (7 if timer == "mtimecmp" else 5) & 1


def test_no_guest_timer_is_due_where_nobody_looks_at_one(bench: Bench) -> None:
    """henvcfg.STCE and vstimecmp are 0: QEMU 7.2 raises VSTIP when the latter is written, QEMU 10 at htimedelta."""
    checkpoint = synthetic.make(Recipe((Mode.S,)))
    state = checkpoint.harts[0]
    state.set("henvcfg", state.get("henvcfg") & ~_STCE)
    state.set("vstimecmp", 0)
    restorer = bench.build("single_core")
    memory = bench.restored(checkpoint, SINGLE_CORE, restorer)
    assert_exact(bench.compare(memory, restorer, {0: state}, Machine()))


def test_a_pending_interrupt_is_taken(bench: Bench) -> None:
    """It is taken before the first instruction, whose address is in sepc."""
    checkpoint = synthetic.make(Recipe((Mode.U,), paging=False))
    state = checkpoint.harts[0]
    handler = DRAM + 0x10_1000
    checkpoint.memory.append((handler, checkpoint.memory[0][1]))
    for name, value in (("mip", _SSIP), ("mie", _SSIP), ("mideleg", 0x1444 | _SSIP), ("stvec", handler), ("hvip", 0)):
        state.set(name, value)
    memory = bench.restored(checkpoint, SINGLE_CORE, bench.build("single_core"))
    with bench.run(memory, Machine(), paused=True) as qemu, qemu.gdb() as gdb:
        run_to_first(gdb, {0: handler})
        values = {name: gdb.read_csr(0, BY_NAME[name].number) for name in ("sepc", "scause", "sscratch")}
    assert values == {"sepc": state.pc, "scause": 1 << 63 | 1, "sscratch": state.get("sscratch")}


@pytest.mark.parametrize(("mode", "place"), [("single_core", SINGLE_CORE), ("dual_core", DUAL_CORE)])
def test_m_mode_takes_a_pending_interrupt_with_all_its_registers(bench: Bench, mode: str, place: Place) -> None:
    """With MIE set, it is taken at the trampoline's jump, to which the handler returns."""
    checkpoint = synthetic.make(Recipe((Mode.M,)))
    state = checkpoint.harts[0]
    handler = DRAM + 0x10_1000
    checkpoint.memory.append((handler, checkpoint.memory[0][1]))
    for name, value in (("mip", _SSIP), ("mie", _SSIP), ("mideleg", 0), ("mtvec", handler), ("hvip", 0)):
        state.set(name, value)
    state.set("mstatus", state.get("mstatus") | mstatus.MIE)
    memory = bench.restored(checkpoint, place, bench.build(mode))
    with bench.run(memory, Machine(), paused=True) as qemu, qemu.gdb() as gdb:
        run_to_first(gdb, {0: handler})
        values = {name: gdb.read_csr(0, BY_NAME[name].number) for name in ("mepc", "mcause")}
        assert [gdb.read_int(0, i) for i in range(1, 32)] == state.x[1:]
    assert values == {"mepc": trampoline.address(DRAM, 0) + 8, "mcause": 1 << 63 | 1}
