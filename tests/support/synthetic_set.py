"""Sets of checkpoints in every layout, with planted faults; the images hold no checkpoints unless one is given."""

import json
import random
import shutil
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

Key = tuple[str, str]

#: Workloads whose names are prefixes of each other, or have digits and underscores.
WORKLOADS = ("bmk_3", "bmk_31", "bmk_314", "429.mcf", "mcf", "a_1_b")
LAYOUTS = ("current", "flash", "older", "oldest", "nemu", "uniform", "qemu")
INTERVAL = 20_000_000


@dataclass
class Synthetic:
    """A set: where it is, and what is true of it."""

    root: Path
    layout: str
    images: dict[Key, Path] = field(default_factory=dict)
    weights: dict[Key, float] = field(default_factory=dict)

    @property
    def points(self) -> Path:
        """The folder of the workloads."""
        names = {"older": "checkpoint-0-0-0", "nemu": "out/taken", "uniform": "out/taken", "oldest": "", "qemu": ""}
        return self.root / names.get(self.layout, "checkpoint")

    @property
    def json(self) -> Path:
        """The JSON of all points."""
        names = {"older": "checkpoint-0-0-0/cluster-0-0.json", "oldest": "all.json"}
        return self.root / names.get(self.layout, "json/checkpoints_all.json")

    @property
    def lst(self) -> Path:
        return self.points / "checkpoint.lst" if self.layout in ("current", "flash", "older") else self.root / "all.lst"

    def clusters(self, workload: str) -> Path:
        return self.root / ("cluster-0-0" if self.layout == "older" else "cluster") / workload

    def change_json(self, change: Callable[[dict], object], path: Path | None = None) -> None:  # type: ignore[type-arg]
        path = path or self.json
        content = json.loads(path.read_text())
        change(content)
        path.write_text(json.dumps(content))

    def change_lines(self, path: Path, change: Callable[[list[str]], list[str]]) -> None:
        path.write_text("\n".join(change(path.read_text().splitlines())) + "\n")


def _image(made: Synthetic, key: Key) -> Path:
    (workload, point), weight = key, made.weights[key]
    base = made.points
    match made.layout:
        case "current" | "flash":
            return base / workload / point / f"_{point}_{weight:.6f}_memory_.zstd"
        case "older":
            return base / workload / point / f"_{point}_{weight:.6f}_.gz"
        case "oldest":
            return base / f"{workload}_{point}_{weight:.6f}" / "0" / f"_{point}_{weight:.6f}_.gz"
        case "nemu":
            return base / workload / point / f"_{point}_{weight:.6f}_memory_.gz"
        case "uniform":
            return base / workload / point / f"_{point}_memory_.gz"
        case _:
            return base / workload / point / f"_{point}_.gz"


def make(
    root: Path, layout: str = "current", points: int = 24, content: Path | None = None, seed: int = 1
) -> Synthetic:
    """Write a set without faults.

    Args:
        root: The folder to make.
        layout: One of LAYOUTS.
        points: Number of points, spread over WORKLOADS.
        content: A checkpoint that each image is a hard link of.
        seed: Of numbers and weights.
    """
    rng = random.Random(seed)
    made = Synthetic(root, layout)
    for number, workload in enumerate(WORKLOADS):
        count = len(range(number, points, len(WORKLOADS)))
        shares = [rng.random() + 0.1 for _ in range(count)]
        for interval, share in zip(rng.sample(range(1, 100_000), count), shares, strict=True):
            point = str(interval * INTERVAL if layout == "oldest" else interval)
            made.weights[workload, point] = share / sum(shares)
    for key in made.weights:
        path = made.images[key] = _image(made, key)
        path.parent.mkdir(parents=True)
        if content:
            path.hardlink_to(content)
        else:
            path.write_bytes(b"memory")
        if layout == "flash":
            path.with_name(path.name.replace("memory", "flash")).write_bytes(b"flash")
    _write_indexes(made)
    return made


