"""The command ``gcpt``: one module a subcommand, loaded when it is used.

Exit status of all: 0 well, 1 something was found (a difference, an error in a checkpoint), 2 bad input or usage.
"""

import os
import sys
from collections.abc import Sequence
from difflib import get_close_matches
from importlib import import_module

import click

from gcpt import __version__
from gcpt.errors import UserError

#: The subcommands in the order of ``gcpt --help``; each is ``command`` in the module of its name.
SUBCOMMANDS: tuple[str, ...] = (
    *("info", "validate", "diff", "convert", "snapshot", "pack", "unpack"),
    *("run", "debug", "verify", "completion"),
)


class _Lazy(click.Group):
    def list_commands(self, ctx: click.Context) -> list[str]:
        return list(SUBCOMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        if cmd_name not in SUBCOMMANDS:
            near = get_close_matches(cmd_name, SUBCOMMANDS, 1)
            ctx.fail(
                f"there is no command {cmd_name!r}: "
                + (f"did you mean {near[0]}?" if near else "gcpt --help lists them")
            )
        command: click.Command = import_module(f"gcpt.cli.{cmd_name}").command
        return command


@click.group(
    cls=_Lazy,
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100},
    epilog="Exit status: 0 well, 1 something was found, 2 bad input. Each command's --help has an example.",
)
@click.version_option(__version__, message="gcpt %(version)s")
def gcpt() -> None:
    """See into, check, make and carry RISC-V checkpoints ("rvgcpt")."""


def _complain(text: str) -> int:
    print(f"gcpt: {' '.join(text.split())}", file=sys.stderr)
    return 2


def main(argv: Sequence[str] | None = None) -> int:
    """Run ``gcpt`` with the arguments ``argv``; the exit status."""
    try:
        status = gcpt.main(argv, prog_name="gcpt", standalone_mode=False)
        sys.stdout.flush()
    except click.exceptions.NoArgsIsHelpError as error:
        print(error.format_message())
        return 2
    except click.UsageError as error:
        where = error.ctx.command_path.removeprefix("gcpt").strip() if error.ctx else ""
        return _complain(f"{where}: {error.format_message()}" if where else error.format_message())
    except click.ClickException as error:
        return _complain(error.format_message())
    except UserError as error:
        return _complain(str(error))
    except (click.Abort, KeyboardInterrupt):
        print("gcpt: interrupted", file=sys.stderr)
        return 130
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), 1)  # who read us has had enough: nothing more, and no complaint
        return 0
    return status if isinstance(status, int) else 0
