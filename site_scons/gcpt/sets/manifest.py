"""The manifest of a set: what a scan found, as TOML or JSON."""

import json
import os
import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from gcpt.checkpoint import apart
from gcpt.checkpoint.containers import check_ending
from gcpt.checkpoint.output import replacing
from gcpt.errors import UserError
from gcpt.sets import names
from gcpt.sets.findings import Finding
from gcpt.sets.indexes import MANIFEST_MARK, check_nested, parse_json, read_text
from gcpt.sets.names import Key
from gcpt.sets.points import Point, PointSet
from gcpt.sets.scan import Scan, find_restorer, sorted_findings
from gcpt.sets.tree import resolved_inside

_VERSION = 1
#: The largest manifest, in bytes: enough for 200,000 points with all facts.
_MAX_BYTES = 128 << 20


def check_output(path: Path) -> None:
    """Check the file of a manifest to write.

    Args:
        path: The file.

    Raises:
        UserError: It ends neither with .toml nor with .json, or is an image, an index or another file that is there.
    """
    check_ending(path, names.MANIFEST_ENDINGS, exact=True)
    apart.check_kind("-o", path, _is_start, "manifest")


def _is_start(head: bytes) -> bool:
    """Whether a manifest begins so, in TOML or in JSON."""
    mark = MANIFEST_MARK.encode()
    return head.translate(None, b" \n").startswith((b'{"%s":' % mark, b"%s=" % mark))


def is_manifest(path: Path) -> bool:
    """Return whether a JSON file is a manifest, by its first bytes.

    Args:
        path: The file.
    """
    try:
        with path.open("rb") as file:
            return _is_start(file.read(64))
    except OSError:
        return False


def content(scan: Scan, facts: Mapping[Key, Mapping[str, Any]], folder: Path) -> dict[str, Any]:
    """Describe a set as plain data.

    Args:
        scan: The scan.
        facts: What else is known about each point.
        folder: The folder that the manifest is for; paths are relative to the set's folder.

    Returns:
        The content of the manifest.
    """
    whole = scan.whole
    root = os.path.relpath(whole.root, folder)
    described: dict[str, Any] = {MANIFEST_MARK: _VERSION, "root": str(whole.root) if root.startswith("..") else root}
    if whole.samplings:
        described["samplings"] = [[workload, method] for workload, method in sorted(whole.samplings.items())]
    if whole.restorer:
        described["restorer"] = _relative(whole.restorer, whole.root)
    described["points"] = [_point(point, whole.root, scan, facts.get(point.key, {})) for point in whole.points]
    return described


def _relative(path: Path, root: Path) -> str:
    return str(path.relative_to(root) if path.is_relative_to(root) else path)


def _point(point: Point, root: Path, scan: Scan, facts: Mapping[str, Any]) -> dict[str, Any]:
    described: dict[str, Any] = {"workload": point.workload, "point": point.point, "path": _relative(point.path, root)}
    if point.flash:
        described["flash"] = _relative(point.flash, root)
    if point.key in scan.sizes:
        described["bytes"] = scan.sizes[point.key]
    if point.weight is not None:
        described |= {"weight": point.weight, "weight_source": point.weight_source}
    if point.seconds is not None:
        described["seconds"] = point.seconds
    return {**described, **facts}


def _value(value: Any) -> str:
    """A string, number or array as TOML, which JSON's forms of them are, too."""
    return json.dumps(value, ensure_ascii=False)


def _toml(described: dict[str, Any]) -> str:
    lines = [f"{name} = {_value(value)}" for name, value in described.items() if name != "points"]
    for point in described["points"]:
        lines += ["", "[[points]]", *(f"{name} = {_value(value)}" for name, value in point.items())]
    return "\n".join(lines) + "\n"


def write(path: Path, scan: Scan, facts: Mapping[Key, Mapping[str, Any]]) -> None:
    """Write a manifest, completely or not at all.

    Args:
        path: The file; its name decides between TOML and JSON.
        scan: The scan.
        facts: What else is known about each point.

    Raises:
        UserError: It cannot be written.
    """
    check_output(path)
    described = content(scan, facts, path.absolute().parent)
    text = _toml(described) if path.suffix == ".toml" else json.dumps(described, indent=1, ensure_ascii=False) + "\n"
    with replacing(path) as file:
        file.write(text.encode())


def _parsed(path: Path) -> dict[str, Any]:
    text = read_text(path, _MAX_BYTES)
    try:
        check_nested(text)
        described = tomllib.loads(text) if path.suffix == ".toml" else parse_json(text)
    except RecursionError as error:
        raise UserError(f"{path}: is no manifest: it is nested too deeply") from error
    except ValueError as error:
        raise UserError(f"{path}: is no manifest: {error}") from error
    if not isinstance(described, dict) or described.get(MANIFEST_MARK) != _VERSION:
        raise UserError(f"{path}: is no manifest of this version of gcpt: scan the set again")
    return described


