"""``gcpt diff``: compare two checkpoints."""

from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from gcpt.cli.output import InputPath, json_option, progress, say_json, size_of, track
from gcpt.console import print_table

if TYPE_CHECKING:
    from gcpt.checkpoint.difference import Difference

#: The most ranges of memory to print; --json has more.
_MAX_RANGES = 40


@click.command()
@click.argument("a", type=InputPath())
@click.argument("b", type=InputPath())
@click.option("--flash-a", type=InputPath(), help="The flash image of A, a flash pair (it holds the state).")
@click.option("--flash-b", type=InputPath(), help="The flash image of B, a flash pair (it holds the state).")
@click.option("--all", "everything", is_flag=True, help="Also compare the first MiB, header and blocks.")
@json_option
def command(a: Path, b: Path, flash_a: Path | None, flash_b: Path | None, everything: bool, as_json: bool) -> int:
    """Compare the checkpoints A and B: registers by name and CSR field, memory by ranges of 4 KiB pages.

    Layouts and containers may differ. The comparison leaves out the first MiB of memory, which belongs to the
    restorer, and the header and blocks of each checkpoint. A flash image that only one of them has is compared with
    zeros. Exit status 1: A and B differ.

    \b
    Example:
      gcpt diff before.zst after.gz
    """
    from gcpt.checkpoint.difference import compare
    from gcpt.checkpoint.files import open_checkpoint

    opened = open_checkpoint(a, flash_a), open_checkpoint(b, flash_b)
    with progress("comparing", size_of(a, flash_a)) as advance:
        difference = compare(*opened, everything, partial(track, advance=advance))
    if as_json:
        say_json(_json(difference))
    else:
        _print(a, b, difference)
    return 1 if difference else 0


def _json(difference: "Difference") -> dict[str, Any]:
    return {
        "differ": bool(difference),
        "harts": difference.harts,
        "registers": [
            {
                "hart": register.hart,
                "name": register.name,
                "a": register.values[0],
                "b": register.values[1],
                "fields": [{"name": name, "a": first, "b": second} for name, first, second in register.fields],
            }
            for register in difference.registers
        ],
        "memory": {
            name: {
                "bytes": memory.size,
                "ranges": memory.count,
                "first": [{"begin": low, "end": high} for low, high in memory.ranges],
                **({"only_in": memory.only_in} if name == "flash" else {}),
            }
            for name, memory in difference.memory.items()
        },
    }


def _text(value: int | str) -> str:
    return f"{value:#x}" if isinstance(value, int) else value


def _print(a: Path, b: Path, difference: "Difference") -> None:
    if not difference:
        print(f"{a} and {b}: the same state and memory")
        return
    if difference.harts[0] != difference.harts[1]:
        print(f"harts: {difference.harts[0]} and {difference.harts[1]}")
    if difference.registers:
        rows = []
        for register in difference.registers:
            fields = ", ".join(f"{first} / {second}" for _, first, second in register.fields)
            rows.append((register.hart, register.name, *map(_text, register.values), fields))
        print_table(("hart", "register", "A", "B", "fields"), rows)
    for name, memory in difference.memory.items():
        if memory.size:
            alone = f", only {memory.only_in.upper()} has this image" if memory.only_in else ""
            print(f"{name}: {memory.size:,} bytes in {memory.count:,} range{'s' * (memory.count > 1)} of pages{alone}")
            print_table(
                ("from", "to", "bytes"),
                [(hex(low), hex(high), high - low) for low, high in memory.ranges[:_MAX_RANGES]],
            )
            if memory.count > _MAX_RANGES:
                print(f"... and {memory.count - _MAX_RANGES:,} more (--json)")
