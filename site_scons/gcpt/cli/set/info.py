"""``gcpt set info``: show what each point of a set holds."""

from pathlib import Path

import click

from gcpt.cli.output import json_option
from gcpt.cli.set.options import Choice, Engine, engine_options, results_option, set_options
from gcpt.console import print_table


@click.command()
@set_options
@results_option
@engine_options("--on")
@json_option
def command(choice: Choice, results: Path | None, engine: Engine, as_json: bool) -> int:
    """Show layout, harts and restorer of each point of SET, as gcpt info does for one.

    Exit status 1: a point cannot be read.

    \b
    Example:
      gcpt set info spec06
      gcpt set info spec06 --workload mcf --json
    """
    from gcpt.cli.set.session import report_checks, work_on
    from gcpt.sets.checks import Info

    done = work_on(choice, engine, Info(), results, as_json, quiet=True, command=["info"])
    if not as_json:
        rows = []
        for result in done:
            facts = result.facts
            harts = facts.get("harts", [])
            vlen = "/".join(sorted({str(hart["vlen"]) for hart in harts}))
            modes = "/".join(sorted({hart["mode"] for hart in harts}))
            restorer = facts.get("restorer", {}).get("version", "-")
            cells = (facts.get("container"), facts.get("layout"), len(harts) or None, modes, vlen, restorer)
            rows.append([result.name, *(str(cell or "-") for cell in cells)])
        print_table(("point", "container", "layout", "harts", "modes", "VLEN", "restorer"), rows)
    return report_checks(choice, done, as_json)
