"""``gcpt profile``: count the instructions of basic blocks in intervals, for SimPoint."""

import gzip
import re
from contextlib import ExitStack, closing
from pathlib import Path
from typing import TYPE_CHECKING

import click

from gcpt.cli.booting import Boot
from gcpt.cli.output import OutputPath, check_code_address, json_option, progress, say_json
from gcpt.cli.software import (
    InOrder,
    Loads,
    check_patterns,
    inputs,
    interval_options,
    machine_options,
    machine_setup,
    moment_options,
    software_options,
    steps,
    timeout_option,
)
from gcpt.errors import UserError
from gcpt.scratch import scratch_folder

if TYPE_CHECKING:
    from gcpt.machines.snapshot import MachineSetup, Moment


@click.command(cls=InOrder)
@click.option("-o", "--output", type=OutputPath(), required=True, help="The file to write, gzip'd text.")
@software_options
@machine_options
@moment_options
@interval_options
@timeout_option
@json_option
@click.argument("qemu", nargs=-1, metavar="[-- QEMU OPTIONS]")
def command(
    output: Path,
    boot: Boot,
    loads: Loads,
    data: Loads,
    start: int | None,
    vlen: int,
    memory: int,
    patterns: tuple[str, ...],
    texts: tuple[str, ...],
    at: int | None,
    marker: str | None,
    interval: int,
    last: int | None,
    timeout: float,
    as_json: bool,
    qemu: tuple[str, ...],
) -> int:
    """Profile software on one hart of a stock QEMU "virt" machine: basic-block vectors, as SimPoint reads them.

    Each interval of instructions becomes a line, T:block:count :block:count ..., where count is the instructions that
    the block executed. QEMU records the run, and a plugin counts in the replay, which stops after each interval:
    intervals are exact, and those of gcpt snapshot --simpoints with the same software and options. The rest after the
    last interval is left out. cc must be installed: it compiles the plugin.

    \b
    Example:
      gcpt profile -o bbv.gz --load worker.bin@0x80100000 --interval 20M
      gcpt profile -o bbv.gz --load fw_jump.bin@0x80100000 --load u-boot.bin@0x80200000 --interval 1M \\
          --last 300M
    """
    from gcpt.checkpoint import apart

    moment = moment_of(patterns, texts, at, marker, timeout)
    setup = profiled_machine(boot, loads, data, start, memory, vlen, qemu, interval, last)
    apart.check("-o", output, inputs(boot, loads, data, qemu))
    count, blocks = write_profile(output, setup, moment, interval, last)
    if as_json:
        say_json({"file": str(output), "interval": interval, "intervals": count, "blocks": blocks})
    else:
        print(f"{output}: {count} intervals of {interval} instructions, {blocks} blocks")
    return 0


def moment_of(
    patterns: tuple[str, ...], texts: tuple[str, ...], at: int | None, marker: str | None, timeout: float
) -> "Moment":
    """Return the moment at which a profile starts.

    Args:
        patterns: The values of ``--on``.
        texts: The values of ``--type``.
        at: The value of ``--at``.
        marker: The value of ``--start-at``.
        timeout: The value of ``--timeout``, in seconds.

    Returns:
        The moment.

    Raises:
        UserError: A pattern is no regular expression, a text comes before the first pattern, the address is odd, or the
            marker has another form.
    """
    from gcpt.machines.markers import parse
    from gcpt.machines.snapshot import Moment

    check_patterns(patterns)
    console = steps(click.get_current_context().meta["order"], patterns, texts)
    if at is not None:
        check_code_address("--at", at)
    return Moment(console, at, timeout=timeout, marker=parse(marker) if marker else None)


def profiled_machine(
    boot: Boot,
    loads: Loads,
    data: Loads,
    start: int | None,
    memory: int,
    vlen: int,
    options: tuple[str, ...],
    interval: int,
    last: int | None,
) -> "MachineSetup":
    """Return the machine whose software is profiled.

    Args:
        boot: The values of ``--firmware``, ``--kernel``, ``--initrd`` and ``--append``.
        loads: The values of ``--load``.
        data: The values of ``--data``.
        start: The value of ``--start``.
        memory: The value of ``--memory``.
        vlen: The value of ``--vlen``.
        options: Further arguments of QEMU.
        interval: Instructions of an interval.
        last: The most instructions.

    Returns:
        The machine.

    Raises:
        UserError: There is no software, an address is odd, VLEN is no power of two, QEMU cannot replay an option, or
            there is no interval.
    """
    from gcpt.machines.replay import unrecorded

    setup = machine_setup(boot, loads, data, start, 1, memory, vlen, options)
    if setup is None:
        raise UserError("nothing to run: give --firmware FILE, or --load FILE@ADDR")
    if option := unrecorded(options):
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
    from gcpt.cli.snapshot_files import one_line_errors
    from gcpt.machines.profile import intervals

    count = blocks = 0
    with ExitStack() as stack:
        stack.enter_context(one_line_errors())
        folder = stack.enter_context(scratch_folder())
        file = stack.enter_context(replacing(out))
        text = stack.enter_context(gzip.GzipFile(filename="", mode="wb", fileobj=file, mtime=0))
        advance = stack.enter_context(progress("recording", last, "instructions"))
        for line in stack.enter_context(closing(intervals(setup, moment, interval, last, folder, advance))):
            text.write(line.encode())
            count += 1
            blocks = max(blocks, *map(int, re.findall(r":(\d+):", line)))
        if not count:
            raise UserError(f"--interval {interval}: the software ended before: give fewer instructions")
    return count, blocks
