"""``gcpt set verify``: restore each point of a set in a simulator, and compare every register."""

from pathlib import Path
from typing import TYPE_CHECKING

import click

from gcpt.cli.judge import JUDGES, judge_options
from gcpt.cli.output import InputPath, Seconds, json_option
from gcpt.cli.set.options import Choice, Engine, engine_options, results_option, set_options

if TYPE_CHECKING:
    from gcpt.machines.judges import Judge


@click.command()
@set_options
@click.option(
    "--restorer",
    type=InputPath(),
    help="A gcpt.bin; by default the embedded one, or one built now.",
)
@click.option("--timeout", type=Seconds(), default=60, show_default=True, help="Seconds for all harts to arrive.")
@results_option
@engine_options()
@json_option
@judge_options(*JUDGES)
def command(
    choice: Choice,
    restorer: Path | None,
    timeout: float,
    results: Path | None,
    engine: Engine,
    as_json: bool,
    judge: "Judge",
) -> int:
    """Verify for each point of SET that it restores exactly, as gcpt verify does for one.

    Exit status 1: a register of a point differs without an explanation, the restorer refused, or a point cannot be
    read.

    \b
    Example:
      gcpt set verify spec06
      gcpt set verify spec06 --min-weight 0.01 -j 4 -o verified -- -icount shift=0
    """
    from gcpt.cli.set.session import report_checks, work_on
    from gcpt.restorer import packing
    from gcpt.sets.checks import Verify

    if restorer:
        packing.read(restorer)  # refuses what is none, before the first point
        restorer = restorer.absolute()
    done = work_on(choice, engine, Verify(judge, restorer, timeout), results, as_json, command=["verify"])
    return report_checks(choice, done, as_json)
