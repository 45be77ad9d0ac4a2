"""Figures of the bench: their file, comparison, and budgets."""

import json
from pathlib import Path

import pytest

from gcpt.dev import bench, figures
from gcpt.errors import UserError
from gcpt.machines.restores import CASES

BUDGETS = {"instructions": {"one": 286, "two": 441}, "exact": {"one": 178}}


def measured(one: float = 286, two: float = 441, exact: float = 178) -> figures.Figures:
    return {"instructions": {"one": one, "two": two}, "exact": {"one": exact}, "seconds": {"a": 1.5}}


def test_equal_figures_are_within() -> None:
    assert figures.exceeded(measured(), BUDGETS) == figures.improved(measured(), BUDGETS) == []


@pytest.mark.parametrize(
    ("result", "line"),
    [
        (measured(one=287), "instructions: one: 287 is 1 more than its budget of 286"),
        (measured(two=1500), "instructions: two: 1,500 is 1,059 more than its budget of 441"),
        (measured(exact=177), "exact: one: 177 is 1 fewer than its budget of 178"),
    ],
)
def test_excess_over_a_budget(result: figures.Figures, line: str) -> None:
    assert figures.exceeded(result, BUDGETS) == [line]
    assert figures.improved(result, BUDGETS) == []


@pytest.mark.parametrize(
    ("result", "line"),
    [
        (measured(one=280), "instructions: one: 280 is better than its budget of 286: update the budget"),
        (measured(exact=179), "exact: one: 179 is better than its budget of 178: update the budget"),
    ],
)
def test_better_figure_is_no_problem(result: figures.Figures, line: str) -> None:
    assert figures.improved(result, BUDGETS) == [line]
    assert figures.exceeded(result, BUDGETS) == []


def test_each_figure_has_a_budget_and_each_budget_a_figure() -> None:
    renamed = {"instructions": {"one": 286, "three": 1}, "exact": {"one": 178}}
    assert figures.exceeded(renamed, BUDGETS) == [
        "instructions: three: 1 has no budget: add one",
        "instructions: two: budget without a figure: remove it",
    ]


def test_budgets_file_has_all_figures() -> None:
    budgets = figures.load_budgets(bench.BUDGETS)
    assert set(budgets) == {"instructions", "exact", "bytes", "cycles"}
    assert list(budgets["exact"]) == [case.name for case in CASES]
    assert list(budgets["bytes"]) == list(bench.RESTORERS)


def test_saved_figures_are_loaded(tmp_path: Path) -> None:
    file = tmp_path / "bench.json"
    figures.save(file, {"cpus": "2"}, measured())
    assert figures.load(file) == measured()
    assert list(json.loads(file.read_text())) == ["schema", "machine", "figures"]


@pytest.mark.parametrize("text", ["", "[]", "{}", '{"schema": 0, "figures": {}}'])
def test_another_file_is_refused(tmp_path: Path, text: str) -> None:
    file = tmp_path / "bench.json"
    file.write_text(text)
    with pytest.raises(UserError, match=r"bench\.json: .*: bench_json=FILE writes"):
        figures.load(file)
    with pytest.raises(UserError, match=r"none: cannot read: No such file or directory$"):
        figures.load(tmp_path / "none")


def test_bad_file_is_refused_before_measuring(tmp_path: Path, capsys: pytest.CaptureFixture) -> None:
    assert bench.main(["--json", str(tmp_path)]) == 2
    assert bench.main(["--json", str(tmp_path / "out"), "--compare", str(tmp_path / "none")]) == 2
    assert [line.startswith("gcpt: ") for line in capsys.readouterr().err.splitlines()] == [True, True]


def test_differences() -> None:
    old = {"instructions": {"one": 572, "gone": 5}, "exact": {"one": 0}}
    assert figures.differences(old, measured()) == [
        ("instructions: one", "572", "286", "0.500"),
        ("instructions: two", "-", "441", "-"),
        ("exact: one", "0", "178", "-"),
        ("seconds: a", "-", "1.500", "-"),
        ("instructions: gone", "5", "-", "-"),
    ]


def test_report_tables() -> None:
    text = bench.report({**measured(), "compared": {"one": 180}}, BUDGETS)
    assert "one    178 of 180     178" in text
    assert "compared" not in text
