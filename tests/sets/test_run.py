"""``gcpt set run`` with a simulator that finishes, fails, hangs or is killed."""

import json
import os
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from command import ENVIRONMENT, UNSHARE, gcpt, on_terminal, refusal, restore_signals, wait_until

from gcpt.sets.pool import core_sets

Make = Callable[..., Path]
Starts = Callable[[], list[str]]
_COMMAND = ("-i", "{checkpoint}")
#: Eight points that finish at once.
_WORKLOADS = {name: {str(point): (0.25, "") for point in range(1, 5)} for name in ("mcf", "gcc_166")}


def _run(root: Path, out: Path, emu: Path, *options: str | Path) -> subprocess.CompletedProcess[str]:
    return gcpt("set", "run", root, "-o", out, *options, "--", emu, *_COMMAND)


def _result(out: Path, folder: str) -> dict[str, Any]:
    content: dict[str, Any] = json.loads((out / folder / "result.json").read_text())
    return content


def _is_running(number: str) -> bool:
    path = Path(f"/proc/{number}/stat")
    return path.exists() and path.read_text().rpartition(")")[2].split()[0] != "Z"


def _children(emu: Path) -> list[str]:
    path = emu.with_name("children")
    return path.read_text().split() if path.exists() else []


def test_finished(make_set: Make, emu: Path, starts: Starts, tmp_path: Path) -> None:
    """The layout of emu's runners; a second run does nothing."""
    root, out = make_set(_WORKLOADS), tmp_path / "out"
    run = _run(root, out, emu)
    assert (run.returncode, run.stderr) == (0, "")
    assert run.stdout.splitlines()[-1] == f"{out}: 8 points: 8 finished"
    assert "8/8 " in run.stdout and " left" in run.stdout
    assert sorted(starts()) == sorted(f"{name}_{point}" for name, points in _WORKLOADS.items() for point in points)
    assert "HIT GOOD TRAP" in (out / "gcc_166_1_0.250000/simulator_out.txt").read_text()
    assert (out / "gcc_166_1_0.250000/simulator_err.txt").read_text() == ""
    again = _run(root, out, emu)
    assert (again.returncode, len(starts())) == (0, 8)
    assert again.stdout.splitlines()[-1] == run.stdout.splitlines()[-1]


def test_failures(make_set: Make, emu: Path, starts: Starts, tmp_path: Path) -> None:
    """Each cause is named, none is scored although the simulator exits with 0, and the rest is finished."""
    words = ("abort", "silent", "crash", "")
    root = make_set({"mcf": {str(at): (0.25, word) for at, word in enumerate(words)}})
    run = _run(root, tmp_path / "out", emu, "--json", "--retries", "0")
    *points, end = [json.loads(line) for line in run.stdout.splitlines()][1:]
    assert run.returncode == 1
    causes = {point["name"]: point["cause"] for point in points}
    assert causes == {"mcf_0": "log", "mcf_1": "silent", "mcf_2": "silent", "mcf_3": ""}
    assert points[-1]["done"] == points[-1]["total"] == 4
    assert end["failed"] == ["mcf_0", "mcf_1", "mcf_2"]
    [score] = [row for row in end["workloads"] if row["figure"] == "ipc"]
    assert (score["value"], score["coverage"], score["possible"]) == (2, 0.25, 1)
    assert score["missing"] == ["mcf_0", "mcf_1", "mcf_2"]
    plain = _run(root, tmp_path / "out", emu)
    assert "mcf_0: ABORT at pc 0x80000000" in plain.stdout and plain.returncode == 1
    assert starts().count("mcf_0") == 1 and starts().count("mcf_3") == 1  # the log says that it failed
    assert starts().count("mcf_1") == 3  # a second run tries again, with one retry


def test_retries(make_set: Make, emu: Path, starts: Starts, tmp_path: Path) -> None:
    run = _run(make_set({"mcf": {"1": (1, "once")}}), tmp_path / "out", emu)
    assert (run.returncode, starts()) == (0, ["mcf_1", "mcf_1"])
    assert _result(tmp_path / "out", "mcf_1_1.000000")["attempts"] == 2


