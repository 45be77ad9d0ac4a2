"""Points of one run at which checkpoints are taken: lists of instruction counts, SimPoint's files, names of files."""

import math
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path

from gcpt.errors import UserError

#: Endings of a point's file by container.
ENDINGS = {"zstd": "zstd", "gzip": "gz"}
#: Suffixes of a count of instructions, which are decimal.
_UNITS = {"K": 10**3, "M": 10**6, "G": 10**9}
#: No count is larger: more digits would be a mistake.
_MAX_COUNT = 10**18


@dataclass(frozen=True)
class Point:
    """A point of a run.

    Attributes:
        number: Its number in the set: an interval of SimPoint, or a count of instructions.
        instructions: Instructions before it.
        weight: Its share of the run, 0 to 1.
    """

    number: int
    instructions: int
    weight: float

    def path(self, folder: Path, container: str) -> Path:
        """Return the path of its checkpoint, as generators name it.

        Args:
            folder: The workload's folder.
            container: ``zstd`` or ``gzip``.

        Returns:
            ``<folder>/<number>/_<number>_<weight>_memory_.<ending>``.
        """
        return folder / str(self.number) / f"_{self.number}_{self.weight:.6f}_memory_.{ENDINGS[container]}"


def parse_count(text: str) -> int:
    """Parse a count of instructions: decimal digits, perhaps with k, M or G for a thousand, a million or a billion.

    Args:
        text: The count.

    Returns:
        The number.

    Raises:
        ValueError: It is no count, or too large.
    """
    unit = _UNITS.get(text[-1:].upper())
    digits = text[:-1] if unit else text
    if not (digits.isascii() and digits.isdigit() and len(digits) <= len(str(_MAX_COUNT))):
        raise ValueError(f"{text!r} is not a count of instructions: give digits, or 500k, 20M or 1G")
    if (count := int(digits) * (unit or 1)) > _MAX_COUNT:
        raise ValueError(f"{text!r} is too large: give at most {_MAX_COUNT // 10**9}G")
    return count


def uniform(every: int, last: int) -> list[Point]:
    """Return points at equal distances, with equal weights.

    Args:
        every: Instructions from one point to the next, and to the first.
        last: The most instructions before a point.

    Returns:
        The points in ascending order.

    Raises:
        UserError: There is none.
    """
    if last < every:
        raise UserError(f"--last {last}: there is no point before --every {every}: give more")
    return [Point(count, count, 1 / (last // every)) for count in range(every, last + 1, every)]


def listed(file: Path) -> list[Point]:
    """Read points from a file: one count of instructions a line, or a count and a weight; ``#`` begins a comment.

    Args:
        file: The file.

    Returns:
        The points in ascending order; without weights, they are equal.

    Raises:
        UserError: The file cannot be read, or a line is no point, or a count comes twice.
    """
    lines = _lines(file)
    points = []
    for number, words in lines:
        if len(words) > 2 or len(words) != len(lines[0][1]):
            raise UserError(f"{file}: line {number}: want a count of instructions and, in all lines or none, a weight")
        try:
            count = parse_count(words[0])
        except ValueError as error:
            raise UserError(f"{file}: line {number}: {error}") from error
        points.append(Point(count, count, _weight(file, number, words[1]) if len(words) > 1 else 1 / len(lines)))
    return _sorted(file, points)


def simpoints(folder: Path, interval: int) -> list[Point]:
    """Read SimPoint's ``simpoints0`` and ``weights0``.

    Args:
        folder: Their folder.
        interval: Instructions of an interval.

    Returns:
        The points in ascending order.

    Raises:
        UserError: A file cannot be read, or a line is wrong, or the two name different clusters.
    """
    files = folder / "simpoints0", folder / "weights0"
    intervals, weights = ({words[-1]: (number, words[0]) for number, words in _pairs(file)} for file in files)
    if intervals.keys() != weights.keys():
        cluster = min(intervals.keys() ^ weights.keys())
        raise UserError(f"{files[0]} and {files[1]}: only one of them names cluster {cluster}: take them from one run")
    points = []
    for cluster, (line, word) in intervals.items():
        number = _interval(files[0], line, word)
        points.append(Point(number, number * interval, _weight(files[1], *weights[cluster])))
    return _sorted(files[0], points)


def _lines(file: Path) -> list[tuple[int, list[str]]]:
    """Return the words of each line with its number, without comments and empty lines."""
    try:
        text = file.read_text()
    except OSError as error:
        raise UserError(f"{file}: {error.strerror}") from error
    except UnicodeDecodeError as error:
        raise UserError(f"{file}: not a text file") from error
    lines = [(number, line.partition("#")[0].split()) for number, line in enumerate(text.splitlines(), 1)]
    if not (filled := [(number, words) for number, words in lines if words]):
        raise UserError(f"{file}: it names no point")
    return filled


def _pairs(file: Path) -> list[tuple[int, list[str]]]:
    lines = _lines(file)
    clusters = set()
    for number, words in lines:
        if len(words) != 2 or words[1] in clusters:
            raise UserError(f"{file}: line {number}: want two words, the last of which is a cluster named only here")
        clusters.add(words[1])
    return lines


def _interval(file: Path, line: int, word: str) -> int:
    if not (word.isascii() and word.isdigit() and len(word) < 19):
        raise UserError(f"{file}: line {line}: {word!r}: want a number from 0")
    return int(word)


def _weight(file: Path, line: int, word: str) -> float:
    try:
        weight = float(word)
    except ValueError:
        weight = math.nan
    if not 0 <= weight <= 1:
        raise UserError(f"{file}: line {line}: {word!r}: want a weight from 0 to 1")
    return weight


def _sorted(file: Path, points: list[Point]) -> list[Point]:
    ordered = sorted(points, key=lambda point: point.number)
    for before, point in pairwise(ordered):
        if before.number == point.number:
            raise UserError(f"{file}: point {point.number} comes twice: leave one out")
    return ordered
