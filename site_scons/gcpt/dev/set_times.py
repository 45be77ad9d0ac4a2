"""Times of ``gcpt set`` on synthetic sets of growing size.

python -m gcpt.dev.set_times      a table
"""

import os
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from gcpt.checkout import ROOT
from gcpt.console import print_table
from gcpt.dev import synthetic_sets
from gcpt.dev.figures import Figures

#: Numbers of points.
SIZES = (10, 100, 1_000, 10_000)
#: A command that needs no time: what remains is the engine's.
_COMMAND = ("--good", "done", "--", "echo", "done", "{checkpoint}")


def _seconds(*arguments: str | Path) -> float:
    """How long ``gcpt set`` runs, with the start of Python."""
    environment = {**os.environ, "PYTHONPATH": str(ROOT / "site_scons")}
    command = [sys.executable, "-m", "gcpt", "set", *map(str, arguments)]
    start = time.perf_counter()
    subprocess.run(command, env=environment, stdout=subprocess.DEVNULL, check=True)
    return time.perf_counter() - start


def measure(folder: Path) -> Figures:
    """Measure how times grow with the number of points.

    Args:
        folder: A temporary folder.

    Returns:
        Seconds of a scan of names and indexes, of a run of ``echo`` for each point, and of the same run again, which
        finds all its results.

    Raises:
        subprocess.CalledProcessError: A command fails.
    """
    seconds = {}
    for points in SIZES:
        root = synthetic_sets.make(folder / f"set of {points}", points=points).root
        results = folder / f"results of {points}"
        run = ("run", root, "-o", results, *_COMMAND)
        seconds[f"set scan --quick, {points:,} points"] = _seconds("scan", root, "--quick")
        seconds[f"set run echo, {points:,} points"] = _seconds(*run)
        seconds[f"set run echo again, {points:,} points"] = _seconds(*run)
        shutil.rmtree(root)
        shutil.rmtree(results)
    return {"seconds": seconds}


def main() -> None:
    """Print the times."""
    with tempfile.TemporaryDirectory(prefix="gcpt-sets-") as folder:
        seconds = measure(Path(folder))["seconds"]
    print_table(("seconds", "measured"), [(name, f"{number:.2f}") for name, number in seconds.items()])


if __name__ == "__main__":
    main()