def test_a_hanging_simulator(make_set: Make, emu: Path, starts: Starts, tmp_path: Path) -> None:
    """It and its processes end at the limit; a longer limit tries again, the same one does not."""
    root, out = make_set({"mcf": {"1": (0.5, "hang"), "2": (0.5, "")}}), tmp_path / "out"
    run = _run(root, out, emu, "--time-limit", "1")
    assert run.returncode == 1 and "mcf_1: stopped after" in run.stdout
    assert _result(out, "mcf_1_0.500000")["cause"] == "time limit"
    wait_until(lambda: not any(map(_is_running, _children(emu))))
    for limit, count in (("1", 1), ("2", 2)):
        assert _run(root, out, emu, "--time-limit", limit).returncode == 1
        assert starts().count("mcf_1") == count


def test_checkpoints_that_vanish_and_change(make_set: Make, emu: Path, tmp_path: Path) -> None:
    root = make_set({"mcf": {"1": (0.4, ""), "2": (0.3, ""), "3": (0.3, "")}})
    images = {path.parent.name: path for path in root.rglob("*.zstd")}
    images["1"].write_text(f"remove {images['2']}\n" + "x" * 100)  # the largest is the first
    images["3"].write_text(f"remove {images['3']}\n")
    run = _run(root, tmp_path / "out", emu, "-j", "1")
    assert run.returncode == 1 and "2 failed, 1 finished" in run.stdout
    for point in ("2", "3"):
        result = _result(tmp_path / "out", f"mcf_{point}_0.300000")
        assert result["cause"] == "input" and str(images[point]) in result["message"]


def test_what_is_done_again(make_set: Make, emu: Path, starts: Starts, tmp_path: Path) -> None:
    """Another content, program, command or restorer; not a touched file, nor another time."""
    root, out = make_set({"mcf": {"1": (0.5, ""), "2": (0.5, "")}}), tmp_path / "out"
    image = next(root.glob("*/mcf/1/*"))

    def count(*options: str | Path) -> int:
        before = len(starts())
        assert _run(root, out, emu, *options).returncode == 0
        return len(starts()) - before

    assert count() == 2
    image.touch()
    assert count() == 0
    status = image.stat()
    image.write_text("#\n")
    assert count() == 1
    image.write_text("*\n")
    os.utime(image, ns=(status.st_atime_ns, status.st_mtime_ns))
    assert count() == 1
    emu.write_text(emu.read_text() + "# new\n")
    assert count() == 2
    assert count("--time-limit", "1000") == 0
    before = len(starts())
    assert gcpt("set", "run", root, "-o", out, "--", emu, "--flag", *_COMMAND).returncode == 0
    assert len(starts()) == before + 2
    restorer = tmp_path / "gcpt.bin"
    for content, number in ((b"1", 2), (b"1", 0), (b"2", 2)):
        restorer.write_bytes(content)
        before = len(starts())
        command = ("set", "run", root, "-o", out, "--restorer", restorer, "--", emu, "-r", "{restorer}", *_COMMAND)
        assert gcpt(*command).returncode == 0
        assert len(starts()) == before + number


def test_the_longest_start_first(make_set: Make, emu: Path, starts: Starts, tmp_path: Path) -> None:
    """By the largest image, by an index of times, and by an earlier run in the same folder."""
    sizes = {"1": (0.2, "x"), "2": (0.2, "x" * 9), "3": (0.2, "x" * 5)}
    root, out = make_set({"mcf": sizes}), tmp_path / "out"

    def order(*flags: str) -> list[str]:
        before = len(starts())
        command = ("set", "run", root, "-o", out, "-j", "1", "--", emu, *flags, *_COMMAND)
        assert gcpt(*command).returncode == 0
        return [name.removeprefix("mcf_") for name in starts()[before:]]

    assert order() == ["2", "3", "1"]
    for result in out.glob("*/result.json"):
        result.unlink()
    (root / "times.json").write_text(json.dumps({"mcf": {"1": 70, "2": 60, "3": 900}}))
    assert order() == ["3", "1", "2"]
    result = out / "mcf_1_0.200000" / "result.json"
    result.write_text(json.dumps({**json.loads(result.read_text()), "seconds": 1000.0}))
    assert order("--flag")[0] == "1"


def test_other_rules_read_the_logs_again(make_set: Make, emu: Path, starts: Starts, tmp_path: Path) -> None:
    root, out = make_set({"mcf": {"1": (1, "")}}), tmp_path / "out"
    assert _run(root, out, emu).returncode == 0
    for options, status in (
        (("--bad", "instrCnt"), 1),
        ((), 0),
        (("--good", "never"), 1),
        (("--rate", "c=Cnt = (.)"), 0),
    ):
        run = _run(root, out, emu, *options, "--json", "--retries", "0")
        assert run.returncode == status, options
    assert json.loads(run.stdout.splitlines()[-1])["suite"]["c"] == {
        "geometric_mean": 1,
        "workloads": 1,
        "coverage": 1,
    }


