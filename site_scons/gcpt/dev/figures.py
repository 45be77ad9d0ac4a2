"""The figures of a bench: kind -> what was measured -> number. Their file, how two differ, whether budgets hold."""

import json
import tomllib
from collections.abc import Mapping
from pathlib import Path

from gcpt.console import format_number
from gcpt.errors import UserError

#: Kind ("instructions") -> name ("single_core, S") -> number.
Figures = dict[str, dict[str, float]]
#: The form of the JSON file; docs/bench.md describes it.
SCHEMA = 1
#: Kinds of which more is better. Of all others less is.
MORE_IS_BETTER = ("exact",)


def save(path: Path, machine: Mapping[str, str], figures: Figures) -> None:
    path.write_text(json.dumps({"schema": SCHEMA, "machine": machine, "figures": figures}, indent=2) + "\n")


def check_writable(path: Path) -> None:
    """UserError now rather than after minutes of measuring."""
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.open("a").close()
    except OSError as error:
        raise UserError(f"{path}: cannot be written: {error.strerror}") from None


def load(path: Path) -> Figures:
    """The figures that ``save`` wrote; UserError where it is no such file."""
    try:
        saved = json.loads(path.read_text())
    except OSError as error:
        raise UserError(f"{path}: cannot be read: {error.strerror}") from None
    except ValueError as error:
        raise UserError(f"{path}: this is no JSON ({error}): bench_json=FILE writes what can be compared") from None
    if not isinstance(saved, dict) or saved.get("schema") != SCHEMA:
        raise UserError(f"{path}: no figures of schema {SCHEMA}: bench_json=FILE writes them")
    figures: Figures = saved["figures"]
    return figures


def load_budgets(path: Path) -> Figures:
    with path.open("rb") as file:
        return tomllib.load(file)


def within(kind: str, value: float, budget: float) -> bool:
    return value >= budget if kind in MORE_IS_BETTER else value <= budget


def exceeded(figures: Figures, budgets: Figures) -> list[str]:
    """What is wrong, in a line each: figures beyond their budgets, or without one, and budgets of nothing measured."""
    lines = []
    for kind, limits in budgets.items():
        measured = figures.get(kind, {})
        for name, value in measured.items():
            if name not in limits:
                lines.append(f"{kind}: {name}: {value:,} and no budget: add it")
            elif not within(kind, value, limits[name]):
                by = f"{abs(value - limits[name]):,} {'fewer' if kind in MORE_IS_BETTER else 'more'}"
                lines.append(f"{kind}: {name}: {value:,} is {by} than its budget of {limits[name]:,}")
        lines += [f"{kind}: {name}: a budget for what is not measured" for name in limits if name not in measured]
    return lines


def improved(figures: Figures, budgets: Figures) -> list[str]:
    """The figures that are better than their budgets, in a line each."""
    return [
        f"{kind}: {name}: {figures[kind][name]:,}: its budget of {limit:,} can be made that"
        for kind, limits in budgets.items()
        for name, limit in limits.items()
        if name in figures.get(kind, {}) and figures[kind][name] != limit and within(kind, figures[kind][name], limit)
    ]


def differences(old: Figures, new: Figures) -> list[tuple[str, ...]]:
    """Rows: what, old, new, new / old; "-" where there is nothing to tell."""
    names = [(kind, name) for figures in (new, old) for kind, named in figures.items() for name in named]
    rows: list[tuple[str, ...]] = []
    for kind, name in dict.fromkeys(names):
        before, now = old.get(kind, {}).get(name), new.get(kind, {}).get(name)
        ratio = f"{now / before:.3f}" if before and now is not None else "-"
        rows.append((f"{kind}: {name}", format_number(before), format_number(now), ratio))
    return rows
