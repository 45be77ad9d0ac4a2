"""Instructions of a restore, counted by QEMU."""

import pytest
from bench import Bench

from gcpt.checkpoint.places import DUAL_CORE, SINGLE_CORE
from gcpt.machines import synthetic
from gcpt.machines.count import count
from gcpt.machines.qemu import Machine
from gcpt.machines.synthetic import Mode, Recipe

#: The most instructions of a quiet single_core restore, of one through the M-mode trampoline, of one with locked PMP
#: entries.
MOST, MOST_M_MODE, MOST_LOCKED = 360, 390, 660


@pytest.mark.parametrize("mode", tuple(Mode), ids=lambda mode: mode.value)
def test_single_core(bench: Bench, mode: Mode) -> None:
    checkpoint = synthetic.make(Recipe((mode,), locks=False))
    memory = bench.restored(checkpoint, SINGLE_CORE, bench.build("single_core"))
    counts = count(memory, Machine(), {0: checkpoint.harts[0].pc}, bench.folder)
    assert set(counts) == {0}
    assert 200 < counts[0] <= (MOST_M_MODE if mode is Mode.M else MOST)


def test_locked_pmp_entries(bench: Bench) -> None:
    """The restorer checks each locked entry before it can lock the restorer out."""
    checkpoint = synthetic.make(Recipe((Mode.S,)))
    memory = bench.restored(checkpoint, SINGLE_CORE, bench.build("single_core"))
    assert MOST < count(memory, Machine(), {0: checkpoint.harts[0].pc}, bench.folder)[0] <= MOST_LOCKED


def test_instructions_are_counted_by_hart(bench: Bench) -> None:
    """Only one hart plans; the others do not spin while they wait."""
    checkpoint = synthetic.make(Recipe(harts=8, locks=False))
    memory = bench.restored(checkpoint, DUAL_CORE, bench.build("dual_core"))
    pcs = {hart: state.pc for hart, state in enumerate(checkpoint.harts)}
    counts = count(memory, Machine(harts=8), pcs, bench.folder)
    *waiting, planner = sorted(counts.values())
    assert len(counts) == 8
    assert 200 < waiting[0] <= waiting[-1] < 600
    assert planner < 2000