def test_a_killed_worker(make_set: Make, emu: Path, starts: Starts, tmp_path: Path) -> None:
    """Its simulator, and the processes of that, end; the point is tried again, and no other is lost."""
    root, out = make_set({"mcf": {"1": (0.5, "killer"), "2": (0.5, "")}}), tmp_path / "out"
    run = _run(root, out, emu, "-j", "2")
    assert (run.returncode, run.stderr) == (0, "")
    assert sorted(starts()) == ["mcf_1", "mcf_1", "mcf_2"]
    assert _result(out, "mcf_1_0.500000")["attempts"] == 2
    wait_until(lambda: not any(map(_is_running, _children(emu))))


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGTERM, signal.SIGINT], ids=lambda number: number.name)
def test_an_ended_client(number: signal.Signals, make_set: Make, emu: Path, starts: Starts, tmp_path: Path) -> None:
    """Workers and simulators end with it. Started again, it goes on: only what was under way is done again."""
    root, out = make_set({"mcf": {"1": (0.5, "hang"), "2": (0.5, "")}}), tmp_path / "out"
    command = [
        sys.executable,
        "-m",
        "gcpt",
        "set",
        "run",
        str(root),
        "-o",
        str(out),
        "-j",
        "2",
        "--",
        str(emu),
        *_COMMAND,
    ]
    with subprocess.Popen(
        command, env=ENVIRONMENT, stdout=subprocess.PIPE, stderr=subprocess.PIPE, preexec_fn=restore_signals
    ) as client:
        wait_until(lambda: (out / "mcf_2_0.500000/result.json").exists() and _children(emu))
        client.send_signal(number)
        client.communicate()
    assert client.returncode == {signal.SIGKILL: -9, signal.SIGTERM: 143, signal.SIGINT: 130}[number]
    wait_until(lambda: not any(map(_is_running, _children(emu))))
    assert not (out / "mcf_1_0.500000/result.json").exists()
    next(root.glob("*/mcf/1/*")).write_text("\n")
    assert _run(root, out, emu).returncode == 0
    assert sorted(starts()) == ["mcf_1", "mcf_1", "mcf_2"]


def test_two_runs_at_once(make_set: Make, emu: Path, starts: Starts, tmp_path: Path) -> None:
    """The second one is refused, ``status`` sees the first one, and the first one ends well."""
    root, out = make_set({"mcf": {"1": (0.5, "wait"), "2": (0.5, "")}}), tmp_path / "out"
    command = [
        sys.executable,
        "-m",
        "gcpt",
        "set",
        "run",
        str(root),
        "-o",
        str(out),
        "-j",
        "2",
        "--",
        str(emu),
        *_COMMAND,
    ]
    with subprocess.Popen(command, env=ENVIRONMENT, stdout=subprocess.DEVNULL) as first:
        wait_until(lambda: (out / "mcf_2_0.500000/result.json").exists() and "mcf_1" in starts())
        message = refusal(_run(root, out, emu))
        assert message.startswith(f"{out}: in use by process {first.pid} on ")
        status = json.loads(gcpt("set", "status", out, "--json").stdout)
        assert (status["active"], status["finished"], status["running"]) == (True, 1, 1)
        follow = [*command[:4], "status", str(out), "--follow", "0.1", "--json"]
        with subprocess.Popen(follow, env=ENVIRONMENT, stdout=subprocess.PIPE, text=True) as other:
            assert other.stdout
            begin = json.loads(other.stdout.readline())
            emu.with_name("go").touch()
            assert first.wait() == 0
            *_, end = map(json.loads, other.stdout)
        assert (begin["active"], begin["running"], end["active"], end["finished"]) == (True, 1, False, 2)
    assert len(starts()) == 2
    status = gcpt("set", "status", out)
    assert (status.returncode, status.stdout) == (0, f"{out}: not running, 2 points: 2 finished\n")


