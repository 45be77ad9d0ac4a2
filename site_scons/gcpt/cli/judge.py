"""The options that choose and configure a simulator, for all subcommands that boot a checkpoint."""

from collections.abc import Callable
from functools import wraps
from typing import Any

import click

#: The judges, as gcpt.machines.judges has them; not imported, because each subcommand's --help must be fast.
JUDGES = ("qemu", "spike", "rtl")


def judge_options(*judges: str) -> Callable[[Callable[..., Any]], Callable[..., Any]]:
    """Return a decorator that adds the options to a subcommand, which gets the ``judge`` that they choose.

    Args:
        judges: The judges that it has.
    """

    def decorate(function: Callable[..., Any]) -> Callable[..., Any]:
        return _with_options(function, judges)

    return decorate


def _with_options(function: Callable[..., Any], judges: tuple[str, ...]) -> Callable[..., Any]:
    """Return the subcommand with the options."""

    @wraps(function)
    def with_judge(
        *arguments: Any,
        on: str | None,
        qemu: str | None,
        cpu: str,
        machine: str,
        isa: str,
        options: tuple[str, ...],
        **others: Any,
    ) -> Any:
        from gcpt.machines.judges import choose

        return function(*arguments, judge=choose(on, qemu, cpu, machine, isa, options), **others)

    for decorate in (
        click.argument("options", nargs=-1, type=click.UNPROCESSED, metavar="[-- OPTIONS]"),
        click.option("--isa", default="", metavar="ISA", help="Spike's --isa; by default one that fits CHECKPOINT."),
        click.option("--machine", default="", metavar="NAME", help="QEMU's -machine: virt, the default, or spike."),
        click.option("--cpu", default="", metavar="CPU", help="QEMU's -cpu; by default one that fits CHECKPOINT."),
        click.option("--qemu", metavar="PROGRAM", help="The QEMU to run; by default qemu-system-riscv64."),
        click.option(
            "--on", type=click.Choice(judges), help="The simulator; by default QEMU, or Spike if only that is there."
        ),
    ):
        with_judge = decorate(with_judge)
    return with_judge
