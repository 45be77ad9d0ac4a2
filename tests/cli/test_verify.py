"""``gcpt verify`` on a real QEMU: exact, explained, wrong and refused restores."""

import json
import re
from collections.abc import Callable
from pathlib import Path

import pytest
from command import gcpt, refusal

from gcpt.checkpoint import output
from gcpt.checkpoint.places import DUAL_CORE, SINGLE_CORE, Place
from gcpt.checkpoint.state import HartState
from gcpt.isa import mstatus
from gcpt.machines import demo
from gcpt.machines.synthetic import Mode, Recipe
from gcpt.restorer import packing

Make = Callable[..., Path]
#: csrw stvec, a0
_CSRW_STVEC, _NOP = bytes.fromhex("73105510"), bytes.fromhex("13000000")
_SSIP = 1 << 1


@pytest.mark.parametrize(
    ("recipe", "place"),
    [
        pytest.param(Recipe((Mode.S,)), SINGLE_CORE, id="S"),
        pytest.param(Recipe((Mode.M,), vlen=256), SINGLE_CORE, id="M, VLEN 256"),
        pytest.param(Recipe((Mode.VS, Mode.M, Mode.U), harts=3), DUAL_CORE, id="three harts"),
    ],
)
def test_exact(checkpoint_file: Make, recipe: Recipe, place: Place) -> None:
    run = gcpt("verify", checkpoint_file(recipe, place))
    assert (run.returncode, run.stderr) == (0, ""), run.stdout
    assert run.stdout.splitlines()[-1].endswith(", 0 unexplained")


@pytest.fixture
def broken(build_restorer: Callable[..., object], tmp_path: Path) -> Path:
    """A restorer that does not write stvec."""
    data = build_restorer(mode="single_core", platform="qemu-virt").image.read_bytes()  # type: ignore[attr-defined]
    assert data.count(_CSRW_STVEC) == 1
    path = tmp_path / "broken.bin"
    path.write_bytes(data.replace(_CSRW_STVEC, _NOP))
    return path


def test_a_register_that_is_not_restored(checkpoint_file: Make, broken: Path) -> None:
    run = gcpt("verify", checkpoint_file(), "--restorer", broken)
    [row] = [line.split() for line in run.stdout.splitlines() if "UNEXPLAINED" in line]
    assert (run.returncode, row[:2], row[-1]) == (1, ["0", "stvec"], "UNEXPLAINED")


def test_json(checkpoint_file: Make, broken: Path) -> None:
    run = gcpt("verify", "--json", checkpoint_file(), "--restorer", broken)
    report = json.loads(run.stdout)
    mismatches = report["differences"]
    assert (run.returncode, report["unexplained"]) == (1, 1)
    assert [mismatch["name"] for mismatch in mismatches if mismatch["reason"] == "UNEXPLAINED"] == ["stvec"]
    assert {mismatch["hart"] for mismatch in mismatches} == {0}
    assert report["exact"] + len(mismatches) == report["compared"]


def test_the_demo_checkpoint_is_explained(tmp_path: Path) -> None:
    """Its UXL is 0, which a hart cannot hold: mstatus and its view sstatus differ."""
    path = tmp_path / "demo.img"
    demo.main([str(path)])
    run = gcpt("verify", path)
    assert (run.returncode, run.stdout.splitlines()[-1].endswith(", 0 unexplained")) == (0, True)


@pytest.mark.parametrize("level", [Mode.U, Mode.M_NEMU], ids=["U", "M"])
@pytest.mark.parametrize("flash", [False, True], ids=["memory", "flash"])
def test_an_interrupt_that_is_pending_is_not_taken(
    checkpoint_file: Make, tmp_path: Path, flash: bool, level: Mode
) -> None:
    """Its handler would change registers before they are compared."""

    def change(harts: list[HartState]) -> None:
        state = harts[0]
        for name, value in (("mip", _SSIP), ("mie", _SSIP), ("mideleg", _SSIP if level is Mode.U else 0), ("hvip", 0)):
            state.set(name, value)
        state.set("mstatus", state.get("mstatus") | mstatus.MPIE)

    path = checkpoint_file(Recipe((level,), paging=False), change=change)
    memory, flash_image = tmp_path / "memory", tmp_path / "flash"
    pair: list[str | Path] = [path]
    if flash:
        assert gcpt("convert", path, memory, "--layout", "flash", "--flash-out", flash_image).returncode == 0
        pair = [memory, "--flash", flash_image]
    run = gcpt("verify", *pair)
    assert (run.returncode, run.stdout.splitlines()[-1].endswith(", 0 unexplained")) == (0, True), run.stdout


