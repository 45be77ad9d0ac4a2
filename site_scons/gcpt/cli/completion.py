"""``gcpt completion``: shell completion of commands, options and file names."""

import click
from click.shell_completion import get_completion_class


@click.command()
@click.argument("shell", type=click.Choice(["bash", "zsh", "fish"]))
def command(shell: str) -> None:
    """Print the completion script of SHELL.

    \b
    Example, for this session:
      eval "$(gcpt completion bash)"
    """
    from gcpt.cli import gcpt

    completion = get_completion_class(shell)
    assert completion is not None
    click.echo(completion(gcpt, {}, "gcpt", "_GCPT_COMPLETE").source())
