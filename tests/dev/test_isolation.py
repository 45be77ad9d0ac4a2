"""The options of a checkout's user (gcpt.options, SCONSFLAGS) reach no build but the user's own."""

import os
import subprocess
import sys
from pathlib import Path

import pytest
from command import SCONS

from gcpt.dev import lint, mutants
from gcpt.restorer.options import OPTIONS_FILE
from gcpt.restorer.resolution import resolve

ROOT = Path(__file__).parents[2]
#: Options that build a valid restorer: another one, in another folder.
OTHER = "mode = 'dual_core'\nplatform = 'southlake'\nbuild_dir = 'elsewhere'\ncsrs = '-h'\nlog = 'debug'\n"
#: No build that reads these options succeeds.
BROKEN = "raise RuntimeError('this build reads the options of the user')\n"


def _python(folder: Path, *arguments: str, **environment: str) -> "subprocess.CompletedProcess[str]":
    """Run Python with the package in ``folder``."""
    environment = {**os.environ, "PYTHONPATH": str(folder / "site_scons"), **environment}
    command = [sys.executable, *arguments]
    return subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True, check=False)


@pytest.mark.parametrize(
    ("arguments", "shown"),
    [
        (("run",), "here it goes on, with every register in its place."),
        (("verify",), " 0 unexplained"),
        (("debug", "--batch"), "(its restored pc)"),
    ],
    ids=["run", "verify", "debug"],
)
@pytest.mark.parametrize(
    ("options", "flags"), [(OTHER, ""), (BROKEN, ""), ("", "-n"), ("", "-c"), ("", "build_dir=elsewhere")]
)
def test_commands(copy: Path, arguments: tuple[str, ...], shown: str, options: str, flags: str) -> None:
    (copy / OPTIONS_FILE).write_text(options)
    _python(copy, "-m", "gcpt.machines.demo", "demo.img").check_returncode()
    done = _python(copy, "-m", "gcpt", arguments[0], "demo.img", *arguments[1:], SCONSFLAGS=flags)
    assert (done.returncode, shown in done.stdout) == (0, True), done.stdout + done.stderr
    assert not (copy / "elsewhere").exists()


def test_tests(tmp_path: Path) -> None:
    """Restorers of the tests, pages of the reports and the bench."""
    copy = mutants.Copy(ROOT, tmp_path / "copy")
    (copy.folder / OPTIONS_FILE).write_text(BROKEN)
    done = copy.test(
        [
            "tests/firmware/test_display.py::test_display_of_one_hart",
            "tests/report/test_numbers.py::test_second_run_rebuilds_nothing",
            "tests/report/test_looks.py::test_default_build_does_not_load_reports",
            "tests/dev/test_bench.py::test_wrong_options_are_refused",
            "tests/cli/test_launch.py::test_run_without_a_checkpoint_runs_the_demo",
        ]
    )
    assert done.returncode == 0, done.stdout


def test_lint(copy: Path) -> None:
    (copy / OPTIONS_FILE).write_text(BROKEN)
    for command in lint.CHECKS["clang-tidy"][1](lint.Request(copy)):
        if "SCons" in command:
            subprocess.run(command, cwd=copy, check=True)
    for options in lint.VARIANTS:
        variant = resolve(dict(option.split("=", 1) for option in options)).variant
        assert (copy / "build/lint" / variant / "gcpt.bin").is_file()


def test_mutants(copy: Path, tmp_path: Path) -> None:
    (copy / OPTIONS_FILE).write_text(BROKEN)
    assert not (mutants.Copy(copy, tmp_path / "next").folder / OPTIONS_FILE).exists()


def test_exported_folder(copy: Path, tmp_path: Path) -> None:
    """Its make reads its own options."""
    folder = tmp_path / "exported"
    subprocess.run([*SCONS, "export", f"export_dir={folder}", "mode=single_core"], cwd=copy, check=True)
    image = (folder / "build/gcpt.bin").read_bytes()
    (folder / "build/gcpt.bin").unlink()
    (copy / OPTIONS_FILE).write_text(BROKEN)
    subprocess.run(["make", "-C", folder], check=True)
    assert (folder / "build/gcpt.bin").read_bytes() == image
