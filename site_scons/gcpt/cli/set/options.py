"""Options that subcommands of ``gcpt set`` share: which points, how many workers, where results go."""

import math
import sys
from collections.abc import Callable
from dataclasses import dataclass
from functools import wraps
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from gcpt.cli.output import InputPath, OutputFolder
from gcpt.errors import UserError

if TYPE_CHECKING:
    from gcpt.sets.executors import Workplace
    from gcpt.sets.points import Point, PointSet
    from gcpt.sets.select import Selection


@dataclass(frozen=True)
class Choice:
    """The points that a command works on.

    Attributes:
        folder: The set as the user named it.
        points: The points.
        whole: The set.
        allow_outside: Whether links and paths may leave the set's folder.
    """

    folder: Path
    points: "tuple[Point, ...]"
    whole: "PointSet"
    allow_outside: bool


@dataclass(frozen=True)
class Engine:
    """How a command works.

    Attributes:
        jobs: Number of workers; 0 for one per core, or per ``cores`` cores.
        on: Where the workers are.
        cores: Cores of each worker, to which it is pinned; 0 to leave that to the system.
        retries: How often a point is tried again.
        do_failed: Whether failed points of an earlier run are done again.
    """

    jobs: int
    on: "Workplace"
    cores: int
    retries: int
    do_failed: bool


class _Where(click.ParamType["Workplace"]):
    """Where the workers are: what is wrong with it is said before a set is read."""

    name = "WHERE"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> "Workplace":
        from gcpt.sets.executors import find_workplace

        return find_workplace(value)


class _Share(click.FloatRange):
    """A part of a whole, 0 to 1: a number, which "nan" is not."""

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        """Parse a number."""
        share = super().convert(value, param, ctx)
        if math.isnan(share):
            self.fail(f"{value!r} is not a number: give one from 0 to 1", param, ctx)
        return share


def selection_options(function: Callable[..., Any]) -> Callable[..., Any]:
    """Add the argument SET and the options that select points, as they are.

    Args:
        function: The subcommand.

    Returns:
        The subcommand with the options.
    """
    for decorate in (
        click.option(
            "--allow-outside", is_flag=True, help="Follow symbolic links and paths that leave the set's folder."
        ),
        click.option(
            "--coverage",
            type=_Share(0, 1),
            metavar="SHARE",
            help="Only the heaviest points of each workload, up to this share of its weight.",
        ),
        click.option("--min-weight", type=_Share(0, 1), metavar="WEIGHT", help="Only points of at least this weight."),
        click.option(
            "--workload", "workloads", multiple=True, metavar="NAME", help="Only this workload; can be repeated."
        ),
        click.argument("set_path", metavar="SET", type=InputPath()),
    ):
        function = decorate(function)
    return function


def set_options(function: Callable[..., Any]) -> Callable[..., Any]:
    """Add the argument SET and the options that select points; the subcommand gets a ``choice``.

    Args:
        function: The subcommand.

    Returns:
        The subcommand with the options.
    """

    @wraps(function)
    def with_choice(
        *arguments: Any,
        set_path: Path,
        workloads: tuple[str, ...],
        min_weight: float | None,
        coverage: float | None,
        allow_outside: bool,
        **others: Any,
    ) -> Any:
        from gcpt.sets.load import load
        from gcpt.sets.select import select

        whole = load(set_path, allow_outside)
        selection = select(whole.points, workloads, min_weight, coverage, whole.samplings)
        if not selection.points:
            raise UserError(f"{set_path}: no point is selected: change --workload, --min-weight or --coverage")
        _say_loss(set_path, whole, selection)
        return function(*arguments, choice=Choice(set_path, tuple(selection.points), whole, allow_outside), **others)

    return selection_options(with_choice)


def _say_loss(path: Path, whole: "PointSet", selection: "Selection") -> None:
    """Say on standard error what is wrong with a set, and how much weight a selection leaves out."""
    if whole.findings:
        codes = ", ".join(dict.fromkeys(found.code for found in whole.findings))
        count = len(whole.findings)
        print(f"gcpt: {path}: {count} finding{'s' * (count != 1)} ({codes}): see gcpt set scan", file=sys.stderr)
    for row in selection.coverages:
        if 0 < row.chosen < row.points:
            print(
                f"gcpt: {row.workload}: {row.chosen} of {row.points} points, "
                f"weight {row.chosen_weight:.6f} of {row.weight:.6f}",
                file=sys.stderr,
            )


def engine_options(*names: str) -> Callable[[Callable[..., Any]], Callable[..., Any]]:
    """Make a decorator that adds the options of the engine; the subcommand gets an ``engine``.

    Args:
        names: Further names of ``--engine``: ``--on``, unless that chooses a simulator.

    Returns:
        The decorator.
    """

    def decorated(function: Callable[..., Any]) -> Callable[..., Any]:
        @wraps(function)
        def with_engine(
            *arguments: Any, jobs: int, where: "Workplace", cores: int, retries: int, do_failed: bool, **others: Any
        ) -> Any:
            where.check(jobs, cores)
            return function(*arguments, engine=Engine(jobs, where, cores, retries, do_failed), **others)

        return _with_options(with_engine, names)

    return decorated


def _with_options(with_engine: Callable[..., Any], names: tuple[str, ...]) -> Callable[..., Any]:
    for decorate in (
        click.option("--redo-failed", "do_failed", is_flag=True, help="Also do points again that failed before."),
        click.option(
            "--retries",
            type=click.IntRange(0, 100),
            default=1,
            show_default=True,
            help="Further attempts after a failure that may not be the checkpoint's, such as a killed worker.",
        ),
        click.option(
            "--cores", type=click.IntRange(0), default=0, help="Pin each worker to this many cores of one NUMA node."
        ),
        click.option(
            "--engine",
            *names,
            "where",
            default="",
            type=_Where(),
            help="Where workers run: ssh:FILE of hosts; slurm, lsf, pbs or sge, as in slurm:partition=short,"
            "memory=8GB; dask://HOST:PORT of a scheduler, tls://HOST:PORT of one with TLS.",
        ),
        click.option(
            "-j",
            "--jobs",
            type=click.IntRange(0),
            default=0,
            help="Workers, by default one per core; or jobs of a queueing system.",
        ),
    ):
        with_engine = decorate(with_engine)
    return with_engine


#: ``-o``, for results that are kept.
results_option = click.option(
    "-o",
    "--results",
    type=OutputFolder(),
    metavar="DIR",
    help="Keep results here, and go on from those that are there.",
)
