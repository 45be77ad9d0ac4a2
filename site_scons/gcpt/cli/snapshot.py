"""``gcpt snapshot``: take a checkpoint of a stock QEMU, started here or already running."""

import re
from contextlib import ExitStack, nullcontext
from functools import partial
from pathlib import Path

import click

from gcpt.checkpoint.layouts import LAYOUTS
from gcpt.cli.output import (
    Address,
    OutputPath,
    Seconds,
    check_code_address,
    json_option,
    memory_option,
    progress,
    result_printer,
    say_json,
    track,
)
from gcpt.errors import UserError
from gcpt.scratch import scratch_folder


class _Load(click.ParamType[tuple[Path, int]]):
    name = "FILE@ADDR"

    def convert(self, value: object, param: click.Parameter | None, ctx: click.Context | None) -> tuple[Path, int]:
        file, _, address = str(value).rpartition("@")
        try:
            if not file:
                raise ValueError
            return Path(file), Address().convert(address, param, ctx)
        except ValueError:
            self.fail(f"{value!r}: want FILE@ADDR, such as fw_jump.bin@0x80100000", param, ctx)


class _InOrder(click.Command):
    """Keep the order of the options: ``meta["order"]`` of the context lists the parameter of each option given."""

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        ctx.meta["order"] = [parameter.name for parameter in self.make_parser(ctx).parse_args(list(args))[2]]
        return super().parse_args(ctx, args)


def _steps(order: list[str], patterns: tuple[str, ...], texts: tuple[str, ...]) -> tuple[tuple[str, str], ...]:
    """Pair each pattern with the text to type after it; ``order`` lists the parameters in command-line order."""
    steps: list[tuple[str, str]] = []
    remaining_patterns, remaining_texts = iter(patterns), iter(text.replace("\\n", "\n") for text in texts)
    for name in order:
        if name == "patterns":
            steps.append((next(remaining_patterns), ""))
        elif name == "texts":
            text = next(remaining_texts)
            if not steps:
                raise UserError(
                    f"--type {text!r}: the guest may not read its console yet: put the --on to wait for before it"
                )
            steps[-1] = (steps[-1][0], steps[-1][1] + text)
    return tuple(steps)


