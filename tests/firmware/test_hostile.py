"""Blocks that no generator writes: each run ends in one line and its code, or in a restore that prints its loss."""

from dataclasses import replace
from pathlib import Path

import faults
import pytest
from bench import CODES, DRAM, Bench, assert_exact, behind_header, of_place

from gcpt.checkpoint.layouts import DEFAULT, MIB, MULTI_CORE
from gcpt.checkpoint.places import PROTOBUF
from gcpt.isa import mstatus
from gcpt.isa.csrs import BY_NAME
from gcpt.machines import synthetic
from gcpt.machines.arrival import run_to_first
from gcpt.machines.qemu import Machine, cpu
from gcpt.machines.synthetic import Mode, Recipe
from gcpt.validate.findings import Severity
from gcpt.validate.verdict import validate

MODES = ("single_core", "dual_core")
_L, _R, _W, _X = 0x80, 1, 2, 4
_TOR, _NA4, _NAPOT = 1 << 3, 2 << 3, 3 << 3
_ALL = (1 << 54) - 1


def _end(bench: Bench, mode: str, checkpoint: synthetic.Synthetic) -> tuple[int, int]:
    end = bench.end(bench.restored(checkpoint, of_place(mode), bench.build(mode)))
    return end.status, end.error()[0]


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize(
    ("level", "field", "mpp", "mprv"),
    [
        pytest.param(Mode.S, 2, 2, 0, id="mode 2"),
        pytest.param(Mode.S, 5, 1, 0, id="mode 5"),
        pytest.param(Mode.S, 0, 1, 0, id="MPP is not the mode"),
        pytest.param(Mode.U, 0, 3, 0, id="MPP is M"),
        pytest.param(Mode.S, 1, 1, 1, id="MPRV below M mode"),
    ],
)
def test_mode_and_mstatus_disagree(bench: Bench, mode: str, level: Mode, field: int, mpp: int, mprv: int) -> None:
    checkpoint = synthetic.make(Recipe((Mode.M_NEMU,)))
    state = checkpoint.harts[0]
    state.mode = field
    state.set("mstatus", state.get("mstatus") & ~(3 << 11) | mpp << 11 | mprv << 17)
    assert _end(bench, mode, checkpoint) == (CODES["BAD_STATE"],) * 2


def _with_entry(config: int, address: int, before: int = 0) -> synthetic.Synthetic:
    """A checkpoint with these PMP entries 0 and 1; the last entry allows all other accesses."""
    checkpoint = synthetic.make(Recipe((Mode.S,)))
    faults.entry(config, address, before)(checkpoint.harts[0])
    return checkpoint


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize(
    ("config", "address", "before"),
    [
        pytest.param(_L | _NAPOT | _W, _ALL, 0, id="everything"),
        pytest.param(_L | _NAPOT | _R, DRAM >> 2 | 0x1FF, 0, id="restorer not executable"),
        pytest.param(_L | _NAPOT | _X, DRAM >> 2 | 0x3FFFF, 0, id="restorer not readable"),
        pytest.param(_L | _TOR, DRAM + 0x200 >> 2, DRAM >> 2, id="TOR"),
        pytest.param(_L | _NA4, DRAM + 0x100 >> 2, 0, id="4 bytes"),
        pytest.param(_L | _NAPOT | _W, (1 << 64) - 1, 0, id="address of all ones"),
        pytest.param(_L | _TOR, 0, 0, id="TOR up to 0, to QEMU 7.2 all of memory"),
        pytest.param(_L | _TOR, 0, DRAM >> 4, id="TOR from somewhere up to 0"),
    ],
)
def test_pmp_locks_the_restorer_out(bench: Bench, mode: str, config: int, address: int, before: int) -> None:
    assert _end(bench, mode, _with_entry(config, address, before)) == (CODES["PMP"],) * 2


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize(
    ("config", "address", "before"),
    [
        pytest.param(_L | _NAPOT | _R | _X, DRAM >> 2 | 0x1FF, 0, id="it may read and execute"),
        pytest.param(_L, DRAM >> 2 | 0x1FF, 0, id="entry off"),
        pytest.param(_L | _TOR, DRAM >> 2, 0, id="all below it"),
        pytest.param(_L | _TOR, DRAM + 0x70_0000 >> 2, DRAM + 0x60_0000 >> 2, id="above it"),
    ],
)
def test_pmp_locks_elsewhere(bench: Bench, mode: str, config: int, address: int, before: int) -> None:
    checkpoint, restorer = _with_entry(config, address, before), bench.build(mode)
    memory = bench.restored(checkpoint, of_place(mode), restorer)
    assert_exact(bench.compare(memory, restorer, {0: checkpoint.harts[0]}, Machine()))


