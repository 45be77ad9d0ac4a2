"""``gcpt set status``: show how far a run is, from another terminal."""

import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from gcpt.cli.output import InputPath, Seconds, json_option, say_json
from gcpt.cli.set.progress import say_event
from gcpt.cli.set.scores import print_failures, summary

if TYPE_CHECKING:
    from gcpt.sets.runs import Run


@click.command()
@click.argument("results", metavar="DIR", type=InputPath())
@click.option("--follow", type=Seconds(), metavar="SECONDS", help="Print it again after this time, until the run ends.")
@json_option
def command(results: Path, follow: float | None, as_json: bool) -> int:
    """Show how far the run with its results in DIR is, and which points failed.

    With --follow, --json prints a line each time. Exit status 1: a point failed, or the run stopped before its end.

    \b
    Example:
      gcpt set status results
      gcpt set status results --follow 10
    """
    from gcpt.sets.runs import read_run

    run = read_run(results)
    while follow and run.is_active:
        if as_json:
            say_event("status", **_json(run))
        else:
            print(f"{results}: under way, {summary(run.points)}", flush=True)
        time.sleep(follow)
        run = read_run(results)
    counts = run.counts()
    if as_json and follow:
        say_event("status", **_json(run))
    elif as_json:
        say_json(_json(run))
    else:
        print_failures(run.points)
        print(f"{results}: {'under way' if run.is_active else 'not running'}, {summary(run.points)}")
    return 1 if counts["failed"] or (not run.is_active and counts["finished"] < len(run.points)) else 0


def _json(run: "Run") -> dict[str, Any]:
    failed = {result.name: [result.cause, result.message] for result in run.points if result.cause}
    return {"active": run.is_active, "points": len(run.points), **run.counts(), "failures": failed}
