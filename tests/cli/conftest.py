"""Checkpoint files for the command to work on."""

from collections.abc import Callable
from pathlib import Path

import pytest

from gcpt import image, synthetic
from gcpt.state import SINGLE_CORE, Checkpoint, Place
from gcpt.synthetic import DRAM, Recipe

SIZE = 128 << 20


@pytest.fixture
def checkpoint_file(tmp_path: Path) -> Callable[..., Path]:
    """``checkpoint_file(Recipe(...), place, change)``: a zstd file; change gets the harts before they are written."""

    def make(
        recipe: Recipe | None = None,
        place: Place = SINGLE_CORE,
        change: Callable[[list], None] = lambda harts: None,  # type: ignore[type-arg]
        name: str = "ckpt.zst",
    ) -> Path:
        made = synthetic.make(recipe or Recipe())
        change(made.harts)
        pieces = [*synthetic.blocks(Checkpoint(place, made.harts)), *made.memory]
        path = tmp_path / name
        zeros = (bytes(1 << 20) for _ in range(SIZE >> 20))
        image.write(path, image.patched(zeros, [(address - DRAM, data) for address, data in pieces]), "zstd")
        return path

    return make
