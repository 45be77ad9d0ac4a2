"""The options that start software on a machine and type on its console, for all subcommands that do."""

import re
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from gcpt.cli.booting import Boot, boot_options
from gcpt.cli.output import Address, Seconds, check_code_address
from gcpt.cli.quantities import Instructions, memory_option
from gcpt.errors import UserError

if TYPE_CHECKING:
    from gcpt.machines.snapshot import MachineSetup

#: Files with their addresses.
Loads = tuple[tuple[Path, int], ...]


class _Load(click.ParamType[tuple[Path, int]]):
    name = "FILE@ADDR"

    def convert(self, value: object, param: click.Parameter | None, ctx: click.Context | None) -> tuple[Path, int]:
        file, _, address = str(value).rpartition("@")
        try:
            if not file:
                raise ValueError
            return Path(file), Address().convert(address, param, ctx)
        except ValueError:
            self.fail(f"{value!r}: want FILE@ADDR, such as fw_jump.bin@0x80100000", param, ctx)


class InOrder(click.Command):
    """Keep the order of the options: ``meta["order"]`` of the context lists the parameter of each option given."""

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        """Parse the arguments."""
        ctx.meta["order"] = [parameter.name for parameter in self.make_parser(ctx).parse_args(list(args))[2]]
        return super().parse_args(ctx, args)


def _decorator(*decorators: Callable[[Any], Any]) -> Callable[[Any], Any]:
    """Return a decorator that adds options in their order."""

    def decorate(function: Any) -> Any:
        for option in reversed(decorators):
            function = option(function)
        return function

    return decorate


#: What is in memory, and where it starts.
software_options = _decorator(
    boot_options,
    click.option(
        "--load",
        "loads",
        type=_Load(),
        multiple=True,
        help="Load a raw binary or device tree into memory at the start; may be repeated.",
    ),
    click.option(
        "--data",
        "data",
        type=_Load(),
        multiple=True,
        help="Load a file of any content, such as an initramfs or a compressed kernel, as it is; may be repeated.",
    ),
    click.option(
        "--start", type=Address(), help="Address at which the harts start; by default that of the first file."
    ),
)
#: The machine, but for its harts.
machine_options = _decorator(
    click.option("--vlen", type=click.IntRange(128, 1024), default=128, show_default=True, help="VLEN in bits."),
    memory_option,
)
#: What happens before the moment.
moment_options = _decorator(
    click.option(
        "--on", "patterns", multiple=True, metavar="REGEX", help="Wait until the console prints this; may be repeated."
    ),
    click.option(
        "--type", "texts", multiple=True, help="Type this after the preceding --on matched; \\n is a newline."
    ),
    click.option("--at", type=Address(), help="Then run until a hart is at this pc."),
    click.option(
        "--start-at",
        "marker",
        metavar="MARKER",
        help="Then begin to count at a marker: hint:N (slti x0, x0, N), trap:CODE (NEMU's trap) or console:REGEX.",
    ),
)
#: How a run is cut into intervals.
interval_options = _decorator(
    click.option("--interval", type=Instructions(), required=True, help="Instructions of an interval, such as 20M."),
    click.option("--last", type=Instructions(), help="The most instructions; by default, until it ends."),
)
timeout_option = click.option(
    "--timeout", type=Seconds(), default=60, show_default=True, help="Seconds for each of these."
)


def check_patterns(patterns: tuple[str, ...]) -> None:
    """Check ``--on``.

    Args:
        patterns: Its values.

    Raises:
        UserError: One is no regular expression.
    """
    for pattern in patterns:
        try:
            re.compile(pattern)
        except (re.error, ValueError, OverflowError, RecursionError) as error:
            raise UserError(f"--on {pattern!r}: not a regular expression: {error}") from error


def steps(order: list[str], patterns: tuple[str, ...], texts: tuple[str, ...]) -> tuple[tuple[str, str], ...]:
    """Pair each pattern with the text to type after it.

    Args:
        order: The parameters in command-line order.
        patterns: The values of ``--on``.
        texts: The values of ``--type``.

    Returns:
        The pairs.

    Raises:
        UserError: There is a text before the first pattern.
    """
    pairs: list[tuple[str, str]] = []
    remaining_patterns, remaining_texts = iter(patterns), iter(text.replace("\\n", "\n") for text in texts)
    for name in order:
        if name == "patterns":
            pairs.append((next(remaining_patterns), ""))
        elif name == "texts":
            text = next(remaining_texts)
            if not pairs:
                raise UserError(
                    f"--type {text!r}: the guest may not read its console yet: put the --on to wait for before it"
                )
            pairs[-1] = (pairs[-1][0], pairs[-1][1] + text)
    return tuple(pairs)


def machine_setup(
    boot: Boot,
    loads: Loads,
    data: Loads,
    start: int | None,
    harts: int,
    memory: int,
    vlen: int,
    options: tuple[str, ...],
) -> "MachineSetup | None":
    """Return the machine that the options start.

    Args:
        boot: The values of ``--firmware``, ``--kernel``, ``--initrd`` and ``--append``.
        loads: The values of ``--load``.
        data: The values of ``--data``.
        start: The value of ``--start``.
        harts: Number of harts.
        memory: The value of ``--memory``.
        vlen: The value of ``--vlen``.
        options: Further arguments of QEMU.

    Returns:
        The machine; None without software.

    Raises:
        UserError: An address is odd, VLEN is no power of two, or a kernel lacks something.
    """
    from gcpt.machines.snapshot import Load, MachineSetup

    if start is not None:
        check_code_address("--start", start)
    elif loads:
        check_code_address(f"--load {loads[0][0]}", loads[0][1])
    if vlen & (vlen - 1):
        raise UserError(f"--vlen {vlen}: want a power of two, such as 128 or 256")
    booted, arrangement = boot.arrange(harts)
    content = [*booted, *(Load(*load) for load in loads), *(Load(*load, "--data", True) for load in data)]
    return MachineSetup(content, start, harts, memory, vlen, options, arrangement) if loads or booted else None


def inputs(boot: Boot, loads: Loads, data: Loads, options: tuple[str, ...]) -> dict[str, Path]:
    """List the files that the options read.

    Args:
        boot: The values of ``--firmware``, ``--kernel`` and ``--initrd``.
        loads: The values of ``--load``.
        data: The values of ``--data``.
        options: Further arguments of QEMU.

    Returns:
        The files by their options.
    """
    files = boot.files | {f"--load {file}": file for file, _ in loads} | {f"--data {file}": file for file, _ in data}
    words = re.split("[,=]", ",".join(options))
    return files | {f"a file in QEMU's options, {word}": Path(word) for word in words if word}