@pytest.mark.parametrize("mode", MODES)
def test_an_error_speaks_though_console_and_finisher_are_to_be_locked(bench: Bench, mode: str) -> None:
    """The restorer does all checks before it writes PMP."""
    checkpoint = _with_entry(_L | _NAPOT, 0x7FF_FFFF)  # the first GiB, where the devices are
    checkpoint.harts[0].mode = 2
    assert _end(bench, mode, checkpoint) == (CODES["BAD_STATE"],) * 2


@pytest.mark.parametrize("mode", MODES)
def test_locked_devices_are_restored(bench: Bench, mode: str) -> None:
    checkpoint, restorer = _with_entry(_L | _NAPOT, 0x7FF_FFFF), bench.build(mode)
    memory = bench.restored(checkpoint, of_place(mode), restorer)
    assert_exact(bench.compare(memory, restorer, {0: checkpoint.harts[0]}, Machine()))


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("level", [Mode.S, Mode.U, Mode.M, Mode.M_NEMU])
@pytest.mark.parametrize("mtvec", [DRAM, DRAM + 0x101, DRAM + MIB - 4])
def test_traps_would_start_the_restorer_again(bench: Bench, mode: str, level: Mode, mtvec: int) -> None:
    checkpoint = synthetic.make(Recipe((level,)))
    checkpoint.harts[0].set("mtvec", mtvec)
    assert _end(bench, mode, checkpoint) == (CODES["RESTARTS"],) * 2


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("level", [Mode.M, Mode.M_NEMU])
@pytest.mark.parametrize("pc", [DRAM, DRAM + 0x100, DRAM + MIB - 4])
def test_m_mode_pc_in_the_restorer(bench: Bench, mode: str, level: Mode, pc: int) -> None:
    checkpoint = synthetic.make(Recipe((level,)))
    checkpoint.harts[0].pc = pc
    if level is Mode.M_NEMU:
        checkpoint.harts[0].set("mepc", pc)
    assert _end(bench, mode, checkpoint) == (CODES["RESTARTS"],) * 2


def test_virtual_pc_at_the_restorers_address(bench: Bench) -> None:
    """Below M mode the pc may be a virtual address; its mapping is up to the workload."""
    checkpoint, restorer = synthetic.make(Recipe((Mode.S,))), bench.build("single_core")
    checkpoint.harts[0].pc = DRAM + 0x100
    memory = bench.restored(checkpoint, of_place("single_core"), restorer)
    with bench.run(memory, Machine(), paused=True) as running, running.gdb() as gdb:
        run_to_first(gdb, {0: checkpoint.harts[0].pc})
        assert [gdb.read_int(0, i) for i in range(1, 32)] == checkpoint.harts[0].x[1:]


@pytest.mark.parametrize("mseccfg", [1, 2, 3])
def test_mseccfg_binds_m_mode(bench: Bench, mseccfg: int) -> None:
    checkpoint = synthetic.make(Recipe((Mode.S,)))
    checkpoint.harts[0].set("mseccfg", mseccfg)
    restorer = bench.build("dual_core", csrs="+smepmp")
    machine = Machine(cpu=cpu(smepmp=True))
    end = bench.end(bench.restored(checkpoint, of_place("dual_core"), restorer), machine)
    assert (end.status, end.error()[0]) == (CODES["PMP"],) * 2


@pytest.mark.parametrize("locks", [False, True])
@pytest.mark.parametrize("mode", MODES)
def test_mseccfg_is_restored(bench: Bench, mode: str, locks: bool) -> None:
    checkpoint = synthetic.make(Recipe((Mode.S,), locks=locks))
    checkpoint.harts[0].set("mseccfg", 4)  # RLB, which cannot be set after an entry was locked
    restorer = bench.build(mode, csrs="+smepmp")
    memory = bench.restored(checkpoint, of_place(mode), restorer)
    machine = Machine(cpu=cpu(smepmp=True))
    assert_exact(bench.compare(memory, restorer, {0: checkpoint.harts[0]}, machine))


def _with_trigger(kind: int, modes: int) -> synthetic.Synthetic:
    """A trigger on the execution of any instruction of the restorer, in the modes of these bits."""
    checkpoint = synthetic.make(Recipe((Mode.S,)))
    checkpoint.harts[0].set("tdata1", kind << 60 | 2 << 7 | 1 << 2 | modes)  # match: at least tdata2
    checkpoint.harts[0].set("tdata2", DRAM)
    return checkpoint


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize(("kind", "m"), [(2, 1 << 6), (3, 1 << 9), (4, 1 << 9), (5, 1 << 9), (6, 1 << 6)])
def test_a_trigger_that_counts_in_m_mode(bench: Bench, mode: str, kind: int, m: int) -> None:
    checkpoint, restorer = _with_trigger(kind, m), bench.build(mode, csrs="+sdtrig")
    end = bench.end(bench.restored(checkpoint, of_place(mode), restorer))
    assert (end.status, end.error()[0]) == (CODES["TRIGGER"],) * 2


