"""Points of a run: lists, SimPoint's files, and the names of their checkpoints."""

from pathlib import Path

import pytest

from gcpt.checkpoint import points
from gcpt.checkpoint.points import Point
from gcpt.errors import UserError


def _simpoints(folder: Path, intervals: str, weights: str) -> list[Point]:
    (folder / "simpoints0").write_text(intervals)
    (folder / "weights0").write_text(weights)
    return points.simpoints(folder, 20)


def test_simpoints_are_joined_by_cluster(tmp_path: Path) -> None:
    """Whatever their order; interval 0 is the start."""
    found = _simpoints(tmp_path, "1068 0\n0 2\n402 1\n", "0.0913 1\n0.25 0\n1e-7 2\n")
    assert found == [Point(0, 0, 1e-7), Point(402, 8040, 0.0913), Point(1068, 21360, 0.25)]
    assert found[0].path(Path("mcf"), "gzip") == Path("mcf/0/_0_0.000000_memory_.gz")
    assert found[1].path(Path("mcf"), "zstd") == Path("mcf/402/_402_0.091300_memory_.zstd")


def test_lists_and_distances(tmp_path: Path) -> None:
    (file := tmp_path / "list").write_text("# counts\n300\n\n100 # first\n")
    assert points.listed(file) == [Point(100, 100, 0.5), Point(300, 300, 0.5)]
    file.write_text("300 0.75\n100 0.25\n")
    assert points.listed(file) == [Point(100, 100, 0.25), Point(300, 300, 0.75)]
    assert points.uniform(100, 399) == [Point(count, count, 1 / 3) for count in (100, 200, 300)]


@pytest.mark.parametrize(
    ("intervals", "weights", "message"),
    [
        ("1 0\n", "0.5 1\n", "only one of them names cluster 0"),
        ("1 0\n2 0\n", "0.5 0\n", "simpoints0: line 2: want two words"),
        ("1 0\n1 1\n", "0.5 0\n0.5 1\n", "simpoints0: point 1 comes twice"),
        ("-1 0\n", "0.5 0\n", "simpoints0: line 1: '-1': want a number"),
        ("1 0\n", "nan 0\n", "weights0: line 1: 'nan': want a weight"),
        ("1 0\n", "1.5 0\n", "weights0: line 1: '1.5': want a weight"),
        ("1\n", "0.5 0\n", "simpoints0: line 1: want two words"),
        ("# none\n", "0.5 0\n", "simpoints0: it names no point"),
    ],
)
def test_bad_simpoints(tmp_path: Path, intervals: str, weights: str, message: str) -> None:
    with pytest.raises(UserError, match=message):
        _simpoints(tmp_path, intervals, weights)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("1\n2 0.5\n", "line 2: want a count"),
        ("1 0.5 x\n", "line 1: want a count"),
        ("x\n", "line 1: 'x' is not a count"),
        ("9" * 30, "is not a count"),
        ("1\n1\n", "point 1 comes twice"),
        ("\udcff", "not a text file"),
    ],
)
def test_bad_lists(tmp_path: Path, text: str, message: str) -> None:
    (file := tmp_path / "list").write_bytes(text.encode(errors="surrogateescape"))
    with pytest.raises(UserError, match=message):
        points.listed(file)


@pytest.mark.parametrize(
    ("text", "count"),
    [
        ("0", 0),
        ("500k", 500_000),
        ("7K", 7000),
        ("20M", 20_000_000),
        ("2m", 2_000_000),
        ("1G", 10**9),
        ("1000000000G", 10**18),
    ],
)
def test_counts_are_decimal(tmp_path: Path, text: str, count: int) -> None:
    assert points.parse_count(text) == count
    (file := tmp_path / "list").write_text(f"{text}\n")
    assert points.listed(file) == [Point(count, count, 1)]


@pytest.mark.parametrize("text", ["", "k", "-1", "1.5M", "20X", "20MM", "1e6", "0x10", "\u00b2M", "\u0663", "1_000"])
def test_no_counts(tmp_path: Path, text: str) -> None:
    with pytest.raises(ValueError, match="is not a count of instructions: give digits, or 500k, 20M or 1G"):
        points.parse_count(text)
    (file := tmp_path / "list").write_text(f"5\n{text or '-'}\n")
    with pytest.raises(UserError, match=r"list: line 2: .* is not a count of instructions"):
        points.listed(file)


@pytest.mark.parametrize("text", [f"{10**18 + 1}", "1000000001G"])
def test_a_count_that_is_too_large(text: str) -> None:
    with pytest.raises(ValueError, match=f"'{text}' is too large: give at most 1000000000G"):
        points.parse_count(text)


def test_no_points(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="No such file"):
        points.listed(tmp_path / "none")
    with pytest.raises(UserError, match="no point before --every 5"):
        points.uniform(5, 4)
