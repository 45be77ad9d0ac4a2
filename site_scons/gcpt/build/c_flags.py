"""CFLAGS of an exported folder's make: the macros with which earlier restorers are configured, as options.

``python -m gcpt.build.c_flags`` reads CFLAGS from the environment and prints ``NAME=VALUE`` words for scons. Exit
status: 0 success, 2 a macro has no such option.
"""

import os
import re
import sys

from gcpt import interrupts
from gcpt.errors import UserError, one_line
from gcpt.restorer import parse
from gcpt.restorer.platforms import PLATFORMS

_CLINT, _SERIAL_PORT = "CONFIG_CLINT_MMIO", "CONFIG_SERIAL_PORT"
#: Bytes from a console's address, one of which is its data register: what the macro names differs.
_UART_SIZE = 16


def options(flags: str) -> tuple[dict[str, str], list[str]]:
    """Convert the macros of CFLAGS to options.

    Args:
        flags: The value of CFLAGS.

    Returns:
        Option values by name, and the names of the other CONFIG_ macros.

    Raises:
        UserError: An address is missing or invalid, or no known console is there.
    """
    values, others = {}, []
    for name, value in re.findall(r"-D\s*(CONFIG_\w+)(?:=(\S+))?", flags):
        if name == _CLINT:
            values["clint"] = f"{_address(name, value):#x}"
        elif name == _SERIAL_PORT:
            values["uart"] = _console(_address(name, value))
        else:
            others.append(name)
    return values, others


def _address(name: str, text: str) -> int:
    return parse.address(f"CFLAGS: -D{name}", re.sub(r"[uUlL]+$", "", text.strip("'\"()")))


def _console(port: int) -> str:
    """The value of ``uart=`` for the console with a register at an address."""
    consoles = [platform.uart for platform in PLATFORMS if platform.uart.kind != "htif"]
    for uart in consoles:
        if uart.address <= port < uart.address + _UART_SIZE:
            return str(uart)
    raise UserError(
        f"CFLAGS: -D{_SERIAL_PORT}={port:#x}: the macro does not say what console is there: use ./configure "
        f"--uart=KIND@{port:#x}[,SHIFT] instead"
    )


def main() -> int:
    """Print the options.

    Returns:
        Exit status.
    """
    try:
        values, others = options(os.environ.get("CFLAGS", ""))
    except UserError as error:
        print(f"gcpt: {one_line(str(error))}", file=sys.stderr)
        return 2
    for name in others:
        print(f"gcpt: CFLAGS: {name} is ignored: ./configure --help lists the options", file=sys.stderr)
    print(*(f"{name}={value}" for name, value in values.items()))
    return 0


if __name__ == "__main__":
    interrupts.end_at_once()
    sys.exit(main())