@pytest.mark.parametrize("kind", [2, 6])
def test_a_trigger_of_other_modes_is_restored(bench: Bench, kind: int) -> None:
    checkpoint, restorer = _with_trigger(kind, 1 << 3), bench.build("single_core", csrs="+sdtrig")
    checkpoint.harts[0].set(
        "tdata1", checkpoint.harts[0].get("tdata1") & ~(0xF << 7)
    )  # QEMU 7.2 supports only match = equal
    memory = bench.restored(checkpoint, of_place("single_core"), restorer)
    with bench.run(memory, Machine(), paused=True) as running, running.gdb() as gdb:
        run_to_first(gdb, {0: checkpoint.harts[0].pc})
        values = [gdb.read_csr(0, BY_NAME[name].number) for name in ("tdata1", "tdata2")]
        assert values == [checkpoint.harts[0].get(name) for name in ("tdata1", "tdata2")]


def test_locked_block_of_another_place(bench: Bench) -> None:
    """The block is outside the restorer's MiB and is checked separately."""
    block = DRAM + 0x30_0000
    checkpoint = _with_entry(_L | _NAPOT | _X, block >> 2 | 0x3FFFF)
    assert _end(bench, "dual_core", checkpoint) == (CODES["PMP"],) * 2


@pytest.mark.parametrize("locked", [0, 0x20_0000], ids=["block", "integer registers"])
def test_locked_parts_of_a_header(bench: Bench, locked: int) -> None:
    """Integer registers far from the rest of the block are loaded after the workload's mtvec is restored."""
    place = behind_header(replace(MULTI_CORE, int_reg=0x20_0000, vector_reg_done=0x20_1000))
    checkpoint = synthetic.make(Recipe((Mode.S,), paging=False, locks=False))
    checkpoint.harts[0].set("pmpaddr0", DRAM + place.block(0) + locked >> 2)
    checkpoint.harts[0].set("pmpcfg0", _L | _NA4 | _X)
    end = bench.end(bench.restored(checkpoint, place, bench.build("normal")))
    assert (end.status, end.error()[0]) == (CODES["PMP"],) * 2


