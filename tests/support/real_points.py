"""Real checkpoints as points of a set."""

import os
from pathlib import Path

from gcpt.checkpoint import edits
from gcpt.checkpoint.files import write_checkpoint
from gcpt.checkpoint.places import DUAL_CORE, SINGLE_CORE
from gcpt.machines import synthetic
from gcpt.machines.synthetic import DRAM, Recipe

_MIB = 1 << 20


def write_point(root: Path, workload: str, point: str, recipe: Recipe, random_mib: int = 0) -> Path:
    """Write a checkpoint of 128 MiB into a set; the last ``random_mib`` cannot be compressed."""
    built = synthetic.make(recipe)
    path = root / "checkpoint" / workload / point / f"_{point}_0.250000_memory_.zstd"
    path.parent.mkdir(parents=True)
    chunks = (os.urandom(_MIB) if number >= 128 - random_mib else bytes(_MIB) for number in range(128))
    memory = edits.patched(chunks, [(at - DRAM, data) for at, data in built.memory])
    write_checkpoint(path, built.harts, memory, DUAL_CORE if recipe.harts > 1 else SINGLE_CORE, "zstd")
    return path
