"""The choice of points: phases of a known run are found, with their weights; the score is that of its formula."""

import gzip
import math
import random
from pathlib import Path

import numpy as np
import pytest

from gcpt.checkpoint import clusters
from gcpt.errors import UserError

#: Intervals of each phase in turn, and the blocks that it executes most.
_PHASES = ((30, (1, 2)), (50, (3, 4, 5)), (20, (1, 2)), (100, (6,)))


def _vectors(noise: int = 50) -> list[str]:
    """Intervals of 10,000 instructions, in which other blocks execute some."""
    random.seed(1)
    lines = []
    for length, blocks in _PHASES:
        for _ in range(length):
            others = {block: random.randint(1, noise) for block in random.sample(range(7, 100), 5)}
            share = (10_000 - sum(others.values())) // len(blocks)
            lines.append(
                "T" + " ".join(f":{block}:{n}" for block, n in (dict.fromkeys(blocks, share) | others).items())
            )
    return lines


def _choose(folder: Path, lines: list[str], most: int = 30, seed: int = 0) -> clusters.Clusters:
    (file := folder / "bbv").write_text("\n".join(["# comment", *lines, ""]))
    return clusters.choose(clusters.read(file), most, seed)


@pytest.mark.parametrize("seed", [0, 1, 7])
def test_phases_are_found(tmp_path: Path, seed: int) -> None:
    """A phase that comes twice is one cluster; clusters are numbered as they first appear."""
    chosen = _choose(tmp_path, _vectors(), seed=seed)
    assert chosen.labels == [0] * 30 + [1] * 50 + [0] * 20 + [2] * 100
    assert chosen.weights == [0.25, 0.25, 0.5]
    assert [chosen.labels[interval] for interval in chosen.intervals] == [0, 1, 2]
    assert chosen == _choose(tmp_path, _vectors(), seed=seed)


def test_the_representative_is_the_nearest(tmp_path: Path) -> None:
    """Of intervals between two extremes it is the middle one; of equal ones the first."""
    lines = [f"T:1:{5000 + step} :2:{5000 - step}" for step in (-900, -400, 0, 400, 900)]
    assert _choose(tmp_path, lines, most=1).intervals == [2]
    equal = _choose(tmp_path, ["T:1:7 :2:3"] * 9)
    assert (equal.intervals, equal.weights, len(equal.scores)) == ([0], [1.0], 1)


def test_a_limit_of_clusters(tmp_path: Path) -> None:
    chosen = _choose(tmp_path, _vectors(), most=2)
    assert len(chosen.scores) == 2 and len(chosen.intervals) <= 2 and sum(chosen.weights) == 1


def test_the_score_is_a_likelihood_less_a_penalty() -> None:
    """Computed point by point from normal densities."""
    generator = np.random.default_rng(3)
    labels = np.array([0] * 40 + [1] * 60, dtype=np.int32)
    points = generator.normal(size=(100, 4)) + 5 * labels[:, None]
    centres = [points[labels == label].mean(axis=0) for label in (0, 1)]
    squares = [float(((point - centres[label]) ** 2).sum()) for point, label in zip(points, labels, strict=True)]
    variance = sum(squares) / (4 * 98)
    density = [-2 * math.log(2 * math.pi * variance) - square / (2 * variance) for square in squares]
    expected = sum(density) + 40 * math.log(0.4) + 60 * math.log(0.6) - (1 + 8 + 1) / 2 * math.log(100)
    assert clusters.score(points, labels, sum(squares)) == pytest.approx(expected)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"T:1:5\nT:1:x\n", "line 2: want T:block:count"),
        (b"T\n", "line 1: want T:block:count"),
        (b"T:1:0\n", "line 1: the interval has no instructions"),
        (b"", "there is no interval"),
        (gzip.compress(b"T:1:5\n" * 99, mtime=0)[:-9], "damaged"),
        (b"T:1:\xff\n", "not a text file"),
    ],
)
def test_what_is_no_profile(tmp_path: Path, content: bytes, message: str) -> None:
    (file := tmp_path / "bbv").write_bytes(content)
    with pytest.raises(UserError, match=message):
        clusters.read(file)


@pytest.mark.parametrize("entry", [f":1:{'9' * 5000}", f":{'9' * 5000}:1", ":10000000:1", f":1:{10**18}"])
def test_numbers_without_an_end(tmp_path: Path, entry: str) -> None:
    """Python does not convert thousands of digits, and a projection has a vector for each number of a block."""
    with pytest.raises(UserError, match="line 3: want T:block:count"):
        _choose(tmp_path, ["T:1:2", f"T:2:3 {entry}"])


def test_a_profile_that_is_damaged(tmp_path: Path) -> None:
    """Any flipped byte, and any cut, is one error or leaves the text as it was."""
    lines = "".join(f"T:1:{number} :2:{number * 7919 % 1000}\n" for number in range(1, 60))
    packed = gzip.compress(lines.encode(), mtime=0)
    file, whole = tmp_path / "bbv.gz", None
    for at in [None, *range(len(packed))]:
        damaged = bytearray(packed)
        if at is not None:
            damaged[at] ^= 0xFF
        file.write_bytes(damaged)
        try:
            profile = clusters.read(file)
        except UserError as error:
            assert str(error).startswith(f"{file}: ") and at is not None
        else:
            whole = whole or profile
            assert (profile.shares != whole.shares).nnz == 0
    for size in range(1, len(packed)):
        file.write_bytes(packed[:size])
        with pytest.raises(UserError):
            clusters.read(file)
