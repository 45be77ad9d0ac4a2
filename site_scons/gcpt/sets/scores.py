"""Weight figures into scores: per workload, and over the suite, with the coverage beside each."""

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from gcpt.sets.results import Result


@dataclass(frozen=True)
class Score:
    """The weighted mean of one figure over a workload's finished points.

    Attributes:
        workload: The workload.
        figure: The figure's name.
        value: The mean; None if no finished point has the figure and a weight.
        coverage: The weight of the points in ``value``: their share of the workload.
        possible: The weight of all points of the run.
        missing: Names of the points that are not in ``value``.
    """

    workload: str
    figure: str
    value: float | None
    coverage: float
    possible: float
    missing: tuple[str, ...]


def _mean(pairs: Sequence[tuple[float, float]], is_rate: bool) -> float | None:
    """The mean of (weight, value) pairs: the harmonic one for rates, as each point stands for as many instructions."""
    total = math.fsum(weight for weight, _ in pairs)
    if not total or (is_rate and any(value <= 0 for _, value in pairs)):
        return None
    if is_rate:
        return total / math.fsum(weight / value for weight, value in pairs)
    return math.fsum(weight * value for weight, value in pairs) / total


def score(results: Iterable[Result], rates: Mapping[str, bool]) -> list[Score]:
    """Score each workload. Failed points and points without a weight are not scored.

    Args:
        results: The results of all points of a run; a point that is not done counts as failed.
        rates: The figures, and whether each is a rate.

    Returns:
        A score for each workload and figure, the workloads in alphabetical order.
    """
    workloads: dict[str, list[Result]] = {}
    for result in results:
        workloads.setdefault(result.workload, []).append(result)
    scores = []
    for workload, points in sorted(workloads.items()):
        possible = math.fsum(result.weight or 0 for result in points)
        for figure, is_rate in rates.items():
            scored = [result for result in points if result.is_finished and result.weight and figure in result.figures]
            pairs = [(result.weight or 0, result.figures[figure]) for result in scored]
            names = {result.name for result in scored}
            missing = tuple(result.name for result in points if result.name not in names)
            coverage = math.fsum(weight for weight, _ in pairs)
            scores.append(Score(workload, figure, _mean(pairs, is_rate), coverage, possible, missing))
    return scores


@dataclass(frozen=True)
class Suite:
    """The geometric mean of one figure over the workloads that have a score.

    Attributes:
        value: The mean; None if no workload has a score, or one is not above 0.
        workloads: The number of workloads in it.
        coverage: What it covers of the workloads of the run: the mean of their coverages, 0 without a score.
    """

    value: float | None
    workloads: int
    coverage: float


def suite(scores: Sequence[Score], figure: str) -> Suite:
    """Score the suite.

    Args:
        scores: The scores of all workloads of the run.
        figure: The figure's name.

    Returns:
        Its score.
    """
    rows = [score for score in scores if score.figure == figure]
    scored = [(score.value, score.coverage) for score in rows if score.value is not None]
    values = [value for value, _ in scored]
    coverage = math.fsum(share for _, share in scored) / len(rows) if rows else 0.0
    if not values or min(values) <= 0:
        return Suite(None, len(values), coverage)
    mean = math.exp(math.fsum(math.log(value) for value in values) / len(values))
    return Suite(mean, len(values), coverage)
