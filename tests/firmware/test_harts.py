"""Which harts restore and which sleep: parked harts, and harts beyond the checkpoint."""

import json
import os
from dataclasses import replace

import pytest
from bench import BUT_TIMER, CODES, DRAM, Bench, assert_exact
from command import gcpt, wait_until
from guests import symbol

from gcpt.checkpoint import open_checkpoint
from gcpt.checkpoint.layouts import MIB
from gcpt.checkpoint.places import DUAL_CORE, PROTOBUF, SINGLE_CORE
from gcpt.isa import mstatus
from gcpt.isa.csrs import BY_NAME
from gcpt.machines import synthetic
from gcpt.machines.arrival import run_to_first
from gcpt.machines.comparison import compare_machine
from gcpt.machines.gdb import Gdb
from gcpt.machines.qemu import Machine
from gcpt.machines.synthetic import Mode, Recipe
from gcpt.restorer import packing
from gcpt.restorer.platforms import BY_NAME as PLATFORMS
from gcpt.restorer.platforms import CLINT_MTIME, PATIENCE
from gcpt.validate.verdict import validate

VIRT = PLATFORMS["qemu-virt"]
_WFI, _NOP = 0x10500073, 0x13


def _sleeps(gdb: Gdb, hart: int) -> bool:
    """Whether it is at a wfi of the restorer with all interrupts disabled, and has no software interrupt."""
    pc = gdb.read_int(hart, "pc")
    instructions = [int.from_bytes(gdb.read_memory(pc - back, 4), "little") for back in (0, 4)]
    silent = gdb.read_csr(hart, BY_NAME["mie"].number) == 0
    called = any(gdb.read_memory(VIRT.clint + 4 * hart, 4))
    return DRAM <= pc < DRAM + MIB and _WFI in instructions and silent and not called


def _fall_asleep(bench: Bench, checkpoint: synthetic.Synthetic, idle: list[int], mode: str, **options: str) -> bool:
    """Whether all harts of ``idle`` finally sleep, after the others were restored; interrupts were enabled before."""
    place = SINGLE_CORE if mode == "single_core" else DUAL_CORE
    memory = bench.restored(checkpoint, place, bench.build(mode, **options))
    restoring = {hart: state.pc for hart, state in enumerate(checkpoint.harts) if hart not in idle}
    machine = Machine(harts=max(*restoring, *idle) + 1)
    with bench.run(memory, machine, paused=True) as qemu, qemu.gdb() as gdb:
        for hart in idle:
            gdb.write_csr(hart, BY_NAME["mie"].number, BUT_TIMER)
        run_to_first(gdb, restoring)

        def asleep() -> bool:
            gdb.resume()
            gdb.interrupt()
            return all(_sleeps(gdb, hart) for hart in idle)

        return wait_until(asleep)


@pytest.mark.parametrize("stopped", [0, 1, 2])
def test_others_restore_when_one_is_stopped(bench: Bench, stopped: int) -> None:
    checkpoint = synthetic.make(Recipe((Mode.S, Mode.M, Mode.VU), harts=3))
    restorer = bench.build("dual_core", stop_cpu=str(stopped))
    memory = bench.restored(checkpoint, DUAL_CORE, restorer)
    harts = {hart: state for hart, state in enumerate(checkpoint.harts) if hart != stopped}
    assert_exact(bench.compare(memory, restorer, harts, Machine(harts=3)))


@pytest.mark.parametrize("stopped", ["0", "1", "0,2"])
def test_stopped_harts_sleep(bench: Bench, stopped: str) -> None:
    checkpoint = synthetic.make(Recipe((Mode.S, Mode.M, Mode.VU), harts=3))
    harts = [int(hart) for hart in stopped.split(",")]
    assert _fall_asleep(bench, checkpoint, harts, "dual_core", stop_cpu=stopped)


