"""The figures of a bench: their file, how two are compared, and budgets that are exceeded or can be lowered."""

import json
from pathlib import Path

import pytest

from gcpt.dev import bench, figures
from gcpt.errors import UserError
from gcpt.machines.restores import CASES

BUDGETS = {"instructions": {"one": 286, "two": 441}, "exact": {"one": 178}}


def measured(one: float = 286, two: float = 441, exact: float = 178) -> figures.Figures:
    return {"instructions": {"one": one, "two": two}, "exact": {"one": exact}, "seconds": {"a": 1.5}}


def test_what_is_reached_is_within() -> None:
    assert figures.exceeded(measured(), BUDGETS) == figures.improved(measured(), BUDGETS) == []


@pytest.mark.parametrize(
    ("result", "line"),
    [
        (measured(one=287), "instructions: one: 287 is 1 more than its budget of 286"),
        (measured(two=1500), "instructions: two: 1,500 is 1,059 more than its budget of 441"),
        (measured(exact=177), "exact: one: 177 is 1 fewer than its budget of 178"),
    ],
)
def test_a_planted_exceedance_is_told_by_how_much(result: figures.Figures, line: str) -> None:
    assert figures.exceeded(result, BUDGETS) == [line]
    assert figures.improved(result, BUDGETS) == []


@pytest.mark.parametrize(
    ("result", "line"),
    [
        (measured(one=280), "instructions: one: 280: its budget of 286 can be made that"),
        (measured(exact=179), "exact: one: 179: its budget of 178 can be made that"),
    ],
)
def test_what_is_better_is_told_and_is_no_fault(result: figures.Figures, line: str) -> None:
    assert figures.improved(result, BUDGETS) == [line]
    assert figures.exceeded(result, BUDGETS) == []


def test_each_figure_has_a_budget_and_each_budget_a_figure() -> None:
    renamed = {"instructions": {"one": 286, "three": 1}, "exact": {"one": 178}}
    assert figures.exceeded(renamed, BUDGETS) == [
        "instructions: three: 1 and no budget: add it",
        "instructions: two: a budget for what is not measured",
    ]


def test_the_file_of_budgets_is_of_what_is_measured() -> None:
    budgets = figures.load_budgets(bench.BUDGETS)
    assert set(budgets) == {"instructions", "exact", "bytes"}
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
    with pytest.raises(UserError, match=r"none: cannot be read: No such file or directory$"):
        figures.load(tmp_path / "none")


def test_a_wrong_file_is_refused_before_anything_is_measured(tmp_path: Path, capsys: pytest.CaptureFixture) -> None:
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


def test_tables_are_aligned() -> None:
    assert figures.table(("kind", "measured"), [("a long name", "1")]) == "kind         measured\na long name         1"
    text = bench.report({**measured(), "compared": {"one": 180}}, BUDGETS)
    assert "one    178 of 180     178" in text
    assert "compared" not in text
