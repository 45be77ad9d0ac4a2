"""``gcpt convert``: write a checkpoint in another layout or container."""

from functools import partial
from pathlib import Path

import click

from gcpt.checkpoint.layouts import LAYOUTS
from gcpt.cli.output import InputPath, OutputPath, json_option, progress, result_printer, say_json, track


@click.command()
@click.argument("checkpoint", metavar="IN", type=InputPath())
@click.argument("out", type=OutputPath())
@click.option("--layout", type=click.Choice(LAYOUTS), help="Where to put the state; by default it stays in place.")
@click.option(
    "--container",
    type=click.Choice(["raw", "gzip", "zstd"]),
    help="By default from OUT's ending (.gz, .gzip, .zst, .zstd; .raw, .bin, .img); without an ending as IN, or raw.",
)
@click.option("--flash", type=InputPath(), help="The flash image of a pair, with or without the state.")
@click.option("--flash-out", type=OutputPath(), help="The flash image to write, for a flash pair.")
@json_option
def command(
    checkpoint: Path,
    out: Path,
    layout: str | None,
    container: str | None,
    flash: Path | None,
    flash_out: Path | None,
    as_json: bool,
) -> int:
    """Write the checkpoint IN to OUT in another layout or container. OUT may be IN, or - for standard output.

    Layouts: single_core (one hart), dual_core (several), protobuf (a header at 3 MiB), nemu (one hart, a header at the
    start of memory), flash (a pair of images, the state in the second). The conversion is lossless: registers, CSRs,
    timers and memory stay the same, and converting back gives the same bytes. If the layout cannot hold the state, or
    other data is in its place, the command prints an error and writes nothing.

    \b
    Example:
      gcpt convert uboot.zst uboot.gz
      gcpt convert uboot.zst protobuf.zst --layout protobuf
      gcpt convert nemu.gz memory.gz --layout flash --flash-out flash.gz
      gcpt convert --json linux.gz linux.zst | jq .bytes
    """
    from gcpt.checkpoint import containers
    from gcpt.checkpoint.convert import convert, open_source
    from gcpt.report.description import harts

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
