"""The reasons that a hart of QEMU proves itself: a value that it cannot hold, but never one that PMP locks."""

from collections.abc import Callable

import pytest
from bench import Bench

from gcpt.checkpoint.places import SINGLE_CORE
from gcpt.checkpoint.state import HartState
from gcpt.isa.csrs import BY_NAME
from gcpt.machines import synthetic
from gcpt.machines.comparison import Comparison, Mismatch
from gcpt.machines.qemu import Machine
from gcpt.machines.synthetic import Mode, Recipe
from gcpt.machines.verification import compare_left_out, verify_machine

#: A bit of medeleg that has no exception, and a reserved mode of mtvec.
_UNHELD = {"medeleg": 1 << 60, "mtvec": 2}


def _verify_changed(bench: Bench, locks: bool, change: Callable[[HartState], None]) -> Comparison:
    """Verify a correctly restored machine against a state in which one value is changed."""
    checkpoint = synthetic.make(Recipe((Mode.S,), locks=locks))
    restorer = bench.build("single_core")
    memory = bench.restored(checkpoint, SINGLE_CORE, restorer)
    change(checkpoint.harts[0])
    harts, clint = {0: checkpoint.harts[0]}, restorer.config.platform.clint
    with bench.run(memory, Machine(), paused=True) as running:
        return verify_machine(running, harts, restorer.csr_groups, clint, 60, None)


def _flip(name: str, bits: int) -> Callable[[HartState], None]:
    return lambda state: state.set(name, state.get(name) ^ bits)


@pytest.mark.parametrize("name", _UNHELD)
def test_a_value_that_the_hart_cannot_hold(bench: Bench, name: str) -> None:
    report = _verify_changed(bench, False, _flip(name, _UNHELD[name]))
    reasons = {mismatch.name: mismatch.reason for mismatch in report.mismatches}
    assert reasons[name] == "WARL: the hart cannot hold the whole value"


@pytest.mark.parametrize("name", ["medeleg", "pmpaddr9", "pmpcfg2"])
@pytest.mark.parametrize("locks", [False, True])
def test_a_wrong_value_that_the_hart_could_hold(bench: Bench, name: str, locks: bool) -> None:
    """A locked PMP entry keeps its value, too: that a write changes nothing proves nothing."""
    report = _verify_changed(bench, locks, _flip(name, 1))
    assert [mismatch.name for mismatch in report.unexplained] == [name]


def test_a_csr_that_the_restorer_leaves_out() -> None:
    """Each is named with its values: as the hart has another one, none, or the same."""
    state = HartState(pc=0, mode=3)
    for name in ("mstateen0", "mseccfg", "mnstatus"):
        state.set(name, 0x28)
    values = {"mstateen0": 0x20, "mnstatus": 0x28}
    report = compare_left_out(values.get, 3, state, ())
    group = BY_NAME["mstateen0"].group
    mismatches = [
        Mismatch(3, "mstateen0", "0x28", "0x20", f"the restorer leaves group {group} out (csrs=)"),
        Mismatch(3, "mseccfg", "0x28", "none", "the hart has no such CSR"),
    ]
    assert report == Comparison(3, mismatches)
