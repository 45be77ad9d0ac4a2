"""Options that change what is restored, from where, and what is printed."""

import re

import pytest
from bench import CODES, DRAM, RAM, Bench, assert_exact, of_place

from gcpt.checkpoint import places
from gcpt.checkpoint.layouts import MIB
from gcpt.checkpoint.places import Checkpoint
from gcpt.isa.csrs import BY_NAME
from gcpt.machines import qemu, synthetic
from gcpt.machines.arrival import run_to_first
from gcpt.machines.comparison import compare_machine
from gcpt.machines.qemu import Machine
from gcpt.machines.synthetic import Aliases, Mode, Recipe
from gcpt.restorer import packing

MODES = ("single_core", "dual_core")
#: The instruction hfence.gvma with both operands zero.
HFENCE_GVMA = "0x62000073"
PLAIN = qemu.cpu(v=False, h=False)


def _console(bench: Bench, checkpoint: synthetic.Synthetic, mode: str, cpu: str, **options: str) -> str:
    """What the console prints until hart 0 is at its first instruction."""
    memory = bench.restored(checkpoint, of_place(mode), bench.build(mode, **options))
    with bench.run(memory, Machine(cpu=cpu), paused=True) as running, running.gdb() as gdb:
        run_to_first(gdb, {0: checkpoint.harts[0].pc})
        return running.output()


@pytest.mark.parametrize("mode", MODES)
def test_log_names_the_csrs_that_the_hart_lacks(bench: Bench, mode: str) -> None:
    checkpoint = synthetic.make(Recipe((Mode.S,), vector=False, hypervisor=False, vs=0))
    named = re.findall(
        r"hart 0 has no CSR 0x([0-9a-f]+) (\w+), skipped", _console(bench, checkpoint, mode, PLAIN, log="info")
    )
    assert {"hgatp", "vsatp", "hvip", "vcsr", "mtinst"} <= {name for _, name in named}
    assert all(BY_NAME[name].number == int(number, 16) for number, name in named)
    assert len(named) == len(set(named))


@pytest.mark.parametrize("log", ["quiet", "debug"])
@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("level", list(Mode), ids=lambda level: level.value)
def test_selfcheck_finds_nothing_in_what_is_exact(bench: Bench, mode: str, log: str, level: Mode) -> None:
    checkpoint = synthetic.make(Recipe((level,)))
    console = _console(bench, checkpoint, mode, qemu.cpu(), selfcheck="1", log=log)
    assert "wanted" not in console


@pytest.mark.parametrize("mode", MODES)
def test_selfcheck_finds_nothing_in_what_the_hart_lacks(bench: Bench, mode: str) -> None:
    """Although the restorer prints the registers' names in between."""
    checkpoint = synthetic.make(Recipe((Mode.S,), vector=False, hypervisor=False, vs=0))
    console = _console(bench, checkpoint, mode, PLAIN, selfcheck="1", log="info")
    assert ("wanted" in console, "has no CSR 0x680 hgatp" in console) == (False, True)


@pytest.mark.parametrize("log", ["quiet", "info"])
@pytest.mark.parametrize("mode", MODES)
def test_vectors_for_a_hart_without_them(bench: Bench, mode: str, log: str) -> None:
    memory = bench.restored(synthetic.make(Recipe((Mode.S,))), of_place(mode), bench.build(mode, log=log))
    end = bench.end(memory, Machine(cpu=PLAIN))
    assert end.status == end.error()[0] == CODES["VLEN"]


@pytest.mark.parametrize("mode", MODES)
def test_selfcheck_reports_what_differs(bench: Bench, mode: str) -> None:
    """WARL fields that the hart legalises, in a CSR of each part of the restore."""
    checkpoint = synthetic.make(Recipe((Mode.M,)))
    nowhere = checkpoint.harts[0].get("mie") | 1
    wrong = {"satp": 5 << 60, "hedeleg": (1 << 64) - 1, "mie": nowhere, "medeleg": (1 << 64) - 1}
    for name, value in wrong.items():
        checkpoint.harts[0].set(name, value)
    console = _console(bench, checkpoint, mode, qemu.cpu(), selfcheck="1")
    reports = re.findall(r"hart 0: CSR 0x([0-9a-f]+) (\w+): wanted 0x([0-9a-f]+), got 0x([0-9a-f]+)", console)
    assert {name: int(wanted, 16) for _, name, wanted, _ in reports} == wrong
    assert all(BY_NAME[name].number == int(number, 16) and got != wanted for number, name, wanted, got in reports)


