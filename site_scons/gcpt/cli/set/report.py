"""``gcpt set report``: one page about a run."""

from pathlib import Path

import click

from gcpt.cli.output import PAGE_ENDINGS, InputPath, OutputPath


@click.command()
@click.argument("results", metavar="DIR", type=InputPath())
@click.option("--html", type=OutputPath(*PAGE_ENDINGS), required=True, help="The page to write.")
def command(results: Path, html: Path) -> int:
    """Write a page about the run with its results in DIR: scores, coverage, every point, failures by cause.

    The page is one file that needs no other. It can be written while the run is under way.

    \b
    Example:
      gcpt set report results --html results.html
    """
    from gcpt.sets.page import write
    from gcpt.sets.runs import read_run

    size = write(html, read_run(results))
    print(f"{html}: {size:,} bytes")
    return 0
