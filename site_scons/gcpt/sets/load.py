"""Load a set: a folder, a JSON, a list or a manifest."""

from pathlib import Path

from gcpt.errors import UserError
from gcpt.sets import manifest
from gcpt.sets.points import PointSet
from gcpt.sets.scan import Scan, scan_folder, scan_index


def scan_set(path: Path, allow_outside: bool = False) -> Scan:
    """Scan a set by names and indexes.

    Args:
        path: Its folder, a JSON or list of its points, or a manifest.
        allow_outside: Follow links and paths that leave the set's folder.

    Returns:
        What was found.

    Raises:
        UserError: It is no set, or cannot be read.
    """
    if path.suffix == ".toml" or (path.suffix == ".json" and manifest.is_manifest(path)):
        return manifest.read(path, allow_outside)
    if path.suffix in (".json", ".lst") and not path.is_dir():
        return scan_index(path, allow_outside)
    return scan_folder(path, allow_outside)


def load(path: Path, allow_outside: bool = False) -> PointSet:
    """Load the points of a set, for work on them.

    Args:
        path: Its folder, a JSON or list of its points, or a manifest.
        allow_outside: Follow links and paths that leave the set's folder.

    Returns:
        The set. Points that an index names and that have no image are in it, so that work on them fails and names them.

    Raises:
        UserError: It is no set, or cannot be read, or a point has several images.
    """
    whole = scan_set(path, allow_outside).whole
    keys = {point.key for point in whole.points}
    for found in whole.findings:
        if found.code == "duplicate" and found.key[1] and found.key not in keys:
            raise UserError(f"{path}: {found.name}: {found.what}: remove all but one")
    if not whole.points:
        raise UserError(f"{path}: no set of checkpoints is there: gcpt set scan says what is")
    return whole
