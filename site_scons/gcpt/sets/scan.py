"""Scan a set: find its images by their names, read its indexes, and join both."""

import os
from collections.abc import Collection, Iterable
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from gcpt.errors import UserError
from gcpt.sets import names
from gcpt.sets.findings import CODES, Finding, Findings
from gcpt.sets.indexes import Index, read_index
from gcpt.sets.join import Joined, join, order
from gcpt.sets.names import Key
from gcpt.sets.points import Point, PointSet
from gcpt.sets.tree import Image, Tree, resolved_inside, walk

#: Where a set keeps its restorer.
_RESTORERS = ("gcpt/gcpt.bin", "build/gcpt/build/gcpt.bin")
#: Folders beside an archive's folder of images, by the start of their names.
_BESIDE = ("cluster*", "json")


@dataclass(frozen=True)
class Scan:
    """What a scan found.

    Attributes:
        whole: The set. Points without an image are among its points.
        sizes: Bytes of each point's images; points without an image are not in it.
        light: Points without an image that SimPoint found, with weights that some scripts leave out.
        known: What a manifest says about each point.
    """

    whole: PointSet
    sizes: dict[Key, int]
    light: tuple[Key, ...] = ()
    known: dict[Key, dict[str, Any]] = field(default_factory=dict)

    @property
    def present(self) -> tuple[Point, ...]:
        """The points that have an image."""
        return tuple(point for point in self.whole.points if point.key in self.sizes)


def sorted_findings(findings: Iterable[Finding]) -> tuple[Finding, ...]:
    """Sort findings: by the table of codes, then by point and path.

    Args:
        findings: The findings; of equal ones only one stays.

    Returns:
        The findings.
    """
    keyed = dict.fromkeys(findings)
    return tuple(sorted(keyed, key=lambda one: (CODES.index(one.code), *_order(one.key), one.path, one.what)))


def _order(key: Key) -> tuple[str, int, str]:
    return order(key) if names.is_point(key[1]) else (key[0], 0, key[1])


def find_restorer(root: Path, allow_outside: bool, findings: list[Finding]) -> Path | None:
    """Find the restorer of a set.

    Args:
        root: The set's folder.
        allow_outside: Follow symbolic links that leave it.
        findings: Gets a finding about such a link.

    Returns:
        The file; None if the set has none.
    """
    for name in _RESTORERS:
        if (root / name).is_file():
            if allow_outside or resolved_inside(root, name) is not None:
                return root / name
            findings.append(
                Finding("path-leaves-set", "the restorer is a link that leaves the set's folder", path=name)
            )
    return None


def scan_folder(root: Path, allow_outside: bool = False) -> Scan:
    """Scan the folder of a set.

    Args:
        root: The folder.
        allow_outside: Follow links and paths that leave it.

    Returns:
        What was found.

    Raises:
        UserError: It is no folder, has no set, or too many files.
    """
    tree = walk(root, allow_outside)
    scan = _scan(tree, tree.indexes, allow_outside)[0]
    if not scan.whole.points and not scan.whole.findings:
        raise UserError(f"{root}: no set of checkpoints is there: give the folder with checkpoint/WORKLOAD/POINT/")
    return scan


def scan_index(file: Path, allow_outside: bool = False) -> Scan:
    """Scan the points that a JSON or a list names.

    Args:
        file: The index.
        allow_outside: Follow links and paths that leave the set's folder.

    Returns:
        What was found about these points.

    Raises:
        UserError: The index cannot be read, or none of its points has an image.
    """
    root = _root_of(file)
    tree = walk(root, allow_outside)
    path = os.path.relpath(file.absolute(), tree.root)
    scan, indexes = _scan(tree, dict.fromkeys([*tree.indexes, path]), allow_outside)
    index = next((index for index in indexes if index.path == path), None)
    if index is None:
        faults = [found.what for found in scan.whole.findings if found.path == path]
        raise UserError(f"{file}: {faults[0] if faults else 'is no index of points'}: give the index of a set")
    scan = _narrowed(scan, set(index.values), path)
    if not scan.sizes:
        raise UserError(f"{file}: none of its points has an image in {tree.root}: put it into the set's folder")
    return scan


