"""Weighted figures: means, coverage, and who is not scored."""

import pytest

from gcpt.sets.results import Result
from gcpt.sets.scores import Suite, score, suite


def _result(workload: str, point: str, weight: float | None, ipc: float | None, state: str = "finished") -> Result:
    return Result(workload, point, weight, state, figures={} if ipc is None else {"ipc": ipc})


def test_a_rate_has_the_mean_of_its_times() -> None:
    """Two halves of a program at 1 and 3 instructions a cycle need (1 + 1/3) / 2 cycles an instruction."""
    [row] = score([_result("mcf", "1", 0.5, 1), _result("mcf", "2", 0.5, 3)], {"ipc": True})
    assert row.value == pytest.approx(1.5)
    [row] = score([_result("mcf", "1", 0.5, 1), _result("mcf", "2", 0.5, 3)], {"ipc": False})
    assert row.value == pytest.approx(2)


def test_failed_points_are_named_and_not_scored() -> None:
    """One that failed late has figures, which do not count; the weights are not made to sum to 1."""
    results = [
        _result("mcf", "1", 0.3, 2),
        _result("mcf", "2", 0.4, 9, "failed"),
        _result("mcf", "3", None, 5),
        _result("mcf", "4", 0.1, None),
        _result("mcf", "5", 0.1, 7, "waiting"),
    ]
    [row] = score(results, {"ipc": True})
    assert (row.value, row.coverage, row.possible) == (pytest.approx(2), pytest.approx(0.3), pytest.approx(0.9))
    assert row.missing == ("mcf_2", "mcf_3", "mcf_4", "mcf_5")


def test_workloads_are_equal_or_different_names() -> None:
    """No prefix joins: bmk/31 is not bmk/314."""
    rows = score([_result("bmk", "31", 1, 1), _result("bmk/31", "4", 1, 3), _result("bmk31", "4", 1, 5)], {"ipc": True})
    assert {row.workload: row.value for row in rows} == {"bmk": 1, "bmk/31": 3, "bmk31": 5}


def test_a_suite_is_the_geometric_mean_of_the_workloads_that_have_a_score() -> None:
    rows = score([_result("a", "1", 1, 2), _result("b", "1", 0.5, 8), _result("c", "1", 1, 3, "failed")], {"ipc": True})
    assert suite(rows, "ipc") == Suite(pytest.approx(4), 2, pytest.approx(0.5))  # of a, of b, and nothing of c
    assert suite([], "ipc") == Suite(None, 0, 0)
