"""``gcpt diff``: what differs between two checkpoints."""

from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from gcpt.cli.output import json_option, progress, say_json, size_of, told
from gcpt.console import print_table

if TYPE_CHECKING:
    from gcpt.checkpoint.difference import Difference

#: Ranges of memory that are printed; --json has more.
_SHOWN = 40


@click.command()
@click.argument("a", type=click.Path(path_type=Path))
@click.argument("b", type=click.Path(path_type=Path))
@click.option("--flash-a", type=click.Path(path_type=Path), help="The flash image that holds the state of A.")
@click.option("--flash-b", type=click.Path(path_type=Path), help="The flash image that holds the state of B.")
@click.option("--all", "everything", is_flag=True, help="Compare the first MiB and the places of the states too.")
@json_option
def command(a: Path, b: Path, flash_a: Path | None, flash_b: Path | None, everything: bool, as_json: bool) -> int:
    """Compare the checkpoints A and B: registers by name and CSR field, memory by ranges of 4 KiB pages.

    Layouts and containers may differ: the same state is the same. The first MiB of memory, which is the restorer's, and
    the bytes in which each keeps its own state are left out. Exit status 1: something differs.

    \b
    Example:
      gcpt diff before.zst after.gz
    """
    from gcpt.checkpoint.difference import compare
    from gcpt.checkpoint.files import open_checkpoint

    opened = open_checkpoint(a, flash_a), open_checkpoint(b, flash_b)
    with progress("comparing", size_of(a, flash_a if flash_b else None)) as advance:
        found = compare(*opened, everything, partial(told, advance=advance))
    if as_json:
        say_json(_json(found))
    else:
        _print(a, b, found)
    return 1 if found else 0


def _json(found: "Difference") -> dict[str, Any]:
    return {
        "differ": bool(found),
        "harts": found.harts,
        "registers": [
            {
                "hart": one.hart,
                "name": one.name,
                "a": one.values[0],
                "b": one.values[1],
                "fields": [{"name": name, "a": first, "b": second} for name, first, second in one.fields],
            }
            for one in found.registers
        ],
        "memory": {
            name: {
                "bytes": one.size,
                "ranges": one.count,
                "first": [{"begin": low, "end": high} for low, high in one.ranges],
            }
            for name, one in found.memory.items()
        },
    }


def _text(value: int | str) -> str:
    return f"{value:#x}" if isinstance(value, int) else value


def _print(a: Path, b: Path, found: "Difference") -> None:
    if not found:
        print(f"{a} and {b}: the same state and memory")
        return
    if found.harts[0] != found.harts[1]:
        print(f"harts: {found.harts[0]} and {found.harts[1]}")
    if found.registers:
        rows = []
        for one in found.registers:
            fields = ", ".join(f"{first} / {second}" for _, first, second in one.fields)
            rows.append((one.hart, one.name, *map(_text, one.values), fields))
        print_table(("hart", "register", "A", "B", "fields"), rows)
    for name, memory in found.memory.items():
        if memory.size:
            print(f"{name}: {memory.size:,} bytes in {memory.count:,} range{'s' * (memory.count > 1)} of pages")
            print_table(
                ("from", "to", "bytes"), [(hex(low), hex(high), high - low) for low, high in memory.ranges[:_SHOWN]]
            )
            if memory.count > _SHOWN:
                print(f"... and {memory.count - _SHOWN:,} more (--json)")