def test_stopped_harts_among_128(bench: Bench) -> None:
    recipe = Recipe(tuple(Mode), harts=128)
    checkpoint = synthetic.make(recipe)
    restorer = bench.build("dual_core", stop_cpu="63,64,127")
    memory = bench.restored(checkpoint, DUAL_CORE, restorer)
    harts = {hart: state for hart, state in enumerate(checkpoint.harts) if hart not in (63, 64, 127)}
    assert_exact(bench.compare(memory, restorer, harts, Machine(harts=128, memory=memory.stat().st_size)))


@pytest.mark.parametrize("mode", ["dual_core", "auto"])
def test_harts_beyond_the_checkpoint_sleep(bench: Bench, mode: str) -> None:
    checkpoint = synthetic.make(Recipe((Mode.S, Mode.M), harts=2))
    assert _fall_asleep(bench, checkpoint, [2, 3], mode)


def test_harts_beyond_the_only_one_sleep(bench: Bench) -> None:
    checkpoint = synthetic.make(Recipe((Mode.S,)))
    assert _fall_asleep(bench, checkpoint, [1, 2], "single_core")


def test_harts_beyond_the_restorers_sleep(bench: Bench) -> None:
    checkpoint = synthetic.make(Recipe((Mode.S, Mode.M), harts=2))
    assert _fall_asleep(bench, checkpoint, [2, 3], "dual_core", harts="2")


@pytest.mark.parametrize("called", [True, False], ids=["called", "listening"])
@pytest.mark.parametrize("mode", ["dual_core", "auto"])
def test_harts_that_ran_before(bench: Bench, mode: str, called: bool) -> None:
    """A software interrupt from before the start does not count as the wake-up of the planner or of the meeting.

    The first hart prints long enough for the others to fall asleep.
    """
    checkpoint, restorer = synthetic.make(Recipe((Mode.S, Mode.M, Mode.VU), harts=3)), bench.build(mode, log="info")
    memory = bench.restored(checkpoint, DUAL_CORE, restorer)
    with bench.run(memory, Machine(harts=3), paused=True) as running:
        with running.gdb() as gdb:
            for hart in range(3):
                if called:
                    gdb.write_memory(VIRT.clint + 4 * hart, (1).to_bytes(4, "little"))
                else:
                    gdb.write_csr(hart, BY_NAME["mie"].number, BUT_TIMER)
                    gdb.write_csr(hart, BY_NAME["mstatus"].number, mstatus.MIE)
        harts = dict(enumerate(checkpoint.harts))
        assert_exact(compare_machine(running, harts, restorer.csr_groups, VIRT.clint))


@pytest.mark.parametrize("mode", ["dual_core", "auto"])
def test_harts_whose_wfi_does_not_wait(bench: Bench, mode: str) -> None:
    """wfi may return for any reason (Privileged, "Wait for Interrupt"): here it is a nop."""
    checkpoint, restorer = synthetic.make(Recipe((Mode.S, Mode.M, Mode.VU), harts=3)), bench.build(mode)
    memory = bench.restored(checkpoint, DUAL_CORE, restorer)
    wfi, nop = (word.to_bytes(4, "little") for word in (_WFI, _NOP))
    image = restorer.image.read_bytes()
    assert image.count(wfi) >= 3
    packing.overwrite(memory, 0, image.replace(wfi, nop))
    assert_exact(bench.compare(memory, restorer, dict(enumerate(checkpoint.harts)), Machine(harts=3)))


@pytest.mark.parametrize("mode", ["dual_core", "auto"])
def test_more_harts_than_the_machine_has(bench: Bench, mode: str) -> None:
    """The existing harts wait until mtime reaches the timeout; then one of them reports the missing ones."""
    checkpoint = synthetic.make(Recipe(harts=3))
    restorer = bench.build(mode)
    memory = bench.restored(checkpoint, DUAL_CORE, restorer)
    with bench.run(memory, Machine(harts=2), paused=True) as running, running.gdb() as gdb:
        wait = symbol(restorer.folder / "gcpt.elf", "wait_at_meeting")
        wait += restorer.image.read_bytes()[wait - DRAM :].index(_WFI.to_bytes(4, "little"))
        run_to_first(gdb, {0: wait, 1: wait})
        assert running.output() == ""
        late = PATIENCE - 10_000_000
        gdb.write_memory(VIRT.clint + CLINT_MTIME, late.to_bytes(8, "little"))
        gdb.resume()
        assert running.wait_exit() == CODES["HARTS_MISSING"]
    assert f"gcpt: error {CODES['HARTS_MISSING']} hart " in running.output()


