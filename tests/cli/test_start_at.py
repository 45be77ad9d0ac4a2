"""``--start-at``: instructions count from a marker in the workload on, in profiles and checkpoints alike."""

import gzip
import json
from pathlib import Path

import pytest
from command import gcpt, refusal
from guests import ADDRESS, assemble, symbol

from gcpt.checkpoint.files import load

#: Instructions from the HINT to the loop, and those of the whole guest behind the HINT, at least.
_TO_LOOP, _BEHIND = 79, 600_079
_INTERVAL = 6007


@pytest.fixture(scope="module")
def guest(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    return assemble(tmp_path_factory.mktemp("guest"), "markers", "markers")


def _rounds(instructions: int) -> int:
    """Return how often the loop has counted so many instructions after the HINT."""
    return (instructions - _TO_LOOP + 1) // 2


@pytest.mark.parametrize("marker", ["hint:7", "trap:0x101", "console:rea"])
def test_a_marker(tmp_path: Path, guest: tuple[Path, Path], marker: str) -> None:
    """The hart is at the marker, the second time that its instruction or address is executed, and counts from there."""
    binary, elf = guest
    (file := tmp_path / "list").write_text("0\n1\n200000\n")
    software = ("--load", f"{binary}@{ADDRESS:#x}", "--start-at", marker)
    run = gcpt("snapshot", "-o", tmp_path / "set", *software, "--points", file)
    assert (run.returncode, run.stderr) == (0, "")
    first, second, later = (load(next((tmp_path / f"set/{count}").iterdir())).harts[0] for count in (0, 1, 200_000))
    place, register, value, before = {
        "hint:7": ("hint", 10, 0x100, 0),
        "trap:0x101": ("nemu_trap", 10, 0x101, 3),
        "console:rea": ("behind", 9, symbol(elf, "ready") + len("it is rea") - 1, 12 + 1 + 5 * 8 + 3),
    }[marker]
    assert (first.pc, first.x[register]) == (symbol(elf, place), value)
    assert second.pc == (symbol(elf, "skip") if marker == "trap:0x101" else first.pc + 4)
    assert later.x[8] == _rounds(before + 200_000)


def test_a_set(tmp_path: Path, guest: tuple[Path, Path]) -> None:
    """Profile and checkpoints count from the marker on: the loop has counted as the point's interval says."""
    start = ("--load", f"{guest[0]}@{ADDRESS:#x}", "--interval", str(_INTERVAL))
    for name, marker in (("hint", "hint:7"), ("console", "console:ready\n")):
        run = gcpt("generate", "-o", tmp_path / "set", "--name", name, *start, "--start-at", marker)
        assert (run.returncode, run.stderr) == (0, "")
        points = json.loads((tmp_path / f"set/json/{name}.json").read_text())[name]["points"]
        before = 0 if name == "hint" else 12 + 1 + 5 * 11 + 3
        assert max(map(int, points)) > 0
        for number in points:
            state = load(next((tmp_path / f"set/checkpoint/{name}/{number}").iterdir())).harts[0]
            if int(number):
                assert state.x[8] == _rounds(before + int(number) * _INTERVAL)
        lines = gzip.decompress((tmp_path / f"set/profiling/{name}/simpoint_bbv.gz").read_bytes()).decode().splitlines()
        assert len(lines) == (_BEHIND - before + 20) // _INTERVAL
    assert "was begun with other moment" in refusal(
        gcpt("generate", "-o", tmp_path / "set", "--name", "hint", *start, "--start-at", "hint:6")
    )


def test_refused(tmp_path: Path, guest: tuple[Path, Path]) -> None:
    (forever := tmp_path / "forever").write_bytes(bytes.fromhex("6f000000"))
    start = ("-o", tmp_path / "out", "--load", f"{guest[0]}@{ADDRESS:#x}", "--start-at")
    last = "the console's last line is 'it is ready'"
    refusals = {
        "--start-at hint:0x800: want hint:N": (*start, "hint:0x800"),
        "--start-at trap:x: want hint:N": (*start, "trap:x"),
        "--start-at console:(: not a regular expression": (*start, "console:("),
        "--harts 2: QEMU cannot replay it, but --start-at needs that": (*start, "hint:7", "--harts", "2"),
        f"--start-at hint:9: the software ended before: choose another marker; {last}": (*start, "hint:9"),
        "--start-at trap:0x103: the software ended before": (*start, "trap:0x103"),
        f"--start-at console:never: the software ended before: choose another marker; {last}": (
            *(*start, "console:never", "--after", "5"),
        ),
        f"console printed 'never' ({last})": (*start, "hint:7", "--on", "never"),
        "--start-at hint:7: not reached within 1 s: give a longer --timeout; the console printed nothing": (
            *("-o", tmp_path / "out", "--load", f"{forever}@{ADDRESS:#x}"),
            *("--start-at", "hint:7", "--timeout", "1"),
        ),
    }
    for message, arguments in refusals.items():
        assert message in refusal(gcpt("snapshot", *arguments))
    assert not (tmp_path / "out").exists()
