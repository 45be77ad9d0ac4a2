"""How commands end: on signals, without a reader, with a full disk, with unusual files and terminals."""

import os
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from command import ENVIRONMENT, UNMEASURED, Terminal, child, gcpt, here, refusal, restore_signals, wait_until
from guests import OPENSBI

from gcpt.machines.gdb import TIMEOUT

Make = Callable[..., Path]
GCPT = [sys.executable, "-m", "gcpt"]


def _gone(process: str) -> bool:
    try:
        return Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()[0] == "Z"
    except OSError:
        return True


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGHUP, signal.SIGINT])
def test_no_partial_file_is_left(number: signal.Signals, checkpoint_file: Make, tmp_path: Path) -> None:
    """While 64 GiB are converted."""
    large, out = tmp_path / "large", tmp_path / "out.gz"
    here("convert", checkpoint_file(), large, "--container", "raw")
    os.truncate(large, 64 << 30)
    out.write_bytes(b"as it was")
    before = sorted(tmp_path.iterdir())
    command = [*GCPT, "convert", large, out]
    with subprocess.Popen(command, env=UNMEASURED, stderr=subprocess.PIPE, preexec_fn=restore_signals) as running:
        wait_until(lambda: sorted(tmp_path.iterdir()) != before)
        running.send_signal(number)
        assert running.wait(TIMEOUT) == 128 + number
        assert running.stderr is not None
        assert running.stderr.read().strip() == (b"gcpt: interrupted" if number is signal.SIGINT else b"")
    assert sorted(tmp_path.iterdir()) == before
    assert out.read_bytes() == b"as it was"


def test_the_partial_file_of_a_killed_writer(checkpoint_file: Make, tmp_path: Path) -> None:
    """The next writer of the same file removes it, but not that of a writer that lives."""
    large, small, out = tmp_path / "large", checkpoint_file(), tmp_path / "out.gz"
    here("convert", small, large, "--container", "raw")
    os.truncate(large, 64 << 30)

    def partials() -> list[Path]:
        return sorted(tmp_path.glob(".out.gz.*.partial"))

    command = [*GCPT, "convert", large, out]
    with subprocess.Popen(command, env=UNMEASURED) as killed:
        left = wait_until(partials)
        killed.kill()
    assert partials() == left
    other = tmp_path / ".out.gz.00000000.1.0.partial"
    other.touch()  # of another machine, whose locks may not be seen here
    with subprocess.Popen(command, env=UNMEASURED, preexec_fn=restore_signals) as living:
        new = wait_until(lambda: [path for path in partials() if path not in (*left, other) and path.stat().st_size])
        assert partials() == sorted([*new, other])
        here("convert", small, out)
        assert partials() == sorted([*new, other]) and out.stat().st_size
        living.send_signal(signal.SIGTERM)
    assert partials() == [other]


@pytest.mark.parametrize(
    ("command", "number"),
    [
        ("run", signal.SIGTERM),
        ("run", signal.SIGKILL),
        ("snapshot", signal.SIGHUP),
        ("snapshot", signal.SIGKILL),
        ("debug", signal.SIGTERM),
    ],
)
def test_ending_a_command_ends_qemu(
    command: str, number: signal.Signals, checkpoint_file: Make, tmp_path: Path
) -> None:
    """On every signal; temporary files are removed except on SIGKILL."""
    arguments: dict[str, list[str | Path]] = {
        "run": [checkpoint_file()],
        "snapshot": ["-o", tmp_path / "out", "--load", f"{OPENSBI}@0x80100000", "--on", "never"],
        "debug": [checkpoint_file(), "--batch", "-x", "shell sleep 60"],
    }
    temporary = tmp_path / "temporary"
    temporary.mkdir()
    machine = ""

    def started() -> str:
        nonlocal machine
        machine = child(running.pid, "qemu") or machine
        return child(running.pid, "gdb") if command == "debug" else machine

    with subprocess.Popen(
        [*GCPT, command, *arguments[command]],
        env={**UNMEASURED, "TMPDIR": str(temporary)},
        stdin=subprocess.PIPE,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
        preexec_fn=restore_signals,
    ) as running:
        wait_until(started)
        running.send_signal(number)
        assert running.wait(TIMEOUT) == (-number if number is signal.SIGKILL else 128 + number)
        wait_until(lambda: _gone(machine))
    if number is not signal.SIGKILL:
        assert not list(temporary.iterdir())