def _write_indexes(made: Synthetic) -> None:
    workloads: dict[str, dict[str, str]] = {}
    for (workload, point), weight in made.weights.items():
        workloads.setdefault(workload, {})[point] = repr(weight)
    whole = {name: {"insts": "312000456789", "points": points} for name, points in workloads.items()}
    made.json.parent.mkdir(parents=True, exist_ok=True)
    made.json.write_text(json.dumps(whole))
    lines = ["# name path skip fw_warmup detailed_warmup sample"]
    for (workload, point), path in made.images.items():
        place = path.parent.relative_to(made.lst.parent)
        lines.append(f"{workload}_{point} {place} 0 0 20 20")
    made.lst.write_text("\n".join(lines) + "\n")
    for name, points in workloads.items():
        folder = made.clusters(name)
        folder.mkdir(parents=True)
        rows = [
            (str(int(point) // (INTERVAL if made.layout == "oldest" else 1)), weight)
            for point, weight in points.items()
        ]
        (folder / "simpoints0").write_text("".join(f"{point} {number}\n" for number, (point, _) in enumerate(rows)))
        (folder / "weights0").write_text("".join(f"{weight} {number}\n" for number, (_, weight) in enumerate(rows)))
        if made.layout in ("current", "flash"):
            (made.json.parent / f"{name}.json").write_text(json.dumps({name: whole[name]}))
    if made.layout in ("current", "flash"):
        heaviest = {
            name: {"points": dict([max(points.items(), key=lambda row: float(row[1]))])}
            for name, points in workloads.items()
        }
        (made.json.parent / "checkpoints_cov0.3.json").write_text(json.dumps(heaviest))


def key_of(made: Synthetic, place: int = 0) -> Key:
    """A point of the workload whose name lies between two others."""
    return [key for key in made.images if key[0] == "bmk_31"][place]


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
    path = _image(made, key)
    path.parent.mkdir(parents=True)
    path.write_bytes(b"memory")
    return key


def _duplicate(made: Synthetic) -> Key:
    key = key_of(made)
    path = made.images[key]
    name = f"_{key[1]}_{'' if '_0.' not in path.name else '0.999999_'}.gz"
    path.with_name(name if name != path.name else f"_{key[1]}_memory_.gz").write_bytes(b"memory")
    return key


def _stray(made: Synthetic) -> Key:
    folder = made.images[key_of(made)].parent
    (folder / "_1_0.100000_.gz").write_bytes(b"memory")
    return ("", "")


def _leftover(made: Synthetic) -> Key:
    folder = made.images[key_of(made)].parents[1] / "0"
    folder.mkdir(exist_ok=True)
    (folder / "_0_0.000000_.gz").write_bytes(b"memory")
    return ("", "")


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
        made.change_lines(
            made.lst, lambda lines: [line.replace(f"{path.parents[1].name}/0", f"bmk_31/{key[1]}") for line in lines]
        )
    return key


def _set_weight(made: Synthetic, key: Key, weight: str) -> None:
    def change(content: dict[str, dict[str, dict[str, str]]]) -> None:
        points = content.get(key[0], {}).get("points", {})
        if key[1] in points:
            points[key[1]] = weight

    for path in made.json.parent.glob("*.json"):
        made.change_json(change, path)


def _over_one(made: Synthetic) -> Key:
    _set_weight(made, key_of(made), "1.5")
    return key_of(made)


def _not_a_number(made: Synthetic) -> Key:
    _set_weight(made, key_of(made), "nan")
    return key_of(made)


def _sum_over_one(made: Synthetic) -> Key:
    _set_weight(made, key_of(made), repr(made.weights[key_of(made)] + 0.01))
    return ("bmk_31", "")


def _indexes_differ(made: Synthetic) -> Key:
    key = key_of(made)
    folder = made.clusters(key[0])
    made.change_lines(folder / "weights0", lambda lines: [f"{float(lines[0].split()[0]) / 2} 0", *lines[1:]])
    return key


def _lists_differ(made: Synthetic) -> Key:
    key = key_of(made)
    made.change_lines(made.lst, lambda lines: [line for line in lines if not line.startswith(f"{key[0]}_{key[1]} ")])
    return key


def _wrong_path(made: Synthetic) -> Key:
    key, other = key_of(made), key_of(made, 1)
    made.change_lines(
        made.lst,
        lambda lines: [
            f"{other[0]}_{other[1]} {line.split()[1]} 0 0 20 20" if line.startswith(f"{key[0]}_{key[1]} ") else line
            for line in lines
            if not line.startswith(f"{other[0]}_{other[1]} ")
        ],
    )
    return key


def _clusters_reordered(made: Synthetic) -> Key:
    made.change_lines(made.clusters("bmk_31") / "weights0", lambda lines: lines[::-1])
    return ("bmk_31", "")


def _parent_path(made: Synthetic) -> Key:
    key = key_of(made)
    up = "../" * (1 + len(made.lst.parent.relative_to(made.root).parts))
    made.change_lines(made.lst, lambda lines: [_moved(line, key, f"{up}other/{key[0]}/{key[1]}") for line in lines])
    return key


def _absolute_path(made: Synthetic) -> Key:
    key = key_of(made)
    made.change_lines(made.lst, lambda lines: [_moved(line, key, f"/other/{key[0]}/{key[1]}") for line in lines])
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
    path = _image(made, key_of(made))
    folder = path.parents[1].with_name("bmk\n31" + path.parents[1].name.removeprefix("bmk_31")) / path.parent.name
    folder.mkdir(parents=True)
    (folder / path.name).write_bytes(b"memory")
    return ("", "")


def _escapes(made: Synthetic) -> Key:
    made.change_json(lambda content: content.update({"\x1b[2J\x1b]0;owned\x07": {"points": {"1": 0.5}}}))
    return ("", "")


def _broken_json(made: Synthetic) -> Key:
    made.json.write_text(made.json.read_text()[:-20])
    return ("", "")


def _broken_list(made: Synthetic) -> Key:
    made.change_lines(made.lst, lambda lines: [*lines, "bmk_31_7"])
    return ("", "")


#: Faults: the code of the finding, and what plants one and returns the point or workload that it is about.
FAULTS: dict[str, tuple[str, Callable[[Synthetic], Key]]] = {
    "a point's folder is missing": ("missing", _missing),
    "an image vanished": ("missing", _vanished),
    "an image that no index names": ("extra", _extra),
    "two images of a point": ("duplicate", _duplicate),
    "an image in another point's folder": ("stray", _stray),
    "a leftover of the generator": ("stray", _leftover),
    "an empty image": ("empty", _empty),
    "no weight": ("unweighted", _unweighted),
    "a weight above 1": ("mis-weighted", _over_one),
    "a weight that is no number": ("mis-weighted", _not_a_number),
    "weights that add up to more than 1": ("mis-weighted", _sum_over_one),
    "another weight in weights0": ("contradiction", _indexes_differ),
    "a list without a point": ("contradiction", _lists_differ),
    "a list with another point's path": ("contradiction", _wrong_path),
    "weights0 in another order": ("contradiction", _clusters_reordered),
    "a path with ..": ("path-leaves-set", _parent_path),
    "an absolute path": ("path-leaves-set", _absolute_path),
    "a link to a file outside": ("path-leaves-set", _link),
    "a link to a folder outside": ("path-leaves-set", _folder_link),
    "a newline in a folder's name": ("bad-name", _newline),
    "escape sequences in a JSON": ("bad-name", _escapes),
    "a JSON that ends early": ("bad-index", _broken_json),
    "a list's line that is cut": ("bad-index", _broken_list),
}

#: Faults that some layouts cannot have: SimPoint's intervals are not the points of the oldest.
IMPOSSIBLE = {("oldest", "another weight in weights0"), ("oldest", "an image in another point's folder")}
