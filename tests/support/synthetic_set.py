"""Faults of sets of checkpoints, planted in synthetic sets."""

import json
import os
import shutil
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from gcpt.dev.synthetic_sets import LAYOUTS, WORKLOADS, Key, Synthetic, image_path, make

__all__ = ["FAULTS", "IMPOSSIBLE", "LAYOUTS", "WORKLOADS", "change_json", "change_lines", "key_of", "make", "plant"]


def change_json(made: Synthetic, change: Callable[[Any], object], path: Path | None = None) -> None:
    """Change the JSON of all points, or another one."""
    path = path or made.json
    content = json.loads(path.read_text())
    change(content)
    path.write_text(json.dumps(content))


def change_lines(path: Path, change: Callable[[list[str]], list[str]]) -> None:
    path.write_text("\n".join(change(path.read_text().splitlines())) + "\n")


def key_of(made: Synthetic, place: int = 0) -> Key:
    """A point of the workload whose name lies between two others."""
    return [key for key in made.images if key[0] == "bmk_31"][made.planted + place]


def plant(made: Synthetic, fault: str) -> Key:
    """Plant one of FAULTS; each call uses other points. The point or workload that it is about, or two empty names."""
    key = FAULTS[fault].plant(made)
    made.planted += 2
    return key


def _missing(made: Synthetic) -> Key:
    key = key_of(made)
    shutil.rmtree(made.images[key].parent)
    return key


def _vanished(made: Synthetic) -> Key:
    key = key_of(made)
    for file in made.images[key].parent.iterdir():
        file.unlink()
    return key


def _extra(made: Synthetic) -> Key:
    key = ("bmk_31", "7" + key_of(made)[1])
    made.weights[key] = 0.0
    path = image_path(made, key)
    path.parent.mkdir(parents=True)
    path.write_bytes(b"memory")
    if made.layout == "flash":
        path.with_name(path.name.replace("memory", "flash")).write_bytes(b"flash")
    return key


def _duplicate(made: Synthetic) -> Key:
    key = key_of(made)
    path = made.images[key]
    stem = path.stem.removesuffix("memory_")
    path.with_name(f"{stem}{'' if stem != path.stem else 'memory_'}.gz").write_bytes(b"memory")
    return key


def _stray(made: Synthetic) -> Key:
    """Its number is a prefix of the point's."""
    key = key_of(made)
    (made.images[key].parent / f"_{key[1][:-1]}_0.100000_.gz").write_bytes(b"memory")
    return ("", "")


def _fifo(made: Synthetic) -> Key:
    os.mkfifo(made.clusters("bmk_31") / "sampling.json")
    return ("", "")


def _leftover(made: Synthetic) -> Key:
    folder = made.images[key_of(made)].parents[1] / "0"
    folder.mkdir(exist_ok=True)
    (folder / "_0_0.000000_.gz").write_bytes(b"memory")
    return (folder.parent.name, "0")


def _empty(made: Synthetic) -> Key:
    key = key_of(made)
    made.images[key].write_bytes(b"")
    return key


def _unweighted(made: Synthetic) -> Key:
    key = key_of(made)
    for path in {made.json, *made.json.parent.glob("*.json")}:
        path.unlink()
    shutil.rmtree(made.clusters("bmk_31"))
    path = made.images[key]
    for file in path.parent.iterdir():
        file.rename(file.with_name(f"_{key[1]}_{'flash' if 'flash' in file.name else 'memory'}_.gz"))
    if made.layout == "oldest":
        folder = made.points / f"bmk_31/{key[1]}"
        folder.parent.mkdir(exist_ok=True)
        path.parent.rename(folder)
        change_lines(
            made.lst, lambda lines: [line.replace(f"{path.parents[1].name}/0", f"bmk_31/{key[1]}") for line in lines]
        )
    return key


def _set_weight(made: Synthetic, key: Key, weight: str) -> None:
    def change(content: dict[str, dict[str, dict[str, str]]]) -> None:
        points = content.get(key[0], {}).get("points", {})
        if key[1] in points:
            points[key[1]] = weight

    for path in made.json.parent.glob("*.json"):
        change_json(made, change, path)


def _change_cluster(made: Synthetic, key: Key, weight: str) -> None:
    """Change the weight of a point in weights0, in which the points have the order of made.images."""
    place = [one for one in made.images if one[0] == key[0]].index(key)
    change_lines(
        made.clusters(key[0]) / "weights0",
        lambda lines: [*lines[:place], f"{weight} {place}", *lines[place + 1 :]],
    )


