"""The points of a set of checkpoints."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from gcpt.sets.findings import Finding


@dataclass(frozen=True)
class Point:
    """A checkpoint of a set.

    Attributes:
        workload: The workload.
        point: The interval's number, or the number of instructions, with its digits as they are written.
        path: The memory image. A point that an index names and that has no image has the path where it should be.
        weight: The weight within the workload; None if unknown.
        weight_source: Where the weight comes from: "json:FILE", "weights0:FILE", "name", or "" if unknown.
        flash: The flash image of a pair.
        seconds: How long the point took before; None if unknown.
    """

    workload: str
    point: str
    path: Path
    weight: float | None
    weight_source: str
    flash: Path | None = None
    seconds: float | None = None

    @property
    def key(self) -> tuple[str, str]:
        """Workload and point."""
        return self.workload, self.point

    @property
    def name(self) -> str:
        """The point's name."""
        return f"{self.workload}_{self.point}"


@dataclass(frozen=True)
class PointSet:
    """A set of checkpoints.

    Attributes:
        root: The set's folder, absolute.
        points: Its points, sorted by workload and number.
        restorer: Its restorer; None if it has none of its own.
        samplings: How the points of each workload were chosen, such as "simpoint" or "random", where it is known.
        findings: What is wrong with the set.
    """

    root: Path
    points: tuple[Point, ...]
    restorer: Path | None
    samplings: Mapping[str, str]
    findings: tuple[Finding, ...] = ()
