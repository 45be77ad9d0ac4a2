"""``gcpt set convert``: write the points of a set in another layout or container."""

from pathlib import Path

import click

from gcpt.checkpoint.layouts import LAYOUTS
from gcpt.cli.output import json_option
from gcpt.cli.set.copies import container_option, copied, folder_option
from gcpt.cli.set.options import Choice, Engine, engine_options, set_options


@click.command()
@set_options
@folder_option
@click.option("--layout", type=click.Choice(LAYOUTS), help="Where to put the state; by default it stays in place.")
@container_option
@engine_options("--on")
@json_option
def command(choice: Choice, out: Path, layout: str | None, container: str | None, engine: Engine, as_json: bool) -> int:
    """Write each point of SET to a new set in another layout or container, as gcpt convert does for one.

    Images lie in DIR as in SET; names end with .gz, .zstd or .bin as --container says. JSONs, lists and SimPoint's
    files are copied, and lists name the new images. Started again, it goes on. Exit status 1: a point was not written.

    \b
    Example:
      gcpt set convert spec06 -o spec06-gzip --container gzip
      gcpt set convert spec06 -o mcf-protobuf --workload mcf --layout protobuf
    """
    from gcpt.sets.changes import Convert, Destination

    destination = Destination(choice.whole.root, out.absolute(), container or "")
    return copied(choice, engine, Convert(destination, layout or ""), out, as_json, "convert")