def test_selfcheck_of_several_harts_at_once(bench: Bench) -> None:
    """Lines of different harts do not mix."""
    checkpoint = synthetic.make(Recipe((Mode.M,), harts=8))
    wrong = dict.fromkeys(("satp", "hedeleg", "hideleg", "medeleg", "mideleg", "mie"), 5 << 60 | 1)
    for hart, state in enumerate(checkpoint.harts):
        for name, value in wrong.items():
            state.set(name, value | hart << 48)
    memory = bench.restored(checkpoint, places.DUAL_CORE, bench.build("dual_core", selfcheck="1"))
    with bench.run(memory, Machine(harts=8), paused=True) as running, running.gdb() as gdb:
        run_to_first(gdb, {hart: state.pc for hart, state in enumerate(checkpoint.harts)})
        lines = running.output().split("\n")[:-1]
    reports = [
        re.fullmatch(r"gcpt: hart (\d): CSR 0x[0-9a-f]+ (\w+): wanted 0x([0-9a-f]+), got 0x[0-9a-f]+\r?", line)
        for line in lines
    ]
    assert all(reports), lines
    wanted = {(str(hart), name, f"{value | hart << 48:x}") for hart in range(8) for name, value in wrong.items()}
    assert {report.groups() for report in reports if report} == wanted
    assert len(reports) == len(wanted)


@pytest.mark.parametrize("mode", MODES)
def test_selfcheck_changes_nothing(bench: Bench, mode: str) -> None:
    bench.exact(Recipe((Mode.VS,)), of_place(mode), bench.build(mode, selfcheck="1"))
    bench.exact(Recipe((Mode.M,)), of_place(mode), bench.build(mode, selfcheck="1"))


#: A checkpoint with a guest's interrupt pending in hvip but not in mip.
_HVIP_ONLY = next(
    recipe
    for recipe in (Recipe((Mode.S,), seed=seed, aliases=Aliases.PARTS) for seed in range(100))
    if synthetic.make(recipe).harts[0].get("hvip")
)


@pytest.mark.parametrize(
    ("recipe", "cpu", "csrs"),
    [
        pytest.param(Recipe((Mode.VS,), vector=False, vs=0), qemu.cpu(v=False), "", id="no V"),
        pytest.param(Recipe((Mode.S,)), qemu.cpu(), "+pmp64,+aia", id="no AIA"),
        pytest.param(_HVIP_ONLY, qemu.cpu(), "", id="hvip not in mip"),
    ],
)
@pytest.mark.parametrize("mode", MODES)
def test_selfcheck_of_what_traps(bench: Bench, mode: str, recipe: Recipe, cpu: str, csrs: str) -> None:
    """A read of a CSR that the hart lacks traps, which writes mtval2 and mtinst: they are exact nevertheless."""
    restorer = bench.build(mode, selfcheck="1", **({"csrs": csrs} if csrs else {}))
    bench.exact(recipe, of_place(mode), restorer, cpu=cpu)
    assert "wanted" not in (bench.folder / "console.log").read_text()


@pytest.mark.parametrize("mode", MODES)
def test_more_groups_of_csrs(bench: Bench, mode: str) -> None:
    """All selectors, and groups that this hart lacks: each missing CSR costs a trap and nothing else."""
    groups = "+hpm,+pmp64,+smstateen,+aia,+csrind,+smctr,+smrnmi"
    restorer = bench.build(mode, csrs=groups if mode == "single_core" else f"{groups},+xscustom")  # within 0xe00 bytes
    assert "hpm" in restorer.csr_groups
    checkpoint = synthetic.make(Recipe((Mode.U,)))
    for number in range(4, 19):
        checkpoint.harts[0].set(f"mhpmevent{number}", number)
    memory = bench.restored(checkpoint, of_place(mode), restorer)
    assert_exact(bench.compare(memory, restorer, {0: checkpoint.harts[0]}, Machine()))


def test_fewer_groups_of_csrs(bench: Bench) -> None:
    """Without group h, no CSR of it is written; all others are exact."""
    checkpoint = synthetic.make(Recipe((Mode.S,)))
    checkpoint.harts[0].set("hgatp", 0)  # a guest needs group h
    restorer = bench.build("single_core", csrs="-h,-vstimer")
    memory = bench.restored(checkpoint, places.SINGLE_CORE, restorer)
    with bench.run(memory, Machine(), paused=True) as running, running.gdb() as gdb:
        run_to_first(gdb, {0: checkpoint.harts[0].pc})
        values = {name: gdb.read_csr(0, BY_NAME[name].number) for name in ("vsscratch", "htval", "sscratch", "stvec")}
    assert values == {"vsscratch": 0, "htval": 0} | {
        name: checkpoint.harts[0].get(name) for name in ("sscratch", "stvec")
    }