@click.command(cls=_InOrder)
@click.option("-o", "--output", type=OutputPath(), required=True, help="The checkpoint to write; - is standard output.")
@click.option(
    "--load",
    "loads",
    type=_Load(),
    multiple=True,
    help="Load a raw binary or device tree into memory at the start; may be repeated.",
)
@click.option(
    "--data",
    "data",
    type=_Load(),
    multiple=True,
    help="Load a file of any content, such as an initramfs or a compressed kernel, as it is; may be repeated.",
)
@click.option("--start", type=Address(), help="Address at which the harts start; by default that of the first file.")
@click.option("--harts", type=click.IntRange(1, 128), default=1, show_default=True, help="Number of harts.")
@click.option("--vlen", type=click.IntRange(128, 1024), default=128, show_default=True, help="VLEN in bits.")
@memory_option
@click.option(
    "--on", "patterns", multiple=True, metavar="REGEX", help="Wait until the console prints this; may be repeated."
)
@click.option("--type", "texts", multiple=True, help="Type this after the preceding --on matched; \\n is a newline.")
@click.option("--at", type=Address(), help="Then run until a hart is at this pc.")
@click.option("--hart", type=click.IntRange(0, 127), help="The hart that --at and --after apply to.")
@click.option("--after", type=click.IntRange(1), help="Then step so many instructions of one hart (0, or --hart).")
@click.option("--timeout", type=Seconds(), default=60, show_default=True, help="Seconds for each of these.")
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
    loads: tuple[tuple[Path, int], ...],
    data: tuple[tuple[Path, int], ...],
    start: int | None,
    harts: int,
    vlen: int,
    memory: int,
    patterns: tuple[str, ...],
    texts: tuple[str, ...],
    at: int | None,
    hart: int | None,
    after: int | None,
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

    The first MiB of memory belongs to the restorer: load firmware at 0x80100000. A checkpoint does not hold devices
    other than the CLINT (PLIC, UART, disks). A machine that was already running continues afterwards.

    \b
    Example: OpenSBI and U-Boot, after a command was typed at the prompt
      gcpt snapshot -o uboot.zst --load fw_jump.bin@0x80100000 --load u-boot.bin@0x80200000 \\
          --on 'stop autoboot' --type '\\n' --on '=> $' --type 'setenv answer 42\\n' --on '=> $'
      gcpt snapshot -o first.zst --load worker.bin@0x80100000 --json | jq '.harts[].pc'
    Example: a machine that was started with -gdb tcp::1234 -qmp unix:/tmp/qmp,server=on,wait=off
      gcpt snapshot -o now.gz --gdb :1234 --qmp unix:/tmp/qmp
    """
    from gcpt.checkpoint import apart, containers
    from gcpt.checkpoint.convert import check_apart, check_pair
    from gcpt.checkpoint.places import place_for
    from gcpt.machines.gdb import GdbError
    from gcpt.machines.qemu import QemuError
    from gcpt.machines.snapshot import Load, Moment, attach, launch
    from gcpt.machines.snapshot_file import write
    from gcpt.report.description import harts as summaries

    for pattern in patterns:
        try:
            re.compile(pattern)
        except (re.error, ValueError, OverflowError, RecursionError) as error:
            raise UserError(f"--on {pattern!r}: not a regular expression: {error}") from error
    if bool(gdb_address) != bool(qmp_address):
        raise UserError("--gdb and --qmp must be given together: give both, or neither to start a machine")
    if gdb_address and (loads or data or qemu or patterns or texts):
        raise UserError(
            "--load, --data, --on, --type and QEMU options need a machine that gcpt starts: leave them out, or --gdb "
            "and --qmp"
        )
    if not gdb_address and not loads:
        raise UserError("nothing to run: give --load FILE@ADDR, or --gdb and --qmp of a running machine")
    say = result_printer(as_json, output, flash_out)
    steps = _steps(click.get_current_context().meta["order"], patterns, texts)
    if at is not None:
        check_code_address("--at", at)
    if start is not None:
        check_code_address("--start", start)
    elif loads:
        check_code_address(f"--load {loads[0][0]}", loads[0][1])
    if vlen & (vlen - 1):
        raise UserError(f"--vlen {vlen}: want a power of two, such as 128 or 256")
    moment = Moment(steps, at, hart, after, timeout)
    if layout == "flash":
        check_pair(1 if gdb_address else harts, flash_out)
    elif flash_out:
        raise UserError(f"--flash-out is for --layout flash, but the layout is {layout}: leave it out")
    elif not gdb_address:
        place_for(layout, harts)
    check_apart(output, flash_out)
    inputs = {f"--load {file}": file for file, _ in loads} | {f"--data {file}": file for file, _ in data}
    inputs |= {f"a file in QEMU's options, {word}": Path(word) for word in re.split("[,=]", ",".join(qemu)) if word}
    for option, out in (("-o", output), ("--flash-out", flash_out)):
        apart.check(option, out, inputs)
    name = container or containers.container_for(output, "raw")
    flash_name = containers.container_for(flash_out, "raw") if flash_out else "raw"
    with scratch_folder() as folder, ExitStack() as stack:
        try:
            with progress("stepping", after, "instructions") if after else nullcontext(lambda _: None) as advance_steps:
                if gdb_address and qmp_address:
                    source = attach(gdb_address, qmp_address, moment, folder, advance_steps)
                else:
                    content = [*(Load(*load) for load in loads), *(Load(*load, "--data", True) for load in data)]
                    source = launch(content, start, harts, memory, vlen, qemu, moment, folder, advance_steps)
                machine = stack.enter_context(source)
            with progress(f"writing {output}", machine.size) as advance:
                length = write(
                    machine, output, name, layout, flash_out, flash_name, force, partial(track, advance=advance)
                )
        except FileNotFoundError as error:
            raise UserError(f"{error.filename}: not found: ./sconsw --setup-only installs QEMU") from error
        except (QemuError, GdbError) as error:
            raise UserError(str(error).splitlines()[0]) from error
    if as_json:
        place = place_for(layout, len(machine.harts)).kind.value if layout == "auto" else layout
        files = {"file": str(output), "flash": str(flash_out) if flash_out else None, "container": name}
        say_json({**files, "layout": place, "bytes": length, "harts": summaries(machine.harts)})
        return 0
    for number, state in enumerate(machine.harts):
        say(f"hart {number}: pc {state.pc:#x} mode {'US?M'[state.mode]}")
    say(f"{output}: {len(machine.harts)} hart{'s' * (len(machine.harts) > 1)}, {machine.size >> 20} MiB, {name}")
    return 0
