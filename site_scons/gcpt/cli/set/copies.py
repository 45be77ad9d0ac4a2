"""What ``gcpt set convert`` and ``gcpt set pack`` share: they write a new set."""

import sys
from pathlib import Path
from typing import TYPE_CHECKING

import click

from gcpt.checkpoint.containers import CONTAINERS
from gcpt.cli.output import OutputFolder
from gcpt.cli.set.options import Choice, Engine
from gcpt.cli.set.session import report_checks, work_on

if TYPE_CHECKING:
    from gcpt.sets.changes import Convert, Pack

#: The folder of results in the new set; scans skip names that begin with a dot.
_RESULTS = ".gcpt"

#: ``-o``, for the new set.
folder_option = click.option(
    "-o", "--output", "out", type=OutputFolder(), metavar="DIR", required=True, help="The folder of the new set."
)
#: ``--container``, for its images.
container_option = click.option(
    "--container", type=click.Choice(CONTAINERS), help="The container of all images; by default that of each image."
)


def copied(
    choice: Choice,
    engine: Engine,
    work: "Convert | Pack",
    out: Path,
    as_json: bool,
    name: str,
    restorer: Path | None = None,
) -> int:
    """Write the images, the indexes and the restorer of a new set, and print what became of each point.

    Args:
        choice: The points.
        engine: How to work.
        work: What is done with each point.
        out: The folder of the new set.
        as_json: Print events as JSON.
        name: The subcommand.
        restorer: The restorer that the points embed now; None if they keep theirs.

    Returns:
        The exit status.

    Raises:
        UserError: The folder cannot be used, or an index or the restorer cannot be copied.
    """
    from gcpt.sets.copying import check_folders, copy_indexes, copy_restorer
    from gcpt.sets.tree import check_whole

    root, folder = choice.whole.root, out.absolute()
    check_folders(root, folder, _RESULTS)
    check_whole(root, choice.whole.findings, "the new set")
    renamed = {
        image: work.destination.image(image)
        for point in choice.whole.points
        for image in (point.path, point.flash)
        if image
    }
    done = work_on(choice, engine, work, folder / _RESULTS, as_json, command=[name])
    known, chosen = ({point.key for point in points} for points in (choice.whole.points, choice.points))
    copy_indexes(root, folder, renamed, known, chosen)
    if (old := choice.whole.restorer) and not copy_restorer(old, root, folder, restorer or old):
        print(f"gcpt: {out}: has no restorer of its own: {old} lies outside the old set", file=sys.stderr)
    return report_checks(choice, done, as_json)
