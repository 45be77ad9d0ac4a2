"""Random faults: the table fits the sources; a sample is repeatable; the score is held against the floor."""

import resource
from dataclasses import replace
from pathlib import Path

import pytest

from gcpt.dev import mutants, mutation

ROOT = Path(__file__).parents[2]
MODULE = "checkpoint/registers.py"


def test_the_table_fits_the_sources() -> None:
    """All modules of the rooms that need no machine are in it; what it names exists."""
    table = mutation.load(ROOT)
    rooms = (path for room in ("checkpoint", "validate") for path in (ROOT / mutation.PACKAGE / room).glob("*.py"))
    names = {str(path.relative_to(ROOT / mutation.PACKAGE)) for path in rooms if mutation.places(path.read_text())}
    assert names <= table.tests.keys()
    assert all((ROOT / test).is_file() for tests in table.tests.values() for test in tests)
    for name, old, new in table.equivalent:
        lines = [line.strip() for line in (ROOT / mutation.PACKAGE / name).read_text().splitlines()]
        assert old in " ".join(lines), name
        assert old != new


def test_a_sample_is_repeatable() -> None:
    table = mutation.load(ROOT)
    first, again, other = (list(mutation.sample(table, ROOT, 5, MODULE, seed)) for seed in (1, 1, 2))
    assert first == again != other
    assert {fault.file for fault in first} == {f"{mutation.PACKAGE}/{MODULE}"}


def test_annotations_and_decorators_have_no_faults() -> None:
    source = "@dataclass(frozen=True)\nclass X:\n    a: int | None\n\ndef f(x: 'A' | 3) -> 4 | 5:\n    return 6\n"
    texts = [fault() for faults in mutation.places(source) for fault in faults]
    assert [mutation.difference(source, text) for text in texts] == [(6, "return 6", "return 7")]


@pytest.mark.parametrize(
    ("old", "new", "changed"),
    [
        ("a\n  b\nc\n", "a\n  d\nc\n", (2, "b", "d")),
        ("a\n  @b\nc\n", "a\nc\n", (2, "@b", "")),
        ("a\n  b(\n  1)\nc\n", "a\n  b(\n  2)\nc\n", (3, "1)", "2)")),
    ],
)
def test_difference(old: str, new: str, changed: tuple[int, str, str]) -> None:
    assert mutation.difference(old, new) == changed


def _project(tmp_path: Path, source: str, test: str, floor: int, equivalent: str = "") -> Path:
    """A copy of the project with one module and its test in the table."""
    copy = mutants.Copy(ROOT, tmp_path / "copy").folder
    (copy / mutation.PACKAGE / "one.py").write_text(source)
    (copy / "tests/test_one.py").write_text(f"from gcpt.one import f\n\ndef test() -> None:\n    {test}\n")
    table = f'floor = {floor}\n{equivalent}\n[tests]\n"one.py" = ["tests/test_one.py"]\n'
    (copy / mutation.TABLE).write_text(table)
    return copy


SOURCE = "def f(x):\n    return x + 1\n"


@pytest.mark.parametrize(
    ("source", "test", "floor", "status", "score"),
    [
        (SOURCE, "assert f(2) == 3", 100, 0, "2 of 2 random faults detected: 100 %"),
        (SOURCE, "assert f", 100, 1, "0 of 2 random faults detected: 0 %"),
        (SOURCE, "assert f", 0, 0, "0 of 2 random faults detected: 0 %"),
        (SOURCE, "assert f(2) == 4", 0, 1, ""),  # fails without a fault
    ],
)
def test_the_score_decides(
    tmp_path: Path,
    source: str,
    test: str,
    floor: int,
    status: int,
    score: str,
    capsys: pytest.CaptureFixture[str],
) -> None:
    copy, memory = _project(tmp_path, source, test, floor), resource.getrlimit(resource.RLIMIT_DATA)
    assert mutation.main(["9", "--seed", "1", "--jobs", "1"], copy) == status
    assert resource.getrlimit(resource.RLIMIT_DATA) == memory  # of this process, which goes on
    printed = capsys.readouterr()
    assert score in printed.out, printed
    assert "seed=1" in printed.out
    assert ("fail without a fault" in printed.err) == (not score)


def test_explained_faults_do_not_count(tmp_path: Path) -> None:
    rows = "".join(
        f'{{ file = "one.py", old = "return x + 1", new = "return {new}", why = "-" }},' for new in ("x + 2", "x - 1")
    )
    copy = _project(tmp_path, SOURCE, "assert f", 0, f"equivalent = [{rows}]")
    table = mutation.load(copy)
    assert not list(mutation.sample(table, copy, 9, "", 1))
    assert len(list(mutation.sample(replace(table, equivalent=frozenset()), copy, 9, "", 1))) == 2


@pytest.mark.parametrize("arguments", [["0"], ["3", "nowhere"]])
def test_bad_usage(arguments: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    assert mutation.main(arguments) == 2
    assert capsys.readouterr().err.startswith("gcpt: tests/mutation.toml: no faults")
