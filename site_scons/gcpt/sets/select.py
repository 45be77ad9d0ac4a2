"""Select points of a set, with the weight that the selection covers."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from gcpt.errors import UserError
from gcpt.sets.points import Point

#: The sampling whose points stand for the workload by their weights.
_BY_WEIGHT = "simpoint"
#: Sums of weights below this are equal.
_EPSILON = 1e-9


@dataclass(frozen=True)
class Coverage:
    """Points of a workload and their weight, before and after a selection. Nothing is scaled.

    Attributes:
        workload: The workload.
        points: Its points in the set.
        weight: The sum of their weights.
        chosen: The selected points.
        chosen_weight: The sum of their weights.
    """

    workload: str
    points: int
    weight: float
    chosen: int
    chosen_weight: float


@dataclass(frozen=True)
class Selection:
    """Selected points.

    Attributes:
        points: The points, in the order of the set.
        coverages: What they cover of each workload of the set.
    """

    points: tuple[Point, ...]
    coverages: tuple[Coverage, ...] = ()


def _weight(points: Sequence[Point]) -> float:
    return sum(point.weight or 0 for point in points)


def _heaviest(points: Sequence[Point], share: float) -> list[Point]:
    """The heaviest points until they reach a share of the weight 1; of equal ones the lowest numbers."""
    kept: list[Point] = []
    total = 0.0
    for point in sorted(points, key=lambda point: (-(point.weight or 0), int(point.point), point.point)):
        if total >= share - _EPSILON:
            break
        total += point.weight or 0
        kept.append(point)
    return kept


def select(
    points: Sequence[Point],
    workloads: Sequence[str] = (),
    min_weight: float | None = None,
    coverage: float | None = None,
    samplings: Mapping[str, str] | None = None,
) -> Selection:
    """Select points by workload, weight and coverage. Weights stay as they are.

    Args:
        points: The points.
        workloads: Names of workloads; empty for all.
        min_weight: The least weight; None for all. Points of unknown weight are left out.
        coverage: The heaviest points of each workload, until they have this weight; None for all.
        samplings: How the points of a workload were chosen, where it is known.

    Returns:
        The selection.

    Raises:
        UserError: The set has no such workload, or the points of one must not be cut by weight.
    """
    by_workload: dict[str, list[Point]] = {}
    for point in points:
        by_workload.setdefault(point.workload, []).append(point)
    for name in workloads:
        if name not in by_workload:
            raise UserError(f"{name}: the set has no such workload")
    if min_weight is not None or coverage is not None:
        for name, sampling in (samplings or {}).items():
            if sampling != _BY_WEIGHT and name in (workloads or by_workload):
                raise UserError(
                    f"--min-weight, --coverage: the points of {name} are a sample ({sampling:.40}), which a cut by "
                    "weight distorts: use all of them, or choose other workloads with --workload"
                )
    chosen: set[tuple[str, str]] = set()
    coverages = []
    for workload, members in by_workload.items():
        kept = members if not workloads or workload in workloads else []
        if min_weight is not None:
            kept = [point for point in kept if point.weight is not None and point.weight >= min_weight]
        if coverage is not None:
            kept = _heaviest(kept, coverage)
        chosen |= {point.key for point in kept}
        coverages.append(Coverage(workload, len(members), _weight(members), len(kept), _weight(kept)))
    return Selection(tuple(point for point in points if point.key in chosen), tuple(coverages))