@pytest.mark.parametrize("unbuffered", ["", "1"])
def test_full_standard_output(unbuffered: str, checkpoint_file: Make) -> None:
    path = checkpoint_file()
    environment = {**ENVIRONMENT, "PYTHONUNBUFFERED": unbuffered}
    for arguments in (["info", path], ["info", path, "--hart", "0", "--all", "--json"], ["completion", "bash"]):
        with Path("/dev/full").open("w") as full:
            run = subprocess.run(
                [*GCPT, *arguments], env=environment, stdout=full, stderr=subprocess.PIPE, text=True, check=False
            )
        assert (run.returncode, run.stderr) == (2, "gcpt: standard output: No space left on device\n")


def test_closed_standard_output(checkpoint_file: Make) -> None:
    path = checkpoint_file()
    line = f'"{sys.executable}" -m gcpt info "{path}" '
    for redirection, message in (
        (">&-", "gcpt: standard output is closed: redirect it to /dev/null instead\n"),
        (">&- 2>&-", ""),
    ):
        run = subprocess.run(
            ["bash", "-c", line + redirection], env=ENVIRONMENT, capture_output=True, text=True, check=False
        )
        assert (run.returncode, run.stderr) == (2, message)


def test_a_reader_that_closes_the_pipe(checkpoint_file: Make) -> None:
    """As with ``gcpt ... | head -1``, closed before any output: no message, and exit status 0."""
    path = checkpoint_file()
    for arguments in (["info", path], ["info", path, "--hart", "0", "--all", "--json"], ["diff", path, path]):
        reading, writing = os.pipe()
        os.close(reading)
        run = subprocess.run(
            [*GCPT, *arguments], env=ENVIRONMENT, stdout=writing, stderr=subprocess.PIPE, text=True, check=False
        )
        os.close(writing)
        assert (run.returncode, run.stderr) == (0, "")


@pytest.mark.parametrize("command", ["info", "validate", "verify", "convert", "diff"])
def test_a_pipe_is_refused(command: str, checkpoint_file: Make, tmp_path: Path) -> None:
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    more = {"convert": [tmp_path / "out"], "diff": [checkpoint_file()]}.get(command, [])
    with subprocess.Popen(["bash", "-c", 'echo xxxxxxxx > "$0"', pipe]) as writing:
        message = refusal(gcpt(command, pipe, *more))
        writing.kill()
    assert message == f"{pipe}: is a pipe, but gcpt reads the file more than once: save it to a file first"
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize("unbuffered", ["", "1"])
def test_file_names_of_any_bytes(unbuffered: str, checkpoint_file: Make, tmp_path: Path) -> None:
    """They are printed with the same bytes."""
    name = b"\xff\xc3\xa4.zst"
    path = tmp_path / os.fsdecode(name)
    checkpoint_file().rename(path)
    strict = {**ENVIRONMENT, "PYTHONIOENCODING": "utf-8:strict", "PYTHONUNBUFFERED": unbuffered}
    for arguments in (["info", path], ["diff", path, path], ["info", path, "--html", "page"]):
        run = subprocess.run([*GCPT, *arguments], env=strict, capture_output=True, cwd=tmp_path, check=False)
        assert (run.returncode, run.stderr) == (0, b"")
        assert name in run.stdout or run.stdout.startswith(b"page: ")
    run = subprocess.run([*GCPT, "info", path, "--hart", "7"], env=strict, capture_output=True, check=False)
    assert (run.returncode, run.stderr.startswith(b"gcpt: " + os.fsencode(path))) == (2, True)


@pytest.mark.parametrize("environment", [{"NO_COLOR": "1", "TERM": "xterm"}, {"TERM": "dumb"}])
def test_a_terminal_without_colour(environment: dict[str, str], checkpoint_file: Make, tmp_path: Path) -> None:
    command = ["env", *(f"{name}={value}" for name, value in environment.items()), *GCPT, "validate"]
    with Terminal([*command, str(checkpoint_file())], tmp_path) as terminal:
        terminal.expect(r"errors?, \d+ warnings?")
        terminal.wait()
    assert "\x1b[3" not in terminal.seen and "\x1b[1m" not in terminal.seen
