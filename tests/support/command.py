"""The command ``gcpt``, run as a process of its own."""

import os
import subprocess
import sys
from pathlib import Path

#: In which ``python -m gcpt`` is this checkout's.
ENVIRONMENT = {**os.environ, "PYTHONPATH": str(Path(__file__).parents[2] / "site_scons")}


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
