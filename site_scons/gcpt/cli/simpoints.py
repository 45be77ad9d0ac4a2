"""``gcpt simpoints``: choose the intervals of a profile that represent a run."""

import json
from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO

import click

from gcpt.cli.output import PAGE_ENDINGS, InputPath, OutputFolder, OutputPath, json_option, say_json
from gcpt.errors import UserError

if TYPE_CHECKING:
    from gcpt.checkpoint.clusters import Clusters, Profile


@click.command()
@click.argument("profile", type=InputPath())
@click.option("-o", "--output", type=OutputFolder(), required=True, help="The folder of simpoints0 and weights0.")
@click.option("--index", type=OutputPath(".json"), help="Also write the points as JSON, by the name of the folder.")
@click.option("--html", type=OutputPath(*PAGE_ENDINGS), help="Also write a page: the phases over time, and the points.")
@click.option("--max-k", "most", type=click.IntRange(1), default=30, show_default=True, help="The most points.")
@click.option(
    "--seed", type=click.IntRange(0, (1 << 32) - 1), default=0, show_default=True, help="Of all random numbers."
)
@json_option
def command(
    profile: Path, output: Path, index: Path | None, html: Path | None, most: int, seed: int, as_json: bool
) -> int:
    """Choose the intervals of PROFILE that represent the run, as SimPoint does, each with its weight.

    PROFILE has basic-block vectors, as gcpt profile writes them. They are projected to 15 dimensions at random and
    clustered by k-means; the Bayesian information criterion decides how many clusters there are, and the interval
    nearest to its centre represents each. scikit-learn must be installed (pip install 'gcpt[simpoint]').

    \b
    Example:
      gcpt simpoints bbv.gz -o set/cluster/work --index set/json/work.json
      gcpt simpoints bbv.gz -o set/cluster/work --html phases.html
      gcpt snapshot -o set/checkpoint/work --load work.bin@0x80100000 --simpoints set/cluster/work --interval 20M
    """
    from gcpt.checkpoint import apart

    files: dict[str, Path | None] = {"PROFILE": profile}
    folder = [("-o", output / "simpoints0"), ("-o", output / "weights0")]
    for option, out in [*folder, ("--index", index), ("--html", html)]:
        apart.check(option, out, files)
        files[f"{option} {out}"] = out
    vectors, clusters = choose_points(profile, most, seed)
    write(clusters, vectors.instructions, output, index, html, {"profile": profile, "--max-k": most, "--seed": seed})
    points = [
        {"interval": interval, "cluster": cluster, "weight": clusters.weights[cluster]}
        for cluster, interval in enumerate(clusters.intervals)
    ]
    if as_json:
        intervals = len(clusters.labels)
        say_json({"folder": str(output), "intervals": intervals, "points": points, "scores": clusters.scores})
    else:
        print(f"{output}: {len(points)} points of {len(clusters.labels)} intervals")
    return 0


def choose_points(profile: Path, most: int, seed: int) -> "tuple[Profile, Clusters]":
    """Read a profile and choose points.

    Args:
        profile: The file.
        most: The most points.
        seed: Of all random numbers.

    Returns:
        The vectors and the clusters.

    Raises:
        UserError: scikit-learn is not installed, or the file is no profile.
    """
    try:
        from gcpt.checkpoint.clusters import choose, read
    except ModuleNotFoundError as error:
        raise UserError(f"{error.name} is not installed: run pip install 'gcpt[simpoint]'") from error

    vectors = read(profile)
    return vectors, choose(vectors, most, seed)


def write(
    clusters: "Clusters",
    instructions: int,
    folder: Path,
    index: Path | None,
    html: Path | None,
    facts: dict[str, object],
) -> None:
    """Write the points: all files or none.

    Args:
        clusters: The clusters.
        instructions: Instructions of the run.
        folder: The folder of simpoints0 and weights0; its name is the workload's.
        index: The JSON file to write.
        html: The page to write.
        facts: What the page says about the choice, by name.

    Raises:
        UserError: A file cannot be written.
    """
    from gcpt.checkpoint.output import write_all

    numbered = list(enumerate(zip(clusters.intervals, clusters.weights, strict=True)))
    texts = {
        folder / "simpoints0": "".join(f"{interval} {number}\n" for number, (interval, _) in numbered),
        folder / "weights0": "".join(f"{weight:.10g} {number}\n" for number, (_, weight) in numbered),
    }
    if index:
        rows = sorted(zip(clusters.intervals, clusters.weights, strict=True))
        points = {str(interval): f"{weight:.10g}" for interval, weight in rows}
        entry = {folder.resolve().name: {"insts": str(instructions), "points": points}}
        texts[index] = json.dumps(entry, indent=2) + "\n"
    if html:
        from gcpt.report.phases_page import page

        texts[html] = page(folder.resolve().name, clusters, instructions, facts)
    for path in texts:
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise UserError(f"{path.parent}: {error.strerror}: choose another folder") from error
    write_all([(path, [text.encode(errors="replace")], _write_text) for path, text in texts.items()])


def _write_text(file: BinaryIO, content: Iterable[bytes]) -> int:
    return sum(map(file.write, content))
