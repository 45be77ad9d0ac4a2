"""``gcpt set run --on dask://``: a real scheduler and its workers, on loopback."""

import json
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

import pytest
from command import ENVIRONMENT, gcpt, refusal, wait_until

Make = Callable[..., Path]
_LOOPBACK = ("--host", "127.0.0.1", "--dashboard-address", "127.0.0.1:0")


@contextmanager
def _process(log: Path, *words: str) -> Iterator[subprocess.Popen[bytes]]:
    command = [sys.executable, "-m", "distributed.cli." + words[0], *words[1:], *_LOOPBACK]
    with log.open("wb") as file, subprocess.Popen(command, env=ENVIRONMENT, stdout=file, stderr=file) as running:
        try:
            yield running
        finally:
            running.terminate()


@pytest.fixture
def scheduler(tmp_path: Path) -> Iterator[tuple[str, subprocess.Popen[bytes]]]:
    """The address of a scheduler with two workers, and its process."""
    file = tmp_path / "scheduler.json"
    with ExitStack() as stack:
        running = stack.enter_context(
            _process(tmp_path / "scheduler.log", "dask_scheduler", "--port", "0", "--scheduler-file", str(file))
        )
        wait_until(file.exists)
        address = wait_until(lambda: json.loads(file.read_text() or "{}").get("address"))
        for number in range(2):
            log = tmp_path / f"worker{number}.log"
            stack.enter_context(_process(log, "dask_worker", address, "--nthreads", "1", "--no-nanny"))
        yield address.removeprefix("tcp://"), running


def test_results(
    make_set: Make, emu: Path, starts: Callable[[], list[str]], scheduler: tuple[str, object], tmp_path: Path
) -> None:
    """The same as on this machine: a run on one engine goes on from one on the other."""
    root, out = make_set({"mcf": {"1": (0.5, ""), "2": (0.3, "abort")}, "gcc": {"1": (1, "")}}), tmp_path / "out"
    run = gcpt("set", "run", root, "-o", out, "--on", f"dask://{scheduler[0]}", "--", emu, "-i", "{checkpoint}")
    assert (run.returncode, run.stderr) == (1, "")
    assert "mcf_2: ABORT at pc" in run.stdout and "1 failed, 2 finished" in run.stdout
    again = gcpt("set", "run", root, "-o", out, "--", emu, "-i", "{checkpoint}")
    assert again.stdout.splitlines()[-1] == run.stdout.splitlines()[-1] and len(starts()) == 3


def test_no_scheduler(make_set: Make, emu: Path, tmp_path: Path) -> None:
    root = make_set({"mcf": {"1": (1, "")}})
    words = ("-o", tmp_path / "out", "--on")
    message = refusal(gcpt("set", "run", root, *words, "dask://127.0.0.1:1", "--", emu, "-i", "{checkpoint}"))
    assert message == "dask://127.0.0.1:1: no scheduler answers: start one with dask scheduler"
    message = refusal(gcpt("set", "run", root, *words, "pigeon", "--", emu, "-i", "{checkpoint}"))
    assert message.startswith("pigeon: no such engine")


def test_a_killed_scheduler(
    make_set: Make,
    emu: Path,
    starts: Callable[[], list[str]],
    scheduler: tuple[str, subprocess.Popen[bytes]],
    tmp_path: Path,
) -> None:
    """The points that have no result are named as failed; the run goes on with another engine."""
    root, out = make_set({"mcf": {"1": (0.5, ""), "2": (0.5, "wait")}}), tmp_path / "out"
    words = ["set", "run", str(root), "-o", str(out)]
    simulator = ["--", str(emu), "-i", "{checkpoint}"]
    command = [sys.executable, "-m", "gcpt", *words, "--on", f"dask://{scheduler[0]}", *simulator]
    with subprocess.Popen(
        command, env=ENVIRONMENT, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as client:
        wait_until(lambda: (out / "mcf_1_0.500000/result.json").exists() and "mcf_2" in starts())
        scheduler[1].kill()
        output, errors = client.communicate(timeout=200)
    assert client.returncode == 1, errors
    assert "mcf_2: " in output and "1 failed, 1 finished" in output
    emu.with_name("go").touch()
    run = gcpt(*words, *simulator)
    assert run.returncode == 0 and starts().count("mcf_1") == 1
