"""Times of ``gcpt set`` on synthetic sets of growing size."""

import os
import shutil
import subprocess
import sys
import time
from pathlib import Path

from gcpt.checkout import ROOT
from gcpt.dev import synthetic_sets
from gcpt.dev.figures import Figures

#: Numbers of points.
SIZES = (10, 100, 1_000, 10_000)


def _seconds(*arguments: str | Path) -> float:
    """How long ``gcpt set`` runs, with the start of Python."""
    environment = {**os.environ, "PYTHONPATH": str(ROOT / "site_scons")}
    command = [sys.executable, "-m", "gcpt", "set", *map(str, arguments)]
    start = time.perf_counter()
    subprocess.run(command, env=environment, stdout=subprocess.DEVNULL, check=True)
    return time.perf_counter() - start


def measure(folder: Path) -> Figures:
    """Measure how the time of a scan of names and indexes grows with the number of points.

    Args:
        folder: A temporary folder.

    Returns:
        Seconds for each number of points.

    Raises:
        subprocess.CalledProcessError: A command fails.
    """
    seconds = {}
    for points in SIZES:
        root = synthetic_sets.make(folder / f"set of {points}", points=points).root
        seconds[f"set scan --quick, {points:,} points"] = _seconds("scan", root, "--quick")
        shutil.rmtree(root)
    return {"seconds": seconds}
