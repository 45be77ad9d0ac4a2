"""The command ``gcpt``, run as a process of its own."""

import contextlib
import io
import os
import re
import select
import signal
import socket
import subprocess
import sys
import termios
import time
from collections.abc import Callable, Iterator
from contextlib import redirect_stderr, redirect_stdout
from pathlib import Path
from typing import Self, TypeVar

from gcpt.machines.gdb import TIMEOUT
from gcpt.restorer.options import NO_OPTIONS_FILE

T = TypeVar("T")

#: The command that runs SCons without the options of the checkout's user (gcpt.options).
SCONS = [sys.executable, "-m", "SCons", "-Q", NO_OPTIONS_FILE]

#: In which ``python -m gcpt`` is this checkout's.
ENVIRONMENT = {**os.environ, "PYTHONPATH": str(Path(__file__).parents[2] / "site_scons")}

#: The same for what "scons coverage" cannot measure: its figures are files, too, and a signal can be lost in it.
UNMEASURED = {name: value for name, value in ENVIRONMENT.items() if not name.startswith("COVERAGE_")}


#: Runs a command in namespaces of its own; root needs no user namespace, which no process in a chroot can make.
UNSHARE = ("unshare", *(("--map-root-user",) if os.geteuid() else ()))
#: Seconds between two checks of a condition.
_POLL = 0.01


def gcpt(*arguments: str | Path, cwd: Path | None = None, typed: str = "") -> subprocess.CompletedProcess[str]:
    """Run it with ``arguments``; its output is in the result, whatever its exit status. typed: its standard input."""
    command = [sys.executable, "-m", "gcpt", *map(str, arguments)]
    return subprocess.run(command, cwd=cwd, env=ENVIRONMENT, input=typed, capture_output=True, text=True, check=False)


def refusal(run: subprocess.CompletedProcess[str]) -> str:
    """The one line with which bad input was refused; fails when it was not, or not in one line."""
    assert run.returncode == 2, (run.returncode, run.stdout, run.stderr)
    assert run.stdout == ""
    assert run.stderr.startswith("gcpt: ") and run.stderr.count("\n") == 1, run.stderr
    return run.stderr.removeprefix("gcpt: ").rstrip("\n")


def child(parent: int, name: str) -> str:
    """The number of a process that ``parent`` started, or nothing; one that only tells its version does not count."""
    for number in Path(f"/proc/{parent}/task/{parent}/children").read_text().split():
        with contextlib.suppress(OSError):
            words = Path(f"/proc/{number}/cmdline").read_text().split("\0")
            if name in Path(f"/proc/{number}/comm").read_text() and "--version" not in words:
                return number
    return ""


def wait_until(condition: Callable[[], T]) -> T:
    """Return the first true value of ``condition``, which no event announces."""
    deadline = time.monotonic() + TIMEOUT
    while not (value := condition()):
        assert time.monotonic() < deadline, f"not within {TIMEOUT:g} s"
        time.sleep(_POLL)
    return value


def free_port() -> int:
    """A port of this machine that nothing used just now."""
    with socket.create_server(("localhost", 0)) as server:
        return int(server.getsockname()[1])


def restore_signals() -> None:
    """Let signals end a child although the tests run under nohup or in a shell's background; as ``preexec_fn``."""
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, signal.SIG_DFL)


@contextlib.contextmanager
def started(*arguments: str | Path, **environment: str) -> Iterator[subprocess.Popen[str]]:
    """Run it in the background; it is killed at the end if it has not ended."""
    with subprocess.Popen(
        [sys.executable, "-m", "gcpt", *map(str, arguments)],
        env={**ENVIRONMENT, **environment},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        preexec_fn=restore_signals,
    ) as running:
        try:
            yield running
        finally:
            running.kill()


class Terminal:
    """A command on a plain terminal of its own, where Ctrl-C is a signal."""

    def __init__(self, command: list[str], folder: Path) -> None:
        self._main, self._other = os.openpty()
        self._command, self._folder = command, folder
        self.seen = ""

    def __enter__(self) -> Self:
        self.process = subprocess.Popen(
            self._command,
            cwd=self._folder,
            env={**ENVIRONMENT, "TERM": "dumb"},
            preexec_fn=self._take_terminal,
        )
        os.close(self._other)
        return self

    def __exit__(self, *_: object) -> None:
        self.process.terminate()
        self.process.wait()
        os.close(self._main)

    def _take_terminal(self) -> None:
        restore_signals()
        os.login_tty(self._other)

    def type(self, text: str) -> None:
        os.write(self._main, text.encode())

    def _read(self) -> str:
        """What is shown next; OSError once no process has the terminal open."""
        assert select.select([self._main], [], [], TIMEOUT)[0], f"nothing more within {TIMEOUT:g} s: {self.seen}"
        piece = os.read(self._main, 4096).decode(errors="replace")
        self.seen += piece
        return piece

    def expect(self, pattern: str) -> str:
        """Wait for ``pattern`` in what is shown from here on; all up to there."""
        shown = ""
        while not re.search(pattern, shown):
            try:
                shown += self._read()
            except OSError:
                raise AssertionError(f"it ended without {pattern!r}: {self.seen}") from None
        return shown

    def wait_raw(self) -> None:
        """Wait until the program on the terminal reads single keys instead of lines."""
        wait_until(lambda: not termios.tcgetattr(self._main)[3] & termios.ICANON)

    def wait(self) -> int:
        """Its exit status; what it shows at its end is read, so that it can end."""
        with contextlib.suppress(OSError):
            while True:
                self._read()
        return self.process.wait(TIMEOUT)


def on_terminal(columns: int, *arguments: str | Path) -> subprocess.CompletedProcess[str]:
    """The same on a terminal of so many columns: all that is seen there, progress too, without its colours."""
    main, other = os.openpty()
    command = [sys.executable, "-m", "gcpt", *map(str, arguments)]
    environment = {**ENVIRONMENT, "COLUMNS": str(columns), "TERM": "xterm"}
    with subprocess.Popen(command, env=environment, stdin=other, stdout=other, stderr=other) as running:
        os.close(other)
        seen = b""
        with contextlib.suppress(OSError):  # the other end is closed
            while piece := os.read(main, 1 << 16):
                seen += piece
    os.close(main)
    text = re.sub(r"\x1b\[[?\d;]*[a-zA-Z]", "", seen.decode()).replace("\r\n", "\n")
    return subprocess.CompletedProcess(command, running.returncode, text)


def here(*arguments: str | Path) -> subprocess.CompletedProcess[str]:
    """The same within this process, which takes a tenth of the time: for what a process of its own shows no more of."""
    from gcpt.cli import main

    out, errors = io.StringIO(), io.StringIO()
    words = [str(one) for one in arguments]
    with redirect_stdout(out), redirect_stderr(errors):
        status = main(words)
    return subprocess.CompletedProcess(words, status, out.getvalue(), errors.getvalue())
