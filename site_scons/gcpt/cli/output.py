"""Option types, JSON output and progress bars for all subcommands."""

import json
import math
import os
import sys
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from gcpt.checkpoint.containers import check_ending
from gcpt.errors import UserError

if TYPE_CHECKING:
    from gcpt.checkpoint.streams import Watch

#: ``--json``, for all subcommands with results.
json_option = click.option("--json", "as_json", is_flag=True, help="Print JSON.")

#: The endings of pages.
PAGE_ENDINGS = (".html", ".htm")
#: The longest time limit, in seconds: one year.
_MAX_SECONDS = 365 * 24 * 3600


class Seconds(click.ParamType[float]):
    """The type of options with a time limit: seconds, more than 0 and at most a year."""

    name = "SECONDS"

    def convert(self, value: object, param: click.Parameter | None, ctx: click.Context | None) -> float:
        """Parse seconds."""
        try:
            seconds = float(str(value))
        except ValueError:
            seconds = math.nan
        if not 0 < seconds <= _MAX_SECONDS:
            self.fail(f"{value!r} is not a time: give seconds, such as 60 or 0.5", param, ctx)
        return seconds


class InputPath(click.Path):
    """The type of files to read: a Path with a name."""

    def __init__(self) -> None:
        super().__init__(path_type=Path)

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        """Check a name and convert it to a Path."""
        if not os.fspath(value):
            self.fail("the name is empty: give a file", param, ctx)
        return super().convert(value, param, ctx)


class OutputPath(InputPath):
    """The type of an output file: a Path with a name; ``-`` is standard output, and ``./-`` a file of this name."""

    def __init__(self, *endings: str, exact: bool = False) -> None:
        """Describe the names.

        Args:
            endings: The endings of the only format of the file; none if the command chooses one by the ending.
            exact: Whether the name must have one of them, as it is written; otherwise in any case, or none.
        """
        super().__init__()
        self.endings, self.exact = endings, exact

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        """Check a name and convert it to a Path."""
        path = super().convert(value, param, ctx)
        if self.endings and value != "-":
            check_ending(path, self.endings, self.exact)
        return Path.cwd() / path if path == Path("-") and value != "-" else path


class OutputFolder(InputPath):
    """The type of an output folder: a Path with a name; ``./-`` is a folder of this name, ``-`` none."""

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        """Check a name and convert it to a Path."""
        if value == "-":
            self.fail("standard output takes no folder: name a folder", param, ctx)
        return super().convert(value, param, ctx)


class Address(click.ParamType[int]):
    """The type of options with an address: 0 to 2^64 - 1, decimal, or with a prefix such as 0x."""

    name = "ADDR"

    def convert(self, value: object, param: click.Parameter | None, ctx: click.Context | None) -> int:
        """Parse an address."""
        try:
            address = int(str(value), 0)
        except ValueError:
            self.fail(f"{value!r} is not an address: give a number such as 0x80200000", param, ctx)
        if not 0 <= address < 1 << 64:
            self.fail(f"{value!r} is out of range: give an address from 0 to below 2^64", param, ctx)
        return address


def check_code_address(subject: str, address: int) -> None:
    """Check that a hart can execute an instruction at an address.

    Args:
        subject: The option, for the message.
        address: The address.

    Raises:
        UserError: The address is odd.
    """
    if address % 2:
        raise UserError(f"{subject}: no instruction starts at the odd address {address:#x}: give an even one")


def result_printer(as_json: bool, *outputs: Path | None) -> Callable[[str], None]:
    """Choose where the lines of a command go that may write an image to standard output.

    Args:
        as_json: The lines are not wanted, because the command prints JSON.
        outputs: The images to write.

    Returns:
        A function that prints a line: on standard output, or on standard error if an image goes to standard output.

    Raises:
        UserError: Standard output cannot take an image: it is a terminal, or the command prints JSON.
    """
    from gcpt.checkpoint.output import STANDARD_OUTPUT, check_standard_output

    if STANDARD_OUTPUT not in outputs:
        return (lambda _: None) if as_json else print
    if as_json:
        raise UserError("--json prints on standard output, where the image would go: name a file for the image")
    check_standard_output()
    return lambda line: print(line, file=sys.stderr)


#: Advances a progress bar by a number of units.
Advance = Callable[[int], None]


def say_json(data: object) -> None:
    """Print ``data`` as JSON on standard output."""
    print(json.dumps(data, indent=2))


def heading(text: str) -> None:
    """Print the heading of a part of a report."""
    click.secho(text, bold=True)


@contextmanager
def progress(label: str, total: int | None, unit: str = "") -> Iterator[Advance]:
    """Show a progress bar on standard error if that is a terminal.

    Args:
        label: The text before the bar.
        total: The number of bytes, or of ``unit``; None if unknown.
        unit: The plural of what is counted; empty for bytes.

    Yields:
        The function that advances the bar.
    """
    if not sys.stderr.isatty():
        yield lambda _: None
        return
    from rich.console import Console
    from rich.progress import BarColumn, DownloadColumn, MofNCompleteColumn, Progress, TextColumn, TransferSpeedColumn

    counts = (MofNCompleteColumn(), TextColumn(unit)) if unit else (DownloadColumn(), TransferSpeedColumn())
    columns: tuple[Any, ...] = (TextColumn("{task.description}"), BarColumn(), *counts)
    with Progress(*columns, console=Console(stderr=True), transient=True) as bar:
        task = bar.add_task(label, total=total)
        yield lambda count: bar.advance(task, count)


def track(content: Iterable[bytes], advance: Advance) -> Iterator[bytes]:
    """Pass ``content`` on and advance a progress bar after each piece.

    Args:
        content: Pieces of any length.
        advance: Receives the length of each piece, in bytes.

    Yields:
        The pieces of ``content``.
    """
    for chunk in content:
        yield chunk
        advance(len(chunk))


def size_of(*files: Path | None) -> int | None:
    """Add up the content sizes of files without decompressing.

    Args:
        files: Images; None entries are ignored.

    Returns:
        The sum in bytes; None if any of them is compressed or an ELF file.
    """
    from gcpt.checkpoint.containers import container_of

    images = [file for file in files if file]
    return sum(file.stat().st_size for file in images) if {container_of(file) for file in images} == {"raw"} else None


@contextmanager
def unpacking(checkpoint: Path, flash: Path | None) -> Iterator["Watch"]:
    """Show a progress bar while a checkpoint is unpacked.

    Args:
        checkpoint: The image, or the memory image of a flash pair.
        flash: The flash image of a pair.

    Yields:
        A function that passes content on and advances the bar.
    """
    with progress(f"unpacking {checkpoint.name}", size_of(checkpoint, flash)) as advance:
        yield partial(track, advance=advance)
