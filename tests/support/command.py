"""The command ``gcpt``, run as a process of its own."""

import contextlib
import io
import os
import re
import select
import subprocess
import sys
import time
from contextlib import redirect_stderr, redirect_stdout
from pathlib import Path
from typing import Self

from gcpt.restorer.options import NO_OPTIONS_FILE

#: The command that runs SCons without the options of the checkout's user (gcpt.options).
SCONS = [sys.executable, "-m", "SCons", "-Q", NO_OPTIONS_FILE]

#: In which ``python -m gcpt`` is this checkout's.
ENVIRONMENT = {**os.environ, "PYTHONPATH": str(Path(__file__).parents[2] / "site_scons")}

#: The same for what "scons coverage" cannot measure: its figures are files, too, and a signal can be lost in it.
UNMEASURED = {name: value for name, value in ENVIRONMENT.items() if not name.startswith("COVERAGE_")}


def gcpt(*arguments: str | Path, cwd: Path | None = None, timeout: float = 120) -> subprocess.CompletedProcess[str]:
    """Run it with ``arguments``; its output is in the result, whatever its exit status."""
    command = [sys.executable, "-m", "gcpt", *map(str, arguments)]
    return subprocess.run(
        command, cwd=cwd, env=ENVIRONMENT, capture_output=True, text=True, timeout=timeout, check=False
    )


def refusal(run: subprocess.CompletedProcess[str]) -> str:
    """The one line with which bad input was refused; fails when it was not, or not in one line."""
    assert run.returncode == 2, (run.returncode, run.stdout, run.stderr)
    assert run.stdout == ""
    assert run.stderr.startswith("gcpt: ") and run.stderr.count("\n") == 1, run.stderr
    return run.stderr.removeprefix("gcpt: ").rstrip("\n")


def child(parent: int, name: str) -> str:
    """The number of a process that ``parent`` started, or nothing."""
    for number in Path(f"/proc/{parent}/task/{parent}/children").read_text().split():
        with contextlib.suppress(OSError):
            if name in Path(f"/proc/{number}/comm").read_text():
                return number
    return ""


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
            preexec_fn=lambda: os.login_tty(self._other),
        )
        os.close(self._other)
        return self

    def __exit__(self, *_: object) -> None:
        self.process.terminate()
        self.process.wait()
        os.close(self._main)

    def type(self, text: str) -> None:
        os.write(self._main, text.encode())

    def expect(self, pattern: str, timeout: float = 60) -> str:
        """Wait for ``pattern`` in what is shown from here on; all up to there."""
        deadline, shown = time.monotonic() + timeout, ""
        while not re.search(pattern, shown):
            assert time.monotonic() < deadline, f"no {pattern!r} in: {self.seen}"
            if select.select([self._main], [], [], 0.2)[0]:
                try:
                    piece = os.read(self._main, 4096).decode(errors="replace")
                except OSError:
                    raise AssertionError(f"it ended without {pattern!r}: {self.seen}") from None
                shown, self.seen = shown + piece, self.seen + piece
        return shown

    def wait(self, timeout: float = 20) -> int:
        """Its exit status; what it shows at its end is read, so that it can end."""
        deadline = time.monotonic() + timeout
        while self.process.poll() is None and time.monotonic() < deadline:
            if select.select([self._main], [], [], 0.1)[0]:
                with contextlib.suppress(OSError):
                    self.seen += os.read(self._main, 4096).decode(errors="replace")
        return self.process.wait(1)


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
