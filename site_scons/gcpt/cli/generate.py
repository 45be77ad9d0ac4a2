"""``gcpt generate``: a set of checkpoints of one workload, from its software in one command."""

import json
import re
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from gcpt.cli.output import OutputFolder, result_printer
from gcpt.cli.software import InOrder, interval_options, moment_options, start_options, timeout_option
from gcpt.cli.start import Start
from gcpt.errors import UserError

if TYPE_CHECKING:
    from gcpt.machines.snapshot import Moment

_NAME = re.compile(r"[\w.+-]+")
_MILLION = 1_000_000


@dataclass(frozen=True)
class Paths:
    """Where a set keeps the files of a workload.

    Attributes:
        folder: The set.
        workload: The workload's name.
    """

    folder: Path
    workload: str

    @property
    def profile(self) -> Path:
        """Basic-block vectors."""
        return self.folder / "profiling" / self.workload / "simpoint_bbv.gz"

    @property
    def options(self) -> Path:
        """What the set was generated from, so that only the same command resumes it."""
        return self.profile.with_name("options.json")

    @property
    def cluster(self) -> Path:
        """Folder of simpoints0 and weights0."""
        return self.folder / "cluster" / self.workload

    @property
    def page(self) -> Path:
        """The page of the phases and points."""
        return self.profile.with_name("phases.html")

    @property
    def index(self) -> Path:
        """The points as JSON."""
        return self.folder / "json" / f"{self.workload}.json"

    @property
    def checkpoints(self) -> Path:
        """Folder of the checkpoints."""
        return self.folder / "checkpoint" / self.workload

    @property
    def list(self) -> Path:
        """The list of the set's checkpoints."""
        return self.folder / "checkpoint" / "checkpoint.lst"


@click.command(cls=InOrder)
@click.option("-o", "--output", type=OutputFolder(), required=True, help="The folder of the set.")
@click.option("--name", help="The workload's name; by default that of the kernel or first file, without its ending.")
@start_options
@moment_options
@interval_options
@click.option("--max-k", "most", type=click.IntRange(1), default=30, show_default=True, help="The most points.")
@click.option(
    "--seed", type=click.IntRange(0, (1 << 32) - 1), default=0, show_default=True, help="Of all random numbers."
)
@timeout_option
@click.option("--force", is_flag=True, help="Overwrite data in the first MiB, which belongs to the restorer.")
def command(
    output: Path,
    name: str | None,
    start: Start,
    moment: "Moment",
    interval: int,
    last: int | None,
    most: int,
    seed: int,
    force: bool,
) -> int:
    """Generate a set of checkpoints that represent a run, on one hart of a stock QEMU "virt" machine.

    Profiles the software as gcpt profile does, chooses points as gcpt simpoints does, and takes a checkpoint at each as
    gcpt snapshot does. The same command resumes where it stopped: files of the set that are complete stay.

    \b
    Example:
      gcpt generate -o set --load worker.bin@0x80100000 --interval 20M
      gcpt generate -o set --firmware fw_jump.bin --kernel Image --initrd initrd.gz --append console=ttyS0 \\
          --interval 20M --max-k 30
      gcpt generate -o set --firmware fw_jump.bin --kernel u-boot.bin --interval 1M --last 300M --max-k 10
    """
    from gcpt.checkpoint import apart
    from gcpt.checkpoint.points import simpoints
    from gcpt.cli.profile import profiled_machine, write_profile
    from gcpt.cli.snapshot_files import Files, take_points
    from gcpt.machines.snapshot import initial_memory

    setup = profiled_machine(start, interval, last)
    assert start.workload
    workload = start.workload.stem if name is None else name
    if not _NAME.fullmatch(workload):
        raise UserError(f"--name {workload!r}: want letters, digits and ._+-: give another name")
    paths = Paths(output, workload)
    for out in (paths.profile, paths.options, paths.index, paths.page, paths.list):
        apart.check("-o", out, start.inputs)
    initial_memory(setup)  # refuses files before anything is written
    _check_options(
        paths,
        {
            "files": {option: _digest(file) for option, file in start.files.items()},
            "addresses": [address for _, address in (*start.loads, *start.data)],
            "machine": {
                "start": start.start,
                "vlen": start.vlen,
                "memory": setup.size,
                "options": list(start.qemu),
                **({"append": start.append} if start.kernel else {}),
            },
            "moment": {
                "console": [list(step) for step in moment.steps],
                "at": moment.at,
                **({"start_at": moment.marker.text} if moment.marker else {}),
            },
            "profile": {"interval": interval, "last": last},
            "points": {"max_k": most, "seed": seed},
        },
    )
    if not paths.profile.exists():
        count, _ = write_profile(paths.profile, setup, moment, interval, last)
        print(f"{paths.profile}: {count} intervals")
    if not paths.index.exists():
        _choose(paths, most, seed)
    points = simpoints(paths.cluster, interval)
    files = Files(paths.checkpoints, "zstd", "auto", None, force)
    missing = [point for point in points if not point.path(files.output, files.container).exists()]
    if missing:
        take_points(setup, moment, missing, True, files, result_printer(False), False)
    numbers = [point.number for point in points]
    _write_list(paths, numbers, interval)
    print(f"{output}: {workload} has {len(points)} checkpoints, {len(missing)} of them new")
    return 0


