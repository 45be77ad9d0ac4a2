"""The command ``gcpt``: one module a subcommand, loaded when it is used.

Exit status of all: 0 well, 1 something was found (a difference, an error in a checkpoint), 2 bad input or usage.
"""

import io
import os
import signal
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from difflib import get_close_matches
from importlib import import_module
from typing import Any, NoReturn

import click

from gcpt import __version__
from gcpt.errors import UserError

#: The subcommands in the order of ``gcpt --help``; each is ``command`` in the module of its name.
SUBCOMMANDS: tuple[str, ...] = (
    *("info", "validate", "diff", "convert", "snapshot", "pack", "unpack"),
    *("run", "debug", "verify", "completion"),
)


class _ReaderLeftError(Exception):
    """Who read the output has closed it."""


class _Lazy(click.Group):
    def invoke(self, ctx: click.Context) -> Any:
        try:
            return super().invoke(ctx)
        except BrokenPipeError as error:
            raise _ReaderLeftError from error  # of which click would make exit status 1

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


def _forget_output() -> None:
    """Nothing more goes to standard output, not even what Python has kept for its end."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), 1)


@contextmanager
def _ending() -> Iterator[None]:
    """SIGTERM and a closed terminal end the block in order: machines, temporary folders and half files go with it."""

    def end(number: int, _: object) -> NoReturn:
        raise SystemExit(128 + number)

    taken = [number for number in (signal.SIGTERM, signal.SIGHUP) if signal.getsignal(number) is signal.SIG_DFL]
    for number in taken:
        signal.signal(number, end)
    try:
        yield
    finally:
        for number in taken:
            signal.signal(number, signal.SIG_DFL)


def main(argv: Sequence[str] | None = None) -> int:
    """Run ``gcpt`` with the arguments ``argv``; the exit status."""
    if sys.stdout is None or sys.stderr is None:  # the next file that is opened would take its number
        return _complain("standard output is closed: >/dev/null instead") if sys.stderr else 2
    if isinstance(sys.stdout, io.TextIOWrapper):
        sys.stdout.reconfigure(errors="surrogateescape")  # names of files, whatever bytes they are
    plain = "NO_COLOR" in os.environ or os.environ.get("TERM") == "dumb"
    try:
        with _ending():
            status = gcpt.main(argv, prog_name="gcpt", standalone_mode=False, color=False if plain else None)
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
    except (_ReaderLeftError, BrokenPipeError):
        _forget_output()
        return 0
    except OSError as error:
        _forget_output()
        return _complain(f"{error.filename or 'standard output'}: {error.strerror}")
    return status if isinstance(status, int) else 0
