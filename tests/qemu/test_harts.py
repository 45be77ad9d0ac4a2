"""Which harts restore and which sleep: parked ones, and those that the checkpoint does not know."""

import time

import pytest
from bench import CODES, DRAM, Bench, assert_exact

from gcpt import synthetic
from gcpt.compare import run_to_first
from gcpt.csrs import BY_NAME
from gcpt.platforms import BY_NAME as PLATFORMS
from gcpt.platforms import CLINT_MTIME, PATIENCE
from gcpt.qemu import Machine
from gcpt.state import DUAL_CORE
from gcpt.synthetic import Mode, Recipe

VIRT = PLATFORMS["qemu-virt"]
_WFI, _MIB = 0x10500073, 1 << 20
#: Seconds in which a hart that does not sleep would have gone somewhere.
_WHILE = 0.3


def _sleepers(bench: Bench, made: synthetic.Synthetic, idle: list[int], mode: str, **options: str) -> dict[int, bool]:
    """For each of ``idle``, whether it sleeps in the restorer for good, some time after the others were restored."""
    memory = bench.restored(made, DUAL_CORE, bench.build(mode, **options))
    restoring = {hart: state.pc for hart, state in enumerate(made.harts) if hart not in idle}
    machine = Machine(harts=max(*restoring, *idle) + 1)
    asleep = {}
    with bench.run(memory, machine, paused=True) as qemu, qemu.gdb() as gdb:
        run_to_first(gdb, restoring, 30)
        gdb.resume()
        time.sleep(_WHILE)
        gdb.interrupt()
        for hart in idle:
            pc = gdb.read_int(hart, "pc")
            here = [int.from_bytes(gdb.read_memory(pc - back, 4), "little") for back in (0, 4)]
            silent = gdb.read_csr(hart, BY_NAME["mie"].number) == 0
            asleep[hart] = DRAM <= pc < DRAM + _MIB and _WFI in here and silent
    return asleep


@pytest.mark.parametrize("stopped", [0, 1, 2])
def test_others_restore_when_one_is_stopped(bench: Bench, stopped: int) -> None:
    made = synthetic.make(Recipe((Mode.S, Mode.M, Mode.VU), harts=3))
    restorer = bench.build("dual_core", stop_cpu=str(stopped))
    memory = bench.restored(made, DUAL_CORE, restorer)
    harts = {hart: state for hart, state in enumerate(made.harts) if hart != stopped}
    assert_exact(bench.compare(memory, restorer, harts, Machine(harts=3)))


@pytest.mark.parametrize("stopped", ["0", "1", "0,2"])
def test_stopped_harts_sleep(bench: Bench, stopped: str) -> None:
    made = synthetic.make(Recipe((Mode.S, Mode.M, Mode.VU), harts=3))
    harts = [int(hart) for hart in stopped.split(",")]
    assert _sleepers(bench, made, harts, "dual_core", stop_cpu=stopped) == dict.fromkeys(harts, True)


def test_stopped_harts_among_128(bench: Bench) -> None:
    recipe = Recipe(tuple(Mode), harts=128)
    made = synthetic.make(recipe)
    restorer = bench.build("dual_core", stop_cpu="63,64,127")
    memory = bench.restored(made, DUAL_CORE, restorer)
    harts = {hart: state for hart, state in enumerate(made.harts) if hart not in (63, 64, 127)}
    assert_exact(bench.compare(memory, restorer, harts, Machine(harts=128, memory=memory.stat().st_size)))


@pytest.mark.parametrize("mode", ["dual_core", "auto"])
def test_harts_beyond_the_checkpoint_sleep(bench: Bench, mode: str) -> None:
    made = synthetic.make(Recipe((Mode.S, Mode.M), harts=2))
    assert _sleepers(bench, made, [2, 3], mode) == {2: True, 3: True}


def test_harts_beyond_the_restorers_sleep(bench: Bench) -> None:
    made = synthetic.make(Recipe((Mode.S, Mode.M), harts=2))
    assert _sleepers(bench, made, [2, 3], "dual_core", harts="2") == {2: True, 3: True}


@pytest.mark.parametrize("mode", ["dual_core", "auto"])
def test_more_harts_than_the_machine_has(bench: Bench, mode: str) -> None:
    """Those that are there wait for as long as mtime says, and then one says what is missing."""
    made = synthetic.make(Recipe(harts=3))
    memory = bench.restored(made, DUAL_CORE, bench.build(mode))
    with bench.run(memory, Machine(harts=2), paused=True) as running, running.gdb() as gdb:
        gdb.resume()
        time.sleep(_WHILE)
        gdb.interrupt()
        assert running.output() == ""
        late = PATIENCE - 10_000_000
        gdb.write_memory(VIRT.clint + CLINT_MTIME, late.to_bytes(8, "little"))
        gdb.resume()
        assert running.wait_exit(20) == CODES["HARTS_MISSING"]
    assert f"gcpt: error {CODES['HARTS_MISSING']} hart " in running.output()


def test_more_harts_than_the_restorer_serves(bench: Bench) -> None:
    made = synthetic.make(Recipe(harts=4))
    memory = bench.restored(made, DUAL_CORE, bench.build("dual_core", harts="2"))
    code, _, words = bench.end(memory, Machine(harts=4)).error()
    assert (code, "too many harts" in words) == (CODES["HARTS"], True)
