"""The files of a set: images and indexes, found by their names."""

import os
import stat
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

from gcpt.errors import UserError
from gcpt.sets import names
from gcpt.sets.findings import Finding, Findings
from gcpt.sets.names import Key

#: Files and folders that gcpt looks at in one set.
MAX_ENTRIES = 1_000_000
#: Folders between the set's folder and an image, at most: two archives' folders, workload and point, and one to spare.
_DEPTH = 6
#: Folders in the set's folder that have indexes, by the start of their names.
_INDEX_FOLDERS = ("checkpoint", "cluster", "json", "simpoint")
_CLUSTERS = ("simpoints0", "weights0", "sampling.json")


@dataclass(frozen=True, slots=True)
class Image:
    """An image of a point.

    Attributes:
        key: Workload and point.
        path: The file, relative to the set's folder.
        size: Its size in bytes.
        weight: The weight in its name; "" if there is none.
        is_flash: Whether it is the flash image of a pair.
        is_count: Whether the point is a number of instructions, not of an interval.
    """

    key: Key
    path: str
    size: int
    weight: str
    is_flash: bool = False
    is_count: bool = False


@dataclass
class Tree:
    """The files of a set.

    Attributes:
        root: The set's folder, absolute.
        images: Its images, sorted by path.
        folders: Folders of points: the point of each, by path.
        indexes: Indexes, relative to the set's folder, sorted.
        findings: What is wrong with names and links.
    """

    root: Path
    images: list[Image] = field(default_factory=list)
    folders: dict[str, Key] = field(default_factory=dict)
    indexes: list[str] = field(default_factory=list)
    findings: list[Finding] = field(default_factory=Findings)


def resolved_inside(root: Path, path: str) -> str | None:
    """Resolve a path in a set, through symbolic links.

    Args:
        root: The set's folder.
        path: The path, absolute or relative to the set's folder.

    Returns:
        The path relative to the set's folder; None if it leaves the folder, or is no path.
    """
    if "\0" in path:
        return None
    real_root, real = os.path.realpath(root), os.path.realpath(root / path)
    if real != real_root and not real.startswith(real_root.rstrip("/") + "/"):
        return None
    return os.path.relpath(real, real_root)