def _crowded(bench: Bench, recipe: Recipe, vlens: dict[int, int], **options: str) -> tuple[synthetic.Synthetic, Path]:
    """Blocks right before their header, with room for VLEN 256 each. vlens: VLEN by hart, where it is not 128."""
    close = MULTI_CORE.vector_reg + 32 * 32
    place = replace(PROTOBUF, base=PROTOBUF.header_at - recipe.harts * close, stride=close)
    checkpoint, vlenb = synthetic.make(recipe), MULTI_CORE.csr(BY_NAME["vlenb"].number)
    words = [(DRAM + place.block(hart) + vlenb, (vlen // 8).to_bytes(8, "little")) for hart, vlen in vlens.items()]
    crowded = replace(checkpoint, memory=[*checkpoint.memory, *words])
    return crowded, bench.restored(crowded, place, bench.build("normal", **options))


@pytest.mark.parametrize("vlen", [512, 2048])
@pytest.mark.parametrize(("harts", "hart"), [(1, 0), (2, 0), (2, 1)])
def test_vectors_that_reach_too_far(bench: Bench, harts: int, hart: int, vlen: int) -> None:
    """Into the next block, or from the last one into the header: the restorer and validate refuse the checkpoint."""
    _, memory = _crowded(bench, Recipe(harts=harts, locks=False), {hart: vlen})
    errors = [(finding.kind.code, finding.hart, finding.signal) for finding in validate(memory).of(Severity.ERROR)]
    assert errors[0] == ("blocks-overlap", hart, CODES["OVERLAP"])
    end = bench.end(memory, Machine(harts=harts))
    assert (end.status, end.error()[0]) == (CODES["OVERLAP"],) * 2


def test_vectors_that_fit(bench: Bench) -> None:
    """The run goes on, to the check of this hart's VLEN."""
    _, memory = _crowded(bench, Recipe(harts=2, locks=False), {0: 256, 1: 256})
    end = bench.end(memory, Machine(harts=2))
    assert (end.status, end.error()[0]) == (CODES["VLEN"],) * 2


@pytest.mark.parametrize(("vs", "stop_cpu", "harts"), [(0, "", (0, 1)), (3, "0", (1,))])
def test_vectors_that_are_not_restored(bench: Bench, vs: int, stop_cpu: str, harts: tuple[int, ...]) -> None:
    """With VS = Off, or of a parked hart, they do not end the run."""
    recipe = Recipe(harts=2, vs=vs, locks=False)
    checkpoint, memory = _crowded(bench, recipe, {0: 512}, **({"stop_cpu": stop_cpu} if stop_cpu else {}))
    with bench.run(memory, Machine(harts=2), paused=True) as running, running.gdb() as gdb:
        run_to_first(gdb, {hart: checkpoint.harts[hart].pc for hart in harts})


def test_header_without_misc_reserve(bench: Bench) -> None:
    """The restorer skips registers, and does not store their number at offset 0."""
    place = behind_header(replace(MULTI_CORE, misc_reserve=0))
    checkpoint = synthetic.make(Recipe((Mode.S,), vector=False, hypervisor=False, vs=0, locks=False))
    memory = bench.restored(checkpoint, place, bench.build("normal"))
    with bench.run(memory, Machine(cpu=cpu(v=False, h=False)), paused=True) as running, running.gdb() as gdb:
        run_to_first(gdb, {0: checkpoint.harts[0].pc})
        assert gdb.read_memory(DRAM + place.block(0), 8) == (0xBEEF).to_bytes(8, "little")


@pytest.mark.parametrize("mode", MODES)
def test_interrupts_enabled_before_the_mret(bench: Bench, mode: str) -> None:
    """MIE is set and an interrupt pending: it is not taken before the mret, which sets MIE from MPIE."""
    checkpoint = synthetic.make(Recipe((Mode.M_NEMU,)))
    state = checkpoint.harts[0]
    state.set("mstatus", state.get("mstatus") & ~mstatus.MPIE | mstatus.MIE)
    state.set("mideleg", 0)
    state.set("mie", 0xAAA)
    state.set("mip", 2)
    memory = bench.restored(checkpoint, of_place(mode), bench.build(mode))
    with bench.run(memory, Machine(), paused=True) as running, running.gdb() as gdb:
        run_to_first(gdb, {0: state.pc})
        assert [gdb.read_int(0, i) for i in range(1, 32)] == state.x[1:]


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("enabled", [False, True])
def test_m_mode_pc_out_of_reach_goes_on_by_mret(bench: Bench, mode: str, enabled: bool) -> None:
    """The line names what is lost; MIE is preserved."""
    checkpoint = synthetic.make(Recipe((Mode.M,)))
    state = checkpoint.harts[0]
    state.pc = DRAM + 0x50_0000
    value = state.get("mstatus") & ~mstatus.MIE
    state.set("mstatus", value | (mstatus.MIE if enabled else 0))
    memory = bench.restored(checkpoint, of_place(mode), bench.build(mode))
    with bench.run(memory, Machine(), paused=True) as running, running.gdb() as gdb:
        run_to_first(gdb, {0: state.pc})
        status = gdb.read_csr(0, 0x300) or 0
        assert gdb.read_int(0, "priv") == mstatus.MACHINE
        assert bool(status & mstatus.MIE) == enabled
        assert gdb.read_csr(0, 0x341) == state.pc
        assert [gdb.read_int(0, i) for i in range(1, 32)] == state.x[1:]
        assert f"gcpt: error {CODES['M_MODE_LOSS']} hart 0" in running.output()


@pytest.mark.parametrize("mode", MODES)
def test_m_mode_pc_out_of_reach_refused(bench: Bench, mode: str) -> None:
    checkpoint = synthetic.make(Recipe((Mode.M,)))
    checkpoint.harts[0].pc = DRAM + 0x50_0000
    end = bench.end(bench.restored(checkpoint, of_place(mode), bench.build(mode, exact="1")))
    assert (end.status, end.error()[0]) == (CODES["M_MODE_JUMP"],) * 2


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("has", [False, True])
def test_skipped_registers_are_counted(bench: Bench, mode: str, has: bool) -> None:
    """The number is in the first word of misc_reserve, and only if it is not 0: here V, H, and vstimecmp."""
    without = Recipe((Mode.S,), vector=False, hypervisor=False, vs=0, locks=False)
    recipe = Recipe((Mode.S,)) if has else without
    checkpoint = synthetic.make(recipe)
    place = of_place(mode)
    memory = bench.restored(checkpoint, place, bench.build(mode))
    machine = Machine(cpu=cpu(v=has, h=has))
    with bench.run(memory, machine, paused=True) as running, running.gdb() as gdb:
        run_to_first(gdb, {0: checkpoint.harts[0].pc})
        word = gdb.read_memory(DRAM + place.block(0) + DEFAULT.misc_reserve, 8)
    skipped = int.from_bytes(word, "little")
    assert skipped == (0 if has else 3)
