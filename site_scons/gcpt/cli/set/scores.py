"""Scores and failures of a run, on a terminal and as JSON."""

from collections.abc import Sequence
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

from gcpt.console import print_table
from gcpt.errors import one_line

if TYPE_CHECKING:
    from gcpt.sets.results import Result
    from gcpt.sets.rules import Figure


def score_json(results: "Sequence[Result]", figures: "Sequence[Figure]") -> dict[str, Any]:
    """Return scores as JSON.

    Args:
        results: The results of all points.
        figures: The figures.
    """
    from gcpt.sets.scores import score, suite

    scores = score(results, {figure.name: figure.is_rate for figure in figures})
    totals = {}
    for figure in figures:
        whole = suite(scores, figure.name)
        totals[figure.name] = {
            "geometric_mean": whole.value,
            "workloads": whole.workloads,
            "coverage": whole.coverage,
        }
    return {"workloads": [asdict(row) for row in scores], "suite": totals}


def print_scores(results: "Sequence[Result]", figures: "Sequence[Figure]") -> None:
    """Print a table of scores, with the coverage beside each.

    Args:
        results: The results of all points.
        figures: The figures.
    """
    from gcpt.sets.scores import score, suite

    scores = score(results, {figure.name: figure.is_rate for figure in figures})
    shown = [
        figure.name for figure in figures if any(row.value is not None for row in scores if row.figure == figure.name)
    ]
    if not shown:
        return
    by_workload: dict[str, list[str]] = {}
    for row in scores:
        if row.figure in shown:
            cells = by_workload.setdefault(row.workload, [row.workload])
            cells += ["-" if row.value is None else f"{row.value:,.6g}", f"{row.coverage:.4f} of {row.possible:.4f}"]
    total = ["geometric mean"]
    for name in shown:
        whole = suite(scores, name)
        total.append("-" if whole.value is None else f"{whole.value:,.6g}")
        total.append(f"{whole.coverage:.4f}, {whole.workloads} of {len(by_workload)} workloads")
    columns = [column for name in shown for column in (name, "weight scored")]
    print_table(["workload", *columns], [*by_workload.values(), total])


def print_failures(results: "Sequence[Result]") -> None:
    """Print the points that are not finished, grouped by cause.

    Args:
        results: The results of all points.
    """
    from gcpt.sets.results import CAUSES
    from gcpt.sets.runs import failures

    for cause, group in failures(results).items():
        print(f"{cause} ({CAUSES[cause]}): {len(group)}")
        for result in group:
            print("  " + one_line(f"{result.name}: {result.message}"))


def summary(results: "Sequence[Result]") -> str:
    """Count the states of points in one line.

    Args:
        results: The results.
    """
    from collections import Counter

    counts = Counter(result.state for result in results)
    return f"{len(results)} points: " + ", ".join(f"{count} {state}" for state, count in sorted(counts.items()))