def _over_one(made: Synthetic) -> Key:
    _set_weight(made, key_of(made), "1.5")
    _change_cluster(made, key_of(made), "1.5")
    return key_of(made)


def _not_a_number(made: Synthetic) -> Key:
    _set_weight(made, key_of(made), "nan")
    return key_of(made)


def _sum_over_one(made: Synthetic) -> Key:
    more = repr(made.weights[key_of(made)] + 0.01)
    _set_weight(made, key_of(made), more)
    _change_cluster(made, key_of(made), more)
    return ("bmk_31", "")


def _name_differs(made: Synthetic) -> Key:
    """The weight in the name is that of an earlier clustering."""
    key = key_of(made)
    before, after = f"{made.weights[key]:.6f}", f"{made.weights[key] * 0.9:.6f}"
    for file in list(made.images[key].parent.iterdir()):
        file.rename(file.with_name(file.name.replace(before, after)))
    return key


def _other_version(made: Synthetic) -> Key:
    """One index is of an earlier clustering, which chose another interval."""
    key = key_of(made)

    def change(content: dict[str, dict[str, dict[str, str]]]) -> None:
        points = content[key[0]]["points"]
        points["9" + key[1]] = points.pop(key[1])

    change_json(made, change)
    return key


def _instructions(made: Synthetic) -> Key:
    content = {"bmk_31": {"insts": 5, "points": {key_of(made)[1]: made.weights[key_of(made)]}}}
    (made.json.parent / "cov0.json").write_text(json.dumps(content))
    return ("bmk_31", "")


def _twice(made: Synthetic) -> Key:
    workload, point = key = key_of(made)
    head, _, tail = made.json.read_text().partition(f'"{workload}": ')
    made.json.write_text(f'{head}"{workload}": ' + tail.replace(f'"{point}":', f'"{point}": "0.5", "{point}":', 1))
    return key


def _no_weights(made: Synthetic) -> Key:
    (made.clusters("bmk_31") / "weights0").unlink()
    return ("bmk_31", "")


def _weights_outside(made: Synthetic) -> Key:
    """A link to any file of the reader's, whose content no finding may show."""
    path = made.clusters("bmk_31") / "weights0"
    path.rename(made.root.parent / "secret")
    path.symlink_to(made.root.parent / "secret")
    return ("", "")


def _cluster_lost(made: Synthetic) -> Key:
    change_lines(made.clusters("bmk_31") / "weights0", lambda lines: lines[:-1])
    return ("bmk_31", "")


def _indexes_differ(made: Synthetic) -> Key:
    key = key_of(made)
    _change_cluster(made, key, repr(made.weights[key] / 2))
    return key


def _lists_differ(made: Synthetic) -> Key:
    key = key_of(made)
    change_lines(made.lst, lambda lines: [line for line in lines if not line.startswith(f"{key[0]}_{key[1]} ")])
    return key


def _wrong_path(made: Synthetic) -> Key:
    key, other = key_of(made), key_of(made, 1)
    change_lines(
        made.lst,
        lambda lines: [
            f"{other[0]}_{other[1]} {line.split()[1]} 0 0 20 20" if line.startswith(f"{key[0]}_{key[1]} ") else line
            for line in lines
            if not line.startswith(f"{other[0]}_{other[1]} ")
        ],
    )
    return key


def _clusters_reordered(made: Synthetic) -> Key:
    change_lines(made.clusters("bmk_31") / "weights0", lambda lines: lines[::-1])
    return ("bmk_31", "")


def _parent_path(made: Synthetic) -> Key:
    key = key_of(made)
    up = "../" * (1 + len(made.lst.parent.relative_to(made.root).parts))
    change_lines(made.lst, lambda lines: [_moved(line, key, f"{up}other/{key[0]}/{key[1]}") for line in lines])
    return key


def _absolute_path(made: Synthetic) -> Key:
    key = key_of(made)
    change_lines(made.lst, lambda lines: [_moved(line, key, f"/other/{key[0]}/{key[1]}") for line in lines])
    return key


def _moved(line: str, key: Key, path: str) -> str:
    name = f"{key[0]}_{key[1]}"
    return f"{name} {path} 0 0 20 20" if line.startswith(name + " ") else line


def _link(made: Synthetic) -> Key:
    path = made.images[key_of(made)]
    outside = made.root.parent / f"outside-{made.layout}"
    outside.write_bytes(b"memory")
    path.unlink()
    path.symlink_to(outside)
    return ("", "")


def _folder_link(made: Synthetic) -> Key:
    folder = made.images[key_of(made)].parents[1]
    outside = made.root.parent / f"outside-folder-{made.layout}"
    folder.rename(outside)
    folder.symlink_to(outside)
    return ("", "")