def test_fewer_harts_counted_than_blocks_marked(bench: Bench) -> None:
    """A count of 3 is 3 harts to the restorer and to the tools although a fourth block follows; hart 3 parks."""
    checkpoint = synthetic.make(Recipe((Mode.S, Mode.M, Mode.VU), harts=4))
    count = DRAM + DUAL_CORE.block(0) + DUAL_CORE.layout.csr_reserve, (3).to_bytes(8, "little")
    counted = replace(checkpoint, memory=[*checkpoint.memory, count])
    assert len(open_checkpoint(bench.synthetic_image(counted, DUAL_CORE)).harts) == 3
    restorer = bench.build("dual_core")
    memory = bench.restored(counted, DUAL_CORE, restorer)
    info = json.loads(gcpt("info", "--json", memory).stdout)
    assert len(info["harts"]) == 3
    assert_exact(bench.compare(memory, restorer, dict(enumerate(checkpoint.harts[:3])), Machine(harts=4)))
    assert _fall_asleep(bench, counted, [3], "dual_core")


def test_more_harts_than_the_restorer_serves(bench: Bench) -> None:
    checkpoint = synthetic.make(Recipe(harts=4))
    memory = bench.restored(checkpoint, DUAL_CORE, bench.build("dual_core", harts="2"))
    code, _, words = bench.end(memory, Machine(harts=4)).error()
    assert (code, "too many harts" in words) == (CODES["HARTS"], True)


#: A place whose csr_reserve has the count, and one whose header has it.
_COUNTED = {"dual_core": DUAL_CORE, "normal": PROTOBUF}


@pytest.mark.parametrize(
    ("mode", "count", "unmarked"), [("dual_core", 2, 1), ("dual_core", 3, 2), ("dual_core", 3, 1), ("normal", 4, 3)]
)
def test_counted_hart_without_a_block(bench: Bench, mode: str, count: int, unmarked: int) -> None:
    """The hart would get arbitrary values: the restorer and validate refuse the checkpoint."""
    checkpoint, place = synthetic.make(Recipe(harts=4, locks=False)), _COUNTED[mode]
    block, layout = DRAM + place.block(unmarked), place.layout
    words = [(DRAM + place.block(0) + layout.csr_reserve, count), (block + layout.magic_number, 0)]
    pieces = [(address, value.to_bytes(8, "little")) for address, value in words]
    damaged = replace(checkpoint, memory=[*checkpoint.memory, *pieces])
    memory = bench.restored(damaged, place, bench.build(mode))
    refusals = [(finding.kind.code, finding.hart, finding.signal) for finding in validate(memory).findings]
    assert ("hart-unmarked", unmarked, CODES["UNMARKED"]) in refusals
    end = bench.end(memory, Machine(harts=4))
    assert (end.status, end.error()[0]) == (CODES["UNMARKED"],) * 2


@pytest.mark.parametrize("mode", _COUNTED)
def test_image_that_ends_before_a_counted_block(bench: Bench, mode: str) -> None:
    """The memory behind it is zero: the restorer finds no magic number there."""
    checkpoint = synthetic.make(Recipe(harts=3, locks=False))
    memory = bench.restored(checkpoint, _COUNTED[mode], bench.build(mode))
    size = memory.stat().st_size
    os.truncate(memory, _COUNTED[mode].block(2))
    refusals = [(finding.kind.code, finding.hart) for finding in validate(memory).findings]
    assert {("block-cut", 2), ("hart-unmarked", 2)} <= set(refusals)
    os.truncate(memory, size)
    end = bench.end(memory, Machine(harts=3))
    assert (end.status, end.error()[0]) == (CODES["UNMARKED"],) * 2
