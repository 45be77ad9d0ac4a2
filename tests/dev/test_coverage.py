"""scons coverage: a few tests that reach floors, miss floors, and fail."""

import re
import subprocess
from pathlib import Path

import pytest

from gcpt.dev import coverage, mutants

ROOT = Path(__file__).parents[2]
PLAIN = "tests/isa/test_mstatus.py"
#: Runs a restorer with C in QEMU, which prints the state of a hart without errors.
PRINTS = "tests/firmware/test_display.py::test_display_of_one_hart"


@pytest.fixture
def project(tmp_path: Path) -> Path:
    """A copy of the project in a folder that coverage measures."""
    return mutants.Copy(ROOT, tmp_path / "project").folder


def _coverage(project: Path, selection: str, status: int, **floors: int) -> str:
    """Run ``scons coverage`` of some tests with these floors; return its output.

    status: the expected status of the check; SCons exits with 0 or 2.
    """
    (project / coverage.FLOORS).write_text("".join(f"{part} = {floor}\n" for part, floor in floors.items()))
    command = ["./sconsw", "-s", "coverage", f"pytest_args={selection}"]
    done = subprocess.run(command, cwd=project, capture_output=True, text=True, check=False)
    assert done.returncode == (2 if status else 0), done.stdout + done.stderr
    assert (f"coverage failed (exit status {status})" in done.stderr) == bool(status)
    return done.stdout


def test_floors_that_are_reached(project: Path) -> None:
    """Python in pytest's workers and in SCons that they start, and C in QEMU."""
    output = _coverage(project, PRINTS, 0, python=20, firmware=20)
    assert output.count("not below the floor of 20 %") == 2
    rows = dict(re.findall(r"^(\S+\.(?:c|py)) +\d+ +(\d+) ", output, re.MULTILINE))
    assert int(rows["firmware/display.c"]) == 0
    assert 0 < int(rows["firmware/plan.c"]) < 20  # the lines that end with an error
    assert 0 < int(rows["site_scons/site_tools/riscv.py"]) < 20
    assert (project / "build/coverage/html/index.html").is_file()


def test_floors_that_are_not_reached(project: Path) -> None:
    """The output has the shortfall of each part; without a machine, no firmware line is executed."""
    output = _coverage(project, PLAIN, 1, python=100, firmware=12)
    [(reached, below)] = re.findall(r"coverage: python: ([\d.]+) %, ([\d.]+) BELOW the floor of 100 %", output)
    assert (0 < float(reached) < 100, float(reached) + float(below)) == (True, pytest.approx(100))
    assert "coverage: firmware: 0.00 %, 12.00 BELOW the floor of 12 %" in output


def test_tests_that_fail(project: Path) -> None:
    with (project / PLAIN).open("a") as file:
        file.write("\n\ndef test_that_fails():\n    raise AssertionError\n")
    output = _coverage(project, PLAIN, 1, python=0, firmware=0)
    assert "coverage: the tests failed (pytest ended with 1)" in output