def test_a_value_that_the_hart_cannot_hold(checkpoint_file: Make) -> None:
    def change(harts: list[HartState]) -> None:
        harts[0].set("medeleg", 1 << 40)

    run = gcpt("verify", checkpoint_file(change=change))
    assert run.returncode == 0
    assert "medeleg" in run.stdout and "WARL: the hart cannot hold the whole value" in run.stdout


def test_csrs_that_the_restorer_leaves_out(checkpoint_file: Make) -> None:
    def change(harts: list[HartState]) -> None:
        harts[0].set("mhpmevent9", 5)
        harts[0].set("sbpctl", 5)

    lines = gcpt("verify", checkpoint_file(change=change)).stdout.splitlines()
    reasons = {line.split()[1]: line for line in lines if line.startswith("0 ")}
    assert "leaves group hpm out" in reasons["mhpmevent9"]
    assert "the hart has no such CSR" in reasons["sbpctl"]


def test_a_refusal_is_printed_with_its_sentence(checkpoint_file: Make) -> None:
    def change(harts: list[HartState]) -> None:
        harts[0].mode = 2

    run = gcpt("verify", checkpoint_file(change=change))
    assert run.returncode == 1
    assert "the restorer refused: gcpt: error 13 hart 0" in run.stdout
    assert "its generator did not prepare it" in run.stdout


def test_a_restorer_that_never_arrives(checkpoint_file: Make, tmp_path: Path) -> None:
    endless = tmp_path / "endless.bin"
    endless.write_bytes(bytes.fromhex("6f000000") + (4096).to_bytes(4, "little") + bytes(4088))
    run = gcpt("verify", checkpoint_file(), "--restorer", endless, "--timeout", "2")
    assert (run.returncode, "not all harts arrived within 2 s: hart 0 is at 0x80000000" in run.stdout) == (1, True)


def test_an_unmapped_pc(checkpoint_file: Make) -> None:
    """As in a flash image without its memory image, which holds the page tables."""

    def unmapped(harts: list[HartState]) -> None:
        harts[0].set("satp", 8 << 60 | 0x87FFF)

    run = gcpt("verify", checkpoint_file(Recipe((Mode.S,)), change=unmapped))
    assert (run.returncode, run.stderr) == (1, "")
    message = r"hart 0: cannot write to its pc 0x[0-9a-f]+, which may not be mapped: gcpt validate follows"
    assert re.search(message, run.stdout), run.stdout


def test_the_embedded_restorer(checkpoint_file: Make, broken: Path, tmp_path: Path) -> None:
    raw = tmp_path / "raw"
    output.unpack(checkpoint_file(), raw)
    packing.place(raw, broken)
    assert "stvec" in gcpt("verify", raw).stdout


@pytest.mark.parametrize("judge", ["qemu", "spike"])
def test_an_embedded_restorer_of_another_platform(
    checkpoint_file: Make, build_restorer: Callable[..., object], tmp_path: Path, judge: str
) -> None:
    """The simulator gets one with the same options, which restores the same registers."""
    packed = tmp_path / "packed"
    restorer = build_restorer(mode="single_core", csrs="+hpm").image  # type: ignore[attr-defined]
    assert gcpt("pack", restorer, checkpoint_file(Recipe((Mode.S,))), "-o", packed).returncode == 0
    run = gcpt("verify", "--on", judge, packed)
    assert (run.returncode, run.stderr) == (0, ""), run.stdout
    assert "note: the embedded restorer is for platform=xiangshan" in run.stdout
    assert "the restorer leaves group hpm out (csrs=)" not in run.stdout
    other = build_restorer(mode="auto", platform="qemu-virt").image  # type: ignore[attr-defined]
    run = gcpt("verify", "--restorer", other, packed)
    assert (run.returncode, "note" in run.stdout) == (0, False)


def test_bad_input(tmp_path: Path, checkpoint_file: Make, build_restorer: Callable[..., object]) -> None:
    nothing, empty = tmp_path / "nothing", tmp_path / "empty"
    empty.write_bytes(bytes(4096))
    assert refusal(gcpt("verify", nothing)) == f"{nothing}: No such file or directory"
    assert "no checkpoint: neither a protobuf header nor" in refusal(gcpt("verify", empty))
    checkpoint = checkpoint_file()
    assert "not a restorer" in refusal(gcpt("verify", checkpoint, "--restorer", empty))
    other = build_restorer(mode="single_core").image  # type: ignore[attr-defined]
    for seconds in ("inf", "nan", "-1", "0", "long"):
        assert f"'{seconds}' is not a time" in refusal(gcpt("verify", checkpoint, "--timeout", seconds))
    assert f"--logs {empty}: File exists: choose a folder" in refusal(gcpt("verify", checkpoint, "--logs", empty))
    assert "this restorer is for platform=xiangshan" in refusal(gcpt("verify", checkpoint, "--restorer", other))
