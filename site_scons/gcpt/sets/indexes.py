"""The indexes of a set: JSON, lists, SimPoint's clusters. Each is read strictly; what cannot be read is a finding."""

import json
import math
import re
from collections.abc import Container, Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from gcpt.errors import UserError
from gcpt.sets import names
from gcpt.sets.findings import Finding
from gcpt.sets.names import Key

#: The largest index, in bytes: enough for a million points.
MAX_BYTES = 32 << 20
#: Objects and arrays in a JSON index or a manifest: each takes much more memory than its two characters.
MAX_NESTED = 1_000_000
#: The points that an index may name.
MAX_POINTS = 500_000
#: The key of the first line of a manifest, which is no index.
MANIFEST_MARK = "gcpt_set"
#: Which points an index names: all of the set, all of one workload, or a part.
ALL, ONE, CUT = "all", "one", "cut"
_NUMBER = re.compile(r"[0-9]{1,30}(?:\.[0-9]{1,40})?(?:[eE][-+]?[0-9]{1,3})?", re.ASCII)
#: Fields of a line of a list: name, path, and numbers.
_FIELDS = range(2, 17)
_COVERAGE = re.compile(r"cov[0-9]")


@dataclass
class Index:
    """What one index says.

    Attributes:
        path: The file, relative to the set's folder.
        kind: "json", "weights0", "lst" or "times".
        values: The weight of each point, or the seconds that it took; None if it has none.
        scope: ALL, ONE if it is about one workload, or CUT if it leaves points out on purpose.
        paths: Paths of points in a list, relative to the set's folder, or absolute.
        samplings: How the points of workloads were chosen.
        instructions: Instructions of workloads, as they are written.
    """

    path: str
    kind: str
    values: dict[Key, float | None] = field(default_factory=dict)
    scope: str = ALL
    paths: dict[Key, str] = field(default_factory=dict)
    samplings: dict[str, str] = field(default_factory=dict)
    instructions: dict[str, str] = field(default_factory=dict)

    @property
    def source(self) -> str:
        """The weight source of its points."""
        return f"{self.kind}:{self.path}"


class _Object(dict[str, Any]):
    """A JSON object that knows which names it has more than once."""

    def __init__(self, pairs: list[tuple[str, Any]]) -> None:
        super().__init__(pairs)
        self.repeated: list[str] = []
        if len(self) < len(pairs):
            seen: set[str] = set()
            for name, _ in pairs:
                if name in seen:
                    self.repeated.append(name)
                seen.add(name)


def read_text(file: Path, limit: int = MAX_BYTES) -> str:
    """Read an index or a manifest.

    Args:
        file: The file.
        limit: The largest size in bytes.

    Returns:
        Its text.

    Raises:
        UserError: It cannot be read, is too large, or is no text.
    """
    try:
        with file.open("rb") as opened:
            data = opened.read(limit + 1)
    except OSError as error:
        raise UserError(f"{file}: {error.strerror}") from error
    if len(data) > limit:
        raise UserError(f"{file}: larger than {limit >> 20} MiB: give the index of one set")
    try:
        return data.decode()
    except UnicodeDecodeError as error:
        raise UserError(f"{file}: is no text: byte {error.start} is not UTF-8") from error


def check_nested(text: str) -> None:
    """Check that a text has no more objects and arrays than a set needs.

    Args:
        text: JSON or TOML.

    Raises:
        ValueError: It has more.
    """
    if text.count("{") + text.count("[") > MAX_NESTED:
        raise ValueError(f"more than {MAX_NESTED:,} objects and arrays")


def parse_json(text: str) -> Any:
    """Parse JSON.

    Args:
        text: The text.

    Returns:
        The value; objects know their repeated names.

    Raises:
        ValueError: It is no JSON, nested too deeply, or has too many values.
    """
    check_nested(text)
    try:
        return json.loads(text, object_pairs_hook=_Object)
    except RecursionError as error:
        raise ValueError("it is nested too deeply") from error


def _number(value: object) -> float | None:
    """A number, or the number that a string holds; None if it is neither."""
    if isinstance(value, str):
        return float(value) if _NUMBER.fullmatch(value) else None
    if isinstance(value, bool) or not isinstance(value, int | float):
        return None
    try:
        number = float(value)
    except OverflowError:
        return None
    return number if math.isfinite(number) else None


