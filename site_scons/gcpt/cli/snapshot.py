"""``gcpt snapshot``: a checkpoint of a stock QEMU, which it starts or which runs already."""

import re
import tempfile
from contextlib import ExitStack, nullcontext
from functools import partial
from pathlib import Path

import click

from gcpt.checkpoint.layouts import LAYOUTS
from gcpt.cli.output import Address, Seconds, json_option, memory_option, progress, say_json, track
from gcpt.errors import UserError


class _Load(click.ParamType[tuple[Path, int]]):
    name = "FILE@ADDR"

    def convert(self, value: object, param: click.Parameter | None, ctx: click.Context | None) -> tuple[Path, int]:
        file, at, address = str(value).rpartition("@")
        try:
            return Path(file if at else ""), int(address, 0)
        except ValueError:
            self.fail(f"{value!r}: want FILE@ADDRESS, such as fw_jump.bin@0x80100000", param, ctx)


class _InOrder(click.Command):
    """``order`` in the context's ``meta``: the names of the parameters, once for each time that one was given."""

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        ctx.meta["order"] = [parameter.name for parameter in self.make_parser(ctx).parse_args(list(args))[2]]
        return super().parse_args(ctx, args)


def _steps(order: list[str], patterns: tuple[str, ...], texts: tuple[str, ...]) -> tuple[tuple[str, str], ...]:
    """Each pattern with what is to be typed when it has come; ``order`` has the names of both as they were given."""
    steps: list[tuple[str, str]] = []
    awaited, typed = iter(patterns), iter(text.replace("\\n", "\n") for text in texts)
    for name in order:
        if name == "patterns":
            steps.append((next(awaited), ""))
        elif name == "texts":
            text = next(typed)
            if not steps:
                raise UserError(
                    f"--type {text!r}: nobody may listen yet: say with an --on before it what is to come first"
                )
            steps[-1] = (steps[-1][0], steps[-1][1] + text)
    return tuple(steps)


