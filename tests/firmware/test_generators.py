"""mstatus.SIE of NEMU's checkpoints, which NEMU moves to SPIE, and of QEMU's, which QEMU leaves alone."""

from dataclasses import replace

import pytest
from bench import Bench, assert_exact

from gcpt.checkpoint import generators
from gcpt.checkpoint.layouts import MULTI_CORE
from gcpt.checkpoint.places import SINGLE_CORE, Place
from gcpt.checkpoint.state import HartState
from gcpt.isa import mstatus
from gcpt.machines import expectation, synthetic
from gcpt.machines.qemu import Machine
from gcpt.machines.restores import PLACES
from gcpt.machines.synthetic import Mode, Recipe, Synthetic

MODES = (Mode.S, Mode.U, Mode.VS, Mode.VU, Mode.M_NEMU)
#: Without a count of harts, as a protobuf header can describe it.
UNCOUNTED = replace(PLACES["normal"], layout=replace(MULTI_CORE, csr_reserve=0))
_BITS = mstatus.SIE | mstatus.SPIE


def _checkpoint(mode: Mode, count: int | None, bits: int) -> Synthetic:
    checkpoint = synthetic.make(Recipe((mode,)))
    [state] = checkpoint.harts
    state.count = count
    state.set("mstatus", state.get("mstatus") & ~_BITS | bits)
    state.set("sstatus", state.get("sstatus") & ~_BITS | bits)
    return checkpoint


def _sie(bench: Bench, checkpoint: Synthetic, place: Place, mode: str, generator: str = "auto") -> bool:
    """Restore a checkpoint and return its SIE: what the machine has, as everything has to be exact."""
    restorer = bench.build(mode, generator=generator)
    memory = bench.restored(checkpoint, place, restorer)
    [state] = checkpoint.harts
    generators.assume([state], generator)
    assert_exact(bench.compare(memory, restorer, {0: state}, Machine()))
    return _is_on(state)


def _is_on(state: HartState) -> bool:
    return bool(expectation.expected_csrs(state, ("base",))["sstatus"] & mstatus.SIE)


@pytest.mark.parametrize("layout", sorted(PLACES))
@pytest.mark.parametrize("mode", MODES, ids=lambda mode: mode.value)
def test_nemu_moved_sie(bench: Bench, mode: Mode, layout: str) -> None:
    for on in (False, True):
        checkpoint = _checkpoint(mode, 0, mstatus.SPIE if on else 0)
        assert _sie(bench, checkpoint, PLACES[layout], layout) == on


@pytest.mark.parametrize("layout", sorted(PLACES))
@pytest.mark.parametrize("bits", [0, mstatus.SIE, mstatus.SPIE, _BITS])
def test_qemu_left_sie(bench: Bench, layout: str, bits: int) -> None:
    assert _sie(bench, _checkpoint(Mode.S, 1, bits), PLACES[layout], layout) == bool(bits & mstatus.SIE)


def test_qemu_left_sie_of_a_jump(bench: Bench) -> None:
    """An M-mode hart that a jump resumes cannot be NEMU's, whatever the count."""
    assert not _sie(bench, _checkpoint(Mode.M, 0, mstatus.SPIE), SINGLE_CORE, "single_core")


@pytest.mark.parametrize(("place", "layout"), [(SINGLE_CORE, "single_core"), (UNCOUNTED, "normal")])
@pytest.mark.parametrize("count", [0, 1])
def test_option_decides(bench: Bench, place: Place, layout: str, count: int) -> None:
    for generator in ("nemu", "qemu"):
        checkpoint = _checkpoint(Mode.S, count, mstatus.SPIE)
        assert _sie(bench, checkpoint, place, layout, generator) == (generator == "nemu")


def test_unknown_generator_leaves_sie(bench: Bench) -> None:
    assert not _sie(bench, _checkpoint(Mode.S, None, mstatus.SPIE), UNCOUNTED, "normal")