def _digest(file: Path) -> str:
    """Return the SHA-256 digest of a file."""
    from gcpt.sets.results import digest

    try:
        return digest(file)
    except OSError as error:
        raise UserError(f"{file}: {error.strerror}") from error


def _make_folder(path: Path) -> None:
    try:
        path.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise UserError(f"{path}: {error.strerror}: choose another folder for the set") from error


def _check_options(paths: Paths, options: dict[str, Any]) -> None:
    """Check that the workload's profile is of the same, or write down what it will be of."""
    from gcpt.checkpoint.output import write

    if paths.profile.exists():
        try:
            before = json.loads(paths.options.read_text())
        except (OSError, ValueError) as error:
            raise UserError(f"{paths.options}: cannot be read: remove the workload's files") from error
        if changed := [key for key, value in options.items() if before.get(key) != value]:
            raise UserError(
                f"{paths.options}: {paths.workload} was begun with other {', '.join(changed)}: give the same options, "
                "or another --name"
            )
        return
    _make_folder(paths.options.parent)
    write(paths.options, [(json.dumps(options, indent=2) + "\n").encode()], "raw")


def _choose(paths: Paths, most: int, seed: int) -> None:
    """Choose the points of the profile."""
    from gcpt.cli.simpoints import choose_points, write

    vectors, clusters = choose_points(paths.profile, most, seed)
    facts = {"profile": paths.profile, "--max-k": most, "--seed": seed}
    write(clusters, vectors.instructions, paths.cluster, paths.index, paths.page, facts)
    print(f"{paths.cluster}: {len(clusters.intervals)} points of {len(clusters.labels)} intervals")


def _write_list(paths: Paths, points: list[int], interval: int) -> None:
    """Replace the workload's lines of checkpoint.lst: name, path, skip, warmups and sample in million instructions."""
    from gcpt.checkpoint.output import write

    try:
        lines = paths.list.read_text().splitlines() if paths.list.exists() else []
    except (OSError, UnicodeDecodeError) as error:
        raise UserError(f"{paths.list}: cannot be read: remove it") from error
    others = [line for line in lines if line.split()[1:2] and line.split()[1].rpartition("/")[0] != paths.workload]
    length = f"{interval / _MILLION:.10g}"
    own = [f"{paths.workload}_{point} {paths.workload}/{point} 0 0 {length} {length}" for point in points]
    write(paths.list, ["".join(f"{line}\n" for line in [*others, *own]).encode()], "raw")
