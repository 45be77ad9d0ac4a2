"""``gcpt convert``: write a checkpoint in another layout or container."""

from functools import partial
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from gcpt.checkpoint.layouts import LAYOUTS
from gcpt.cli.output import InputPath, OutputPath, json_option, progress, result_printer, say_json, track
from gcpt.errors import UserError

if TYPE_CHECKING:
    from gcpt.checkpoint.state import HartState

#: The formats of --to, and those of --from: names of modules of gcpt.checkpoint.
TARGETS = ("loadarch", "whisper")
SOURCES = (*TARGETS, "dromajo")


@click.command()
@click.argument("checkpoint", metavar="IN", type=InputPath())
@click.argument("out", type=OutputPath())
@click.option("--layout", type=click.Choice(LAYOUTS), help="Where to put the state; by default it stays in place.")
@click.option(
    "--container",
    type=click.Choice(["raw", "gzip", "zstd"]),
    help="By default from OUT's ending (.gz, .gzip, .zst, .zstd; .raw, .bin, .img); without an ending as IN, or raw.",
)
@click.option("--from", "source_format", type=click.Choice(SOURCES), help="IN is a checkpoint of another tool.")
@click.option("--to", "target_format", type=click.Choice(TARGETS), help="OUT becomes a checkpoint of another tool.")
@click.option("--flash", type=InputPath(), help="The flash image of a pair, with or without the state.")
@click.option("--flash-out", type=OutputPath(), help="The flash image to write, for a flash pair.")
@json_option
def command(
    checkpoint: Path,
    out: Path,
    layout: str | None,
    container: str | None,
    source_format: str | None,
    target_format: str | None,
    flash: Path | None,
    flash_out: Path | None,
    as_json: bool,
) -> int:
    """Write the checkpoint IN to OUT in another layout or container. OUT may be IN, or - for standard output.

    Layouts: single_core (one hart), dual_core (several), protobuf (a header at 3 MiB), nemu (one hart, a header at the
    start of memory), flash (a pair of images, the state in the second). The conversion is lossless: registers, CSRs,
    timers and memory stay the same, and converting back gives the same bytes. If the layout cannot hold the state, or
    other data is in its place, the command prints an error and writes nothing.

    Formats of other tools: loadarch, the folder of chipyard's generate-ckpt.sh, which Spike writes and testchipip
    loads; whisper, the folder of a snapshot that Whisper writes and loads; dromajo (only --from), the files that
    Dromajo saves as IN. What the format or a restore cannot hold is named, one line each; the exit status is then 1.
    Memory whose first MiB is in use needs --layout flash.

    \b
    Example:
      gcpt convert uboot.zst uboot.gz
      gcpt convert --from loadarch hello.loadarch hello.zst
      gcpt convert --to loadarch uboot.zst uboot.loadarch
      gcpt convert --to whisper uboot.zst uboot.snapshot
      gcpt convert --from dromajo --layout flash --flash-out flash.zst linux memory.zst
      gcpt convert uboot.zst protobuf.zst --layout protobuf
      gcpt convert nemu.gz memory.gz --layout flash --flash-out flash.gz
      gcpt convert --json linux.gz linux.zst | jq .bytes
    """
    from gcpt.checkpoint import containers
    from gcpt.checkpoint.convert import convert, open_source
    from gcpt.report.description import harts

    if (source_format or target_format) and (flash or (source_format and target_format)):
        raise UserError("--from and --to convert one memory image: leave out the other, and --flash")
    if target_format:
        if layout or container or flash_out:
            raise UserError("--to writes a folder: leave out --layout, --container and --flash-out")
        return _export(target_format, checkpoint, out, as_json)
    if source_format:
        return _import(source_format, checkpoint, out, layout or "auto", container, flash_out, as_json)
    say = result_printer(as_json, out, flash_out)
    source = open_source(checkpoint, flash)
    name = container or containers.container_like(out, checkpoint)
    with progress(f"writing {out}", None) as advance:
        length = convert(source, out, name, layout, flash_out, partial(track, advance=advance))
    states = source.opened.harts
    place = layout or source.layout or source.opened.place.kind.value
    if as_json:
        files = {"file": str(out), "flash": str(flash_out) if flash_out else None}
        say_json({**files, "container": name, "layout": place, "bytes": length, "harts": harts(states)})
    else:
        say(f"{out}: {len(states)} hart{'s' * (len(states) > 1)}, {place}, {length:,} bytes, {name}")
    return 0


