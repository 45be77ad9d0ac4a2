"""Every register of synthetic checkpoints, restored on QEMU and read back at each hart's first instruction."""

import pytest
from bench import BUT_TIMER, DRAM, Bench, assert_exact, memory_of

from gcpt.checkpoint.layouts import DEFAULT, MIB, MULTI_CORE_OFFSET
from gcpt.checkpoint.places import DUAL_CORE, SINGLE_CORE, Place
from gcpt.isa import mstatus
from gcpt.isa.csrs import INVENTORY, When
from gcpt.machines import qemu, synthetic
from gcpt.machines.comparison import compare_machine
from gcpt.machines.qemu import Machine
from gcpt.machines.synthetic import Aliases, Mode, Recipe
from gcpt.restorer import packing
from gcpt.restorer.platforms import BY_NAME

MODES = tuple(Mode)
PLATFORM = BY_NAME["qemu-virt"]
MRET = bytes.fromhex("73002030")
#: The number of values compared on one hart of single_core; a comparison of fewer would pass wrongly.
ITEMS = 178


@pytest.mark.parametrize("seed", range(1, 6))
@pytest.mark.parametrize("mode", MODES, ids=lambda mode: mode.value)
def test_single_core(bench: Bench, mode: Mode, seed: int) -> None:
    report = bench.exact(Recipe((mode,), seed=seed), SINGLE_CORE, bench.build("single_core"))
    assert report.items >= ITEMS
    assert report.mismatches == []


@pytest.mark.parametrize("mode", [Mode.S, Mode.U, Mode.VS, Mode.VU], ids=lambda mode: mode.value)
def test_without_paging(bench: Bench, mode: Mode) -> None:
    bench.exact(Recipe((mode,), paging=False), SINGLE_CORE, bench.build("single_core"))


@pytest.mark.parametrize("mode", MODES, ids=lambda mode: mode.value)
@pytest.mark.parametrize(("fs", "vs"), [(0, 0), (0, 3), (3, 0), (1, 2)])
def test_units_off_or_clean(bench: Bench, fs: int, vs: int, mode: Mode) -> None:
    bench.exact(Recipe((mode,), fs=fs, vs=vs), SINGLE_CORE, bench.build("single_core"))


@pytest.mark.parametrize("vlen", [256, 512, 1024])
@pytest.mark.parametrize("mode", ["single_core", "dual_core"])
def test_vlen(bench: Bench, mode: str, vlen: int) -> None:
    place, harts = (SINGLE_CORE, 1) if mode == "single_core" else (DUAL_CORE, 2)
    bench.exact(Recipe(MODES, harts=harts, vlen=vlen), place, bench.build(mode))


@pytest.mark.parametrize("aliases", [Aliases.PARTS, Aliases.WHOLE], ids=lambda form: form.value)
@pytest.mark.parametrize("seed", [1, 2, 3, 4])
def test_csr_saved_in_one_form_only(bench: Bench, aliases: Aliases, seed: int) -> None:
    bench.exact(Recipe((Mode.U,), seed=seed, aliases=aliases), SINGLE_CORE, bench.build("single_core"))


#: Distances from the jal: no two bits are set in the same subset of the first five.
_DISTANCES = [sum(1 << bit for bit in range(1, 20) if bit >> n & 1) for n in range(5)]


@pytest.mark.parametrize("offset", [0x10_0000, 0x1F_FF00, *(MIB - 8 + distance for distance in _DISTANCES)], ids=hex)
@pytest.mark.parametrize("mode", ["single_core", "dual_core"])
def test_m_mode_jump(bench: Bench, mode: str, offset: int) -> None:
    """The restorer encodes the jal that leaves to M mode at run time: all bits of its distance."""
    checkpoint = synthetic.make(Recipe((Mode.M,)))
    checkpoint.memory[0] = (DRAM + offset, checkpoint.memory[0][1])
    checkpoint.harts[0].pc = DRAM + offset
    restorer = bench.build(mode)
    memory = bench.restored(checkpoint, SINGLE_CORE if mode == "single_core" else DUAL_CORE, restorer)
    assert_exact(bench.compare(memory, restorer, {0: checkpoint.harts[0]}, Machine()))


def test_m_mode_jumps_of_several_harts(bench: Bench) -> None:
    """Each hart stops in its own trampoline before the jump, when the other harts have written theirs."""
    checkpoint = synthetic.make(Recipe((Mode.M,), harts=3))
    for hart, state in enumerate(checkpoint.harts):
        at = checkpoint.memory.index((state.pc, checkpoint.memory[0][1]))
        state.pc = DRAM + 0x10_0000 + 0x1000 * hart
        checkpoint.memory[at] = (state.pc, checkpoint.memory[at][1])
    restorer = bench.build("dual_core")
    memory = bench.restored(checkpoint, DUAL_CORE, restorer)
    leave = DRAM + restorer.image.read_bytes().index(MRET)
    with bench.run(memory, Machine(harts=3), paused=True) as running:
        harts = dict(enumerate(checkpoint.harts))
        report = compare_machine(running, harts, restorer.csr_groups, PLATFORM.clint, leave=leave)
    assert_exact(report)


#: CSRs that an earlier run may leave in a hart, except for what stops the restorer at once: locked PMP entries and
#: enabled interrupts that are pending.
_LEFT = [
    entry
    for entry in INVENTORY
    if entry.when in (When.EARLY, When.TIMER)
    and entry.group in PLATFORM.csr_groups
    and not entry.name.startswith("pmpcfg")
]


