"""Copy the indexes of a set to a new set whose images may have other names."""

import json
import os
import re
from collections.abc import Mapping
from pathlib import Path

from gcpt.checkpoint import output
from gcpt.errors import UserError
from gcpt.sets import manifest, tree
from gcpt.sets.indexes import is_workload_object, line_keys, parse_json, read_text
from gcpt.sets.names import Key, is_point

#: The name, the path and the rest of a line of a list.
_LINE = re.compile(r"^([ \t]*[^\s#]\S*[ \t]+)(\S+)([^\n]*\n?)", re.MULTILINE)


def check_folders(root: Path, folder: Path, own: str) -> None:
    """Check that a new set can be written.

    Args:
        root: The folder of the old set, absolute.
        folder: The folder of the new set, absolute.
        own: The folder in it that tells that an earlier run wrote it.

    Raises:
        UserError: One of them lies in the other, or the new one has other files.
    """
    real_root, real = Path(os.path.realpath(root)), Path(os.path.realpath(folder))
    if real.is_relative_to(real_root) or real_root.is_relative_to(real):
        raise UserError(f"-o {folder}: lies in the set, or the set in it: choose another folder")
    try:
        if folder.exists() and any(folder.iterdir()) and not (folder / own).is_dir():
            raise UserError(f"-o {folder}: has other files: choose an empty folder")
    except OSError as error:
        raise UserError(f"-o {folder}: {error.strerror}: choose another folder") from error


def copy_indexes(root: Path, folder: Path, renamed: Mapping[Path, Path], known: set[Key], chosen: set[Key]) -> None:
    """Copy JSONs, lists and SimPoint's files; manifests describe only the images of their set, and stay there.

    Points that were not chosen, and that no earlier command wrote, are left out. Weights stay as they are.

    Args:
        root: The folder of the old set, absolute.
        folder: The folder of the new set, absolute.
        renamed: The new path of each image.
        known: The points of the old set.
        chosen: Those that were chosen.

    Raises:
        UserError: An index cannot be read or written.
    """
    old = tree.walk(root)
    tree.check_whole(root, old.findings, "the new set")
    kept = chosen | {image.key for image in tree.walk(folder).images}
    left_out = (known | {image.key for image in old.images}) - kept
    gone = {workload for workload, _ in left_out} - {workload for workload, _ in kept}
    for name in old.indexes:
        source, target = root / name, folder / name
        if manifest.is_manifest(source) or (source.name == "sampling.json" and source.parent.name in gone):
            continue
        text = read_text(source)
        if name.endswith(".lst"):
            text = _list(text, source.parent, root, folder, renamed, left_out)
        elif name.endswith(".json"):
            text = _json(text, left_out)
        elif not (text := _clusters(source, text, left_out)):
            continue
        try:
            target.parent.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise UserError(f"{target.parent}: {error.strerror}: choose another folder") from error
        with output.replacing(target) as file:
            file.write(text.encode())


def copy_restorer(old: Path, root: Path, folder: Path, content: Path) -> bool:
    """Give a new set the restorer of its own that the old one has: users and simulators look for it there.

    Args:
        old: The restorer of the old set.
        root: The folder of the old set, absolute.
        folder: The folder of the new set, absolute.
        content: The restorer of the new set: that of the old one, or the one that its points embed now.

    Returns:
        Whether it has it: not if the old one lies outside its set.

    Raises:
        UserError: It cannot be read or written.
    """
    if not old.is_relative_to(root):
        return False
    target = folder / old.relative_to(root)
    try:
        data = content.read_bytes()
        target.parent.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise UserError(f"{error.filename}: {error.strerror}: the new set would have no restorer") from error
    with output.replacing(target) as file:
        file.write(data)
    return True


def _list(text: str, base: Path, root: Path, folder: Path, renamed: Mapping[Path, Path], left_out: set[Key]) -> str:
    """A list in ``base`` with the new paths, and without lines of points that are left out."""

    def renew(line: re.Match[str]) -> str:
        _, key = line_keys(line[1].strip(), line[2])
        return "" if key in left_out else line[1] + _renewed(line[2], base, root, folder, renamed) + line[3]

    return _LINE.sub(renew, text)


def _json(text: str, left_out: set[Key]) -> str:
    """A JSON without points that are left out, and without workloads that lose all; else the same text."""
    try:
        content = parse_json(text)
    except ValueError:
        return text
    is_cut = False
    for workload, value in list(content.items()) if isinstance(content, dict) else []:
        if not is_workload_object(value):
            continue
        points = value["points"] if isinstance(value.get("points"), dict) else value
        lost = [point for point in points if (workload, point) in left_out]
        for point in lost:
            del points[point]
        if lost and not any(map(is_point, points)):
            del content[workload]
        is_cut |= bool(lost)
    return json.dumps(content, indent=2) + "\n" if is_cut else text


def _clusters(source: Path, text: str, left_out: set[Key]) -> str:
    """``simpoints0`` or ``weights0`` without intervals that are left out."""
    intervals = source.with_name("simpoints0")
    rows = [line.split() for line in read_text(intervals).splitlines()] if intervals.is_file() else []
    lost = {row[1] for row in rows if len(row) == 2 and (source.parent.name, row[0]) in left_out}
    return "".join(line for line in text.splitlines(keepends=True) if lost.isdisjoint(line.split()[1:]))


def _renewed(path: str, base: Path, root: Path, folder: Path, renamed: Mapping[Path, Path]) -> str:
    """A path of a list in ``base``, so that it leads to the same image, or folder, of the new set."""
    old = Path(os.path.normpath(base / path))
    if not old.is_relative_to(root):
        return path
    new = renamed.get(old, folder / old.relative_to(root))
    return str(new) if os.path.isabs(path) else os.path.relpath(new, folder / base.relative_to(root))
