"""What is written to standard output: lines, and the one printer of tables."""

import sys
from collections.abc import Iterable, Sequence
from textwrap import TextWrapper

#: Columns of a terminal on which any table fits.
_ANY = 1 << 16


def say(text: str) -> None:
    """Write a line at once: print() writes text and newline apart, and another thread's line may come between."""
    sys.stdout.write(f"{text}\n")


def _widest(text: str) -> int:
    """The length of the longest word of ``text``."""
    return max(map(len, text.split()), default=0)


def format_number(number: float | None) -> str:
    """``1,234``, or with three digits after the point if it is no integer; ``-`` for None."""
    if number is None:
        return "-"
    return f"{number:,}" if isinstance(number, int) else f"{number:,.3f}"


def format_table(columns: Sequence[str], rows: Iterable[Sequence[object]], *, numbers: bool = False) -> str:
    """A table as plain text for pipes and logs: aligned with blanks, never cut.

    Args:
        columns: The names of the columns.
        rows: The cells of each row.
        numbers: Align all columns but the first to the right.

    Returns:
        The lines, without blanks or a newline at their ends.
    """
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    table = Table(box=None, padding=(0, 2, 0, 0), pad_edge=False, header_style="")
    for place, column in enumerate(columns):
        table.add_column(Text(column), justify="right" if numbers and place else "left", no_wrap=True)
    for row in rows:
        table.add_row(*(Text(str(cell)) for cell in row))
    console = Console(width=_ANY, highlight=False, no_color=True)
    with console.capture() as capture:
        console.print(table)
    return "\n".join(line.rstrip() for line in capture.get().splitlines())


def print_table(columns: Sequence[str], rows: Iterable[Sequence[object]], styles: Sequence[str] = ()) -> None:
    """Print a table: drawn on a terminal, plain text in a pipe.

    Lines are broken at blanks, and never within a word: where the terminal is too narrow for that, each row is a block,
    its values below each other.

    Args:
        columns: The names of the columns.
        rows: The cells of each row.
        styles: rich's style of each row, where it has one.
    """
    from rich import box
    from rich.console import Console
    from rich.measure import Measurement
    from rich.table import Table
    from rich.text import Text

    cells = [[str(cell) for cell in row] for row in rows]
    if not sys.stdout.isatty():
        say(format_table(columns, cells))
        return
    table = Table(box=box.SIMPLE_HEAD, header_style="bold", pad_edge=False)
    for column, values in zip(columns, zip(*cells, strict=True), strict=True):
        table.add_column(column, overflow="fold", min_width=max(map(_widest, (column, *values))))
    for number, row in enumerate(cells):
        table.add_row(*map(Text, row), style=styles[number] if styles else "")
    console = Console(highlight=False)
    if Measurement.get(console, console.options.update(max_width=_ANY), table).minimum <= console.width:
        console.print(table)
        return
    name_width = max(map(len, columns)) + 2
    words = TextWrapper(max(console.width - name_width, 1), break_long_words=False, break_on_hyphens=False)
    for row in cells:
        console.print()
        for column, value in zip(columns, row, strict=True):
            name = Text(column.ljust(name_width), style="bold")
            for line in words.wrap(value):
                console.print(name + Text(line), soft_wrap=True)
                name = Text(" " * name_width)
