"""``gcpt set archive``: one file for a set, with each page once."""

from dataclasses import asdict
from pathlib import Path

import click

from gcpt.cli.output import OutputPath, json_option, progress, say_json
from gcpt.cli.set.options import Choice, set_options


@click.command()
@set_options
@click.option(
    "-o", "--out", type=OutputPath(".gcptset"), metavar="FILE", required=True, help="The archive to write, a .gcptset."
)
@json_option
def command(choice: Choice, out: Path, as_json: bool) -> int:
    """Archive SET: its images, indexes and restorer in one file, with each page of 4 KiB once.

    Points of one workload share most of their pages. gcpt set extract gives back each image bit for bit.

    \b
    Example:
      gcpt set archive spec06 -o spec06.gcptset
      gcpt set extract spec06.gcptset --check
      gcpt set extract spec06.gcptset -o spec06
    """
    from gcpt.sets.archive import create

    with progress("archiving", None, "files") as advance:
        sizes = create(out, choice.whole, choice.points, choice.allow_outside, advance)
    if as_json:
        say_json({"archive": str(out), **asdict(sizes)})
    else:
        ratio = sizes.before / sizes.after
        print(
            f"{out}: {sizes.files:,} files of {sizes.before:,} bytes, {sizes.pages:,} different pages: "
            f"{sizes.after:,} bytes, {ratio:.2f} times smaller"
        )
    return 0
