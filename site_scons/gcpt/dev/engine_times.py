"""Processor time of ``gcpt set``, against single calls less their start-up, a shell loop and GNU parallel.

python -m gcpt.dev.engine_times [--rounds N] [POINTS] [COMMAND ...]

POINTS: size of the set (100). COMMAND: info, validate, verify or run (all); run needs Debian's parallel. --rounds: how
often each is measured, in turn with what it is compared with (3); the table has the medians. Single calls keep as many
cores busy as ``gcpt set`` does, because cores that share a cache or an execution unit slow each other down.
"""

import multiprocessing
import os
import resource
import shlex
import shutil
import subprocess
import sys
import tempfile
import time
from argparse import ArgumentParser
from collections.abc import Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from itertools import repeat
from pathlib import Path
from statistics import median

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
_COMMANDS = (*WORKS, "run")
#: A program that reads the image, and prints its name.
_PROGRAM = "sha256sum"
_CORES = len(os.sched_getaffinity(0))
#: How often the start is measured.
_STARTS = 5


@dataclass
class Cost:
    """What a piece of work costs.

    Attributes:
        processor: Seconds of processor time, with those of child processes.
        elapsed: Seconds.
        memory: MiB of the largest of its processes.
    """

    processor: float
    elapsed: float
    memory: float

    @property
    def busy(self) -> float:
        """The share of this machine's cores that it kept busy."""
        return self.processor / self.elapsed / _CORES


@dataclass(frozen=True)
class Pair:
    """What the work on all points costs.

    Attributes:
        ours: With ``gcpt set``.
        theirs: In the other way: seconds of processor time.
    """

    ours: Cost
    theirs: float

    @property
    def ratio(self) -> float:
        """Processor time of ``gcpt set``, as a part of that of the other way."""
        return self.ours.processor / self.theirs


#: A pair for each comparison, by name.
Rows = dict[str, Pair]


def _run(command: Sequence[str | Path], names: Sequence[Path] = ()) -> Cost:
    """Run a command; it gets file names on its standard input."""
    environment = {**os.environ, "PYTHONPATH": str(ROOT / "site_scons")}
    with tempfile.TemporaryFile("w+") as text:
        text.writelines(f"{name}\n" for name in names)
        text.seek(0)
        start = time.monotonic()
        process = subprocess.Popen(command, stdin=text, env=environment, stdout=subprocess.DEVNULL)
        _, status, usage = os.wait4(process.pid, 0)
        elapsed = time.monotonic() - start
    process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode not in (0, 1):  # validate has findings: the registers are random
        raise subprocess.CalledProcessError(process.returncode, command)
    return Cost(usage.ru_utime + usage.ru_stime, elapsed, usage.ru_maxrss / 1024)


def _gcpt(*words: str | Path) -> Cost:
    return _run([sys.executable, "-m", "gcpt", "set", *words])


def _share(work: Work, points: Sequence[Point], folder: Path) -> float:
    """The processor time of single calls less their start-up, in a process that has all modules loaded."""
    work(points[0], folder)
    start = time.process_time() + _children()
    for point in points:
        work(point, folder)
    return time.process_time() + _children() - start


def _children() -> float:
    usage = resource.getrusage(resource.RUSAGE_CHILDREN)
    return usage.ru_utime + usage.ru_stime


def _calls(work: Work, paths: Sequence[Path], folder: Path) -> float:
    """The processor time of single calls less their start-up, on all cores at once."""
    points = [Point("workload", str(number), path, None, "") for number, path in enumerate(paths)]
    shares = [points[number::_CORES] for number in range(min(_CORES, len(points)))]
    with ProcessPoolExecutor(len(shares), multiprocessing.get_context("spawn")) as pool:
        return sum(pool.map(_share, repeat(work), shares, repeat(folder)))


def write_set(folder: Path, points: int, restorer: Path) -> list[Path]:
    """Write a set whose images are one packed checkpoint.

    Args:
        folder: A temporary folder; the set becomes its folder ``set``.
        points: Number of points.
        restorer: A restorer for a single-core checkpoint on QEMU.

    Returns:
        The images.
    """
    plain, packed = folder / "plain.zstd", folder / "packed.zstd"
    swap_times.write_image(plain, _SIZE, _USED)
    image = packing.pack(packing.read(restorer), open_checkpoint(plain), False)
    packing.write((packing.Output(packed, "zstd"), image))
    return sorted(synthetic_sets.make(folder / "set", points=points, content=packed).images.values())


