"""``gcpt completion``: what a shell needs to complete commands, options and file names."""

import click
from click.shell_completion import get_completion_class


@click.command()
@click.argument("shell", type=click.Choice(["bash", "zsh", "fish"]))
def command(shell: str) -> None:
    """Print the completion script of a shell.

    \b
    Example, for this session:
      eval "$(gcpt completion bash)"
    """
    from gcpt.cli import gcpt

    kind = get_completion_class(shell)
    assert kind is not None
    click.echo(kind(gcpt, {}, "gcpt", "_GCPT_COMPLETE").source())
