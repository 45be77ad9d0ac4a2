"""``gcpt verify`` and ``gcpt run`` on each simulator: the same checkpoints, exact on all."""

import json
from collections.abc import Callable
from pathlib import Path

import pytest
from command import gcpt, refusal

from gcpt.checkpoint import edits, output
from gcpt.checkpoint.places import DUAL_CORE, PROTOBUF, SINGLE_CORE, Place
from gcpt.checkpoint.state import HartState
from gcpt.errors import SimulatorError, UserError
from gcpt.isa import mstatus
from gcpt.machines import demo, judges, spike
from gcpt.machines.synthetic import Mode, Recipe

Make = Callable[..., Path]
#: csrw stvec, a0
_CSRW_STVEC, _NOP = bytes.fromhex("73105510"), bytes.fromhex("13000000")
#: andi a5, a0, MIE for the trampoline; andi a5, a0, 0
_KEEP_MIE, _CLEAR_A5 = bytes.fromhex("93778500"), bytes.fromhex("93770500")


@pytest.mark.parametrize(
    ("recipe", "place"),
    [
        pytest.param(Recipe((Mode.S,)), SINGLE_CORE, id="S"),
        pytest.param(Recipe((Mode.M,), vlen=1024), SINGLE_CORE, id="M, VLEN 1024"),
        pytest.param(Recipe((Mode.M_NEMU,)), SINGLE_CORE, id="M as NEMU leaves it"),
        pytest.param(Recipe((Mode.VS,), vlen=256), SINGLE_CORE, id="VS, VLEN 256"),
        pytest.param(Recipe((Mode.U,), vlen=2048), SINGLE_CORE, id="U, VLEN 2048"),
        pytest.param(Recipe((Mode.VU, Mode.M, Mode.S), harts=3), DUAL_CORE, id="three harts"),
        pytest.param(Recipe((Mode.VS, Mode.U), harts=4), PROTOBUF, id="four harts, protobuf"),
    ],
)
def test_spike_restores_exactly(checkpoint_file: Make, recipe: Recipe, place: Place) -> None:
    run = gcpt("verify", "--on", "spike", "--json", checkpoint_file(recipe, place))
    report = json.loads(run.stdout)
    assert (run.returncode, report["unexplained"]) == (0, 0), run.stdout
    assert report["exact"] > 170 * recipe.harts
    assert {row["reason"] for row in report["differences"]} <= {
        "WARL: the hart cannot hold the whole value",
        "the restorer leaves group hpm out (csrs=)",
    }


@pytest.mark.parametrize("mode", [Mode.S, Mode.VS], ids=["S", "VS"])
def test_spike_sees_a_register_that_is_not_restored(
    checkpoint_file: Make, build_restorer: Callable[..., object], tmp_path: Path, mode: Mode
) -> None:
    """In VS mode, Spike shows vstvec in its place: it is read before the mret."""
    data = build_restorer(mode="single_core", platform="spike").image.read_bytes()  # type: ignore[attr-defined]
    assert data.count(_CSRW_STVEC) == 1
    broken = tmp_path / "broken.bin"
    broken.write_bytes(data.replace(_CSRW_STVEC, _NOP))
    run = gcpt("verify", "--on", "spike", checkpoint_file(Recipe((mode,))), "--restorer", broken)
    [row] = [line.split() for line in run.stdout.splitlines() if "UNEXPLAINED" in line]
    assert (run.returncode, row[:2]) == (1, ["0", "stvec"])


@pytest.mark.parametrize(
    ("judge", "platform", "recipe"),
    [
        ("spike", "spike", Recipe((Mode.M,))),
        ("rtl", "rocket", Recipe((Mode.M,), hypervisor=False, vs=0)),
    ],
)
def test_a_lost_mie_is_unexplained(
    checkpoint_file: Make,
    build_restorer: Callable[..., object],
    tmp_path: Path,
    judge: str,
    platform: str,
    recipe: Recipe,
) -> None:
    """The probe of what a hart holds does not write MIE, which every hart holds."""

    def change(harts: list[HartState]) -> None:
        harts[0].set("mie", 0)
        harts[0].set("mstatus", harts[0].get("mstatus") | mstatus.MIE)

    data = build_restorer(mode="single_core", platform=platform).image.read_bytes()  # type: ignore[attr-defined]
    assert data.count(_KEEP_MIE) == 1
    broken = tmp_path / "broken.bin"
    broken.write_bytes(data.replace(_KEEP_MIE, _CLEAR_A5))
    path = checkpoint_file(recipe, change=change)
    run = gcpt("verify", "--on", judge, "--timeout", "600", path, "--restorer", broken)
    [row] = [line.split() for line in run.stdout.splitlines() if "UNEXPLAINED" in line]
    assert (run.returncode, row[:2]) == (1, ["0", "mstatus"])


def test_spike_with_another_isa(checkpoint_file: Make) -> None:
    """Without H its CSRs are not there, which the checkpoint does not use either."""
    path = checkpoint_file(Recipe(hypervisor=False, vector=False))
    isa = "rv64gc_zicntr_zihpm_zicbom_zicboz_svpbmt_sstc"
    run = gcpt("verify", "--isa", isa, path)
    assert (run.returncode, run.stdout.splitlines()[-1].endswith(", 0 unexplained")) == (0, True), run.stdout


