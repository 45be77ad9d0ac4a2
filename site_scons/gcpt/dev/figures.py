"""Figures of the bench: load, save and compare them, and check their budgets."""

import json
import tomllib
from collections.abc import Mapping
from pathlib import Path

from gcpt.console import format_number
from gcpt.errors import UserError

#: Kind ("instructions") -> name ("single_core, S") -> number.
Figures = dict[str, dict[str, float]]
#: The schema of the JSON file; docs/bench.md describes it.
SCHEMA = 1
#: The kind of speeds.
SPEED = "million instructions a second"
#: Kinds for which more is better; for all others, less is better.
MORE_IS_BETTER = ("exact", SPEED)


def save(path: Path, machine: Mapping[str, str], figures: Figures) -> None:
    """Write figures as JSON.

    Args:
        path: The file.
        machine: Versions and processors of the measuring machine.
        figures: The figures.
    """
    path.write_text(json.dumps({"schema": SCHEMA, "machine": machine, "figures": figures}, indent=2) + "\n")


def check_writable(path: Path) -> None:
    """Check before the measurement that its file can be written; create the folder.

    Args:
        path: The file.

    Raises:
        UserError: The file cannot be written.
    """
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.open("a").close()
    except OSError as error:
        raise UserError(f"{path}: cannot write: {error.strerror}") from None


def load(path: Path) -> Figures:
    """Read the figures that ``save`` wrote.

    Args:
        path: The file.

    Returns:
        The figures.

    Raises:
        UserError: The file cannot be read, or is not a file of figures with this schema.
    """
    try:
        saved = json.loads(path.read_text())
    except OSError as error:
        raise UserError(f"{path}: cannot read: {error.strerror}") from None
    except ValueError as error:
        raise UserError(f"{path}: not JSON ({error}): bench_json=FILE writes a file to compare with") from None
    if not isinstance(saved, dict) or saved.get("schema") != SCHEMA:
        raise UserError(f"{path}: no figures with schema {SCHEMA}: bench_json=FILE writes them")
    figures: Figures = saved["figures"]
    return figures


def load_budgets(path: Path) -> Figures:
    """Read the budgets.

    Args:
        path: The TOML file.

    Returns:
        The budgets, in the structure of figures.
    """
    with path.open("rb") as file:
        return tomllib.load(file)


def within(kind: str, value: float, budget: float) -> bool:
    """Check a figure against its budget.

    Args:
        kind: The kind of figure.
        value: The figure.
        budget: Its budget.

    Returns:
        Whether the figure is within the budget.
    """
    return value >= budget if kind in MORE_IS_BETTER else value <= budget


def exceeded(figures: Figures, budgets: Figures) -> list[str]:
    """Find figures beyond their budgets, figures without a budget, and budgets without a figure.

    Args:
        figures: The figures.
        budgets: The budgets.

    Returns:
        A line for each problem.
    """
    lines = []
    for kind, limits in budgets.items():
        measured = figures.get(kind, {})
        for name, value in measured.items():
            if name not in limits:
                lines.append(f"{kind}: {name}: {value:,} has no budget: add one")
            elif not within(kind, value, limits[name]):
                excess = f"{abs(value - limits[name]):,} {'fewer' if kind in MORE_IS_BETTER else 'more'}"
                lines.append(f"{kind}: {name}: {value:,} is {excess} than its budget of {limits[name]:,}")
        lines += [f"{kind}: {name}: budget without a figure: remove it" for name in limits if name not in measured]
    return lines


def improved(figures: Figures, budgets: Figures) -> list[str]:
    """Find figures that are better than their budgets.

    Args:
        figures: The figures.
        budgets: The budgets.

    Returns:
        A line for each of them.
    """
    return [
        f"{kind}: {name}: {figures[kind][name]:,} is better than its budget of {limit:,}: update the budget"
        for kind, limits in budgets.items()
        for name, limit in limits.items()
        if name in figures.get(kind, {}) and figures[kind][name] != limit and within(kind, figures[kind][name], limit)
    ]


def differences(old: Figures, new: Figures) -> list[tuple[str, ...]]:
    """Compare two sets of figures.

    Args:
        old: The earlier figures.
        new: The current figures.

    Returns:
        Rows of name, old, new and ratio new / old; "-" for missing values.
    """
    names = [(kind, name) for figures in (new, old) for kind, named in figures.items() for name in named]
    rows: list[tuple[str, ...]] = []
    for kind, name in dict.fromkeys(names):
        before, now = old.get(kind, {}).get(name), new.get(kind, {}).get(name)
        ratio = f"{now / before:.3f}" if before and now is not None else "-"
        rows.append((f"{kind}: {name}", format_number(before), format_number(now), ratio))
    return rows
