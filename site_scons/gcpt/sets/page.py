"""The page of ``gcpt set report``: scores, coverage, the state of every point, and failures by cause."""

import math
from pathlib import Path
from typing import Any

from gcpt.checkpoint import apart, output
from gcpt.report import pages
from gcpt.sets.results import CAUSES, FAILED, FINISHED, Result
from gcpt.sets.runs import RUNNING, WAITING, Run, failures
from gcpt.sets.scores import score, suite

#: The states in the order of a workload's bar.
_STATES = (FINISHED, FAILED, RUNNING, WAITING)
#: Points in the table of the slowest.
_SLOWEST = 20


def _bars(points: list[Result]) -> list[dict[str, Any]]:
    """The states of a workload's points as parts of a bar of 100 units: by weight, or by number without weights."""
    total = math.fsum(result.weight or 0 for result in points)
    parts, start = [], 0.0
    for state in _STATES:
        chosen = [result for result in points if result.state == state]
        share = math.fsum(result.weight or 0 for result in chosen) / total if total else len(chosen) / len(points)
        if chosen:
            parts.append({"state": state, "start": start, "width": 100 * share, "count": len(chosen)})
        start += 100 * share
    return parts


def _workloads(points: list[Result]) -> list[dict[str, Any]]:
    groups: dict[str, list[Result]] = {}
    for result in points:
        groups.setdefault(result.workload, []).append(result)
    return [
        {
            "name": name,
            "points": len(group),
            "finished": sum(result.is_finished for result in group),
            "weight": math.fsum(result.weight or 0 for result in group),
            "covered": math.fsum(result.weight or 0 for result in group if result.is_finished),
            "seconds": math.fsum(result.seconds for result in group),
            "parts": _bars(group),
        }
        for name, group in sorted(groups.items())
    ]


def page(run: Run) -> str:
    """Render the page of a run.

    Args:
        run: The run.

    Returns:
        The page as HTML.
    """
    figures = {row["name"]: bool(row["is_rate"]) for row in run.facts.get("rules", {}).get("figures", [])}
    scores = score(run.points, figures)
    shown = [name for name in figures if any(row.value is not None for row in scores if row.figure == name)]
    table: dict[str, list[Any]] = {}
    for row in scores:
        if row.figure in shown:
            table.setdefault(row.workload, []).append(row)
    counts = run.counts()
    done = [result for result in run.points if result.state in (FINISHED, FAILED)]
    return pages.render(
        "set.html",
        name=run.folder.absolute().name,
        run=run,
        counts=[(state, counts[state]) for state in _STATES],
        unweighted=[result.name for result in run.points if result.weight is None],
        workloads=_workloads(run.points),
        figures=shown,
        figure_columns=[(name, "n") for name in shown],
        score_columns=[("workload", ""), *((title, "n") for name in shown for title in (name, "weight"))],
        scores=table,
        suite=[suite(scores, name) for name in shown],
        failures=[(cause, CAUSES[cause], group) for cause, group in failures(run.points).items()],
        slowest=sorted(done, key=lambda result: -result.seconds)[:_SLOWEST],
        command=" ".join(map(str, run.facts.get("command", []))),
    )


def write(out: Path, run: Run) -> int:
    """Write the page of a run; on an error, leave the output as it was.

    Args:
        out: The file to write.
        run: The run.

    Returns:
        The length of the page in bytes.

    Raises:
        UserError: The page cannot be written, or the file is there and is no page: an image or a result.
    """
    apart.check_kind("--html", out, lambda head: head.lower().startswith(b"<!doctype html"), "page")
    text = page(run).encode(errors="replace")
    with output.replacing(out) as file:
        file.write(text)
    return len(text)
