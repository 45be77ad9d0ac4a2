"""``gcpt set run --on dask://``: a real scheduler and its workers, on loopback."""

import json
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from concurrent.futures import CancelledError, wait
from contextlib import ExitStack, contextmanager
from pathlib import Path

import distributed
import pytest
from command import ENVIRONMENT, gcpt, refusal, wait_until
from distributed import Client

from gcpt import __version__
from gcpt.errors import UserError
from gcpt.sets.cluster import Cluster, ClusterLostError, write_security
from gcpt.sets.fitness import check_workers

Make = Callable[..., Path]
_LOOPBACK = ("--host", "127.0.0.1", "--dashboard-address", "127.0.0.1:0")


@contextmanager
def _process(log: Path, *words: str, **environment: str) -> Iterator[subprocess.Popen[bytes]]:
    command = [sys.executable, "-m", "distributed.cli." + words[0], *words[1:], *_LOOPBACK]
    environment = {**ENVIRONMENT, **environment}
    with log.open("wb") as file, subprocess.Popen(command, env=environment, stdout=file, stderr=file) as running:
        try:
            yield running
        finally:
            running.terminate()


@pytest.fixture
def scheduler(tmp_path: Path) -> Iterator[tuple[str, subprocess.Popen[bytes]]]:
    """The address of a scheduler with two workers, and its process."""
    file, once = tmp_path / "scheduler.json", {"DASK_DISTRIBUTED__SCHEDULER__ALLOWED_FAILURES": "0"}
    with ExitStack() as stack:
        running = stack.enter_context(
            _process(tmp_path / "scheduler.log", "dask_scheduler", "--port", "0", "--scheduler-file", str(file), **once)
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


def test_a_killed_scheduler(
    make_set: Make,
    emu: Path,
    starts: Callable[[], list[str]],
    scheduler: tuple[str, subprocess.Popen[bytes]],
    tmp_path: Path,
) -> None:
    """The points that have no result are named as failed; the run goes on with another engine."""
    waiting = {str(number): (0.1, "wait") for number in range(2, 8)}
    root, out = make_set({"mcf": {"1": (0.4, "the largest starts first"), **waiting}}), tmp_path / "out"
    words = ["set", "run", str(root), "-o", str(out), "--retries", "3"]
    simulator = ["--", str(emu), "-i", "{checkpoint}"]
    command = [sys.executable, "-m", "gcpt", *words, "--on", f"dask://{scheduler[0]}", *simulator]
    with subprocess.Popen(
        command, env=ENVIRONMENT, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as client:
        wait_until(lambda: (out / "mcf_1_0.400000/result.json").exists() and len(starts()) > 1)
        scheduler[1].kill()
        output, errors = client.communicate(timeout=200)
    assert client.returncode == 1, errors
    assert "mcf_2: the scheduler ended" in output and "6 failed, 1 finished" in output
    emu.with_name("go").touch()
    run = gcpt(*words, *simulator)
    assert run.returncode == 0 and starts().count("mcf_1") == 1


def test_no_future_is_left_open(scheduler: tuple[str, subprocess.Popen[bytes]]) -> None:
    """Whatever the client does when its scheduler is killed, each task ends that was or is submitted then."""
    client = Client(f"tcp://{scheduler[0]}", timeout=2, set_as_default=False)
    cluster = Cluster(client)
    futures = [cluster.submit(time.sleep, 1000) for _ in range(10)]
    scheduler[1].kill()
    while client.status != "closed":  # it tries to connect again before
        futures.append(cluster.submit(time.sleep, 1000))
        wait(futures[-1:], timeout=0.01)
    futures += [cluster.submit(time.sleep, 1000) for _ in range(10)]
    ended = wait(futures, timeout=60)
    assert not ended.not_done
    assert {type(future.exception()) for future in ended.done} <= {ClusterLostError, CancelledError}
    cluster.shutdown()


def test_an_interrupt(make_set: Make, emu: Path, scheduler: tuple[str, object], tmp_path: Path) -> None:
    """Ctrl-C ends the client in one line; the scheduler serves the next one."""
    root, out = make_set({"mcf": {"1": (1, "wait")}}), tmp_path / "out"
    words = ["set", "run", str(root), "-o", str(out), "--on", f"dask://{scheduler[0]}", "--"]
    words += [str(emu), "-i", "{checkpoint}"]
    with subprocess.Popen(
        [sys.executable, "-m", "gcpt", *words], env=ENVIRONMENT, stderr=subprocess.PIPE, text=True
    ) as client:
        wait_until(emu.with_name("starts").exists)
        client.send_signal(signal.SIGINT)
        _, errors = client.communicate(timeout=100)
    assert (client.returncode, errors.strip()) == (130, "gcpt: interrupted")
    emu.with_name("go").touch()
    assert gcpt(*words).returncode == 0


def test_a_point_that_kills_workers(make_set: Make, emu: Path, scheduler: tuple[str, object], tmp_path: Path) -> None:
    """It is named, with the worker."""
    root, out = make_set({"mcf": {"1": (1, "killer")}}), tmp_path / "out"
    words = ("--retries", "0", "--on", f"dask://{scheduler[0]}", "--", emu, "-i", "{checkpoint}")
    run = gcpt("set", "run", root, "-o", out, *words)
    assert run.returncode == 1
    assert "mcf_1: workers that ended during it: 1, the last one tcp://127.0.0.1:" in run.stdout


def test_workers_that_do_not_fit(scheduler: tuple[str, object], tmp_path: Path) -> None:
    """Files that they do not see, other versions of gcpt and none are one line each."""
    with Client(f"tcp://{scheduler[0]}", set_as_default=False) as client:
        client.wait_for_workers(2, timeout=100)
        check_workers(client, "dask://x", [tmp_path])
        with pytest.raises(UserError, match=rf"dask://x: {tmp_path}/absent does not exist on host \S+: set, command"):
            check_workers(client, "dask://x", [tmp_path, tmp_path / "absent"])
        other = tmp_path / "other/gcpt"
        other.mkdir(parents=True)
        path = f"{other.parent}:{ENVIRONMENT['PYTHONPATH']}"
        for text, problem in (
            ("__version__ = '0.0.9'", rf"gcpt 0\.0\.9 is installed, and here {__version__}"),
            ("raise ModuleNotFoundError('No module named gcpt')", r"gcpt is not installed \(No module named gcpt\)"),
        ):
            (other / "__init__.py").write_text(text)
            words = (f"tcp://{scheduler[0]}", "--nthreads", "1", "--no-nanny")
            with _process(tmp_path / "other.log", "dask_worker", *words, PYTHONPATH=path):
                client.wait_for_workers(3, timeout=100)
                with pytest.raises(
                    UserError, match=rf"dask://x: worker tcp://127\.0\.0\.1:\d+: {problem}: install gcpt"
                ):
                    check_workers(client, "dask://x", [])
            wait_until(lambda: len(client.scheduler_info(n_workers=-1)["workers"]) == 2)


def _keys(folder: Path) -> dict[str, str]:
    """Write a key and certificates of an authority of their own; return the settings of Dask that name them."""
    folder.mkdir()
    security = write_security(distributed, folder)
    names = {"CA_FILE": security.tls_ca_file}
    for role in ("client", "scheduler", "worker"):
        for part in ("cert", "key"):
            names[f"{role}__{part}".upper()] = getattr(security, f"tls_{role}_{part}")
    return {f"DASK_DISTRIBUTED__COMM__TLS__{name}": file for name, file in names.items()}


def test_tls(
    make_set: Make, emu: Path, starts: Callable[[], list[str]], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The certificates are those of Dask's configuration; who has others, or none, is refused in one line."""
    root, file, keys = make_set({"mcf": {"1": (1, "")}}), tmp_path / "scheduler.json", _keys(tmp_path / "keys")
    words = ("--port", "0", "--protocol", "tls", "--scheduler-file", str(file))
    with _process(tmp_path / "scheduler.log", "dask_scheduler", *words, **keys):
        wait_until(file.exists)
        address = wait_until(lambda: json.loads(file.read_text() or "{}").get("address"))
        with _process(tmp_path / "worker.log", "dask_worker", address, "--nthreads", "1", "--no-nanny", **keys):
            work = ("set", "run", root, "-o", tmp_path / "out", "--on", address, "--", emu, "-i", "{checkpoint}")
            message = refusal(gcpt(*work))
            setting = "distributed.comm.tls"
            assert message == f"{address}: {setting}.ca-file is not set: name the file in Dask's configuration"
            for name, path in (keys | {"DASK_DISTRIBUTED__COMM__TLS__CLIENT__KEY": str(tmp_path / "absent")}).items():
                monkeypatch.setitem(ENVIRONMENT, name, path)
            message = refusal(gcpt(*work))
            assert message.startswith(f"{address}: {tmp_path}/absent: No such file or directory: correct {setting}.")
            monkeypatch.setitem(ENVIRONMENT, "DASK_DISTRIBUTED__COMM__TLS__CLIENT__KEY", str(file))
            assert refusal(gcpt(*work)).endswith(f": correct the files of {setting}")
            for name, path in _keys(tmp_path / "others").items():
                monkeypatch.setitem(ENVIRONMENT, name, path)
            message = refusal(gcpt(*work))
            assert message.startswith(f"{address}: no scheduler answers: check the address, and that scheduler and")
            plain = list(work)
            plain[plain.index(address)] = address.replace("tls", "dask")
            assert "no scheduler answers" in refusal(gcpt(*plain)) and not emu.with_name("starts").exists()
            for name, path in keys.items():
                monkeypatch.setitem(ENVIRONMENT, name, path)
            run = gcpt(*work)
            assert (run.returncode, run.stderr) == (0, "") and starts() == ["mcf_1"]
