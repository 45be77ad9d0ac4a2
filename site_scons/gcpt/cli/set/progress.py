"""The progress of work on a set: a bar on a terminal, lines in a pipe, or events as JSON."""

import json
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from gcpt.sets.results import Result

#: Receives each result as it comes.
Show = Callable[["Result"], None]


def time_text(seconds: float) -> str:
    """Write a time for people.

    Args:
        seconds: The time.

    Returns:
        Such as ``35.1 s``, ``12 min`` or ``3.5 h``.
    """
    if seconds < 100:
        return f"{seconds:.1f} s"
    return f"{seconds / 60:.0f} min" if seconds < 6000 else f"{seconds / 3600:.1f} h"


class _Rate:
    """How fast points end, and how long the rest takes."""

    def __init__(self, total: int) -> None:
        self.total, self.done, self.failed = total, 0, 0
        self._start = time.monotonic()

    def count(self, result: "Result") -> None:
        self.done += 1
        self.failed += not result.is_finished

    @property
    def per_second(self) -> float:
        return self.done / max(time.monotonic() - self._start, 1e-6)

    @property
    def left(self) -> float:
        return (self.total - self.done) / self.per_second

    def text(self) -> str:
        speed = self.per_second
        rate = f"{speed:.1f}/s" if speed >= 0.1 else f"{speed * 3600:.1f}/h"
        return f"{rate}, {time_text(self.left)} left"


def result_line(result: "Result") -> str:
    """Describe a result in one line.

    Args:
        result: The result.
    """
    from gcpt.errors import one_line

    if result.is_finished:
        return one_line(f"{result.name}: {result.state}, {time_text(result.seconds)}")
    return one_line(f"{result.name}: {result.state} ({result.cause}): {result.message}")


def say_event(event: str, **values: Any) -> None:
    """Print an event as a line of JSON.

    Args:
        event: Its name.
        values: Its values.
    """
    sys.stdout.write(json.dumps({"event": event, **values}) + "\n")
    sys.stdout.flush()


@contextmanager
def showing(total: int, kept: int, as_json: bool, quiet: bool = False) -> Iterator[Show]:
    """Show the progress of a run.

    Args:
        total: Points that are left to do.
        kept: Points whose results are there already.
        as_json: Print an event for each point as JSON.
        quiet: Print no lines in a pipe.

    Yields:
        The function that shows a result.
    """
    rate = _Rate(total)
    if as_json:
        say_event("start", points=total + kept, kept=kept)

        def show_event(result: "Result") -> None:
            rate.count(result)
            values = {name: value for name, value in asdict(result).items() if name not in ("files", "facts")}
            speed = {"rate": round(rate.per_second, 6), "left": round(rate.left, 1)}
            say_event("point", name=result.name, **values, done=rate.done + kept, total=total + kept, **speed)

        yield show_event
    elif sys.stderr.isatty():
        yield from _bar(rate, kept)
    else:

        def show_line(result: "Result") -> None:
            rate.count(result)
            if not quiet:
                print(f"{rate.done + kept}/{total + kept} {result_line(result)}; {rate.text()}", flush=True)

        yield show_line


def _bar(rate: _Rate, kept: int) -> Iterator[Show]:
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn
    from rich.text import Text

    columns = (BarColumn(), MofNCompleteColumn(), TextColumn("{task.fields[rate]}"))
    console = Console(stderr=True, highlight=False)
    with Progress(*columns, console=console, transient=True) as bar:
        task = bar.add_task("", total=rate.total + kept, completed=kept, rate="")

        def show_bar(result: "Result") -> None:
            rate.count(result)
            if not result.is_finished:
                bar.console.print(Text(result_line(result)))
            failed = f", {rate.failed} failed" if rate.failed else ""
            bar.update(task, advance=1, rate=rate.text() + failed)

        yield show_bar