def _in_flash(bench: Bench, checkpoint: synthetic.Synthetic, mode: str, **options: str) -> None:
    """The restorer in read-only flash; a single-core block is there too, the workload is in memory."""
    restorer = bench.build(mode, flash="1", **options)
    blocks = synthetic.blocks(Checkpoint(of_place(mode), checkpoint.harts))
    flash = bench.flash(restorer, blocks if mode == "single_core" else [])
    memory = bench.image([*checkpoint.memory, *([] if mode == "single_core" else blocks)])
    harts = dict(enumerate(checkpoint.harts))
    assert_exact(bench.compare(memory, restorer, harts, Machine(len(harts), flash=flash)))


@pytest.mark.parametrize("level", [level for level in Mode if level is not Mode.M], ids=lambda level: level.value)
def test_one_hart_in_flash(bench: Bench, level: Mode) -> None:
    """The restorer writes nothing to memory: from flash, the first MiB of DRAM belongs to the workload too."""
    checkpoint = synthetic.make(Recipe((level,)))
    _in_flash(bench, checkpoint, "single_core")
    assert _reserved(bench) == bytes(MIB)


def test_m_mode_from_flash_is_said_to_lose(bench: Bench) -> None:
    """A trampoline needs memory: without it, the pc is out of reach."""
    checkpoint = synthetic.make(Recipe((Mode.M,)))
    restorer = bench.build("single_core", flash="1", exact="1")
    flash = bench.flash(restorer, synthetic.blocks(Checkpoint(places.SINGLE_CORE, checkpoint.harts)))
    end = bench.end(bench.image(checkpoint.memory), Machine(flash=flash))
    assert end.status == end.error()[0] == CODES["M_MODE_JUMP"]
    assert _reserved(bench) == bytes(MIB)


def _reserved(bench: Bench) -> bytes:
    """The first MiB of the last machine's memory."""
    with (bench.folder / "memory").open("rb") as file:
        return file.read(MIB)


@pytest.mark.parametrize("vlen", [128, 512])
@pytest.mark.parametrize("harts", [1, 2, 4])
def test_several_harts_from_flash(bench: Bench, harts: int, vlen: int) -> None:
    checkpoint = synthetic.make(Recipe(tuple(Mode), harts=harts, vlen=vlen))
    restorer = bench.build("dual_core", flash="1", ram=f"{RAM:#x}")
    machine = Machine(harts, cpu=qemu.cpu(vlen), flash=bench.flash(restorer))
    memory = bench.synthetic_image(checkpoint, places.DUAL_CORE)
    assert_exact(bench.compare(memory, restorer, dict(enumerate(checkpoint.harts)), machine))


def test_memory_of_a_restorer_in_flash_may_hold_anything(bench: Bench) -> None:
    """Until its first hart is restored; each hart prints what it lacks, one hart at a time."""
    checkpoint = synthetic.make(Recipe((Mode.S,), harts=2, vector=False, hypervisor=False, vs=0))
    restorer = bench.build("dual_core", flash="1", ram=f"{RAM:#x}", log="info")
    memory = bench.synthetic_image(checkpoint, places.DUAL_CORE)
    packing.overwrite(memory, RAM - DRAM, b"\xa5" * (2 * MIB))
    machine = Machine(2, cpu=PLAIN, flash=bench.flash(restorer))
    with bench.run(memory, machine, paused=True) as running:
        harts = dict(enumerate(checkpoint.harts))
        assert_exact(compare_machine(running, harts, restorer.csr_groups, restorer.config.platform.clint))
        skipped = set(re.findall(r"cannot execute (\w+)", running.output()))
        assert skipped == {HFENCE_GVMA}  # no vectors, which these harts lack and the checkpoint has not


@pytest.mark.parametrize("mode", ["auto", "dual_core"])
def test_restorer_that_needs_memory_says_so_in_flash(bench: Bench, mode: str) -> None:
    flash = bench.flash(bench.build(mode))
    end = bench.end(bench.image([]), Machine(2, flash=flash))
    assert end.status == CODES["NEEDS_RAM"]
    assert f"gcpt: error {end.status} hart" in end.console


def test_flash_and_printing(bench: Bench) -> None:
    _in_flash(bench, synthetic.make(Recipe((Mode.S,))), "single_core", ram=f"{RAM:#x}", log="info")
