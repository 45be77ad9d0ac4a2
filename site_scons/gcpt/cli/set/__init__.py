"""``gcpt set``: one module per subcommand, loaded when the subcommand runs."""

from importlib import import_module

import click

SUBCOMMANDS: dict[str, str] = {
    "scan": "Find the points of a set, and check them against its indexes.",
    "info": "Show what each point holds.",
    "validate": "Check, without a run, which points would restore.",
    "verify": "Restore each point in QEMU and compare every register.",
    "convert": "Write each point in another layout or container.",
    "pack": "Embed a restorer into each point.",
    "swap": "Replace the embedded restorer of each point.",
    "run": "Run a simulator for each point and score its logs.",
    "status": "Show how far a run is.",
    "report": "Write a page about a run.",
    "archive": "Write a set into one file, each page once.",
    "extract": "Extract the set in an archive.",
}


class _LazyGroup(click.Group):
    def list_commands(self, ctx: click.Context) -> list[str]:
        return list(SUBCOMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        if cmd_name not in SUBCOMMANDS:
            return None
        command: click.Command = import_module(f"gcpt.cli.set.{cmd_name}").command
        command.short_help = SUBCOMMANDS[cmd_name]
        return command


@click.group(cls=_LazyGroup)
def command() -> None:
    """Work on sets of checkpoints: folders of points with workloads and weights.

    \b
    Example:
      gcpt set scan spec06
      gcpt set validate spec06
      gcpt set run spec06 -o results -- emu -i {checkpoint}
    """
