"""``gcpt restorer``: write a ready restorer, or list them all."""

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from gcpt.checkpoint.containers import RAW_ENDINGS
from gcpt.cli.output import OutputPath, json_option, result_printer, say_json
from gcpt.console import print_table
from gcpt.errors import UserError
from gcpt.restorer.options import MODES
from gcpt.restorer.platforms import BY_NAME

if TYPE_CHECKING:
    from gcpt.restorer.packing import Restorer


@click.command()
@click.option("--platform", type=click.Choice(list(BY_NAME)), help="The machine; by default xiangshan.")
@click.option("--mode", type=click.Choice(MODES), help="Where the checkpoint's state is; by default normal.")
@click.option("--log", type=click.Choice(["quiet", "info"]), help="What it prints; by default quiet: only errors.")
@click.option("-o", "--output", type=OutputPath(*RAW_ENDINGS), help="The restorer to write; - is standard output.")
@click.option("--list", "show_list", is_flag=True, help="List all ready restorers instead.")
@json_option
def command(
    platform: str | None, mode: str | None, log: str | None, output: Path | None, show_list: bool, as_json: bool
) -> int:
    """Write a ready restorer, without a compiler and without a checkout.

    The package has one of every mode for every platform, quiet and with messages: the same bytes that ./sconsw builds
    of the same commit. In a checkout, the command builds it. docs/options.md explains platform=, mode= and log=.

    \b
    Example:
      gcpt restorer --platform xiangshan --mode auto -o gcpt.bin
      gcpt restorer --list
      gcpt restorer --list --json | jq -r '.[].variant'
    """
    from gcpt.checkpoint.output import write_all
    from gcpt.machines import restorers
    from gcpt.restorer import packing
    from gcpt.scratch import scratch_folder

    chosen = {"platform": platform, "mode": mode, "log": log}
    options = {name: value for name, value in chosen.items() if value}
    if show_list:
        if output or options:
            raise UserError("--list lists all restorers: remove -o, --platform, --mode and --log")
        _print_list(restorers.list_ready(), as_json)
        return 0
    if output is None:
        raise UserError("nothing to do: give -o gcpt.bin to write a restorer, or --list")
    say = result_printer(as_json, output)
    with scratch_folder() as folder:
        restorer = packing.read(restorers.provide(options, folder).image)
    write_all([(output, [restorer.data], "raw")])
    if as_json:
        say_json({"file": str(output), **_row(restorer)})
    say(f"{output}: {restorer}")
    say(f"sha256: {restorer.sha256}")
    return 0


def _row(restorer: "Restorer") -> dict[str, Any]:
    """The JSON object of a restorer."""
    from gcpt.report import description

    facts = description.known_restorer(restorer.data)
    variant = restorer.config.variant if restorer.config else ""
    return {"variant": variant, "bytes": facts.pop("size"), "sha256": restorer.sha256, **facts}


def _print_list(restorers: "list[Restorer]", as_json: bool) -> None:
    rows = [_row(restorer) for restorer in restorers]
    if as_json:
        say_json(rows)
        return
    configs = [restorer.config for restorer in restorers if restorer.config]
    words = [(config.platform.name, config.mode, config.log) for config in configs]
    lines = [(*name, f"{row['bytes']:,}", row["sha256"]) for name, row in zip(words, rows, strict=True)]
    print_table(("platform", "mode", "log", "bytes", "sha256"), lines)
    versions = dict.fromkeys(f"gcpt {row['version']}, commit {row['commit']}" for row in rows)
    print(f"{len(rows)} restorers of {', '.join(versions)}")
