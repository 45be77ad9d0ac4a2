"""The comparison detects wrong restores: each test plants one fault and expects its mismatch."""

from collections.abc import Callable

import pytest
from bench import Bench, assert_exact

from gcpt.checkpoint.places import DUAL_CORE, SINGLE_CORE
from gcpt.checkpoint.state import HartState
from gcpt.machines import synthetic
from gcpt.machines.comparison import Comparison
from gcpt.machines.observation import comparable
from gcpt.machines.qemu import Machine, QemuError, cpu
from gcpt.machines.synthetic import Mode, Recipe


def _compare_changed(bench: Bench, mode: Mode, change: Callable[[HartState], object]) -> Comparison:
    """Compare a correctly restored machine with a state in which one value is changed."""
    checkpoint = synthetic.make(Recipe((mode,)))
    restorer = bench.build("single_core")
    memory = bench.restored(checkpoint, SINGLE_CORE, restorer)
    change(checkpoint.harts[0])
    return bench.compare(memory, restorer, {0: checkpoint.harts[0]}, Machine())


def _flip(name: str, bit: int = 0) -> Callable[[HartState], None]:
    return lambda state: state.set(name, state.get(name) ^ 1 << bit)


PLANTED = {
    "x5": lambda state: state.x.__setitem__(5, state.x[5] ^ 1),
    "f31": lambda state: state.f.__setitem__(31, state.f[31] ^ 1 << 63),
    "v17": lambda state: state.v.__setitem__(17, bytes(16)),
    "mtimecmp": lambda state: setattr(state, "mtimecmp", state.mtimecmp ^ 1),
    "mtime": lambda state: setattr(state, "mtime", state.mtime + 1_000_000_000),
    "mtime, earlier": lambda state: setattr(state, "mtime", state.mtime - 1_000_000_000),
    "vl": _flip("vl"),
    "vstart": _flip("vstart"),
    "stvec": _flip("stvec", 40),
    "stimecmp": _flip("stimecmp"),
    "vstimecmp": _flip("vstimecmp"),
    "pmpaddr9": _flip("pmpaddr9"),
    "pmpcfg2": _flip("pmpcfg2"),
    "htimedelta": _flip("htimedelta"),
    "mepc": _flip("mepc", 5),
    "mtinst": _flip("mtinst"),
    "mhpmevent3": _flip("mhpmevent3"),
}


@pytest.mark.parametrize("mode", [Mode.M, Mode.VS], ids=lambda mode: mode.value)
@pytest.mark.parametrize("name", PLANTED)
def test_a_wrong_value_is_detected(bench: Bench, name: str, mode: Mode) -> None:
    report = _compare_changed(bench, mode, PLANTED[name])
    assert [mismatch.name for mismatch in report.unexplained] == [name.partition(",")[0]]


@pytest.mark.parametrize(
    ("mode", "bit", "names"),
    [
        (Mode.S, 7, {"mstatus"}),  # MPIE: MIE after the mret
        (Mode.S, 18, {"mstatus", "sstatus"}),  # SUM
        (Mode.VS, 18, {"mstatus", "sstatus"}),  # HS mode's SUM, which the stub hides while V = 1
        (Mode.VS, 39, {"virtualisation"}),  # MPV
        (Mode.U, 39, {"virtualisation"}),
        (Mode.M, 39, {"mstatus"}),
        (Mode.M, 3, {"mstatus"}),  # MIE
    ],
    ids=lambda value: getattr(value, "value", None),
)
def test_a_wrong_mstatus_is_detected(bench: Bench, mode: Mode, bit: int, names: set[str]) -> None:
    report = _compare_changed(bench, mode, _flip("mstatus", bit))
    assert {mismatch.name for mismatch in report.unexplained} == names


def test_a_wrong_privilege_is_detected(bench: Bench) -> None:
    report = _compare_changed(bench, Mode.S, lambda state: setattr(state, "mode", 0))
    assert [mismatch.name for mismatch in report.unexplained] == ["privilege"]


def test_a_register_that_is_not_restored_is_detected(bench: Bench) -> None:
    """The checkpoint in memory differs from the state that is compared."""
    checkpoint = synthetic.make(Recipe((Mode.U,)))
    restorer = bench.build("single_core")
    wanted = synthetic.make(Recipe((Mode.U,))).harts[0]
    checkpoint.harts[0].set("sscratch", 0)
    memory = bench.restored(checkpoint, SINGLE_CORE, restorer)
    report = bench.compare(memory, restorer, {0: wanted}, Machine())
    assert [(mismatch.name, mismatch.got) for mismatch in report.unexplained] == [("sscratch", "0x0")]


def test_a_hart_that_does_not_arrive_is_named(bench: Bench) -> None:
    checkpoint = synthetic.make(Recipe((Mode.S,), harts=2))
    restorer = bench.build("dual_core", stop_cpu="1")
    memory = bench.restored(checkpoint, DUAL_CORE, restorer)
    with pytest.raises(QemuError, match=r"not all harts arrived within 5 s: hart 1 is at 0x8000"):
        bench.compare(memory, restorer, dict(enumerate(checkpoint.harts)), Machine(harts=2), timeout=5)


def test_a_value_that_the_hart_cannot_hold_has_a_reason(bench: Bench) -> None:
    """A hart without H and a checkpoint that uses it: each mismatch has a reason."""
    checkpoint = synthetic.make(Recipe((Mode.S,), vector=False, hypervisor=False, vs=0))
    checkpoint.harts[0].set("vsscratch", 0x1234)
    restorer = bench.build("single_core")
    memory = bench.restored(checkpoint, SINGLE_CORE, restorer)
    report = bench.compare(memory, restorer, {0: checkpoint.harts[0]}, Machine(cpu=cpu(v=False, h=False)))
    assert_exact(report)
    reasons = {mismatch.name: mismatch.reason for mismatch in report.mismatches}
    assert reasons["vsscratch"] == "the hart has no such CSR"
    assert all(reasons.values())


@pytest.mark.parametrize(("name", "kept"), [("vsip", 0x2), ("hvip", 0x444)])
def test_pending_bits_of_guests(name: str, kept: int) -> None:
    """Of vsip and hvip, the bits that a restorer writes are compared, and no others."""
    assert comparable({name: (1 << 64) - 1, "sscratch": 5}) == {name: kept, "sscratch": 5}
