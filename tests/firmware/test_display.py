"""What a restorer prints; printing does not change what it restores."""

import re

import pytest
from bench import Bench, assert_exact

from gcpt.checkpoint.places import DUAL_CORE, SINGLE_CORE, Place
from gcpt.checkpoint.state import HartState
from gcpt.isa.csrs import BY_NAME
from gcpt.machines import synthetic
from gcpt.machines.comparison import compare_machine
from gcpt.machines.qemu import Machine, cpu
from gcpt.machines.synthetic import Mode, Recipe

#: CSRs that must be printed unless they are 0.
_SHOWN = ("mstatus", "mepc", "satp", "stvec", "stimecmp", "pmpaddr3", "pmpcfg2", "vtype", "vl", "vcsr", "fcsr", "hgatp")


def _console(bench: Bench, checkpoint: synthetic.Synthetic, place: Place, mode: str, **options: str) -> str:
    """What the console prints until all harts are restored; fails unless they are exact."""
    restorer = bench.build(mode, **options)
    memory = bench.restored(checkpoint, place, restorer)
    harts = dict(enumerate(checkpoint.harts))
    with bench.run(memory, Machine(harts=len(harts)), paused=True) as qemu:
        assert_exact(compare_machine(qemu, harts, restorer.csr_groups, restorer.config.platform.clint))
        return qemu.output().replace("\r\n", "\n")


def _assert_shows(text: str, state: HartState) -> None:
    words = re.sub(r"\s+", " ", text)
    level = {0: "U", 1: "S", 3: "M"}[state.mode]
    virtual = "V" if state.mode < 3 and state.get("mstatus") >> 39 & 1 else ""
    assert f"pc {state.pc:016x} mode {state.mode} ({virtual}{level})" in words
    assert f"mtime {state.mtime:016x} mtimecmp {state.mtimecmp:016x}" in words
    for number in range(32):
        assert f"x{number} {state.x[number]:016x}" in words
        assert f"f{number} {state.f[number]:016x}" in words
        assert f"v{number} {state.v[number][::-1].hex()}" in words
    for name in _SHOWN:
        shown = f"{name} ({BY_NAME[name].number:#05x}) {state.get(name):016x}"
        assert (shown in words) == (state.get(name) != 0)


@pytest.mark.parametrize("mode", [Mode.M, Mode.S, Mode.VU], ids=lambda mode: mode.value)
def test_display_of_one_hart(bench: Bench, mode: Mode) -> None:
    checkpoint = synthetic.make(Recipe((mode,)))
    _assert_shows(_console(bench, checkpoint, SINGLE_CORE, "single_core", display_cpu="0"), checkpoint.harts[0])


def test_display_of_some_harts(bench: Bench) -> None:
    checkpoint = synthetic.make(Recipe((Mode.S, Mode.M, Mode.VS), harts=3))
    text = _console(bench, checkpoint, DUAL_CORE, "dual_core", display_cpu="0,2")
    parts = re.split(r"gcpt: state of hart (\d+)", text)
    assert parts[1::2] == ["0", "2"]
    _assert_shows(parts[2], checkpoint.harts[0])
    _assert_shows(parts[4], checkpoint.harts[2])


def test_display_of_all_harts(bench: Bench) -> None:
    checkpoint = synthetic.make(Recipe((Mode.S, Mode.M, Mode.VS), harts=3))
    text = _console(bench, checkpoint, DUAL_CORE, "auto", display_cpu="all")
    parts = re.split(r"gcpt: state of hart (\d+)", text)
    assert parts[1::2] == ["0", "1", "2"]
    for hart, state in enumerate(checkpoint.harts):
        _assert_shows(parts[2 * hart + 2], state)


def test_display_of_harts_beyond_64(bench: Bench) -> None:
    checkpoint = synthetic.make(Recipe((Mode.S, Mode.M), harts=67))
    text = _console(bench, checkpoint, DUAL_CORE, "dual_core", display_cpu="1,64,66")
    parts = re.split(r"gcpt: state of hart (\d+)", text)
    assert parts[1::2] == ["1", "64", "66"]
    _assert_shows(parts[4], checkpoint.harts[64])


@pytest.mark.parametrize(("mode", "place"), [("single_core", SINGLE_CORE), ("dual_core", DUAL_CORE)])
def test_quiet_prints_nothing(bench: Bench, mode: str, place: Place) -> None:
    assert _console(bench, synthetic.make(Recipe()), place, mode) == ""


@pytest.mark.parametrize("log", ["info", "debug"])
@pytest.mark.parametrize(
    ("mode", "place"), [("single_core", SINGLE_CORE), ("dual_core", DUAL_CORE), ("auto", DUAL_CORE)]
)
def test_log(bench: Bench, mode: str, place: Place, log: str) -> None:
    checkpoint = synthetic.make(Recipe((Mode.S, Mode.VS), harts=1 if mode == "single_core" else 2))
    text = _console(bench, checkpoint, place, mode, log=log)
    for hart, state in enumerate(checkpoint.harts):
        assert f"hart {hart}: pc {state.pc:#x} mode {state.mode}" in text
    assert all(line.startswith("gcpt: ") for line in text.splitlines() if line)


def test_log_names_the_csrs_that_a_hart_lacks(bench: Bench) -> None:
    checkpoint = synthetic.make(Recipe((Mode.S,), vector=False, hypervisor=False, vs=0))
    restorer = bench.build("dual_core", log="info")
    memory = bench.restored(checkpoint, DUAL_CORE, restorer)
    with bench.run(memory, Machine(cpu=cpu(v=False, h=False)), paused=True) as qemu:
        assert_exact(
            compare_machine(qemu, {0: checkpoint.harts[0]}, restorer.csr_groups, restorer.config.platform.clint)
        )
        skipped = set(re.findall(r"no CSR (0x[0-9a-f]+)", qemu.output()))
    assert {f"{BY_NAME[name].number:#x}" for name in ("hstatus", "vsatp", "vstart", "mtval2")} <= skipped