def _root_of(file: Path) -> Path:
    """The folder of the set that an index belongs to: json/ and checkpoint/ lie in it."""
    folder = file.absolute().parent
    beside = (path for name in _BESIDE for path in folder.parent.glob(name))
    if folder.name.startswith("json") or (folder.name.startswith("checkpoint") and any(beside)):
        return folder.parent
    return folder


def _narrowed(scan: Scan, keys: set[Key], path: str) -> Scan:
    """Only the points of an index, and what is wrong with them."""
    workloads = {workload for workload, _ in keys}

    def concerns(found: Finding) -> bool:
        if found.key[1]:
            return found.key in keys
        if found.code == "unreadable":
            return True  # a point may be there
        return found.path == path or (found.key[0] in workloads and found.code not in ("extra", "stray"))

    points = tuple(point for point in scan.whole.points if point.key in keys)
    findings = tuple(filter(concerns, scan.whole.findings))
    sizes = {key: size for key, size in scan.sizes.items() if key in keys}
    return Scan(replace(scan.whole, points=points, findings=findings), sizes)


def _scan(tree: Tree, paths: Collection[str], allow_outside: bool) -> tuple[Scan, list[Index]]:
    findings = Findings(tree.findings)
    accepted = frozenset(paths)
    indexes = [index for path in paths if (index := read_index(tree.root, path, accepted, findings))]
    if allow_outside:
        known = {os.path.realpath(tree.root / image.path) for image in tree.images}
        tree.images += [
            image
            for index in indexes
            for key, path in index.paths.items()
            for image in _outside(tree.root, key, path, findings)
            if os.path.realpath(image.path) not in known
        ]
    joined = join(tree, indexes, allow_outside)
    whole = PointSet(
        tree.root,
        tuple(_points(tree, joined, indexes)),
        find_restorer(tree.root, allow_outside, findings),
        joined.samplings,
        sorted_findings([*findings, *joined.findings]),
    )
    sizes = {
        key: image.size + (joined.flashes[key].size if key in joined.flashes else 0)
        for key, image in joined.images.items()
    }
    return Scan(whole, sizes, tuple(joined.light)), indexes


def _outside(root: Path, key: Key, path: str, findings: list[Finding]) -> list[Image]:
    """The images at a path that leaves the set's folder; ``findings`` gets what cannot be read."""
    if resolved_inside(root, path) is not None:
        return []
    place = root / path
    try:
        files = sorted(place.iterdir()) if place.is_dir() else [place]
        parsed = [(file, name) for file in files if (name := names.image_name(file.name)) and name.point == key[1]]
        return [Image(key, str(file), file.stat().st_size, name.weight, name.is_flash) for file, name in parsed]
    except FileNotFoundError:
        return []
    except OSError as error:
        findings.append(Finding("unreadable", error.strerror or str(error), path=path))
        return []


def _points(tree: Tree, joined: Joined, indexes: list[Index]) -> Iterable[Point]:
    folder = os.path.commonpath([image.path for image in joined.images.values()] or [""])
    listed = {key: path for index in indexes for key, path in index.paths.items()}
    for key in sorted([*joined.images, *joined.missing], key=order):
        image, flash = joined.images.get(key), joined.flashes.get(key)
        weight, source = joined.weights.get(key, (None, ""))
        path = image.path if image else _expected(listed.get(key), folder, key)
        flash_path = tree.root / flash.path if flash else None
        yield Point(*key, tree.root / path, weight, source, flash_path, joined.seconds.get(key))


def _expected(listed: str | None, folder: str, key: Key) -> str:
    """Where the image of a point should be that has none."""
    if listed and not listed.startswith("/") and ".." not in listed.split("/"):
        return listed
    return os.path.join(folder.split("/")[0], *key)