class _Reader:
    """Checks and reads the values of a manifest."""

    def __init__(self, path: Path, allow_outside: bool) -> None:
        self.path, self.allow_outside = path, allow_outside
        self.described = _parsed(path)
        self.root = self._root()

    def fail(self, what: str) -> UserError:
        return UserError(f"{self.path}: {what}: scan the set again")

    def _root(self) -> Path:
        folder, root = self.path.absolute().parent, self.described.get("root")
        if not isinstance(root, str) or not root:
            raise self.fail("the root is no folder's name")
        if not self.allow_outside and resolved_inside(folder, root) is None:
            raise UserError(f"{self.path}: its set {root!r} is outside its folder: trust it with --allow-outside")
        return Path(os.path.normpath(folder / root))

    def text(self, values: dict[str, Any], name: str) -> str:
        value = values.get(name, "")
        if not isinstance(value, str) or "\0" in value:
            raise self.fail(f"{name} is no text")
        return value

    def number(self, values: dict[str, Any], name: str) -> float | None:
        value = values.get(name)
        if value is None:
            return None
        if isinstance(value, bool) or not isinstance(value, int | float) or not 0 <= value < float("inf"):
            raise self.fail(f"{name} is no number from 0")
        return float(value)

    def file(self, values: dict[str, Any], name: str) -> Path | None:
        path = self.text(values, name)
        if not path:
            return None
        if not self.allow_outside and resolved_inside(self.root, path) is None:
            raise UserError(f"{self.path}: {path!r:.200} leaves the set's folder: trust it with --allow-outside")
        return self.root / path

    def samplings(self) -> dict[str, str]:
        rows = self.described.get("samplings", [])
        if not isinstance(rows, list) or not all(
            isinstance(row, list) and [str, str] == [*map(type, row)] for row in rows
        ):
            raise self.fail("the samplings are no pairs of workload and method")
        return dict(rows)

    def point(self, values: object) -> Point:
        if not isinstance(values, dict):
            raise self.fail("a point is no table")
        workload, point, path = self.text(values, "workload"), self.text(values, "point"), self.file(values, "path")
        if not (names.is_workload(workload) and names.is_point(point) and path):
            raise self.fail(f"{workload!r:.80}, {point!r:.80} are no workload and point with a path")
        weight = self.number(values, "weight")
        if weight is not None and weight > 1:
            raise self.fail(f"{workload}_{point}: the weight {weight:g} is more than 1")
        source = self.text(values, "weight_source")
        return Point(workload, point, path, weight, source, self.file(values, "flash"), self.number(values, "seconds"))


def read(path: Path, allow_outside: bool = False) -> Scan:
    """Read a manifest, and compare it with the files by their sizes.

    Args:
        path: The manifest.
        allow_outside: Follow paths that leave the manifest's folder.

    Returns:
        What it describes.

    Raises:
        UserError: It cannot be read, is no manifest, or leaves its folder.
    """
    reader = _Reader(path, allow_outside)
    rows = reader.described.get("points")
    if not isinstance(rows, list):
        raise reader.fail("it has no points")
    points, findings = {}, []
    sizes: dict[Key, int] = {}
    for values in rows:
        point = reader.point(values)
        if point.key in points:
            raise reader.fail(f"{point.name} is in it twice")
        points[point.key] = point
        relative = _relative(point.path, reader.root)
        try:
            sizes[point.key] = sum(file.stat().st_size for file in (point.path, point.flash) if file)
        except OSError as error:
            code = "missing" if isinstance(error, FileNotFoundError) else "unreadable"
            findings.append(Finding(code, f"the image cannot be read: {error.strerror}", point.key, relative))
            continue
        size = values.get("bytes")
        if size is not None and size != sizes[point.key]:
            what = f"{sizes[point.key]:,} bytes, but {size!r:.30} in the manifest"
            findings.append(Finding("changed", what, point.key, relative))
        if point.weight is None:
            findings.append(Finding("unweighted", "the manifest gives no weight", point.key, relative))
    restorer = reader.file(reader.described, "restorer") or find_restorer(reader.root, allow_outside, findings)
    whole = PointSet(reader.root, tuple(points.values()), restorer, reader.samplings(), sorted_findings(findings))
    known = {(values["workload"], values["point"]): values for values in rows}
    return Scan(whole, sizes, known=known)


def changed(scan: Scan, facts: Mapping[Key, Mapping[str, Any]]) -> list[Finding]:
    """Compare digests with those of a manifest.

    Args:
        scan: The scan of a manifest.
        facts: The facts about each point, with digests.

    Returns:
        A finding for each image that is another one.
    """
    findings = []
    for key, values in facts.items():
        for name in ("sha256", "flash_sha256"):
            before, now = scan.known.get(key, {}).get(name), values.get(name)
            if before and now and before != now:
                findings.append(Finding("changed", f"{name} is {now}, but {before!r:.70} in the manifest", key))
    return findings