def test_a_full_disk(make_set: Make, emu: Path, starts: Starts, tmp_path: Path) -> None:
    """One line; with space, the same command goes on."""
    points = {str(point): (0.1, "fill 700000") for point in range(1, 9)}
    root, out = make_set({"mcf": points}), tmp_path / "small"
    out.mkdir()
    mount = f'mount -t tmpfs -o size=3M none "{out}" && "$@"; status=$?; cp -r "{out}/." "{out}2"; exit $status'
    words = ("set", "run", str(root), "-o", str(out), "-j", "1", "--", str(emu), *_COMMAND)
    run = subprocess.run(
        [*UNSHARE, "--mount", "bash", "-c", mount, "bash", sys.executable, "-m", "gcpt", *words],
        env=ENVIRONMENT,
        capture_output=True,
        text=True,
        check=False,
    )
    assert run.returncode == 2 and run.stderr.count("\n") == 1
    assert run.stderr.startswith(f"gcpt: {out}") and "No space left on device: free space" in run.stderr
    done = [path.parent.name for path in Path(f"{out}2").glob("*/result.json")]
    assert 1 <= len(done) <= 4 and not list(Path(f"{out}2").rglob("*.partial"))
    before = len(starts())
    assert _run(root, Path(f"{out}2"), emu).returncode == 0
    assert len(starts()) - before == 8 - len(done)


def test_names_are_no_commands(make_set: Make, emu: Path, tmp_path: Path) -> None:
    """Of a shell, of a format, or of another folder."""
    names = ["$(touch pwned)", "; touch pwned #", "{restorer}", "%s a b", "..", "-i", "--help"]
    root, out = make_set({name: {"1": (1, "")} for name in names if name != ".."}), tmp_path / "out"
    run = gcpt("set", "run", root, "-o", out, "--", emu, "{workload}", "{name}", *_COMMAND, cwd=tmp_path)
    assert (run.returncode, run.stderr) == (0, "")
    assert not list(tmp_path.rglob("pwned"))
    assert len(list(out.glob("*/result.json"))) == len(names) - 1
    assert all(path.parent == out for path in out.glob("*/"))


def test_bad_commands(make_set: Make, emu: Path, tmp_path: Path) -> None:
    root, out = make_set({"mcf": {"1": (1, "")}}), tmp_path / "out"
    other = tmp_path / "other"
    other.write_text("#!/bin/sh\n")
    other.chmod(0o755)
    for words, part in (
        (("nowhere", "{checkpoint}"), "nowhere: no such program"),
        ((emu, "{chekpoint}"), "{chekpoint}: no such placeholder"),
        ((emu, "x"), "does not name the checkpoint"),
        ((emu, "{checkpoint}", "{restorer}"), "give --restorer"),
        ((emu, "{checkpoint}", "{flash}"), "has no flash image"),
        ((emu, "{checkpoint}", "tools/emu"), "write {here}/tools/emu"),
        ((other, "{checkpoint}"), "give --rules or --good"),
    ):
        assert part in refusal(gcpt("set", "run", root, "-o", out, "--", *words, cwd=tmp_path))
    assert not out.exists()


def test_cores(make_set: Make, emu: Path, tmp_path: Path) -> None:
    """A simulator runs on the core of its worker."""
    root, out = make_set({"mcf": {"1": (1, "cores")}}), tmp_path / "out"
    assert _run(root, out, emu, "--cores", "1").returncode == 0
    line = (out / "mcf_1_1.000000/simulator_out.txt").read_text().splitlines()[0]
    assert line.split()[-1] == str(core_sets(1)[-1][0])


def test_gem5_has_its_own_layout(make_set: Make, emu: Path, tmp_path: Path) -> None:
    """One log, and an empty file for the state."""
    root, out = make_set({"mcf": {"1": (0.5, ""), "2": (0.5, "abort")}}), tmp_path / "out"
    run = _run(root, out, emu, "--rules", "gem5", "--good", "HIT GOOD TRAP", "--retries", "0")
    assert run.returncode == 1
    assert {path.name for path in (out / "mcf_1").iterdir()} == {"completed", "log.txt", "result.json", ".lock"}
    assert {path.name for path in (out / "mcf_2").iterdir()} == {"abort", "log.txt", "result.json", ".lock"}


def test_on_a_terminal(make_set: Make, emu: Path, tmp_path: Path) -> None:
    """A bar with rate and time left, and a line for a failure."""
    root = make_set({"mcf": {"1": (0.5, ""), "2": (0.5, "abort")}})
    run = on_terminal(100, "set", "run", root, "-o", tmp_path / "out", "--", emu, *_COMMAND)
    assert run.returncode == 1
    assert "mcf_2: failed (log): ABORT at pc" in run.stdout and "2/2" in run.stdout and " left" in run.stdout
