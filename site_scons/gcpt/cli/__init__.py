"""The command ``gcpt``: one module per subcommand, loaded when the subcommand runs.

Exit status of every subcommand, unless it documents others: 0 success, 1 differences or problems found, 2 bad input or
usage.
"""

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
from gcpt.checkpoint.containers import unchanging
from gcpt.cli.streams import prepare_streams
from gcpt.errors import UserError, one_line, system_error
from gcpt.interrupts import INTERRUPTED
from gcpt.packages import explain

#: The subcommands with their lines in ``gcpt --help``, in its order. Each is ``command`` in the module of its name.
SUBCOMMANDS: dict[str, str] = {
    "info": "Show the contents of a checkpoint or restorer.",
    "validate": "Check, without a run, whether a checkpoint would restore.",
    "diff": "Compare two checkpoints: registers and memory.",
    "convert": "Write a checkpoint in another layout or container.",
    "snapshot": "Take a checkpoint of a machine in stock QEMU.",
    "profile": "Count basic blocks of software in stock QEMU, for SimPoint.",
    "simpoints": "Choose the intervals of a profile that represent a run.",
    "generate": "Profile software, choose points, and take a checkpoint at each.",
    "restorer": "Write a ready restorer, or list them.",
    "build": "Build a restorer with any options.",
    "pack": "Embed a restorer into a checkpoint.",
    "unpack": "Split a packed image into checkpoint and restorer.",
    "run": "Continue from a checkpoint in stock QEMU.",
    "debug": "Debug a checkpoint with gdb in stock QEMU.",
    "verify": "Restore a checkpoint in QEMU and compare every register.",
    "set": "Work on sets of checkpoints.",
    "completion": "Print a shell's completion script.",
}


class _OutputClosedError(Exception):
    """The reader of standard output closed it."""


class _LazyGroup(click.Group):
    def invoke(self, ctx: click.Context) -> Any:
        try:
            return super().invoke(ctx)
        except BrokenPipeError as error:
            raise _OutputClosedError from error  # click would exit with status 1

    def list_commands(self, ctx: click.Context) -> list[str]:
        return list(SUBCOMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        if cmd_name not in SUBCOMMANDS:
            near = get_close_matches(cmd_name, SUBCOMMANDS, 1)
            ctx.fail(f"no command {cmd_name!r}: " + (f"did you mean {near[0]}?" if near else "see gcpt --help"))
        command: click.Command = import_module(f"gcpt.cli.{cmd_name}").command
        command.short_help = SUBCOMMANDS[cmd_name]
        return command


@click.group(
    cls=_LazyGroup,
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100},
    epilog="Exit status: 0 success, 1 differences or problems found, 2 bad input or usage.",
)
@click.version_option(__version__, message="gcpt %(version)s")
def gcpt() -> None:
    """Inspect, check, convert, pack and boot RISC-V checkpoints (rvgcpt).

    Each command's --help has examples.
    """


def _print_error(text: str) -> int:
    """Print ``text`` as one line on standard error.

    Returns:
        The exit status for bad input.
    """
    print(f"gcpt: {one_line(text)}", file=sys.stderr)
    return 2


def _discard_output() -> None:
    """Redirect standard output to /dev/null, so that Python's final flush cannot fail."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), 1)


@contextmanager
def _exit_on_signals() -> Iterator[None]:
    """Raise SystemExit on SIGTERM and SIGHUP, so that QEMU, temporary folders and partial files are cleaned up."""

    def stop(number: int, _: object) -> NoReturn:
        raise SystemExit(128 + number)

    numbers = [number for number in (signal.SIGTERM, signal.SIGHUP) if signal.getsignal(number) is signal.SIG_DFL]
    for number in numbers:
        signal.signal(number, stop)
    try:
        yield
    finally:
        for number in numbers:
            signal.signal(number, signal.SIG_DFL)


def main(argv: Sequence[str] | None = None) -> int:
    """Run ``gcpt``. Errors are printed as one line.

    Args:
        argv: The arguments; by default those of the process.

    Returns:
        The exit status.
    """
    if sys.stdout is None or sys.stderr is None:  # the next file to be opened would get its descriptor
        return _print_error("standard output is closed: redirect it to /dev/null instead") if sys.stderr else 2
    prepare_streams()
    plain = "NO_COLOR" in os.environ or os.environ.get("TERM") == "dumb"
    try:
        with _exit_on_signals(), unchanging():
            status = gcpt.main(argv, prog_name="gcpt", standalone_mode=False, color=False if plain else None)
        sys.stdout.flush()
    except click.exceptions.NoArgsIsHelpError as error:
        print(error.format_message())
        return 2
    except click.UsageError as error:
        subcommand = error.ctx.command_path.removeprefix("gcpt").strip() if error.ctx else ""
        return _print_error(f"{subcommand}: {error.format_message()}" if subcommand else error.format_message())
    except click.ClickException as error:
        return _print_error(error.format_message())
    except UserError as error:
        return _print_error(str(error))
    except (click.Abort, KeyboardInterrupt):
        print("gcpt: interrupted", file=sys.stderr)
        return INTERRUPTED
    except (_OutputClosedError, BrokenPipeError):
        _discard_output()
        return 0
    except ImportError as error:
        return _print_error(explain(error))
    except OSError as error:
        _discard_output()
        return _print_error(system_error(error))
    return status if isinstance(status, int) else 0
