"""The option types of quantities, each with its own suffixes: instructions, and bytes of a machine's memory."""

import click

from gcpt.checkpoint.layouts import RESERVED_SIZE
from gcpt.checkpoint.points import parse_count

#: The largest memory of a machine, in bytes.
_MAX_MEMORY = 1 << 41
#: More digits than any size has: Python refuses to convert thousands of them.
_MAX_DIGITS = 20
_SHIFTS = {"K": 10, "M": 20, "G": 30}


class Instructions(click.ParamType[int]):
    """The type of options with a count of instructions: from 1; k, M and G are decimal."""

    name = "COUNT"

    def convert(self, value: object, param: click.Parameter | None, ctx: click.Context | None) -> int:
        """Parse a count."""
        try:
            count = parse_count(str(value))
        except ValueError as error:
            self.fail(str(error), param, ctx)
        if count == 0:
            self.fail(f"{value!r}: there is nothing to count: give 1 at least", param, ctx)
        return count


class MemorySize(click.ParamType[int]):
    """The type of options with a machine's memory in bytes; K, M and G are binary."""

    name = "SIZE"

    def convert(self, value: object, param: click.Parameter | None, ctx: click.Context | None) -> int:
        """Parse a size; a default that is a number already stays as it is."""
        if isinstance(value, int):
            return value
        text = str(value)
        shift = _SHIFTS.get(text[-1:].upper())
        digits = text[:-1] if shift else text
        if not (digits.isascii() and digits.isdigit() and len(digits) <= _MAX_DIGITS):
            self.fail(f"{text!r} is not a size: give bytes, or KiB, MiB or GiB such as 512M or 4G", param, ctx)
        size = int(digits) << (shift or 0)
        if size > _MAX_MEMORY:
            self.fail(f"{text!r} is too large: give at most {_MAX_MEMORY >> 30}G", param, ctx)
        if size <= RESERVED_SIZE:
            meant = f"{int(digits)}M" if shift != 20 and int(digits) > 1 else "128M"
            self.fail(f"{text!r} is {size} bytes, which hold no firmware: did you mean {meant}?", param, ctx)
        return size


#: ``--memory``, for all subcommands that start a machine.
memory_option = click.option(
    "--memory",
    type=MemorySize(),
    default=0,
    help="The machine's memory, such as 512M or 2G; at least, and by default, the image's size.",
    metavar="SIZE",
)
