"""``gcpt set swap``: replace the embedded restorers of a set."""

import filecmp
import sys
from contextlib import suppress
from pathlib import Path

import click

from gcpt.cli.output import InputPath, json_option
from gcpt.cli.set.options import Choice, Engine, engine_options, set_options


@click.command()
@set_options
@click.argument("gcpt_bin", type=InputPath())
@click.option("--force", is_flag=True, help="Overwrite data under the restorer.")
@engine_options("--on")
@json_option
def command(choice: Choice, gcpt_bin: Path, force: bool, engine: Engine, as_json: bool) -> int:
    """Replace the restorer that each point of SET embeds by GCPT_BIN, as gcpt pack --swap does for one.

    Each image is replaced when the new one is complete, and stays as it is if it has this restorer already: after an
    interruption, start the command again. Exit status 1: a point has no embedded restorer, or the new one cannot start
    it; such a point stays unchanged.

    \b
    Example:
      gcpt set swap spec06-packed build/gcpt.bin
      gcpt set swap spec06-packed build/gcpt.bin --workload mcf --json
    """
    from gcpt.checkpoint import apart
    from gcpt.cli.set.session import report_checks, work_on
    from gcpt.restorer import packing
    from gcpt.sets.changes import Swap

    for point in choice.points:
        apart.check("the point's image", point.flash or point.path, {"GCPT_BIN": gcpt_bin})
    restorer = packing.read(gcpt_bin)
    done = work_on(choice, engine, Swap(restorer, force), None, as_json)
    if (own := choice.whole.restorer) and not _are_equal(own, gcpt_bin):
        print(f"gcpt: {own}: the set's own restorer stays as it is: copy {gcpt_bin} over it", file=sys.stderr)
    return report_checks(choice, done, as_json)


def _are_equal(one: Path, other: Path) -> bool:
    with suppress(OSError):
        return filecmp.cmp(one, other, shallow=False)
    return False
