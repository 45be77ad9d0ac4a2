"""``gcpt profile``: count the instructions of basic blocks in intervals, for SimPoint."""

import gzip
import re
from collections.abc import Generator
from contextlib import ExitStack, closing
from pathlib import Path
from typing import TYPE_CHECKING

import click

from gcpt.cli.output import OutputPath, json_option, progress, say_json
from gcpt.cli.software import InOrder, interval_options, moment_options, start_options, timeout_option
from gcpt.cli.start import Start
from gcpt.errors import UserError
from gcpt.scratch import scratch_folder

if TYPE_CHECKING:
    from gcpt.machines.snapshot import MachineSetup, Moment


@click.command(cls=InOrder)
@click.option("-o", "--output", type=OutputPath(".gz", ".gzip"), required=True, help="The file to write, gzip'd text.")
@start_options
@moment_options
@interval_options
@timeout_option
@json_option
def command(output: Path, start: Start, moment: "Moment", interval: int, last: int | None, as_json: bool) -> int:
    """Profile software on one hart of a stock QEMU "virt" machine: basic-block vectors, as SimPoint reads them.

    Each interval of instructions becomes a line, T:block:count :block:count ..., where count is the instructions that
    the block executed. QEMU records the run, and a plugin counts in the replay, which stops after each interval:
    intervals are exact, and those of gcpt snapshot --simpoints with the same software and options. The rest after the
    last interval is left out. cc must be installed: it compiles the plugin.

    \b
    Example:
      gcpt profile -o bbv.gz --load worker.bin@0x80100000 --interval 20M
      gcpt profile -o bbv.gz --firmware fw_jump.bin --kernel u-boot.bin --interval 1M \\
          --last 300M
    """
    from gcpt.checkpoint import apart

    setup = profiled_machine(start, interval, last)
    apart.check("-o", output, start.inputs)
    count, blocks = write_profile(output, setup, moment, interval, last)
    if as_json:
        say_json({"file": str(output), "interval": interval, "intervals": count, "blocks": blocks})
    else:
        print(f"{output}: {count} intervals of {interval} instructions, {blocks} blocks")
    return 0


def profiled_machine(start: Start, interval: int, last: int | None) -> "MachineSetup":
    """Return the machine whose software is profiled.

    Args:
        start: What it starts with.
        interval: Instructions of an interval.
        last: The most instructions.

    Returns:
        The machine.

    Raises:
        UserError: Its options do not fit, QEMU cannot replay one, or there is no interval.
    """
    from gcpt.machines.replay import unrecorded

    setup = start.setup()
    if option := unrecorded(start.qemu):
        raise UserError(f"{option}: QEMU cannot replay it: leave it out")
    if last and last < interval:
        raise UserError(f"--last {last}: there is no whole interval before it: give {interval} at least")
    return setup


def write_profile(
    out: Path, setup: "MachineSetup", moment: "Moment", interval: int, last: int | None
) -> tuple[int, int]:
    """Profile software and write the vectors.

    Args:
        out: The file to write.
        setup: The machine.
        moment: When to start.
        interval: Instructions of an interval.
        last: The most instructions; None: until the software ends the run.

    Returns:
        The number of intervals, and the highest number of a block.

    Raises:
        UserError: The software did not execute an interval, or the file cannot be written.
    """
    from gcpt.checkpoint.output import replacing

    count = blocks = 0
    with ExitStack() as stack:
        file = stack.enter_context(replacing(out))
        text = stack.enter_context(gzip.GzipFile(filename="", mode="wb", fileobj=file, mtime=0))
        for line in stack.enter_context(closing(_lines(setup, moment, interval, last))):
            text.write(line.encode())
            count += 1
            blocks = max(blocks, *map(int, re.findall(r":(\d+):", line)))
        if not count:
            raise UserError(f"--interval {interval}: the software ended before: give fewer instructions")
    return count, blocks


def _lines(setup: "MachineSetup", moment: "Moment", interval: int, last: int | None) -> Generator[str, None, None]:
    """The lines of the vectors; a UserError names what failed, which is not the file that they are written to."""
    from gcpt.cli.snapshot_files import one_line_errors
    from gcpt.machines.profile import intervals

    with one_line_errors(), scratch_folder() as folder, progress("recording", last, "instructions") as advance:
        yield from intervals(setup, moment, interval, last, folder, advance)
