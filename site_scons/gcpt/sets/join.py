"""Join the images of a set with its indexes, exactly on workload and point."""

import os
from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

from gcpt.sets.findings import Finding, Findings
from gcpt.sets.indexes import ALL, CUT, ONE, Index
from gcpt.sets.names import Key
from gcpt.sets.tree import Image, Tree, resolved_inside

#: Names have six decimals, rounded or cut off.
_TOLERANCE = 1e-6 + 1e-12
#: Some scripts leave out points of at most this weight.
LIGHT = 1e-4
#: Kinds of indexes with weights, the most exact first.
_WEIGHTED = ("json", "weights0")


@dataclass
class Joined:
    """The points of a set.

    Attributes:
        images: The memory image of each point.
        flashes: The flash image of a point that has one.
        missing: Points that an index names and that have no image.
        light: Points without an image that SimPoint found, too light for some scripts.
        weights: Weight and its source of each point.
        seconds: How long a point took.
        samplings: How the points of a workload were chosen.
        findings: What is wrong.
    """

    images: dict[Key, Image] = field(default_factory=dict)
    flashes: dict[Key, Image] = field(default_factory=dict)
    missing: list[Key] = field(default_factory=list)
    light: list[Key] = field(default_factory=list)
    weights: dict[Key, tuple[float, str]] = field(default_factory=dict)
    seconds: dict[Key, float] = field(default_factory=dict)
    samplings: dict[str, str] = field(default_factory=dict)
    findings: list[Finding] = field(default_factory=Findings)


def order(key: Key) -> tuple[str, int, str]:
    """Return the place of a point among others: by workload, then by number.

    Args:
        key: Workload and point.
    """
    return key[0], int(key[1] or 0), key[1]


