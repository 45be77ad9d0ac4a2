"""The options that start software on a machine and type on its console, for all subcommands that do."""

import re
from collections.abc import Callable
from dataclasses import fields
from functools import wraps
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from gcpt.cli.output import Address, InputPath, Seconds, check_code_address
from gcpt.cli.quantities import Instructions, memory_option
from gcpt.cli.start import Start
from gcpt.errors import UserError

if TYPE_CHECKING:
    from gcpt.machines.snapshot import Moment


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


def collected(name: str, record: type, *decorators: Callable[[Any], Any]) -> Callable[[Any], Any]:
    """Return a decorator that adds options to a command, which gets their values as one record.

    Args:
        name: The command's argument.
        record: Its dataclass; options without a field stay arguments of the command.
        decorators: The options in their order.

    Returns:
        The decorator.
    """

    def decorate(function: Any) -> Any:
        @wraps(function)
        def with_record(*arguments: Any, **values: Any) -> Any:
            own = {field.name: values.pop(field.name) for field in fields(record) if field.name in values}
            return function(*arguments, **{name: record(**own)}, **values)

        return _added(with_record, *decorators)

    return decorate


def _added(function: Any, *decorators: Callable[[Any], Any]) -> Any:
    """Add options to a command in their order."""
    for option in reversed(decorators):
        function = option(function)
    return function


#: What a machine starts with: its command gets it as ``start``.
start_options = collected(
    "start",
    Start,
    click.option("--firmware", type=InputPath(), help="Start this, such as OpenSBI's fw_jump.bin or fw_dynamic.bin."),
    click.option(
        "--kernel",
        type=InputPath(),
        help="Boot this from the firmware: a Linux Image, or U-Boot. It gets a device tree that keeps it out of the "
        "restorer's memory.",
    ),
    click.option("--initrd", type=InputPath(), help="The kernel's initramfs."),
    click.option("--append", metavar="TEXT", help="The kernel's command line, such as console=ttyS0."),
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
    click.option("--vlen", type=click.IntRange(128, 1024), default=128, show_default=True, help="VLEN in bits."),
    memory_option,
    click.argument("qemu", nargs=-1, metavar="[-- QEMU OPTIONS]"),
)


def moment_options(function: Any) -> Any:
    """Add the options of what happens before a checkpoint or a profile to a command, which gets them as ``moment``."""

    @wraps(function)
    def with_moment(
        *arguments: Any,
        patterns: tuple[str, ...],
        texts: tuple[str, ...],
        at: int | None,
        marker: str | None,
        timeout: float,
        hart: int | None = None,
        after: int | None = None,
        **others: Any,
    ) -> Any:
        moment = _moment(_steps(patterns, texts), at, hart, after, timeout, marker)
        return function(*arguments, moment=moment, **others)

    return _added(
        with_moment,
        click.option(
            "--on",
            "patterns",
            multiple=True,
            metavar="REGEX",
            help="Wait until the console prints this; may be repeated.",
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


def interval_options(function: Any) -> Any:
    """Add the options of how a run is cut into intervals to a command."""
    return _added(
        function,
        click.option(
            "--interval", type=Instructions(), required=True, help="Instructions of an interval, such as 20M."
        ),
        click.option("--last", type=Instructions(), help="The most instructions; by default, until it ends."),
    )


#: ``--timeout``, behind the options that it is for.
timeout_option = click.option(
    "--timeout", type=Seconds(), default=60, show_default=True, help="Seconds for each of these."
)


def _moment(
    console: tuple[tuple[str, str], ...],
    at: int | None,
    hart: int | None,
    after: int | None,
    timeout: float,
    marker: str | None,
) -> "Moment":
    from gcpt.machines.markers import parse
    from gcpt.machines.snapshot import Moment

    if at is not None:
        check_code_address("--at", at)
    return Moment(console, at, hart, after, timeout, parse(marker) if marker else None)


def _steps(patterns: tuple[str, ...], texts: tuple[str, ...]) -> tuple[tuple[str, str], ...]:
    """Pair each pattern with the text to type after it, in the order of the command line."""
    for pattern in patterns:
        try:
            re.compile(pattern)
        except (re.error, ValueError, OverflowError, RecursionError) as error:
            raise UserError(f"--on {pattern!r}: not a regular expression: {error}") from error
    pairs: list[tuple[str, str]] = []
    remaining_patterns, remaining_texts = iter(patterns), iter(text.replace("\\n", "\n") for text in texts)
    for name in click.get_current_context().meta["order"]:
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
