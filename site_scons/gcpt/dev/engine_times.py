"""Processor time of ``gcpt set``, against single calls less their start-up, a shell loop and GNU parallel.

python -m gcpt.dev.engine_times [POINTS]      a table (100 points); Debian's parallel must be installed
"""

import os
import resource
import shlex
import subprocess
import sys
import tempfile
import time
from argparse import ArgumentParser
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from gcpt.checkout import ROOT
from gcpt.checkpoint.files import open_checkpoint
from gcpt.console import print_table
from gcpt.dev import swap_times, synthetic_sets
from gcpt.machines import restorers
from gcpt.machines.judges import QEMU
from gcpt.restorer import packing
from gcpt.sets.checks import Info, Validate, Verify
from gcpt.sets.perform import Work
from gcpt.sets.points import Point

#: MiB of each image, and of its part that is not zero.
_SIZE, _USED = 128, 16
#: What each command of a set does with a point.
WORKS: dict[str, Work] = {"info": Info(), "validate": Validate("", 0), "verify": Verify(QEMU, None, 60)}
#: A program that reads the image, and prints its name.
_PROGRAM = "sha256sum"


@dataclass
class Cost:
    """What a piece of work costs.

    Attributes:
        processor: Seconds of processor time, with those of child processes.
        elapsed: Seconds.
    """

    processor: float = 0.0
    elapsed: float = 0.0

    @property
    def busy(self) -> float:
        """The share of this machine's cores that it kept busy."""
        return self.processor / self.elapsed / len(os.sched_getaffinity(0))


#: The cost of ``gcpt set`` and of what it is compared with, by name.
Rows = dict[str, tuple[Cost, Cost]]


def _processor() -> float:
    usages = (resource.getrusage(resource.RUSAGE_SELF), resource.getrusage(resource.RUSAGE_CHILDREN))
    return sum(usage.ru_utime + usage.ru_stime for usage in usages)


@contextmanager
def _cost() -> Iterator[Cost]:
    cost, processor, start = Cost(), _processor(), time.monotonic()
    yield cost
    cost.processor, cost.elapsed = _processor() - processor, time.monotonic() - start


def _run(command: Sequence[str | Path], names: Sequence[Path] = ()) -> Cost:
    """Run a command; it gets file names on its standard input."""
    environment = {**os.environ, "PYTHONPATH": str(ROOT / "site_scons")}
    text = "".join(f"{name}\n" for name in names)
    with _cost() as cost:
        done = subprocess.run(command, input=text, text=True, env=environment, stdout=subprocess.DEVNULL)
    if done.returncode != 1:  # validate has findings: the registers are random
        done.check_returncode()
    return cost


def _gcpt(*words: str | Path) -> Cost:
    return _run([sys.executable, "-m", "gcpt", "set", *words])


def _calls(work: Work, paths: Sequence[Path], folder: Path) -> Cost:
    """Single calls less their start-up: one after the other in this process, which has all modules loaded."""
    points = [Point("workload", str(number), path, None, "") for number, path in enumerate(paths)]
    work(points[0], folder)
    with _cost() as cost:
        for point in points:
            work(point, folder)
    return cost


def measure_checks(folder: Path, points: int, restorer: Path) -> Rows:
    """Measure commands that do with each point what a single command does.

    Args:
        folder: A temporary folder; its set and its images stay.
        points: Number of points.
        restorer: A restorer for a single-core checkpoint on QEMU.

    Returns:
        What each command costs, and the single calls.

    Raises:
        subprocess.CalledProcessError: A command fails.
    """
    plain, packed = folder / "plain.zstd", folder / "packed.zstd"
    swap_times.write_image(plain, _SIZE, _USED)
    image = packing.pack(packing.read(restorer), open_checkpoint(plain), False)
    packing.write((packing.Output(packed, "zstd"), image))
    created = synthetic_sets.make(folder / "set", points=points, content=packed)
    paths = list(created.images.values())
    return {
        f"set {name} / single calls less their start-up": (_gcpt(name, created.root), _calls(work, paths, folder))
        for name, work in WORKS.items()
    }


def measure_runs(folder: Path) -> Rows:
    """Measure the run of a program for each point of the set that ``measure_checks`` wrote.

    Args:
        folder: The same folder.

    Returns:
        What ``gcpt set run`` costs, and other ways to run the program.

    Raises:
        subprocess.CalledProcessError: A command fails.
    """
    root, jobs = folder / "set", str(len(os.sched_getaffinity(0)))
    paths = sorted(root.glob("checkpoint/*/*/*_memory_.zstd"))
    ours = _gcpt("run", root, "-o", folder / "results", "--good", "memory", "--", _PROGRAM, "{checkpoint}")
    options = ("-j", jobs, "--joblog", folder / "joblog", "--results", folder / "logs")
    parallel = _run(["parallel", *options, _PROGRAM], paths)
    log = shlex.quote(str(folder / "log"))
    loop = _run(["sh", "-c", f'while read -r name; do {_PROGRAM} "$name" > {log}; done'], paths)
    name = f"set run {_PROGRAM}"
    return {f"{name} / GNU parallel": (ours, parallel), f"{name} / shell loop": (ours, loop)}


def main() -> None:
    """Print the costs."""
    parser = ArgumentParser(prog="python -m gcpt.dev.engine_times", description="Print processor times of gcpt set.")
    parser.add_argument("points", type=int, nargs="?", default=100, help="Number of points.")
    points: int = parser.parse_args().points
    with tempfile.TemporaryDirectory(prefix="gcpt-engine-") as name:
        folder = Path(name)
        restorer = restorers.provide({"mode": "single_core", "platform": "qemu-virt"}, folder).image
        rows = {**measure_checks(folder, points, restorer), **measure_runs(folder)}
    columns = ("processor time", "s", "s", "ratio", "more per point", "cores busy")
    cells = [
        (
            name,
            f"{ours.processor:.2f}",
            f"{theirs.processor:.2f}",
            f"{ours.processor / theirs.processor:.2f}",
            f"{(ours.processor - theirs.processor) / points * 1000:.1f} ms",
            f"{ours.busy:.0%}",
        )
        for name, (ours, theirs) in rows.items()
    ]
    print_table(columns, cells)


if __name__ == "__main__":
    main()
