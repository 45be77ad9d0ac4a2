"""Coverage of the tests: lines and branches of Python, and lines of the firmware's C in QEMU.

    python -m gcpt.dev.coverage [PYTEST ARGUMENTS...]

Writes HTML pages for Python to build/coverage/html. Exit status: 0 the tests passed and coverage reaches the floors in
tests/floors.toml, 1 otherwise.
"""

import os
import shutil
import subprocess
import sys
import tempfile
import tomllib
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

from gcpt.checkout import ROOT
from gcpt.dev import firmware_coverage

FLOORS = Path("tests/floors.toml")
_FOLDER = Path("build/coverage")


def _coverage(*arguments: str) -> list[str]:
    return [sys.executable, "-m", "coverage", *arguments]


def _tests(words: Sequence[str], logs: Path, temporary: Path) -> int:
    """Run pytest with measured processes and logging machines; return its exit status."""
    # Tests also start programs in other folders, where a relative PYTHONPATH leads nowhere.
    environment = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
    environment[firmware_coverage.VARIABLE] = str(logs)
    command = _coverage("run", "-m", "pytest", "-n", "2", f"--basetemp={temporary}", *words)
    return subprocess.run(command, cwd=ROOT, env=environment, check=False).returncode


def _python() -> float:
    """Print what the tests do not execute of Python; return the covered percentage."""
    subprocess.run(_coverage("combine", "-q"), cwd=ROOT, check=False)
    subprocess.run(_coverage("html", "-q", "-d", str(_FOLDER / "html")), cwd=ROOT, check=False)
    subprocess.run(_coverage("report", "--skip-covered"), cwd=ROOT, check=False)
    command = _coverage("report", "--format=total", "--precision=2")
    total = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False).stdout
    return float(total) if total[:1].isdigit() else 0.0  # otherwise a message that there is no data


def _firmware(logs: Path) -> float:
    """Print what the tests do not execute of the firmware's C; return the covered percentage."""
    table, percent = firmware_coverage.report(firmware_coverage.measured(logs), (ROOT / "firmware").glob("*.c"))
    print(f"\n{table}")
    return percent


def verdict(reached: Mapping[str, float], floors: Mapping[str, float]) -> Iterator[tuple[str, bool]]:
    """Compare coverage with the floors.

    Args:
        reached: Covered percentage of each part.
        floors: The floor of each part, in percent.

    Yields:
        For each part, a line and whether the part is below its floor.
    """
    for part, percent in reached.items():
        below = floors[part] - percent
        result = f"{below:.2f} BELOW the floor" if below > 0 else "not below the floor"
        yield f"coverage: {part}: {percent:.2f} %, {result} of {floors[part]} % ({FLOORS})", below > 0


def main(words: Sequence[str]) -> int:
    """Run the tests and check their coverage.

    Args:
        words: Arguments for pytest.

    Returns:
        The exit status.
    """
    shutil.rmtree(ROOT / _FOLDER, ignore_errors=True)
    logs = ROOT / _FOLDER / "firmware"
    logs.mkdir(parents=True)
    with tempfile.TemporaryDirectory(prefix="gcpt-coverage-") as folder:
        status = _tests(words, logs, Path(folder, "tests"))
        reached = {"python": _python(), "firmware": _firmware(logs)}
    lines = list(verdict(reached, tomllib.loads((ROOT / FLOORS).read_text())))
    print("\n" + "\n".join(line for line, _ in lines))
    if status:
        print(f"coverage: the tests failed (pytest ended with {status})")
    return 1 if status or any(below for _, below in lines) else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
