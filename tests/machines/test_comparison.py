"""The comparison itself: what a restore did not do has to be seen. Each test plants one fault and looks for it."""

from collections.abc import Callable

import pytest
from bench import Bench, assert_exact

from gcpt.checkpoint.places import DUAL_CORE, SINGLE_CORE
from gcpt.checkpoint.state import HartState
from gcpt.machines import synthetic
from gcpt.machines.comparison import Comparison
from gcpt.machines.qemu import Machine, QemuError
from gcpt.machines.synthetic import Mode, Recipe


def _seen_after(bench: Bench, mode: Mode, change: Callable[[HartState], object]) -> Comparison:
    """The report on a machine that is restored right, compared with a state in which one value is another."""
    made = synthetic.make(Recipe((mode,)))
    restorer = bench.build("single_core")
    memory = bench.restored(made, SINGLE_CORE, restorer)
    change(made.harts[0])
    return bench.compare(memory, restorer, {0: made.harts[0]}, Machine())


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
def test_a_wrong_value_is_found(bench: Bench, name: str, mode: Mode) -> None:
    report = _seen_after(bench, mode, PLANTED[name])
    assert [fault.name for fault in report.unexplained] == [name.partition(",")[0]]


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
def test_a_wrong_mstatus_is_found(bench: Bench, mode: Mode, bit: int, names: set[str]) -> None:
    report = _seen_after(bench, mode, _flip("mstatus", bit))
    assert {fault.name for fault in report.unexplained} == names


def test_a_wrong_privilege_is_found(bench: Bench) -> None:
    report = _seen_after(bench, Mode.S, lambda state: setattr(state, "mode", 0))
    assert [fault.name for fault in report.unexplained] == ["privilege"]


def test_a_register_that_is_not_restored_is_found(bench: Bench) -> None:
    """The checkpoint in memory is changed, so that the restorer restores what the state does not say."""
    made = synthetic.make(Recipe((Mode.U,)))
    restorer = bench.build("single_core")
    wanted = synthetic.make(Recipe((Mode.U,))).harts[0]
    made.harts[0].set("sscratch", 0)
    memory = bench.restored(made, SINGLE_CORE, restorer)
    report = bench.compare(memory, restorer, {0: wanted}, Machine())
    assert [(fault.name, fault.got) for fault in report.unexplained] == [("sscratch", "0x0")]


def test_a_hart_that_does_not_arrive_is_named(bench: Bench) -> None:
    made = synthetic.make(Recipe((Mode.S,), harts=2))
    restorer = bench.build("dual_core", stop_cpu="1")
    memory = bench.restored(made, DUAL_CORE, restorer)
    with pytest.raises(QemuError, match=r"not all harts arrived within 1 s: hart 1 is at 0x8000"):
        bench.compare(memory, restorer, dict(enumerate(made.harts)), Machine(harts=2), timeout=1)


def test_what_the_hart_cannot_hold_has_a_reason(bench: Bench) -> None:
    """A hart without H, a checkpoint that used it: the differences say why, and the rest is exact."""
    made = synthetic.make(Recipe((Mode.S,), vector=False, hypervisor=False, vs=0))
    made.harts[0].set("vsscratch", 0x1234)
    restorer = bench.build("single_core")
    memory = bench.restored(made, SINGLE_CORE, restorer)
    report = bench.compare(memory, restorer, {0: made.harts[0]}, Machine(cpu="rv64,v=false,h=false"))
    assert_exact(report)
    assert ("vsscratch", "the hart has no such CSR") in [(d.name, d.reason) for d in report.mismatches]
    assert all(difference.reason for difference in report.mismatches)
