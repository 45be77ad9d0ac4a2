"""``gcpt snapshot``: take a checkpoint of a stock QEMU, started here or already running."""

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import click

from gcpt.checkpoint.layouts import LAYOUTS
from gcpt.cli.output import InputPath, OutputPath, json_option, result_printer
from gcpt.cli.quantities import Instructions
from gcpt.cli.software import InOrder, collected, moment_options, start_options, timeout_option
from gcpt.cli.start import Start
from gcpt.errors import UserError

if TYPE_CHECKING:
    from gcpt.checkpoint.points import Point
    from gcpt.machines.snapshot import Moment


@dataclass(frozen=True)
class _Choice:
    """The options that choose several points; ``file`` is that of ``--points``."""

    file: Path | None
    every: int | None
    last: int | None
    simpoints: Path | None
    interval: int | None

    def points(self) -> list["Point"]:
        """Return the points; none without the options."""
        from gcpt.checkpoint import points

        if bool(self.every) != bool(self.last):
            raise UserError(
                "--every and --last must be given together: the distance of points, and the last one's most"
            )
        if bool(self.simpoints) != bool(self.interval):
            raise UserError("--simpoints and --interval must be given together: the files number intervals")
        if sum(map(bool, (self.file, self.every, self.simpoints))) > 1:
            raise UserError("--points, --every and --simpoints each name all points: give one of them")
        if self.every and self.last:
            return points.uniform(self.every, self.last)
        if self.simpoints and self.interval:
            return points.simpoints(self.simpoints, self.interval)
        return points.listed(self.file) if self.file else []


def _check_points(gdb_address: str | None, after: int | None, layout: str, container: str | None, output: Path) -> None:
    """Check that a list of points can be taken with the other options."""
    if gdb_address:
        raise UserError("--gdb: a list of points needs a machine that gcpt starts: leave it out, or the list")
    if after:
        raise UserError("--after takes one checkpoint: leave it out, or the list of points")
    if layout == "flash" or container == "raw" or output == Path("-"):
        raise UserError("a list of points is a folder of memory images: want -o FOLDER and zstd or gzip, and no flash")


def _check_machine(gdb_address: str | None, qmp_address: str | None, start: Start, has_steps: bool) -> None:
    """Check that the options name one machine: to start, with software, or a running one."""
    if bool(gdb_address) != bool(qmp_address):
        raise UserError("--gdb and --qmp must be given together: give both, or neither to start a machine")
    if gdb_address and (start.files or start.qemu or has_steps):
        raise UserError(
            "--firmware, --load, --data, --on, --type and QEMU options need a machine that gcpt starts: leave "
            "them out, or --gdb and --qmp"
        )
    if not gdb_address and not start.workload:
        raise UserError(
            "nothing to run: give --firmware FILE, --load FILE@ADDR, or --gdb and --qmp of a running machine"
        )