class _Reader:
    """Reads one index; ``findings`` gets what is wrong with it."""

    def __init__(self, root: Path, path: str, accepted: Container[str], findings: list[Finding]) -> None:
        self.root, self.path, self.accepted, self.findings = root, path, accepted, findings
        self.keys = 0

    def note(self, code: str, what: str, key: Key = ("", "")) -> None:
        self.findings.append(Finding(code, what, key, self.path))

    def key(self, workload: str, point: str, where: str) -> Key | None:
        self.keys += 1
        if self.keys > MAX_POINTS:
            raise ValueError(f"it names more than {MAX_POINTS:,} points")
        if names.is_workload(workload) and names.is_point(point):
            return workload, point
        self.note("bad-name", f"{where}: {workload!r}, {point!r} cannot be a workload and a point")
        return None

    def json(self) -> Index | None:
        content = parse_json(read_text(self.root / self.path))
        if not isinstance(content, dict):
            raise ValueError("it is no object of workloads")
        if MANIFEST_MARK in content or not any(map(is_workload_object, content.values())):
            return None
        index = Index(self.path, "json")
        for workload in getattr(content, "repeated", ()):
            self.note("duplicate", "the JSON names the workload twice: only the last one counts", (workload, ""))
        for workload, value in content.items():
            if not is_workload_object(value):
                self.note("bad-index", f"{workload!r} has no points")
                continue
            self._json_workload(index, workload, value)
        stem = self.path.rpartition("/")[2].removesuffix(".json")
        if "time" in stem or _are_times(index.values.values()):
            index.kind = "times"
        workloads = {workload for workload, _ in index.values}
        index.scope = CUT if _COVERAGE.search(stem) else ONE if workloads == {stem} else ALL
        return index

    def _json_workload(self, index: Index, workload: str, value: _Object) -> None:
        points = value
        if isinstance(value.get("points"), dict):
            points = value["points"]
            if "insts" in value and _number(value["insts"]) is None:
                self.note("bad-index", f"insts is {value['insts']!r:.60}, no number", (workload, ""))
            elif "insts" in value:
                index.instructions[workload] = str(value["insts"])
            if "sampling" in value:
                self._sampling(index, workload, value["sampling"])
        for point in getattr(points, "repeated", ()):
            self.note("duplicate", "the JSON names the point twice: only the last one counts", (workload, point))
        for point, number in points.items():
            if key := self.key(workload, point, "an entry"):
                index.values[key] = _number(number)
                if index.values[key] is None:
                    self.note("mis-weighted", f"{number!r:.60} is no weight", key)

    def _sampling(self, index: Index, workload: str, content: object) -> None:
        method = content.get("method") if isinstance(content, dict) else content
        if isinstance(method, str) and names.is_workload(method):
            index.samplings[workload] = method
        else:
            self.note("bad-index", "the sampling has no method", (workload, ""))

    def sampling(self) -> Index | None:
        index = Index(self.path, "sampling")
        self._sampling(index, self.path.split("/")[-2], parse_json(read_text(self.root / self.path)))
        return index

    def _lines(self, path: str) -> Iterator[tuple[int, list[str]]]:
        """Number and fields of each line that is not empty, without comments."""
        for number, line in enumerate(read_text(self.root / path).split("\n"), 1):
            if fields := re.sub(r"(?:^|\s)#.*", "", line).split():
                yield number, fields

    def clusters(self) -> Index | None:
        """``simpoints0`` with the ``weights0`` beside it."""
        folder, _, _ = self.path.rpartition("/")
        workload = folder.rpartition("/")[2]
        intervals = self._pairs(self.path, workload)
        weights_path = f"{folder}/weights0"
        index = Index(weights_path, "weights0", scope=ONE)
        if weights_path not in self.accepted:
            self.note("bad-index", "there is no weights0 beside simpoints0", (workload, ""))
            weights = {}
        else:
            weights = self._pairs(weights_path, workload)
            if list(weights) != list(intervals):
                same = sorted(weights) == sorted(intervals)
                what = "in another order" if same else "other clusters"
                self.note("contradiction", f"weights0 has {what} than simpoints0", (workload, ""))
        for cluster, interval in intervals.items():
            if key := self.key(workload, interval, f"cluster {cluster}"):
                if key in index.values:
                    self.note("duplicate", "simpoints0 names the interval twice", key)
                weight = weights.get(cluster)
                index.values[key] = _number(weight)
                if weight is not None and index.values[key] is None:
                    self.note("mis-weighted", f"{weight!r:.60} is no weight", key)
        return index

    def _pairs(self, path: str, workload: str) -> dict[str, str]:
        """The first field of each line by the second: the cluster."""
        pairs: dict[str, str] = {}
        for number, fields in self._lines(path):
            if len(fields) != 2:
                self.note("bad-index", f"{path}: line {number} has {len(fields)} fields, not 2", (workload, ""))
            elif fields[1] in pairs:
                self.note("duplicate", f"{path}: line {number} names cluster {fields[1]!r:.40} again", (workload, ""))
            else:
                pairs[fields[1]] = fields[0]
        return pairs

    def list(self) -> Index | None:
        index = Index(self.path, "lst")
        folder = self.path.rpartition("/")[0]
        for number, fields in self._lines(self.path):
            if len(fields) not in _FIELDS or not all(map(_NUMBER.fullmatch, fields[2:])):
                self.note("bad-index", f"line {number}: want a name, a path and numbers")
                continue
            name, path = fields[:2]
            by_name, by_path = line_keys(name, path)
            if by_path is None:
                self.note("bad-index", f"line {number}: neither {name!r:.80} nor {path!r:.80} names a point")
            elif not path.isprintable():
                self.note("bad-name", f"line {number}: {path!r:.120} cannot be a path")
            elif key := self.key(*by_path, f"line {number}"):
                if by_name != key:
                    self.note("contradiction", f"line {number}: the name is {name!r:.80}, the path {path!r:.80}", key)
                if key in index.values:
                    self.note("duplicate", f"line {number} names the point again", key)
                index.values[key] = None
                index.paths[key] = path if path.startswith("/") or not folder else f"{folder}/{path}"
        return index


