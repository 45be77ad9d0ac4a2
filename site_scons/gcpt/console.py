"""Lines and tables on standard output."""

import sys
from collections.abc import Iterable, Sequence
from textwrap import TextWrapper

#: The width, in columns, of a terminal that fits any table.
_ANY = 1 << 16


def say(text: str) -> None:
    """Write a line in one call: print() writes text and newline separately, and another thread may write between them.

    Args:
        text: The line, without newline.
    """
    sys.stdout.write(f"{text}\n")


def _widest(text: str) -> int:
    """The length of the longest word of ``text``."""
    return max(map(len, text.split()), default=0)


def format_number(number: float | None) -> str:
    """Format a number for a table.

    Args:
        number: The number, or None for an empty cell.

    Returns:
        ``1,234`` for an integer, ``1,234.567`` for a float, ``-`` for None.
    """
    if number is None:
        return "-"
    return f"{number:,}" if isinstance(number, int) else f"{number:,.3f}"


def format_table(columns: Sequence[str], rows: Iterable[Sequence[object]], *, numbers: bool = False) -> str:
    """Format a table as plain text for pipes and logs: aligned with spaces, never truncated.

    Args:
        columns: The names of the columns.
        rows: The cells of each row.
        numbers: Right-align all columns except the first.

    Returns:
        The lines, without trailing spaces and without a newline at the end.
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
    """Print a table: drawn on a terminal, as plain text in a pipe.

    Cells wrap at spaces, never within a word. If the terminal is too narrow, each row becomes a block of lines, one for
    each column.

    Args:
        columns: The names of the columns.
        rows: The cells of each row.
        styles: A rich style for each row; by default none.
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