class _Walk:
    def __init__(self, root: Path, allow_outside: bool) -> None:
        self.tree = Tree(root)
        self.allow_outside = allow_outside
        self._entries = 0
        self._seen: set[tuple[int, int]] = set()

    def entries(self, path: str) -> list[os.DirEntry[str]]:
        """The entries of a folder, sorted; those that begin with a dot are none of a set's."""
        try:
            with os.scandir(self.tree.root / path) as scan:
                found = list(self._counted(scan))
        except OSError as error:
            if not path:
                raise UserError(f"{self.tree.root}: {error.strerror}: give the folder of a set") from error
            self.tree.findings.append(Finding("unreadable", f"the folder cannot be read: {error.strerror}", path=path))
            return []
        return sorted((entry for entry in found if not entry.name.startswith(".")), key=lambda entry: entry.name)

    def _counted(self, scan: Iterator[os.DirEntry[str]]) -> Iterator[os.DirEntry[str]]:
        for entry in scan:
            self._entries += 1
            if self._entries > MAX_ENTRIES:
                root = self.tree.root
                raise UserError(f"{root}: more than {MAX_ENTRIES:,} files and folders: give the folder of one set")
            yield entry

    def _leaves(self, entry: os.DirEntry[str], path: str) -> bool:
        """Whether an entry is a link that leaves the set and may not."""
        if self.allow_outside or not entry.is_symlink() or resolved_inside(self.tree.root, path) is not None:
            return False
        self.tree.findings.append(Finding("path-leaves-set", "the symbolic link leaves the set's folder", path=path))
        return True

    def _is_readable(self, entry: os.DirEntry[str], path: str) -> bool:
        """Whether an entry is a regular file in the set: to open a FIFO would wait for ever."""
        if self._leaves(entry, path):
            return False
        if not stat.S_ISREG(entry.stat().st_mode):
            self.tree.findings.append(Finding("unreadable", "is not a regular file", path=path))
            return False
        return True

    def _enters(self, entry: os.DirEntry[str], path: str) -> bool:
        """Whether to look into a folder: links within the set lead to what is found anyway."""
        if self._leaves(entry, path) or (entry.is_symlink() and resolved_inside(self.tree.root, path) is not None):
            return False
        if self.allow_outside:
            status = entry.stat()
            identity = (status.st_dev, status.st_ino)
            if identity in self._seen:
                return False
            self._seen.add(identity)
        return True

    def walk(self, path: str, parts: tuple[str, ...]) -> None:
        """Look into a folder and those in it.

        Args:
            path: The folder, relative to the set's.
            parts: The names on the way to it, from the name of the set's folder.
        """
        holds_image = False
        for entry in self.entries(path):
            inner = f"{path}/{entry.name}" if path else entry.name
            try:
                if entry.is_dir():
                    if len(parts) <= _DEPTH and self._enters(entry, inner):
                        self.walk(inner, (*parts, entry.name))
                elif self._is_index(entry.name, parts):
                    if self._is_readable(entry, inner):
                        self.tree.indexes.append(inner)
                elif entry.name.startswith("_") and len(parts) > 1 and self._is_readable(entry, inner):
                    holds_image |= self._image(entry, inner, parts)
            except OSError as error:
                self.tree.findings.append(Finding("unreadable", error.strerror or str(error), path=inner))
        place = names.placement(parts[-2], parts[-1]) if len(parts) > 2 and not holds_image else None
        if place and place.point != "0" and names.is_workload(place.workload):
            self.tree.folders[path] = (place.workload, place.point)

    def _is_index(self, name: str, parts: tuple[str, ...]) -> bool:
        if name in _CLUSTERS:
            return len(parts) > 1
        return name.endswith((".json", ".lst")) and (len(parts) == 1 or self._in_index_folder(parts))

    @staticmethod
    def _in_index_folder(parts: tuple[str, ...]) -> bool:
        return len(parts) == 2 and parts[1].startswith(_INDEX_FOLDERS)

    def _image(self, entry: os.DirEntry[str], path: str, parts: tuple[str, ...]) -> bool:
        """Note a file whose name may be an image's; return whether it is one."""
        image = names.image_name(entry.name)
        if image is None:
            if names.is_point(parts[-1]):
                self.tree.findings.append(Finding("stray", "no generator writes an image of this name", path=path))
            return False
        place = names.placement(parts[-2], parts[-1], image)
        if place is None:
            what = f"the name is that of point {image.point}, but the folder is {parts[-1]!r}"
            self.tree.findings.append(Finding("stray", what, path=path))
            return False
        if not names.is_workload(place.workload):
            what = f"{place.workload!r} cannot be the name of a workload"
            self.tree.findings.append(Finding("bad-name", what, path=path))
            return False
        key, weight = (place.workload, place.point), image.weight or place.weight
        size = entry.stat().st_size
        self.tree.images.append(Image(key, path, size, weight, image.is_flash, place.is_count))
        return True


def walk(root: Path, allow_outside: bool = False) -> Tree:
    """Find the files of a set.

    Args:
        root: The set's folder.
        allow_outside: Follow symbolic links that leave it.

    Returns:
        The files.

    Raises:
        UserError: It is no folder, cannot be read, or has too many files.
    """
    if not root.is_dir():
        raise UserError(f"{root}: is no folder: give the folder of a set, its JSON, list or manifest")
    walking = _Walk(root.absolute(), allow_outside)
    walking.walk("", (root.resolve().name,))
    return walking.tree


def check_whole(root: Path, findings: Iterable[Finding], what: str) -> None:
    """Check that a set could be read, so that what is made of it lacks nothing.

    Args:
        root: The set's folder.
        findings: What is wrong with the set.
        what: What is made of it, for the message.

    Raises:
        UserError: A file or folder of the set cannot be read.
    """
    for found in findings:
        if found.code == "unreadable":
            raise UserError(f"{root / found.path}: {found.what}: {what} would lack it: copy it again, or remove it")
