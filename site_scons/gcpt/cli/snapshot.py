"""``gcpt snapshot``: take a checkpoint of a stock QEMU, started here or already running."""

from pathlib import Path
from typing import TYPE_CHECKING

import click

from gcpt.checkpoint.layouts import LAYOUTS
from gcpt.cli.booting import Boot
from gcpt.cli.output import InputPath, OutputPath, check_code_address, json_option, result_printer
from gcpt.cli.quantities import Instructions
from gcpt.cli.software import (
    InOrder,
    Loads,
    check_patterns,
    inputs,
    machine_options,
    machine_setup,
    moment_options,
    software_options,
    steps,
    timeout_option,
)
from gcpt.errors import UserError

if TYPE_CHECKING:
    from gcpt.checkpoint.points import Point


def _points(
    file: Path | None, every: int | None, last: int | None, simpoints: Path | None, interval: int | None
) -> list["Point"]:
    """Return the points of the options; none without them."""
    from gcpt.checkpoint import points

    if bool(every) != bool(last):
        raise UserError("--every and --last must be given together: the distance of points, and the last one's most")
    if bool(simpoints) != bool(interval):
        raise UserError("--simpoints and --interval must be given together: the files number intervals")
    if sum(map(bool, (file, every, simpoints))) > 1:
        raise UserError("--points, --every and --simpoints each name all points: give one of them")
    if every and last:
        return points.uniform(every, last)
    if simpoints and interval:
        return points.simpoints(simpoints, interval)
    return points.listed(file) if file else []


def _check_points(
    unrepeatable: str | None, after: int | None, layout: str, container: str | None, output: Path
) -> None:
    """Check that a list of points can be taken with the other options."""
    if unrepeatable:
        raise UserError(f"{unrepeatable}: QEMU cannot replay it, but a list of points needs that: leave it out")
    if after:
        raise UserError("--after takes one checkpoint: leave it out, or the list of points")
    if layout == "flash" or container == "raw" or output == Path("-"):
        raise UserError("a list of points is a folder of memory images: want -o FOLDER and zstd or gzip, and no flash")


def _check_machine(gdb_address: str | None, qmp_address: str | None, has_software: bool, has_more: bool) -> None:
    """Check that the options name one machine: to start, with software, or a running one."""
    if bool(gdb_address) != bool(qmp_address):
        raise UserError("--gdb and --qmp must be given together: give both, or neither to start a machine")
    if gdb_address and (has_software or has_more):
        raise UserError(
            "--firmware, --load, --data, --on, --type and QEMU options need a machine that gcpt starts: leave "
            "them out, or --gdb and --qmp"
        )
    if not gdb_address and not has_software:
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
@software_options
@click.option("--harts", type=click.IntRange(1, 128), default=1, show_default=True, help="Number of harts.")
@machine_options
@moment_options
@click.option("--hart", type=click.IntRange(0, 127), help="The hart that --at and --after apply to.")
@click.option(
    "--after",
    type=Instructions(),
    help="Then let one hart (0, or --hart) execute exactly so many instructions, such as 1G.",
)
@click.option(
    "--points",
    "points_file",
    type=InputPath(),
    help="Take a checkpoint after each count of instructions in this file: one a line, and its weight if you like.",
)
@click.option(
    "--every", type=Instructions(), help="Take a checkpoint after every so many instructions, such as 20M, to --last."
)
@click.option("--last", type=Instructions(), help="The most instructions before a checkpoint of --every.")
@click.option("--simpoints", type=InputPath(), help="Take the checkpoints of simpoints0 and weights0 in this folder.")
@click.option("--interval", type=Instructions(), help="Instructions of an interval of --simpoints.")
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
@click.argument("qemu", nargs=-1, metavar="[-- QEMU OPTIONS]")
def command(
    output: Path,
    boot: Boot,
    loads: Loads,
    data: Loads,
    start: int | None,
    harts: int,
    vlen: int,
    memory: int,
    patterns: tuple[str, ...],
    texts: tuple[str, ...],
    at: int | None,
    marker: str | None,
    hart: int | None,
    after: int | None,
    points_file: Path | None,
    every: int | None,
    last: int | None,
    simpoints: Path | None,
    interval: int | None,
    timeout: float,
    gdb_address: str | None,
    qmp_address: str | None,
    layout: str,
    flash_out: Path | None,
    container: str | None,
    force: bool,
    as_json: bool,
    qemu: tuple[str, ...],
) -> int:
    """Take a checkpoint of a stock QEMU "virt" machine: one that gcpt starts, or one that is already running.

    Without --on, --at and --after the checkpoint is taken at once; if gcpt starts the machine, at its first
    instruction.

    The first MiB of memory belongs to the restorer: load firmware at 0x80100000. A checkpoint holds the CLINT and, as
    its extended state, the registers of the console and of PLIC, APLIC and IMSIC; it holds no disks and networks. A
    machine that was already running continues afterwards.

    With one hart, --after counts at full speed: QEMU records the run, and replays it to the exact instruction. In one
    replay, --points, --every and --simpoints take many checkpoints, -o/POINT/_POINT_WEIGHT_memory_.zstd. QEMU replays
    neither several harts nor disks and networks, and shows no replayed guest (V = 1): there --after steps single
    instructions, which is slow, and during which the hart takes no interrupt.

    \b
    Example: OpenSBI and U-Boot, after a command was typed at the prompt
      gcpt snapshot -o uboot.zst --load fw_jump.bin@0x80100000 --load u-boot.bin@0x80200000 \\
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
    from gcpt.machines.markers import parse
    from gcpt.machines.replay import unrecorded
    from gcpt.machines.snapshot import Moment

    check_patterns(patterns)
    has_software = bool(loads or boot.files)
    _check_machine(gdb_address, qmp_address, has_software, bool(data or qemu or patterns or texts))
    points = _points(points_file, every, last, simpoints, interval)
    unrepeatable = "--gdb" if gdb_address else f"--harts {harts}" if harts > 1 else unrecorded(qemu)
    if marker and unrepeatable:
        raise UserError(f"{unrepeatable}: QEMU cannot replay it, but --start-at needs that: leave it out, or use --at")
    if points:
        _check_points(unrepeatable, after, layout, container, output)
    say = result_printer(as_json, output, flash_out)
    console = steps(click.get_current_context().meta["order"], patterns, texts)
    if at is not None:
        check_code_address("--at", at)
    setup = machine_setup(boot, loads, data, start, harts, memory, vlen, qemu)
    if layout == "flash":
        check_pair(1 if gdb_address else harts, flash_out)
    elif flash_out:
        raise UserError(f"--flash-out is for --layout flash, but the layout is {layout}: leave it out")
    elif not gdb_address:
        place_for(layout, harts)
    check_apart(output, flash_out)
    for option, out in (("-o", output), ("--flash-out", flash_out)):
        apart.check(option, out, inputs(boot, loads, data, qemu))
    name = container or ("zstd" if points else containers.container_for(output, "raw"))
    files = Files(output, name, layout, flash_out, force)
    moment = Moment(console, at, hart, after, timeout, parse(marker) if marker else None)
    if setup and points:
        take_points(setup, moment, points, files, say, as_json)
    else:
        addresses = gdb_address or "", qmp_address or ""
        take_one(setup, addresses, moment, bool((after or marker) and not unrepeatable), files, say, as_json)
    return 0
