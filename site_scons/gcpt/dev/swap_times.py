"""Times of replacing the restorer of a large image, as ratios to ``cp`` of the same file."""

import subprocess
import time
from collections.abc import Iterator
from pathlib import Path
from statistics import median

from gcpt.checkpoint import edits
from gcpt.checkpoint.files import open_checkpoint, write_checkpoint
from gcpt.checkpoint.layouts import MIB
from gcpt.checkpoint.places import SINGLE_CORE
from gcpt.dev import container_times
from gcpt.dev.figures import Figures
from gcpt.machines import synthetic
from gcpt.machines.synthetic import DRAM, Recipe
from gcpt.restorer import packing

_ROUNDS = 9
#: MiB of the image, and of its part that is not zero.
_SIZE, _USED = 2048, 448


def _memory(size: int, used: int) -> Iterator[bytes]:
    """The image's memory: zeros, but for a part behind the reserved MiB that is compressible to a third."""
    pieces = [piece for piece in container_times.content() if any(piece)]
    yield bytes(MIB)
    for number in range(1, size):
        yield pieces[number % len(pieces)] if number <= used else bytes(MIB)


def write_image(path: Path, size: int, used: int) -> None:
    """Write a single-core checkpoint.

    Args:
        path: The file; its ending says the container.
        size: MiB of memory.
        used: MiB of it that are not zero.
    """
    built = synthetic.make(Recipe())
    memory = edits.patched(_memory(size, used), [(address - DRAM, data) for address, data in built.memory])
    write_checkpoint(path, built.harts, memory, SINGLE_CORE)


def measure(folder: Path, restorers: tuple[Path, Path]) -> Figures:
    """Measure the ratio of the time of a swap, within gcpt, to that of ``cp`` just before it.

    Args:
        folder: A temporary folder.
        restorers: Two restorers for a single-core checkpoint.

    Returns:
        Medians of the ratios.

    Raises:
        subprocess.CalledProcessError: ``cp`` fails.
    """
    checkpoint, packed, copy = (folder / name for name in ("checkpoint", "packed", "copy"))
    first, second = map(packing.read, restorers)
    write_image(checkpoint, _SIZE, _USED)
    ratios = {}
    for container in ("gzip", "zstd"):
        out = packing.Output(packed, container)
        packing.write((out, packing.pack(first, open_checkpoint(checkpoint), False)))
        values = []
        for number in range(_ROUNDS):
            start = time.monotonic()
            subprocess.run(["cp", packed, copy], check=True)
            middle = time.monotonic()
            packing.swap(packed, first if number % 2 else second)
            values.append((time.monotonic() - middle) / (middle - start))
        ratios[f"swap the restorer of 2 GiB in {container} / cp"] = median(values)
    return {"ratio": ratios}