@click.command(cls=InOrder)
@click.option(
    "-o",
    "--output",
    type=OutputPath(),
    required=True,
    help="The checkpoint to write; - is standard output. For several, their folder.",
)
@start_options
@click.option("--harts", type=click.IntRange(1, 128), default=1, show_default=True, help="Number of harts.")
@moment_options
@click.option("--hart", type=click.IntRange(0, 127), help="The hart that --at and --after apply to.")
@click.option(
    "--after",
    type=Instructions(),
    help="Then let one hart (0, or --hart) execute exactly so many instructions, such as 1G.",
)
@collected(
    "choice",
    _Choice,
    click.option(
        "--points",
        "file",
        type=InputPath(),
        help="Take a checkpoint after each count of instructions in this file: one a line, and its weight if you like.",
    ),
    click.option(
        "--every",
        type=Instructions(),
        help="Take a checkpoint after every so many instructions, such as 20M, to --last.",
    ),
    click.option("--last", type=Instructions(), help="The most instructions before a checkpoint of --every."),
    click.option(
        "--simpoints", type=InputPath(), help="Take the checkpoints of simpoints0 and weights0 in this folder."
    ),
    click.option("--interval", type=Instructions(), help="Instructions of an interval of --simpoints."),
)
@timeout_option
@click.option("--gdb", "gdb_address", metavar="ADDR", help="Use the running machine whose gdb stub is here.")
@click.option("--qmp", "qmp_address", metavar="ADDR", help="Its QMP socket: unix:PATH or HOST:PORT.")
@click.option(
    "--layout",
    type=click.Choice(("auto", *LAYOUTS)),
    default="auto",
    show_default=True,
    help="The layout to write; auto: single_core or dual_core.",
)
@click.option(
    "--flash-out",
    type=OutputPath(),
    help="The flash image to write, for layout flash (it holds the state).",
)
@click.option(
    "--container",
    type=click.Choice(["raw", "gzip", "zstd"]),
    help="By default from the output's ending; raw without one.",
)
@click.option("--force", is_flag=True, help="Overwrite data in the first MiB, which belongs to the restorer.")
@json_option
def command(
    output: Path,
    start: Start,
    moment: "Moment",
    choice: _Choice,
    gdb_address: str | None,
    qmp_address: str | None,
    layout: str,
    flash_out: Path | None,
    container: str | None,
    force: bool,
    as_json: bool,
) -> int:
    """Take a checkpoint of a stock QEMU "virt" machine: one that gcpt starts, or one that is already running.

    Without --on, --at and --after the checkpoint is taken at once; if gcpt starts the machine, at its first
    instruction.

    The first MiB of memory belongs to the restorer: load firmware at 0x80100000. A checkpoint holds the CLINT and, as
    its extended state, the registers of the console and of PLIC, APLIC and IMSIC; it holds no disks and networks. A
    machine that was already running continues afterwards.

    --after counts at full speed: QEMU records the run of one hart, and replays it to the exact instruction. In one
    replay, --points, --every and --simpoints take many checkpoints, -o/POINT/_POINT_WEIGHT_memory_.zstd. QEMU replays
    neither several harts nor disks and networks: there a plugin counts the instructions of --hart, and the others run
    along; cc must be installed. A machine that already runs is stepped, which is slow.

    \b
    Example: OpenSBI and U-Boot, after a command was typed at the prompt
      gcpt snapshot -o uboot.zst --firmware fw_jump.bin --kernel u-boot.bin \\
          --on 'stop autoboot' --type '\\n' --on '=> $' --type 'setenv answer 42\\n' --on '=> $'
      gcpt snapshot -o first.zst --load worker.bin@0x80100000 --json | jq '.harts[].pc'
      gcpt snapshot -o set/checkpoint/worker --load worker.bin@0x80100000 --every 20M --last 400M
    Example: a machine that was started with -gdb tcp::1234 -qmp unix:/tmp/qmp,server=on,wait=off
      gcpt snapshot -o now.gz --gdb :1234 --qmp unix:/tmp/qmp
    """
    from gcpt.checkpoint import apart, containers
    from gcpt.checkpoint.convert import check_apart, check_pair
    from gcpt.checkpoint.places import place_for
    from gcpt.cli.snapshot_files import Files, take_one, take_points
    from gcpt.machines.replay import unrecorded

    _check_machine(gdb_address, qmp_address, start, bool(moment.steps))
    points, harts = choice.points(), start.harts
    unrepeatable = "--gdb" if gdb_address else f"--harts {harts}" if harts > 1 else unrecorded(start.qemu)
    if moment.marker and unrepeatable:
        raise UserError(f"{unrepeatable}: QEMU cannot replay it, but --start-at needs that: leave it out, or use --at")
    if points:
        _check_points(gdb_address, moment.after, layout, container, output)
    say = result_printer(as_json, output, flash_out)
    setup = None if gdb_address else start.setup()
    if layout == "flash":
        check_pair(1 if gdb_address else harts, flash_out)
    elif flash_out:
        raise UserError(f"--flash-out is for --layout flash, but the layout is {layout}: leave it out")
    elif not gdb_address:
        place_for(layout, harts)
    check_apart(output, flash_out)
    for option, out in (("-o", output), ("--flash-out", flash_out)):
        apart.check(option, out, start.inputs)
    name = container or ("zstd" if points else containers.container_for(output, "raw"))
    files = Files(output, name, layout, flash_out, force)
    if setup and points:
        take_points(setup, moment, points, not unrepeatable, files, say, as_json)
    else:
        addresses = gdb_address or "", qmp_address or ""
        is_replayed = bool((moment.after or moment.marker) and not unrepeatable)
        take_one(setup, addresses, moment, is_replayed, files, say, as_json)
    return 0