@pytest.mark.parametrize("seed", [1, 2])
@pytest.mark.parametrize("mode", MODES, ids=lambda mode: mode.value)
@pytest.mark.parametrize("build", ["single_core", "dual_core"])
def test_hart_that_ran_before(bench: Bench, build: str, mode: Mode, seed: int) -> None:
    """Every register of the hart holds another value when the restorer starts."""
    checkpoint = synthetic.make(Recipe((mode,), seed=seed))
    other = synthetic.make(Recipe((Mode.S,), seed=seed + 50)).harts[0]
    restorer = bench.build(build)
    memory = bench.restored(checkpoint, SINGLE_CORE if build == "single_core" else DUAL_CORE, restorer)
    with bench.run(memory, Machine(), paused=True) as running:
        with running.gdb() as gdb:
            for number in range(32):
                gdb.write(0, number, other.x[number])
                gdb.write(0, gdb.numbers["ft0"] + number, other.f[number])
                gdb.write(0, f"v{number}", int.from_bytes(other.v[number], "little"), 16)
            for entry in _LEFT:
                gdb.write_csr(0, entry.number, other.get(entry.name))
            gdb.write_csr(0, 0x300, other.get("mstatus") | mstatus.MIE)
            gdb.write_csr(0, 0x304, BUT_TIMER & ~other.get("mip"))
        report = compare_machine(running, {0: checkpoint.harts[0]}, restorer.csr_groups, PLATFORM.clint)
    assert_exact(report)


def test_counters_that_stand_still(bench: Bench) -> None:
    """No base register reaches their values: they share one of their own."""
    checkpoint = synthetic.make(Recipe((Mode.S,)))
    state = checkpoint.harts[0]
    state.set("mcountinhibit", 0xFFFFFFFD)
    counters = [csr for csr in INVENTORY if csr.group == "counters"][:6]
    for csr in counters:
        state.set(csr.name, csr.number)
    restorer = bench.build("single_core", csrs="+counters")
    machine = Machine(cpu=qemu.cpu(128), memory=memory_of(checkpoint))
    report = bench.compare(bench.restored(checkpoint, SINGLE_CORE, restorer), restorer, {0: state}, machine)
    assert not {csr.name for csr in counters} & {row.name for row in report.mismatches}


def test_illegal_vtype_stays_illegal(bench: Bench) -> None:
    bench.exact(Recipe((Mode.S,), vill=True), SINGLE_CORE, bench.build("single_core"))


@pytest.mark.parametrize("harts", [1, 2, 6])
@pytest.mark.parametrize("seed", [1, 2])
def test_dual_core(bench: Bench, harts: int, seed: int) -> None:
    bench.exact(Recipe(MODES[seed:] + MODES[:seed], harts=harts, seed=seed), DUAL_CORE, bench.build("dual_core"))


@pytest.mark.parametrize(("count", "harts"), [(0, 1), (2, 4)])
def test_dual_core_with_a_count_that_is_not_the_harts(bench: Bench, count: int, harts: int) -> None:
    """QEMU writes the count 2 for any number of harts, and the marked blocks count; NEMU writes 0 for one hart."""
    checkpoint, restorer = synthetic.make(Recipe(MODES, harts=harts)), bench.build("dual_core")
    memory = bench.restored(checkpoint, DUAL_CORE, restorer)
    packing.overwrite(memory, MULTI_CORE_OFFSET + DEFAULT.csr_reserve, count.to_bytes(8, "little"))
    assert_exact(bench.compare(memory, restorer, dict(enumerate(checkpoint.harts)), Machine(harts=harts)))


def test_128_harts(bench: Bench) -> None:
    report = bench.exact(Recipe(MODES, harts=128), DUAL_CORE, bench.build("dual_core"))
    assert report.items >= 128 * ITEMS
    assert report.mismatches == []


@pytest.mark.parametrize("mode", ["single_core", "dual_core"])
@pytest.mark.parametrize("level", [Mode.M, Mode.S, Mode.U], ids=lambda level: level.value)
def test_hart_without_v_and_h(bench: Bench, mode: str, level: Mode) -> None:
    """The checkpoint of a hart without V and H restores on such a hart."""
    recipe = Recipe((level,), vector=False, hypervisor=False, vs=0)
    place = SINGLE_CORE if mode == "single_core" else DUAL_CORE
    bench.exact(recipe, place, bench.build(mode), cpu=qemu.cpu(v=False, h=False))


def test_other_vlen_with_vs_off(bench: Bench) -> None:
    """With VS Off the vector registers of another VLEN are left alone; all else is exact."""
    checkpoint = synthetic.make(Recipe((Mode.S,), vs=0))
    restorer = bench.build("single_core")
    memory = bench.restored(checkpoint, SINGLE_CORE, restorer)
    report = bench.compare(memory, restorer, {0: checkpoint.harts[0]}, Machine(cpu=qemu.cpu(256)))
    vector = {"vl", "vtype", *(f"v{number}" for number in range(32))}
    assert {difference.name for difference in report.unexplained} == vector


@pytest.mark.parametrize(("mode", "place"), [("single_core", SINGLE_CORE), ("auto", DUAL_CORE)])
def test_debug_builds_restore_the_same(bench: Bench, mode: str, place: Place) -> None:
    harts = 1 if place is SINGLE_CORE else 3
    bench.exact(Recipe(MODES, harts=harts), place, bench.build(mode, debug="1"))