def _newline(made: Synthetic) -> Key:
    path = image_path(made, key_of(made))
    folder = path.parents[1].with_name("bmk\n31" + path.parents[1].name.removeprefix("bmk_31")) / path.parent.name
    folder.mkdir(parents=True)
    (folder / path.name).write_bytes(b"memory")
    return ("", "")


def _escapes(made: Synthetic) -> Key:
    change_json(made, lambda content: content.update({"\x1b[2J\x1b]0;owned\x07": {"points": {"1": 0.5}}}))
    return ("", "")


def _broken_json(made: Synthetic) -> Key:
    made.json.write_text(made.json.read_text()[:-20])
    return ("", "")


def _broken_list(made: Synthetic) -> Key:
    change_lines(made.lst, lambda lines: [*lines, "bmk_31_7"])
    return ("", "")


def _nul(made: Synthetic) -> Key:
    key = key_of(made)
    change_lines(made.lst, lambda lines: [_moved(line, key, f"x\0/{key[0]}/{key[1]}") for line in lines])
    return ("", "")


@dataclass(frozen=True)
class Fault:
    """A fault.

    code: of its finding. plant: plants it and returns the point or workload that it is about. consequences: codes of
    what it causes. whole: whether it spoils an index or a workload, and so hides what else is wrong with it.
    """

    code: str
    plant: Callable[[Synthetic], Key]
    consequences: frozenset[str] = frozenset()
    whole: bool = False


def _fault(code: str, plant: Callable[[Synthetic], Key], *consequences: str, whole: bool = False) -> Fault:
    return Fault(code, plant, frozenset(consequences), whole)


FAULTS: dict[str, Fault] = {
    "a point's folder is missing": _fault("missing", _missing),
    "an image vanished": _fault("missing", _vanished),
    "an image that no index names": _fault("extra", _extra),
    "two images of a point": _fault("duplicate", _duplicate),
    "an image in another point's folder": _fault("stray", _stray),
    "a leftover of the generator": _fault("stray", _leftover),
    "an empty image": _fault("empty", _empty),
    "an index that is a FIFO": _fault("unreadable", _fifo),
    "no weight": _fault("unweighted", _unweighted, whole=True),
    "a weight above 1": _fault("mis-weighted", _over_one),
    "a weight that is no number": _fault("mis-weighted", _not_a_number),
    "weights that add up to more than 1": _fault("mis-weighted", _sum_over_one, whole=True),
    "another weight in the name": _fault("mis-weighted", _name_differs),
    "another weight in weights0": _fault("contradiction", _indexes_differ),
    "a list without a point": _fault("contradiction", _lists_differ),
    "a list with another point's path": _fault("contradiction", _wrong_path),
    "a JSON of another version": _fault("contradiction", _other_version, "missing", "mis-weighted"),
    "other instructions in another JSON": _fault("contradiction", _instructions),
    "weights0 in another order": _fault("contradiction", _clusters_reordered, whole=True),
    "weights0 without a cluster": _fault("contradiction", _cluster_lost, whole=True),
    "a path with ..": _fault("path-leaves-set", _parent_path),
    "an absolute path": _fault("path-leaves-set", _absolute_path),
    "a link to a file outside": _fault("path-leaves-set", _link, "missing", "stray"),
    "a link to a folder outside": _fault("path-leaves-set", _folder_link, "missing", whole=True),
    "a link from weights0 to outside": _fault("path-leaves-set", _weights_outside, "bad-index", whole=True),
    "a newline in a folder's name": _fault("bad-name", _newline),
    "escape sequences in a JSON": _fault("bad-name", _escapes),
    "a NUL byte in a list": _fault("bad-name", _nul, "contradiction"),
    "a JSON that ends early": _fault("bad-index", _broken_json, whole=True),
    "a list's line that is cut": _fault("bad-index", _broken_list),
    "simpoints0 without weights0": _fault("bad-index", _no_weights, whole=True),
    "a point that a JSON names twice": _fault("duplicate", _twice),
}

#: Layouts whose images have no weight in their names.
UNNAMED = ("uniform", "qemu")
#: Faults that some layouts cannot have: SimPoint's intervals are not the points of the oldest.
IMPOSSIBLE = {("oldest", "another weight in weights0")} | {
    (layout, "another weight in the name") for layout in (*UNNAMED, "oldest")
}


def consequences(made: Synthetic, fault: str) -> frozenset[str]:
    """The codes of what a fault causes in a layout."""
    causes = FAULTS[fault].consequences
    if fault == "an image that no index names" and made.layout in UNNAMED:
        causes |= {"unweighted"}
    return causes
