"""The bench: the project is within all budgets, and one more instruction exceeds one."""

import subprocess
from pathlib import Path

from command import SCONS

from gcpt.dev import bench, figures
from gcpt.machines.builds import build
from gcpt.machines.restores import CASES, Restores

ROOT = Path(__file__).parents[2]


def _bench(folder: Path, *arguments: str) -> "subprocess.CompletedProcess[str]":
    command = [*SCONS, "bench", f"build_dir={folder / 'build'}", *arguments]
    return subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)


def test_budgets_hold(tmp_path: Path) -> None:
    out = tmp_path / "bench.json"
    run = _bench(tmp_path, "bench_quick=1", f"bench_json={out}")
    assert run.returncode == 0, run.stderr
    measured, budgets = figures.load(out), figures.load_budgets(bench.BUDGETS)
    assert measured["exact"] == measured["compared"]
    assert set(measured) == {*budgets, "compared"}


def test_wrong_options_are_refused(tmp_path: Path) -> None:
    run = _bench(tmp_path, "bench_quick=2")
    assert (run.returncode, "bench_quick=2" in run.stderr) == (2, True), run.stderr
    run = _bench(tmp_path, f"bench_json={tmp_path}")
    assert (run.returncode, "cannot write" in run.stderr) == (2, True), run.stderr


def test_one_more_instruction_exceeds_the_budget(project, tmp_path: Path) -> None:
    project.replace("firmware/include/boot_direct.inc", "    reset_hart\n", "    reset_hart\n    nop\n")
    built = build(project.folder, tmp_path / "build", bench.RESTORERS["single_core"])
    case = CASES[0]
    counted = Restores(case, built, tmp_path).instructions()
    budget = figures.load_budgets(bench.BUDGETS)["instructions"][case.name]
    lines = figures.exceeded({"instructions": {case.name: counted[""]}}, {"instructions": {case.name: budget}})
    assert lines == [f"instructions: {case.name}: {budget + 1} is 1 more than its budget of {budget}"]
