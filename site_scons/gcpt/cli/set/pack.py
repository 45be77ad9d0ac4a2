"""``gcpt set pack``: embed a restorer into the points of a set."""

from pathlib import Path

import click

from gcpt.cli.output import InputPath, json_option
from gcpt.cli.set.copies import container_option, copied, folder_option
from gcpt.cli.set.options import Choice, Engine, engine_options, set_options


@click.command()
@set_options
@click.argument("gcpt_bin", type=InputPath())
@folder_option
@container_option
@click.option("--force", is_flag=True, help="Overwrite data under the restorer.")
@engine_options("--on")
@json_option
def command(
    choice: Choice,
    gcpt_bin: Path,
    out: Path,
    container: str | None,
    force: bool,
    engine: Engine,
    as_json: bool,
) -> int:
    """Embed the restorer GCPT_BIN into each point of SET, as gcpt pack does for one, and write a new set.

    Images lie in DIR as in SET; names end with .gz, .zstd or .bin as --container says. JSONs, lists and SimPoint's
    files are copied, and lists name the new images. Started again, it goes on. Exit status 1: a point was not written.

    \b
    Example:
      gcpt set pack spec06 build/gcpt.bin -o spec06-packed
    """
    from gcpt.restorer import packing
    from gcpt.sets.changes import Destination, Pack

    destination = Destination(choice.whole.root, out.absolute(), container or "")
    work = Pack(destination, packing.read(gcpt_bin), force)
    return copied(choice, engine, work, out, as_json, "pack", gcpt_bin)
