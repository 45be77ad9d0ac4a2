"""How many instructions a restore takes, counted by QEMU."""

import pytest
from bench import Bench

from gcpt.checkpoint.places import DUAL_CORE, SINGLE_CORE
from gcpt.machines import synthetic
from gcpt.machines.count import count
from gcpt.machines.qemu import Machine
from gcpt.machines.synthetic import Mode, Recipe

#: The most that a quiet single_core restore may take; more through the M-mode trampoline or with locked PMP entries.
MOST, MOST_M_MODE, MOST_LOCKED = 290, 330, 660


@pytest.mark.parametrize("mode", tuple(Mode), ids=lambda mode: mode.value)
def test_single_core(bench: Bench, mode: Mode) -> None:
    made = synthetic.make(Recipe((mode,), locks=False))
    memory = bench.restored(made, SINGLE_CORE, bench.build("single_core"))
    counted = count(memory, Machine(), {0: made.harts[0].pc}, bench.folder)
    assert set(counted) == {0}
    assert 200 < counted[0] <= (MOST_M_MODE if mode is Mode.M else MOST)


def test_locked_pmp_entries(bench: Bench) -> None:
    """They are looked at, one by one, before they can lock the restorer out."""
    made = synthetic.make(Recipe((Mode.S,)))
    memory = bench.restored(made, SINGLE_CORE, bench.build("single_core"))
    assert MOST < count(memory, Machine(), {0: made.harts[0].pc}, bench.folder)[0] <= MOST_LOCKED


def test_harts_are_counted_apart(bench: Bench) -> None:
    """Only one hart plans; none spins while it waits for the others."""
    made = synthetic.make(Recipe(harts=8, locks=False))
    memory = bench.restored(made, DUAL_CORE, bench.build("dual_core"))
    counted = count(memory, Machine(harts=8), {hart: state.pc for hart, state in enumerate(made.harts)}, bench.folder)
    *others, planner = sorted(counted.values())
    assert len(counted) == 8
    assert 200 < others[0] <= others[-1] < 600
    assert planner < 2000
