"""Read a run from its folder, while it is under way or afterwards."""

import json
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from gcpt.errors import UserError
from gcpt.sets import results
from gcpt.sets.engine import LOCK, RUN
from gcpt.sets.process import LOCK as POINT_LOCK
from gcpt.sets.process import is_locked
from gcpt.sets.results import CAUSES, Result

#: States of a point that has no result.
RUNNING, WAITING = "running", "waiting"


@dataclass(frozen=True)
class Run:
    """A run.

    Attributes:
        folder: Its folder.
        facts: What it is about: ``set``, ``started``, ``command`` and so on, as JSON.
        points: A result for each point; one that has none is RUNNING or WAITING.
        is_active: Whether the run is under way.
    """

    folder: Path
    facts: dict[str, Any]
    points: list[Result]
    is_active: bool

    def counts(self) -> Counter[str]:
        """Return how many points are in each state."""
        return Counter(result.state for result in self.points)


def read_run(folder: Path) -> Run:
    """Read a run.

    Args:
        folder: Its folder.

    Returns:
        The run.

    Raises:
        UserError: The folder holds no run.
    """
    try:
        facts = json.loads((folder / RUN).read_bytes())
        rows = facts.pop("points")
        points = [_point(folder / row["folder"], row) for row in rows]
    except FileNotFoundError as error:
        raise UserError(f"{folder}: no results of gcpt set are there: give the folder of -o") from error
    except OSError as error:
        raise UserError(f"{error.filename or folder}: {error.strerror}: give the folder of -o") from error
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise UserError(f"{folder / RUN}: is damaged: start the run again") from error
    return Run(folder, facts, points, is_locked(folder / LOCK))


def _point(folder: Path, row: dict[str, Any]) -> Result:
    weight = None if row["weight"] is None else float(row["weight"])
    if result := results.read(folder):
        return replace(result, weight=weight)
    state = RUNNING if is_locked(folder / POINT_LOCK) else WAITING
    return Result(str(row["workload"]), str(row["point"]), weight, state)


def failures(points: Sequence[Result]) -> dict[str, list[Result]]:
    """Group the points that failed by cause.

    Args:
        points: The results.

    Returns:
        The results of each cause, in the order of CAUSES.
    """
    groups = {cause: [result for result in points if result.cause == cause] for cause in CAUSES}
    return {cause: group for cause, group in groups.items() if group}