def measure_check(name: str, folder: Path, paths: Sequence[Path]) -> Rows:
    """Measure a command that does with each point what a single command does.

    Args:
        name: One of WORKS.
        folder: The folder of ``write_set``.
        paths: The images.

    Returns:
        The command and the single calls.

    Raises:
        subprocess.CalledProcessError: The command fails.
    """
    return {
        f"set {name} / single calls less their start-up": Pair(
            _gcpt(name, folder / "set"), _calls(WORKS[name], paths, folder)
        )
    }


def measure_run(folder: Path, paths: Sequence[Path]) -> Rows:
    """Measure the run of a program for each point.

    Args:
        folder: The folder of ``write_set``.
        paths: The images.

    Returns:
        ``gcpt set run``, and other ways to run the program.

    Raises:
        subprocess.CalledProcessError: A command fails.
    """
    with tempfile.TemporaryDirectory(dir=folder) as name:
        results = Path(name)
        words = ("run", folder / "set", "-o", results / "ours", "--good", "memory", "--", _PROGRAM, "{checkpoint}")
        ours = _gcpt(*words)
        options = ("-j", str(_CORES), "--joblog", results / "joblog", "--results", results / "logs")
        parallel = _run(["parallel", *options, _PROGRAM], paths)
        log = shlex.quote(str(results / "log"))
        loop = _run(["sh", "-c", f'while read -r name; do {_PROGRAM} "$name" > {log}; done'], paths)
    title = f"set run {_PROGRAM}"
    return {
        f"{title} / GNU parallel": Pair(ours, parallel.processor),
        f"{title} / shell loop": Pair(ours, loop.processor),
    }


def start_up(folder: Path) -> float:
    """Measure what ``gcpt set info`` costs for a set of one point: the start of gcpt and of a worker.

    Args:
        folder: The folder of ``write_set``.

    Returns:
        Seconds of processor time: the least of several.

    Raises:
        subprocess.CalledProcessError: The command fails.
    """
    root = synthetic_sets.make(folder / "one", points=1, content=folder / "packed.zstd").root
    return min(_gcpt("info", root).processor for _ in range(_STARTS))


def main(arguments: Sequence[str] | None = None) -> None:
    """Print the costs.

    Args:
        arguments: The arguments; by default those of the process.
    """
    parser = ArgumentParser(prog="python -m gcpt.dev.engine_times", description="Print processor times of gcpt set.")
    parser.add_argument("points", type=int, nargs="?", default=100, help="number of points")
    parser.add_argument("commands", nargs="*", metavar="COMMAND", help=f"of {', '.join(_COMMANDS)}; by default all")
    parser.add_argument("--rounds", type=int, default=3, help="number of rounds")
    options = parser.parse_args(arguments)
    if options.points < 1 or options.rounds < 1 or not set(options.commands) <= set(_COMMANDS):
        parser.error(f"want at least one point and one round, and commands of {', '.join(_COMMANDS)}")
    commands = options.commands or _COMMANDS
    if "run" in commands and not shutil.which("parallel"):
        parser.error("run is compared with GNU parallel: apt-get install parallel")
    pairs: dict[str, list[Pair]] = {}
    with tempfile.TemporaryDirectory(prefix="gcpt-engine-") as name:
        folder = Path(name)
        restorer = restorers.provide({"mode": "single_core", "platform": "qemu-virt"}, folder).image
        paths = write_set(folder, options.points, restorer)
        start = start_up(folder)
        for command in [*commands] * options.rounds:
            rows = measure_run(folder, paths) if command == "run" else measure_check(command, folder, paths)
            for title, pair in rows.items():
                pairs.setdefault(title, []).append(pair)
    columns = ("processor time", "s", "s", "ratio", "more per point", "cores busy", "largest process")
    print_table(columns, [_cells(title, rounds, start, options.points) for title, rounds in pairs.items()])
    print(f"more per point: without {start:.2f} s, which gcpt set info costs for a set of one point")


def _cells(title: str, rounds: Sequence[Pair], start: float, points: int) -> tuple[str, ...]:
    ours, theirs = median(pair.ours.processor for pair in rounds), median(pair.theirs for pair in rounds)
    more = median(pair.ours.processor - start - pair.theirs for pair in rounds) / points
    ratio, busy = median(pair.ratio for pair in rounds), median(pair.ours.busy for pair in rounds)
    memory = max(pair.ours.memory for pair in rounds)
    figures = (f"{ours:.2f}", f"{theirs:.2f}", f"{ratio:.2f}", f"{more * 1000:.1f} ms", f"{busy:.0%}")
    return title, *figures, f"{memory:.0f} MiB"


if __name__ == "__main__":
    main()
