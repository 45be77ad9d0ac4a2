"""``gcpt verify --continue``: a restored hart goes on as the original did."""

import json
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from command import gcpt, refusal
from guests import ADDRESS, Worker

from gcpt.checkpoint import edits
from gcpt.checkpoint.files import open_checkpoint, write_checkpoint
from gcpt.checkpoint.places import DUAL_CORE
from gcpt.machines.builds import BuiltRestorer
from gcpt.machines.synthetic import Mode, Recipe

#: li a0, 0; li a1, 1000; 1: addi a1, a1, -1; bnez a1, 1b; 2: rdtime t0; add a0, a0, t0; j 2b
_CLOCK = bytes.fromhex("13050000 9305803e 9385f5ff e39e05fe f32210c0 33055500 6ff09fff")
#: Instructions before its first rdtime.
_BEFORE = 2 + 2 * 1000


def _take(folder: Path, binary: Path, *counts: int) -> list[Path]:
    """Take checkpoints of a guest after numbers of instructions."""
    (file := folder / "list").write_text("".join(f"{count}\n" for count in counts))
    run = gcpt("snapshot", "-o", folder / "set", "--load", f"{binary}@{ADDRESS:#x}", "--points", file)
    assert (run.returncode, run.stderr) == (0, "")
    return [next((folder / "set" / str(count)).iterdir()) for count in counts]


@pytest.mark.parametrize(
    ("worker", "end"), [(Worker(1, sv=39), 4_000_000), (Worker(0, sv=48), 900_000), (Worker(3), 900_001)], ids=str
)
def test_code_that_uses_no_time(tmp_path: Path, worker: Worker, end: int) -> None:
    """Every register and byte is equal, after thousands and millions of instructions, before the timer interrupt."""
    binary, _ = worker.build(tmp_path)
    start, later = _take(tmp_path, binary, 70_000, end)
    run = gcpt("verify", "--continue", str(end - 70_000), "--against", later, start)
    assert (run.returncode, run.stderr) == (0, "")
    last = run.stdout.splitlines()[-1]
    assert re.fullmatch(rf"{end - 70_000} instructions on: (\d+) of \1 registers as in .*, memory equal", last)


def _continued(*arguments: object) -> dict[str, Any]:
    run = gcpt("verify", "--json", *map(str, arguments))
    report = json.loads(run.stdout)
    assert (run.returncode, run.stderr, report["unexplained"]) == (1, "", 0)
    continued: dict[str, Any] = report["continued"]
    return continued


def test_a_register_that_is_wrong(tmp_path: Path) -> None:
    """The checkpoint restores exactly, but it is not the original's."""
    binary, _ = Worker(1).build(tmp_path)
    start, later = _take(tmp_path, binary, 30_000, 31_000)
    opened = open_checkpoint(start)
    opened.harts[0].x[20] += 1
    write_checkpoint(wrong := tmp_path / "wrong.zst", opened.harts, opened.memory(), opened.place)
    continued = _continued("--continue", 1000, "--against", later, wrong)
    assert {row["name"]: row["reason"] for row in continued["differences"]} == {"x20": "UNEXPLAINED"}
    assert (continued["instructions"], continued["memory"]["bytes"], continued["time"]) == (1000, 0, None)


def test_memory_that_is_wrong(tmp_path: Path) -> None:
    binary, _ = Worker(1).build(tmp_path)
    start, later = _take(tmp_path, binary, 30_000, 31_000)
    opened = open_checkpoint(start)
    content = edits.patched(opened.memory(), [(0x345_6789, b"x")])
    write_checkpoint(wrong := tmp_path / "wrong.zst", opened.harts, content, opened.place)
    continued = _continued("--continue", 1000, "--against", later, wrong)
    assert (continued["differences"], continued["time"]) == ([], None)
    assert continued["memory"] == {"bytes": 4096, "ranges": 1, "first": [{"begin": 0x345_6000, "end": 0x345_7000}]}


def test_a_restorer_that_lacks_a_group(tmp_path: Path, build_restorer: Callable[..., BuiltRestorer]) -> None:
    """Without fcsr the worker rounds in another mode."""
    binary, _ = Worker(1).build(tmp_path)
    start, later = _take(tmp_path, binary, 30_000, 31_000)
    restorer = build_restorer(mode="single_core", platform="qemu-virt", csrs="-f").image
    continued = _continued("--restorer", restorer, "--continue", 1000, "--against", later, start)
    reasons = {row["name"]: row["reason"] for row in continued["differences"]}
    assert {"frm", "fcsr"} <= reasons.keys() and {"x10", "f0"} & reasons.keys()
    assert {*reasons.values()} == {"UNEXPLAINED"}
    assert continued["time"] is None


