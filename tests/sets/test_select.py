"""Selections, and the weight that they cover."""

from pathlib import Path

import pytest
import synthetic_set as synthetic
from command import gcpt

from gcpt.errors import UserError
from gcpt.sets.points import Point
from gcpt.sets.select import select


def _points(**workloads: list[float | None]) -> list[Point]:
    return [
        Point(workload, str(number), Path(f"{workload}{number}"), weight, "name")
        for workload, weights in workloads.items()
        for number, weight in enumerate(weights)
    ]


@pytest.mark.parametrize(
    ("options", "chosen"),
    [
        ({}, ["a_0", "a_1", "a_2", "a_3", "b_0", "b_1"]),
        ({"workloads": ["b"]}, ["b_0", "b_1"]),
        ({"min_weight": 0.2}, ["a_1", "a_2", "b_0"]),
        ({"min_weight": 0.0}, ["a_0", "a_1", "a_2", "b_0"]),
        ({"coverage": 0.3}, ["a_2", "b_0"]),
        ({"coverage": 0.9}, ["a_0", "a_1", "a_2", "b_0"]),
        ({"coverage": 0.9, "workloads": ["a"]}, ["a_0", "a_1", "a_2"]),
        ({"coverage": 0.0}, []),
    ],
)
def test_what_is_chosen(options: dict[str, float], chosen: list[str]) -> None:
    selection = select(_points(a=[0.1, 0.3, 0.5, None], b=[0.95, None]), **options)  # type: ignore[arg-type]
    assert [point.name for point in selection.points] == chosen


def test_sums_of_decimals_reach_their_share() -> None:
    """0.7 + 0.1 + 0.1 is less than 0.9 in binary."""
    assert len(select(_points(a=[0.7, 0.1, 0.1, 0.1]), coverage=0.9).points) == 3


def test_weights_are_not_scaled() -> None:
    points = _points(a=[0.1, 0.3, 0.5, None], b=[0.2])
    selection = select(points, coverage=0.5)
    assert set(selection.points) <= set(points)
    rows = {row.workload: row for row in selection.coverages}
    assert (rows["a"].points, rows["a"].chosen) == (4, 1)
    assert (rows["a"].weight, rows["a"].chosen_weight) == (pytest.approx(0.9), 0.5)
    assert (rows["b"].weight, rows["b"].chosen_weight) == (0.2, 0.2)


def test_a_prefix_is_no_workload() -> None:
    with pytest.raises(UserError, match="bmk: the set has no such workload"):
        select(_points(bmk_3=[0.5]), workloads=["bmk"])


def test_coverage_before_and_after_a_cut_is_shown(tmp_path: Path) -> None:
    made = synthetic.make(tmp_path / "set", points=24)
    run = gcpt("set", "scan", made.root, "--quick", "--coverage", "0.3", "--workload", "mcf")
    assert run.returncode == 0
    heaviest = max(weight for (workload, _), weight in made.weights.items() if workload == "mcf")
    rows = {line.split()[0]: line.split() for line in run.stdout.splitlines()}
    assert rows["mcf"] == ["mcf", "4", "-", "24", "1.000000", "1", f"{heaviest:.6f}"]
    assert rows["bmk_3"][-2:] == ["0", "0.000000"]
    cut = gcpt("set", "validate", made.root, "--coverage", "0.3", "--workload", "mcf", "-j", "1")
    assert cut.stderr == f"gcpt: mcf: 1 of 4 points, weight {heaviest:.6f} of 1.000000\n"
