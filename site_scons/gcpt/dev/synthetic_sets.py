"""Synthetic sets of checkpoints in every layout, for tests and the bench: images are short texts or hard links."""

import json
import random
from dataclasses import dataclass, field
from pathlib import Path

Key = tuple[str, str]

#: Workloads whose names are prefixes of each other, or have digits and underscores.
WORKLOADS = ("bmk_3", "bmk_31", "bmk_314", "429.mcf", "mcf", "a_1_b")
LAYOUTS = ("current", "flash", "older", "oldest", "nemu", "uniform", "qemu")
INTERVAL = 20_000_000


@dataclass
class Synthetic:
    """A set: where it is, and what is true of it.

    Attributes:
        root: Its folder.
        layout: One of LAYOUTS.
        images: The memory image of each point.
        weights: The weight of each point.
        planted: Points that planted faults have used up.
    """

    root: Path
    layout: str
    images: dict[Key, Path] = field(default_factory=dict)
    weights: dict[Key, float] = field(default_factory=dict)
    planted: int = 0

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
        """The list of all points."""
        return self.points / "checkpoint.lst" if self.layout in ("current", "flash", "older") else self.root / "all.lst"

    def clusters(self, workload: str) -> Path:
        """Return the folder of a workload's SimPoint files.

        Args:
            workload: The workload.
        """
        return self.root / ("cluster-0-0" if self.layout == "older" else "cluster") / workload


def image_path(synthetic: Synthetic, key: Key) -> Path:
    """Return where a set keeps the memory image of a point.

    Args:
        synthetic: The set; it has the point's weight.
        key: Workload and point.
    """
    (workload, point), weight = key, synthetic.weights[key]
    base = synthetic.points
    match synthetic.layout:
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

    Returns:
        The set.
    """
    rng = random.Random(seed)
    created = Synthetic(root, layout)
    for number, workload in enumerate(WORKLOADS):
        count = len(range(number, points, len(WORKLOADS)))
        shares = [rng.random() + 0.1 for _ in range(count)]
        for interval, share in zip(rng.sample(range(1, 100_000), count), shares, strict=True):
            point = str(interval * INTERVAL if layout == "oldest" else interval)
            created.weights[workload, point] = share / sum(shares)
    for key in created.weights:
        path = created.images[key] = image_path(created, key)
        path.parent.mkdir(parents=True)
        if content:
            path.hardlink_to(content)
        else:
            path.write_bytes(b"memory")
        if layout == "flash":
            path.with_name(path.name.replace("memory", "flash")).write_bytes(b"flash")
    _write_indexes(created)
    return created


def _write_indexes(created: Synthetic) -> None:
    workloads: dict[str, dict[str, str]] = {}
    for (workload, point), weight in created.weights.items():
        workloads.setdefault(workload, {})[point] = repr(weight)
    whole = {name: {"insts": "312000456789", "points": points} for name, points in workloads.items()}
    created.json.parent.mkdir(parents=True, exist_ok=True)
    created.json.write_text(json.dumps(whole))
    lines = ["# name path skip fw_warmup detailed_warmup sample"]
    for (workload, point), path in created.images.items():
        place = path.parent.relative_to(created.lst.parent)
        lines.append(f"{workload}_{point} {place} 0 0 20 20")
    created.lst.write_text("\n".join(lines) + "\n")
    for name, points in workloads.items():
        folder = created.clusters(name)
        folder.mkdir(parents=True)
        rows = [
            (str(int(point) // (INTERVAL if created.layout == "oldest" else 1)), weight)
            for point, weight in points.items()
        ]
        (folder / "simpoints0").write_text("".join(f"{point} {number}\n" for number, (point, _) in enumerate(rows)))
        (folder / "weights0").write_text("".join(f"{weight} {number}\n" for number, (_, weight) in enumerate(rows)))
        if created.layout in ("current", "flash"):
            (created.json.parent / f"{name}.json").write_text(json.dumps({name: whole[name]}))
    if created.layout in ("current", "flash"):
        heaviest = {
            name: {"points": dict([max(points.items(), key=lambda row: float(row[1]))])}
            for name, points in workloads.items()
        }
        (created.json.parent / "checkpoints_cov0.3.json").write_text(json.dumps(heaviest))