def test_a_group_that_counts(tmp_path: Path) -> None:
    """Restorers leave most event selectors out; software computes the same."""
    binary, _ = Worker(1).build(tmp_path)
    files = []
    for path in _take(tmp_path, binary, 30_000, 31_000):
        opened = open_checkpoint(path)
        opened.harts[0].set("mhpmevent7", 1 << 63)
        files.append(tmp_path / f"{len(files)}.zst")
        write_checkpoint(files[-1], opened.harts, opened.memory(), opened.place)
    run = gcpt("verify", "--json", "--continue", "1000", "--against", files[1], files[0])
    [row] = json.loads(run.stdout)["continued"]["differences"]
    assert (run.returncode, row["name"]) == (0, "mhpmevent7")
    assert row["reason"] == "the restorer leaves group hpm out (csrs=)"


def test_reads_of_time(tmp_path: Path) -> None:
    (binary := tmp_path / "clock").write_bytes(_CLOCK)
    start, later = _take(tmp_path, binary, 100, _BEFORE, _BEFORE + 300)[::2]
    continued = _continued("--continue", _BEFORE + 200, "--against", later, start)
    assert {row["name"] for row in continued["differences"]} <= {"x5", "x10"}
    assert continued["time"] == {"instructions": _BEFORE - 100, "pc": ADDRESS + 16, "interrupt": False}


def test_an_interrupt(tmp_path: Path) -> None:
    """It arrives as many instructions early as the restore took ticks."""
    binary, _ = Worker(1, sv=39).build(tmp_path)
    start, later = _take(tmp_path, binary, 4_990_000, 5_015_000)
    continued = _continued("--continue", 25_000, "--against", later, start)
    state = open_checkpoint(start).harts[0]
    arrival, due = continued["time"]["instructions"], 100 * (state.get("stimecmp") - state.mtime)
    assert due - 400 < arrival <= due + 100
    assert continued["time"]["interrupt"] is True
    text = gcpt("verify", "--continue", "25000", "--against", later, start).stdout
    assert re.search(r"time comes in \d+ instructions on: an interrupt arrives after pc 0x801001", text)


def test_an_interrupt_of_m_mode_that_is_due_at_once(tmp_path: Path) -> None:
    """It is due before the first stop ends, at the jump to the workload, where a step of a recording takes it."""
    binary, _ = Worker(3).build(tmp_path)
    start, later = _take(tmp_path, binary, 70_000, 71_000)
    opened = open_checkpoint(start)
    opened.harts[0].mtimecmp = opened.harts[0].mtime + 5
    write_checkpoint(soon := tmp_path / "soon.zst", opened.harts, opened.memory(), opened.place)
    continued = _continued("--continue", 1000, "--against", later, soon)
    assert "mtimecmp" in {row["name"] for row in continued["differences"]}
    assert continued["time"]["interrupt"] is True and 0 < continued["time"]["instructions"] < 500


def test_refused(tmp_path: Path, checkpoint_file: Callable[..., Path]) -> None:
    one = checkpoint_file()
    two = checkpoint_file(Recipe((Mode.S,), harts=2), DUAL_CORE, name="two.zst")
    (binary := tmp_path / "short").write_bytes(bytes.fromhex("13000000" * 4 + "b7021000 37530000 13035355 23a06200"))
    [ending] = _take(tmp_path, binary, 1)
    goes_on = ("--continue", "10", "--against")
    refusals = {
        "--continue and --against must be given together": ("--continue", "10", one),
        f"--continue: {two} has 2 harts": (*goes_on, two, one),
        "--continue: QEMU cannot replay -netdev": (*goes_on, one, one, "--", "-netdev", "user,id=n"),
        "--continue: it counts by QEMU's replay, which Spike does not have: give --on qemu": (
            *goes_on,
            one,
            "--on",
            "spike",
            one,
        ),
        "the machine ended before --continue 10": (*goes_on, ending, ending),
    }
    for message, arguments in refusals.items():
        assert message in refusal(gcpt("verify", *arguments))
