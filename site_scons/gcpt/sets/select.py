"""Select points of a set."""

from collections.abc import Sequence
from dataclasses import dataclass

from gcpt.errors import UserError
from gcpt.sets.points import Point


@dataclass(frozen=True)
class Selection:
    """Selected points.

    Attributes:
        points: The points.
    """

    points: tuple[Point, ...]


def select(
    points: Sequence[Point],
    workloads: Sequence[str] = (),
    min_weight: float | None = None,
    coverage: float | None = None,
) -> Selection:
    """Select points by workload, weight and coverage.

    Args:
        points: The points.
        workloads: Names of workloads; empty for all.
        min_weight: The least weight; None for all.
        coverage: The heaviest points of each workload up to this share of its weight; None for all.

    Returns:
        The selection.

    Raises:
        UserError: The set has no such workload.
    """
    names = {point.workload for point in points}
    for name in workloads:
        if name not in names:
            raise UserError(f"{name}: the set has no such workload")
    chosen = [point for point in points if not workloads or point.workload in workloads]
    if min_weight is not None:
        chosen = [point for point in chosen if point.weight is not None and point.weight >= min_weight]
    if coverage is not None:
        total: dict[str, float] = {}
        kept = []
        for point in sorted(chosen, key=lambda point: -(point.weight or 0)):
            if total.get(point.workload, 0) < coverage:
                total[point.workload] = total.get(point.workload, 0) + (point.weight or 0)
                kept.append(point)
        chosen = kept
    return Selection(tuple(chosen))
