"""The points of a set of checkpoints."""

from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class Point:
    """A checkpoint of a set.

    Attributes:
        workload: The workload.
        point: The interval's number.
        path: The image.
        weight: The weight within the workload; None if unknown.
        weight_source: Where the weight comes from.
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
    def name(self) -> str:
        """The point's name."""
        return f"{self.workload}_{self.point}"


@dataclass(frozen=True)
class PointSet:
    """A set of checkpoints.

    Attributes:
        root: The set's folder.
        points: Its points.
        restorer: Its restorer; None if it has none of its own.
        sampling: How the points were chosen; None if unknown.
    """

    root: Path
    points: tuple[Point, ...]
    restorer: Path | None
    sampling: str | None