def line_keys(name: str, path: str) -> tuple[Key | None, Key | None]:
    """Find the point that a line of a list names.

    Args:
        name: The first field: the name.
        path: The second field: the path of the image or of its folder.

    Returns:
        The point by the name, and by the path; by the name, too, where the path does not tell. None for no point.
    """
    *_, group, last = ["", "", *path.rstrip("/").split("/")]
    image = names.image_name(last)
    if image:
        *_, group, last = ["", "", *path.split("/")[:-1]]
    place = names.placement(group, last, image)
    by_name = names.listed_name(name, place.point if place else "")
    return by_name, (place.workload, place.point) if place else by_name


def is_workload_object(value: object) -> bool:
    """Return whether a value in a JSON describes a workload: it has points.

    Args:
        value: The value.
    """
    if not isinstance(value, dict):
        return False
    return isinstance(value.get("points"), dict) or (any(map(names.is_point, value)))


def _are_times(values: Iterable[float | None]) -> bool:
    """Whether most values are too large for weights."""
    numbers = [value for value in values if value is not None]
    return 2 * sum(value > 1 for value in numbers) > len(numbers)


def read_index(root: Path, path: str, accepted: Container[str], findings: list[Finding]) -> Index | None:
    """Read an index.

    Args:
        root: The set's folder.
        path: The index, relative to it.
        accepted: All indexes that may be read.
        findings: Gets what is wrong with it.

    Returns:
        The index; None if the file is none, or cannot be read.
    """
    reader = _Reader(root, path, accepted, findings)
    name = path.rpartition("/")[2]
    if name == "weights0":
        return None  # it is read with simpoints0
    kinds = {"sampling.json": reader.sampling, "simpoints0": reader.clusters}
    read = kinds.get(name) or (reader.list if name.endswith(".lst") else reader.json)
    try:
        return read()
    except UserError as error:
        code = "unreadable" if isinstance(error.__cause__, OSError) else "bad-index"
        reader.note(code, str(error).removeprefix(f"{root / path}: "))
    except (ValueError, RecursionError) as error:
        reader.note("bad-index", f"cannot be read: {error}")
    return None
