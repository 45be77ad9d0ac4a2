"""``scons random``: a run is bounded, can be repeated, and reports what is lost."""

import re
import subprocess
import sys

import pytest

from gcpt.checkout import ROOT
from gcpt.dev import random_states


def test_the_target() -> None:
    command = [sys.executable, "-m", "SCons", "-Q", "options_file=/dev/null", "random"]
    run = subprocess.run(
        [*command, "random_count=1", "random_seed=7"], cwd=ROOT, capture_output=True, text=True, check=False
    )
    assert (run.returncode, run.stdout.splitlines()[-1]) == (0, "seed 7: 1 random states, 1 exact"), run.stderr


def test_a_loss_ends_the_run_with_status_1(capsys: pytest.CaptureFixture[str]) -> None:
    """A restorer that takes each checkpoint for NEMU's restores SIE from SPIE."""
    assert random_states.main(["--count=3", "--seed=5", "generator=nemu"]) == 1
    output = capsys.readouterr().out
    assert re.search(r"^seed \d+: .* --isa=.*\n  hart 0: mstatus: wanted 0x", output, re.MULTILINE)
    assert re.search(r"^seed 5: 3 random states, 2 exact$", output, re.MULTILINE)


def test_minutes_bound_a_run(capsys: pytest.CaptureFixture[str]) -> None:
    assert random_states.main(["--minutes=0.000000001", "--seed=1"]) == 0
    assert capsys.readouterr().out.splitlines()[-1] == "seed 1: 0 random states, 0 exact"


def test_without_spike(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setattr("sys.executable", "/nowhere/python")
    monkeypatch.setenv("PATH", "/nowhere")
    assert random_states.main(["--count=1"]) == 2
    assert "spike: not found" in capsys.readouterr().err
