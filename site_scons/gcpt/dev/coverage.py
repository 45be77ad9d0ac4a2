"""What the tests execute: of Python lines and branches, and of the firmware's C lines, in QEMU.

    python -m gcpt.dev.coverage [WORDS FOR PYTEST...]

Leaves pages on Python in build/coverage/html. 0: the tests passed, and executed no less than tests/floors.toml says;
else 1.
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
    """The exit status of pytest, whose processes are measured, and whose machines leave logs."""
    # Tests start programs elsewhere, too, where the relative path of this process leads to nothing.
    environment = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
    environment[firmware_coverage.VARIABLE] = str(logs)
    command = _coverage("run", "-m", "pytest", "-n", "2", f"--basetemp={temporary}", *words)
    return subprocess.run(command, cwd=ROOT, env=environment, check=False).returncode


def _python() -> float:
    """Prints what was not executed of Python; how many percent were."""
    subprocess.run(_coverage("combine", "-q"), cwd=ROOT, check=False)
    subprocess.run(_coverage("html", "-q", "-d", str(_FOLDER / "html")), cwd=ROOT, check=False)
    subprocess.run(_coverage("report", "--skip-covered"), cwd=ROOT, check=False)
    command = _coverage("report", "--format=total", "--precision=2")
    total = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False).stdout
    return float(total) if total[:1].isdigit() else 0.0  # otherwise it says that there are no data


def _firmware(logs: Path) -> float:
    """Prints what was not executed of the firmware's C; how many percent were."""
    table, percent = firmware_coverage.report(firmware_coverage.measured(logs), (ROOT / "firmware").glob("*.c"))
    print(f"\n{table}")
    return percent


def verdict(reached: Mapping[str, float], floors: Mapping[str, float]) -> Iterator[tuple[str, bool]]:
    """A line on each part of which the percentages are given, and whether it is below its floor."""
    for part, percent in reached.items():
        below = floors[part] - percent
        how = f"{below:.2f} BELOW the floor" if below > 0 else "not below the floor"
        yield f"coverage: {part}: {percent:.2f} %, {how} of {floors[part]} % ({FLOORS})", below > 0


def main(words: Sequence[str]) -> int:
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