class _Join:
    def __init__(self, tree: Tree, indexes: Sequence[Index], allow_outside: bool) -> None:
        self.tree, self.allow_outside = tree, allow_outside
        self.out = Joined()
        self.lists = [index for index in indexes if index.kind in ("json", "lst", "weights0")]
        self.indexes = indexes
        self.all: dict[Key, list[Image]] = defaultdict(list)
        for image in tree.images:
            self.all[image.key].append(image)
        self.refused: set[Key] = set()
        self.has_counts = any(image.is_count for image in tree.images)
        self.by_interval = {image.key[0] for image in tree.images if not image.is_count}

    def note(self, code: str, what: str, key: Key = ("", ""), path: str = "") -> None:
        self.out.findings.append(Finding(code, what, key, path))

    def listed(self, index: Index) -> Iterable[Key]:
        """The points of an index; SimPoint's intervals say nothing about points that are counts of instructions."""
        if index.kind != "weights0" or not self.has_counts:
            return index.values
        return [key for key in index.values if key[0] in self.by_interval]

    def images(self) -> None:
        """Choose the image of each point."""
        named = {key for index in self.lists for key in self.listed(index)}
        for key, images in list(self.all.items()):
            leftovers = [image for image in images if int(key[1]) == 0 and _is_zero(image.weight)]
            if key not in named or len(leftovers) < len(images):
                self._each("stray", "a leftover of the generator: interval 0 of weight 0", leftovers)
                self.all[key] = images = [image for image in images if image not in leftovers]
            memory = [image for image in images if not image.is_flash]
            flash = [image for image in images if image.is_flash]
            if not images:
                del self.all[key]
                continue
            if not memory:
                self._each("stray", "a flash image without a memory image", flash)
            elif len(memory) > 1 or len(flash) > 1:
                several = memory if len(memory) > 1 else flash
                self.note("duplicate", "the point has the images " + ", ".join(i.path for i in several), key)
            else:
                self.out.images[key] = memory[0]
                if flash:
                    self.out.flashes[key] = flash[0]
            for image in images:
                if image.size == 0:
                    self.note("empty", "the image has no bytes", key, image.path)

    def _each(self, code: str, what: str, images: Iterable[Image]) -> None:
        for image in images:
            self.note(code, what, image.key, image.path)

    def paths(self) -> None:
        """Check that the paths of lists lead to the points' images."""
        places: dict[str, set[Key]] = defaultdict(set)
        for image in self.tree.images:
            for path in (image.path, os.path.dirname(image.path)):
                places[path].add(image.key)
        for index in self.lists:
            for key, path in index.paths.items():
                normal = os.path.normpath(path)
                inside = normal if normal in places else resolved_inside(self.tree.root, path)
                if inside is None and not self.allow_outside:
                    self.note("path-leaves-set", f"{index.path}: {path!r:.120} leaves the set's folder", key)
                elif inside is not None and inside in places and key not in places[inside]:
                    self.note("contradiction", f"{index.path}: the image at {path!r:.120} is of another point", key)
                elif inside not in places and key in self.all:
                    where = self.all[key][0].path
                    self.note("contradiction", f"{index.path}: nothing is at {path!r:.120}, the image is {where}", key)

    def membership(self) -> None:
        """Compare which points there are: in the folders, and in each index."""
        sources: dict[Key, list[str]] = defaultdict(list)
        for index in self.lists:
            for key in self.listed(index):
                sources[key].append(index.path)
        whole = [index for index in self.lists if index.scope != CUT]
        covered = {key[0] for index in whole for key in self.listed(index)}
        lists_all = any(index.scope == ALL for index in whole)
        containers = {_container(os.path.dirname(image.path)) for image in self.tree.images}
        spelled = defaultdict(set)
        for workload, _ in self.all:
            spelled[_bare(workload)].add(workload)
        for key in sorted(sources, key=order):
            if key not in self.all:
                self._missing(key, sources[key], spelled)
        for key in sorted(self.all, key=order):
            if key in self.out.images and key not in sources and (key[0] in covered or lists_all):
                self.note("extra", "no index names the point", key, self.out.images[key].path)
        for path, key in self.tree.folders.items():
            if key not in self.all and key not in sources and _container(path) in containers:
                self.note("missing", "the point's folder has no image", key, path)
        self._compare(whole, sources)

    def _missing(self, key: Key, sources: list[str], spelled: dict[str, set[str]]) -> None:
        light = all(index.kind == "weights0" for index in self.lists if key in index.values)
        if light and self.out.weights.get(key, (1.0, ""))[0] <= LIGHT:
            self.out.light.append(key)
            return
        other = spelled.get(_bare(key[0]), set()) - {key[0]}
        hint = f"; the folder spells the workload {min(other)!r}" if other else ""
        self.out.missing.append(key)
        self.note("missing", f"{sources[0]} names the point, which has no image{hint}", key)

    def _compare(self, whole: Sequence[Index], sources: dict[Key, list[str]]) -> None:
        """Find points that one whole index has and another lacks."""
        for index in whole:
            if not index.values and sources:
                self.note("contradiction", "names no point, but other indexes do", path=index.path)
                continue
            workloads = {workload for workload, _ in self.listed(index)}
            for key, paths in sources.items():
                if key in index.values or (index.scope != ALL and key[0] not in workloads):
                    continue
                if self.out.weights.get(key, (1.0, ""))[0] > LIGHT:
                    self.note("contradiction", f"{paths[0]} names the point, {index.path} does not", key)

    def weights(self) -> None:
        """Choose the weight of each point, and compare its weights."""
        known: dict[Key, list[tuple[float, str]]] = defaultdict(list)
        for kind in _WEIGHTED:
            for index in sorted(self.lists, key=lambda index: (ALL, ONE, CUT).index(index.scope)):
                if index.kind == kind:
                    for key in self.listed(index):
                        value = index.values[key]
                        if value is not None:
                            known[key].append((value, index.source))
        for key, values in known.items():
            first, source = values[0]
            for value, other in values[1:]:
                if abs(value - first) > _TOLERANCE:
                    self.note("contradiction", f"the weight is {first:g} in {source}, {value:g} in {other}", key)
        for key, images in self.all.items():
            for image in images:
                weight = float(image.weight) if image.weight else None
                if weight is None or image.is_flash:
                    continue
                if key in known and abs(known[key][0][0] - weight) > _TOLERANCE:
                    value, source = known[key][0]
                    self.note("mis-weighted", f"{weight:g} in the name, {value:g} in {source}", key, image.path)
                elif key not in known and len(images) - sum(i.is_flash for i in images) == 1:
                    known[key].append((weight, "name"))
        for key in sorted(known, key=order):
            value, source = known[key][0]
            if not 0 <= value <= 1:
                self.note("mis-weighted", f"{value:g} in {source} is not from 0 to 1", key)
                self.refused.add(key)
            else:
                self.out.weights[key] = (value, source)

    def sums(self) -> None:
        """Find points without a weight, and workloads whose weights add up to more than 1."""
        totals: dict[str, float] = defaultdict(float)
        counts: dict[str, int] = defaultdict(int)
        for key in [*self.out.images, *self.out.missing]:
            if key not in self.out.weights:
                if key in self.out.images and key not in self.refused:
                    self.note("unweighted", "no index and no name gives a weight", key, self.out.images[key].path)
                continue
            totals[key[0]] += self.out.weights[key][0]
            counts[key[0]] += 1
        for workload, total in totals.items():
            if total > 1 + _TOLERANCE * (1 + counts[workload]):
                self.note("mis-weighted", f"the weights add up to {total:.6f}, more than 1", (workload, ""))

    def facts(self) -> None:
        """Collect times, samplings and instructions."""
        instructions: dict[str, tuple[str, str]] = {}
        for index in self.indexes:
            if index.kind == "times":
                self.out.seconds |= {key: value for key, value in index.values.items() if value is not None}
            for workload, count in index.instructions.items():
                first, path = instructions.setdefault(workload, (count, index.path))
                if first != count:
                    what = f"{first:.30} instructions in {path}, {count:.30} in {index.path}"
                    self.note("contradiction", what, (workload, ""))
            for workload, method in index.samplings.items():
                if (first := self.out.samplings.setdefault(workload, method)) != method:
                    self.note("contradiction", f"the sampling is {first!r}, in {index.path} {method!r}", (workload, ""))
                    self.out.samplings[workload] = f"{first}, {method}"


def _is_zero(weight: str) -> bool:
    return bool(weight) and float(weight) == 0


def _bare(workload: str) -> str:
    """A workload's name without SPEC's number: ``456.hmmer`` and ``hmmer`` may be the same."""
    number, dot, rest = workload.partition(".")
    return rest if dot and rest and number.isdigit() else workload


def _container(folder: str) -> str:
    """The folder of the workloads, from that of a point."""
    return os.path.dirname(os.path.dirname(folder))


def join(tree: Tree, indexes: Sequence[Index], allow_outside: bool = False) -> Joined:
    """Join the images of a set with its indexes.

    Args:
        tree: The files of the set.
        indexes: Its indexes.
        allow_outside: Accept paths that leave the set's folder.

    Returns:
        The points, and what is wrong with them.
    """
    joining = _Join(tree, indexes, allow_outside)
    joining.images()
    joining.weights()
    joining.paths()
    joining.membership()
    joining.sums()
    joining.facts()
    return joining.out