def _format(name: str) -> Any:
    """The module of a format."""
    return import_module(f"gcpt.checkpoint.{name}")


def _import(
    source: str,
    folder: Path,
    out: Path,
    layout: str,
    container: str | None,
    flash_out: Path | None,
    as_json: bool,
) -> int:
    """Write a checkpoint of another tool as an image, or as a flash pair; return the exit status."""
    from gcpt.checkpoint import apart, containers
    from gcpt.checkpoint.convert import check_apart, check_pair
    from gcpt.checkpoint.files import with_state
    from gcpt.checkpoint.layouts import RESERVED_SIZE
    from gcpt.checkpoint.output import write_all
    from gcpt.checkpoint.places import SINGLE_CORE, place_for
    from gcpt.checkpoint.streams import first_bytes

    read = _format(source).read(folder)
    name = container or containers.container_for(out, "raw")
    losses, files = list(read.losses), []
    say = result_printer(as_json, out, flash_out)
    for path in read.files:
        for option, target in (("OUT", out), ("--flash-out", flash_out)):
            apart.check(option, target, {"a file of IN": path})
    if layout == "flash":
        flash_out = check_pair(len(read.harts), flash_out)
        check_apart(out, flash_out)
        flash = with_state([bytes(RESERVED_SIZE)], read.harts, SINGLE_CORE)
        files = [(flash_out, flash, containers.container_for(flash_out, "raw"))]
    elif flash_out:
        raise UserError("--flash-out: the layout has no flash image: give --layout flash, or omit the option")
    elif any(first_bytes(read.memory(), RESERVED_SIZE)):
        losses.append("the first MiB of memory is in use, but a restorer overwrites it: give --layout flash")
    with progress(f"writing {out}", None) as advance:
        content = track(read.memory(), advance)
        if layout != "flash":
            content = with_state(content, read.harts, place_for(layout, len(read.harts)))
        length = write_all([*files, (out, content, name)])[-1]
    paths = {"file": str(out), "flash": str(flash_out)} if flash_out else {"file": str(out)}
    _report(read.harts, losses, {**paths, "container": name, "bytes": length}, as_json)
    place = "flash" if flash_out else place_for(layout, len(read.harts)).kind.value
    say(f"{out}: {len(read.harts)} hart{'s' * (len(read.harts) > 1)}, {place}, {length:,} bytes, {name}")
    return 1 if losses else 0


def _export(target: str, checkpoint: Path, folder: Path, as_json: bool) -> int:
    """Write a checkpoint for another tool; return the exit status."""
    from gcpt.checkpoint import apart
    from gcpt.checkpoint.convert import check_restorer
    from gcpt.checkpoint.files import open_checkpoint

    if folder == Path("-"):
        raise UserError("--to writes a folder, which standard output cannot take: name a folder")
    say, opened = result_printer(as_json, folder), open_checkpoint(checkpoint)
    check_restorer(opened, target)
    tool = _format(target)
    for name in tool.files(len(opened.harts)):
        apart.check("OUT", folder / name, {"IN": checkpoint})
    with progress(f"writing {folder}", None) as advance:
        length = tool.write(folder, opened.harts, opened.memory(), partial(track, advance=advance))
    losses = tool.losses(opened.harts)
    _report(opened.harts, losses, {"folder": str(folder), "bytes": length}, as_json)
    say(f"{folder}: {len(opened.harts)} hart{'s' * (len(opened.harts) > 1)}, {length:,} bytes of memory")
    return 1 if losses else 0


def _report(states: "list[HartState]", losses: list[str], facts: dict[str, object], as_json: bool) -> None:
    """Report what another format cannot hold."""
    from gcpt.report.description import harts

    if as_json:
        say_json({**facts, "losses": losses, "harts": harts(states)})
    else:
        for line in losses:
            click.echo(f"gcpt: {line}", err=True)
