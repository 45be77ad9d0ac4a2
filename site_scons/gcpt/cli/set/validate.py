"""``gcpt set validate``: check, without a run, which points of a set would restore."""

from pathlib import Path

import click

from gcpt.cli.output import json_option
from gcpt.cli.set.options import Choice, Engine, engine_options, results_option, set_options
from gcpt.restorer.platforms import BY_NAME


@click.command()
@set_options
@click.option(
    "--platform",
    type=click.Choice(list(BY_NAME)),
    help="The machine; by default that of the embedded restorer, else xiangshan.",
)
@click.option("--harts", type=click.IntRange(1), help="Number of harts of the machine; by default enough.")
@results_option
@engine_options("--on")
@json_option
def command(
    choice: Choice, platform: str | None, harts: int | None, results: Path | None, engine: Engine, as_json: bool
) -> int:
    """Check for each point of SET whether it would restore, as gcpt validate does for one.

    Exit status 1: a point has errors or warnings, or cannot be read.

    \b
    Example:
      gcpt set validate spec06
      gcpt set validate spec06 --workload mcf --platform qemu-virt -o validated
    """
    from gcpt.cli.set.session import report_checks, work_on
    from gcpt.sets.checks import Validate

    done = work_on(choice, engine, Validate(platform or "", harts or 0), results, as_json, command=["validate"])
    return report_checks(choice, done, as_json)
