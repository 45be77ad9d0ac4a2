"""What the subcommands share: types of options, JSON, progress."""

import json
import math
import sys
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

if TYPE_CHECKING:
    from gcpt.checkpoint.streams import Watch

#: ``--json`` of all subcommands that report.
json_option = click.option("--json", "as_json", is_flag=True, help="Print JSON, for programs.")


#: Seconds in a year, which nobody waits for longer than.
_LONGEST = 365 * 24 * 3600
#: Bytes of memory that no machine has more of.
_MOST_MEMORY = 1 << 41


class _Size(click.ParamType[int]):
    name = "SIZE"

    def convert(self, value: object, param: click.Parameter | None, ctx: click.Context | None) -> int:
        text = str(value)
        unit = {"M": 20, "G": 30}.get(text[-1:].upper())
        digits = text[:-1] if unit else text
        if not digits.isdecimal():
            self.fail(f"{text!r} is no size: want bytes, or such as 512M or 4G", param, ctx)
        size = int(digits) << (unit or 0)
        if size > _MOST_MEMORY:
            self.fail(f"{text!r} is more than {_MOST_MEMORY >> 30}G", param, ctx)
        return size


class Seconds(click.ParamType[float]):
    name = "SECONDS"

    def convert(self, value: object, param: click.Parameter | None, ctx: click.Context | None) -> float:
        try:
            seconds = float(str(value))
        except ValueError:
            seconds = math.nan
        if not 0 < seconds <= _LONGEST:
            self.fail(f"{value!r} is no time: want seconds, such as 60 or 0.5", param, ctx)
        return seconds


class Address(click.ParamType[int]):
    name = "ADDR"

    def convert(self, value: object, param: click.Parameter | None, ctx: click.Context | None) -> int:
        try:
            return int(str(value), 0)
        except ValueError:
            self.fail(f"{value!r} is no address: want a number such as 0x80200000", param, ctx)


#: ``--memory`` of all subcommands that start a machine: bytes.
memory_option = click.option(
    "--memory",
    type=_Size(),
    default="0",
    help="The machine's memory, such as 2G; by default, and at least, the image's size.",
    metavar="SIZE",
)

#: Told of so much more done.
Advance = Callable[[int], None]


def say_json(data: object) -> None:
    """``data`` as JSON on standard output."""
    print(json.dumps(data, indent=2))


def heading(text: str) -> None:
    """A line above a part of a report."""
    click.secho(text, bold=True)


@contextmanager
def progress(label: str, total: int | None, unit: str = "") -> Iterator[Advance]:
    """A bar on the terminal's standard error while bytes go through, or what ``unit`` names; ``total`` of them, None
    where nobody knows.
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


def told(content: Iterable[bytes], advance: Advance) -> Iterator[bytes]:
    """``content``, each piece of which a bar is told of when it is done with."""
    for chunk in content:
        yield chunk
        advance(len(chunk))


def size_of(*files: Path | None) -> int | None:
    """Bytes of the content of all ``files``, as far as nothing has to be decompressed for it."""
    from gcpt.checkpoint.containers import container_of

    named = [file for file in files if file]
    return sum(file.stat().st_size for file in named) if {container_of(file) for file in named} == {"raw"} else None


@contextmanager
def unpacking(checkpoint: Path, flash: Path | None) -> Iterator["Watch"]:
    """A bar while ``checkpoint``, and ``flash`` of a pair, go through what this gives."""
    with progress(f"unpacking {checkpoint.name}", size_of(checkpoint, flash)) as advance:
        yield partial(told, advance=advance)
