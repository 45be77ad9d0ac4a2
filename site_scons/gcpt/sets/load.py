"""Load a set from its folder."""

from pathlib import Path

from gcpt.errors import UserError
from gcpt.sets.points import Point, PointSet

#: Where a set keeps its restorer.
_RESTORERS = ("gcpt/gcpt.bin", "build/gcpt/build/gcpt.bin")


def load(path: Path) -> PointSet:
    """Load the points of a folder: ``checkpoint/WORKLOAD/POINT/_POINT_WEIGHT_memory_.zstd``.

    Args:
        path: The set's folder.

    Returns:
        The set.

    Raises:
        UserError: The folder has no checkpoint.
    """
    points = []
    for file in sorted(path.glob("checkpoint/*/*/_*")):
        _, number, weight, *_ = [*file.name.split("_"), "", ""]
        if number != file.parent.name or "flash" in file.name:
            continue
        try:
            value = float(weight)
        except ValueError:
            value = None
        workload = file.parent.parent.name
        points.append(Point(workload, number, file.absolute(), value, "" if value is None else "name"))
    if not points:
        raise UserError(f"{path}: no set of checkpoints is there: give the folder with checkpoint/WORKLOAD/POINT/")
    restorer = next((path / name for name in _RESTORERS if (path / name).is_file()), None)
    return PointSet(path, tuple(points), restorer, None)