@click.command(cls=_InOrder)
@click.option("-o", "--output", type=click.Path(path_type=Path), required=True, help="The checkpoint to write.")
@click.option("--load", "loads", type=_Load(), multiple=True, help="A file to start with in memory; may be repeated.")
@click.option("--start", type=Address(), help="Where the harts start; by default where the first file lies.")
@click.option("--harts", type=click.IntRange(1, 128), default=1, show_default=True, help="How many harts it has.")
@click.option(
    "--vlen", type=click.IntRange(128, 1024), default=128, show_default=True, help="Bits of a vector register."
)
@memory_option
@click.option("--on", "patterns", multiple=True, metavar="REGEX", help="Wait until the console prints this.")
@click.option("--type", "texts", multiple=True, help="What to type when the --on before it has come; \\n is a newline.")
@click.option("--at", type=Address(), help="Then go on until a hart is at this pc.")
@click.option("--hart", type=click.IntRange(0, 127), help="Only this hart counts for --at and --after.")
@click.option("--after", type=click.IntRange(1), help="Then go on for so many instructions of one hart (0, or --hart).")
@click.option("--timeout", type=Seconds(), default=60, show_default=True, help="Seconds that each of these may take.")
@click.option("--gdb", "gdb_address", metavar="ADDR", help="Take the machine that runs with its gdb stub here.")
@click.option("--qmp", "qmp_address", metavar="ADDR", help="That machine's QMP: unix:PATH or HOST:PORT.")
@click.option(
    "--layout",
    type=click.Choice(("auto", *LAYOUTS)),
    default="auto",
    show_default=True,
    help="Where the state goes; auto: single_core or dual_core.",
)
@click.option("--flash-out", type=click.Path(path_type=Path), help="The flash image of layout flash, with the state.")
@click.option("--container", type=click.Choice(["raw", "gzip", "zstd"]), help="By default what the output's name says.")
@click.option("--force", is_flag=True, help="Lose what lies in the first MiB: it is not needed any more.")
@json_option
@click.argument("qemu", nargs=-1, metavar="[-- QEMU OPTIONS]")
def command(
    output: Path,
    loads: tuple[tuple[Path, int], ...],
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
    """Take a checkpoint of a stock QEMU "virt" machine: one that this starts, or one that runs already.

    Without --on, --at and --after it is taken at once: of a machine that this starts, at its first instruction.

    The first MiB of memory is the restorer's: load firmware at 0x80100000. Devices other than the CLINT (PLIC, UART,
    disks) have no place in a checkpoint. A machine that ran already goes on afterwards.

    \b
    Example: OpenSBI and U-Boot, when the prompt has come and something was typed
      gcpt snapshot -o uboot.zst --load fw_jump.bin@0x80100000 --load u-boot.bin@0x80200000 \\
          --on 'stop autoboot' --type '\\n' --on '=> $' --type 'setenv answer 42\\n' --on '=> $'
      gcpt snapshot -o first.zst --load worker.bin@0x80100000 --json | jq '.harts[].pc'
    Example: of a machine started with -gdb tcp::1234 -qmp unix:/tmp/qmp,server=on,wait=off
      gcpt snapshot -o now.gz --gdb :1234 --qmp unix:/tmp/qmp
    """
    from gcpt.checkpoint import containers
    from gcpt.checkpoint.convert import check_apart, check_pair
    from gcpt.checkpoint.places import place_for
    from gcpt.machines.gdb import GdbError
    from gcpt.machines.qemu import QemuError
    from gcpt.machines.snapshot import Moment, attach, launch, write
    from gcpt.report.description import harts as summaries

    for pattern in patterns:
        try:
            re.compile(pattern)
        except re.error as error:
            raise UserError(f"--on {pattern!r} is no regular expression: {error}") from error
    if bool(gdb_address) != bool(qmp_address):
        raise UserError("--gdb and --qmp belong together: give both, or neither to start a machine")
    if gdb_address and (loads or qemu or patterns or texts):
        raise UserError(
            "--load, --on, --type and QEMU options are for a machine that this starts, not for one at --gdb"
        )
    if not gdb_address and not loads:
        raise UserError("nothing to run: give --load FILE@ADDR, or --gdb and --qmp of a machine that runs")
    steps = _steps(click.get_current_context().meta["order"], patterns, texts)
    moment = Moment(steps, at, hart, after, timeout)
    if layout == "flash":
        check_pair(1 if gdb_address else harts, flash_out)
    elif flash_out:
        raise UserError(f"--flash-out is for --layout flash, and the layout is {layout}: leave it out")
    elif not gdb_address:
        place_for(layout, harts)
    check_apart(output, flash_out)
    name = container or containers.container_for(output, "raw")
    with tempfile.TemporaryDirectory(prefix="gcpt-") as folder, ExitStack() as machine:
        try:
            with progress("stepping", after, "instructions") if after else nullcontext(lambda _: None) as stepped:
                if gdb_address and qmp_address:
                    source = attach(gdb_address, qmp_address, moment, Path(folder), stepped)
                else:
                    source = launch(loads, start, harts, memory, vlen, qemu, moment, Path(folder), stepped)
                taken = machine.enter_context(source)
            with progress(f"writing {output}", taken.size) as advance:
                length = write(taken, output, name, layout, flash_out, force, partial(track, advance=advance))
        except FileNotFoundError as error:
            raise UserError(f"{error.filename}: not found: ./sconsw --setup-only installs QEMU") from error
        except (QemuError, GdbError) as error:
            raise UserError(str(error).splitlines()[0]) from error
    if as_json:
        place = place_for(layout, len(taken.harts)).kind.value if layout == "auto" else layout
        said = {"file": str(output), "flash": str(flash_out) if flash_out else None, "container": name}
        say_json({**said, "layout": place, "bytes": length, "harts": summaries(taken.harts)})
        return 0
    for number, state in enumerate(taken.harts):
        print(f"hart {number}: pc {state.pc:#x} mode {'US?M'[state.mode]}")
    print(f"{output}: {len(taken.harts)} hart{'s' * (len(taken.harts) > 1)}, {taken.size >> 20} MiB, {name}")
    return 0