@pytest.mark.parametrize("enabled", [False, True], ids=["MIE clear", "MIE set"])
def test_mnret_resumes_m_mode_anywhere(checkpoint_file: Make, enabled: bool) -> None:
    """Out of a jump's reach, on a hart with Smrnmi, mepc and mstatus are as they were; without it, mret loses them."""

    def change(harts: list[HartState]) -> None:
        harts[0].pc = 0x8050_0000
        harts[0].set("mie", 0)
        harts[0].set("mstatus", harts[0].get("mstatus") & ~mstatus.MIE | (mstatus.MIE if enabled else 0))

    path = checkpoint_file(Recipe((Mode.M,)), change=change)
    isa = spike.isa()
    run = gcpt("verify", "--isa", f"{isa}_smrnmi", "--json", path)
    report = json.loads(run.stdout)
    assert (run.returncode, report["unexplained"]) == (0, 0), run.stdout
    assert "mnepc" in {row["name"] for row in report["differences"]}
    run = gcpt("verify", "--isa", isa, path)
    assert (run.returncode, "gcpt: error 14 hart 0" in run.stdout) == (1, True), run.stdout


def test_a_loss_that_is_printed_last(tmp_path: Path) -> None:
    """A hart may arrive before its console is read, and before the line ends: a program that ends at once shows it."""
    program = tmp_path / "spike"
    program.write_text("#!/bin/sh\nprintf 'gcpt: error 14 hart 0'\n")
    program.chmod(0o755)
    with pytest.raises(SimulatorError, match=r"^gcpt: error 14 hart 0$"):
        spike.read(spike.Spike(str(program), "rv64i"), tmp_path / "elf", 0, 0, (), tmp_path, 60)


def test_a_refusal_on_spike(checkpoint_file: Make) -> None:
    def change(harts: list[HartState]) -> None:
        harts[0].mode = 2

    run = gcpt("verify", "--on", "spike", checkpoint_file(change=change))
    assert (run.returncode, "the restorer refused: gcpt: error 13 hart 0" in run.stdout) == (1, True), run.stdout


def test_a_hart_that_never_arrives_on_spike(checkpoint_file: Make, tmp_path: Path) -> None:
    endless = tmp_path / "endless.bin"
    endless.write_bytes(bytes.fromhex("6f000000") + (4096).to_bytes(4, "little") + bytes(4088))
    logs = tmp_path / "logs"
    path = checkpoint_file()
    run = gcpt("verify", "--on", "spike", path, "--restorer", endless, "--timeout", "2", "--logs", logs)
    assert (run.returncode, "hart 0 did not arrive within 2 s" in run.stdout) == (1, True), run.stdout
    assert "--isa=rv64gcvh" in (logs / "spike.log").read_text()


def test_options_reach_the_judges(checkpoint_file: Make, tmp_path: Path) -> None:
    """Options after -- and those of one judge are in its command line; a wrong one is the judge's own error."""
    path = checkpoint_file()
    cpu = "rv64,v=true,vlen=128,h=true,sstc=true,zbc=true"
    run = gcpt("verify", "--qemu", "qemu-system-riscv64", "--cpu", cpu, "--logs", tmp_path, path, "--", "-icount", "1")
    log = (tmp_path / "qemu.log").read_text()
    assert (run.returncode, cpu in log, "-icount 1" in log) == (0, True, True), run.stdout
    run = gcpt("verify", "--isa", "rv64nonsense", path)
    assert run.returncode == 1 and "Spike ended with status" in run.stdout
    run = gcpt("verify", "--on", "spike", "--logs", tmp_path, path, "--", "--pmpregions=8")
    assert "--pmpregions=8" in (tmp_path / "spike.log").read_text()


def test_the_options_of_another_judge_are_refused(checkpoint_file: Make) -> None:
    path = checkpoint_file()
    assert "--isa: this is an option of spike, not of qemu" in refusal(
        gcpt("verify", "--on", "qemu", "--isa", "i", path)
    )
    assert "--cpu: this is an option of qemu, not of spike" in refusal(gcpt("run", "--on", "spike", "--cpu", "c", path))


@pytest.mark.parametrize("command", ["verify", "run"])
def test_a_judge_that_is_missing_is_named(checkpoint_file: Make, command: str, tmp_path: Path) -> None:
    message = refusal(gcpt(command, "--qemu", tmp_path / "none", checkpoint_file()))
    assert message == f"{tmp_path}/none: not found: ./sconsw --setup-only installs QEMU"


def test_run_on_spike(tmp_path: Path) -> None:
    """The demo checkpoint prints on a 16550, which drops no output, and then waits: its finisher is QEMU's."""
    path = tmp_path / "demo.gz"
    zeros = (bytes(1 << 20) for _ in range(demo.IMAGE_SIZE >> 20))
    output.write(path, edits.patched(zeros, demo.image().items()), "gzip")
    run = gcpt("run", "--on", "spike", path, "--", "--instructions=1000000")
    assert "here it goes on, with every register in its place." in run.stdout


def test_the_default_picks_what_is_there(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Without both, the first one is named."""
    monkeypatch.setattr("sys.executable", str(tmp_path / "python"))
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(UserError, match=r"qemu-system-riscv64: not found: \./sconsw --setup-only installs QEMU"):
        judges.choose()
    with pytest.raises(UserError, match=r"spike: not found: .*, \./sconsw --setup-only installs Spike"):
        judges.choose("spike")
    (tmp_path / "spike").touch(0o755)
    assert judges.choose().name == "spike"
    (tmp_path / "qemu-system-riscv64").touch(0o755)
    assert judges.choose().name == "qemu"
    assert judges.choose(isa="rv64gc").name == "spike"
