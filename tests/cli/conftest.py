"""Checkpoint files for the command to work on."""

import fcntl
from collections.abc import Callable
from pathlib import Path

import pytest
from command import gcpt
from guests import AT_THE_PROMPT, LOAD_U_BOOT

from gcpt.checkpoint import edits
from gcpt.checkpoint.files import write_checkpoint
from gcpt.checkpoint.places import SINGLE_CORE, Place
from gcpt.machines import synthetic
from gcpt.machines.synthetic import DRAM, Recipe

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
        path = tmp_path / name
        zeros = (bytes(1 << 20) for _ in range(SIZE >> 20))
        memory = edits.patched(zeros, [(address - DRAM, data) for address, data in made.memory])
        write_checkpoint(path, made.harts, memory, place, "zstd")
        return path

    return make


@pytest.fixture(scope="session")
def u_boot(session_folder: Path) -> Callable[..., Path]:
    """``u_boot(harts, layout)``: U-Boot at its prompt, zstd; taken once in a session, and not to be written to."""

    def take(harts: int, layout: str = "auto") -> Path:
        path = session_folder / f"u-boot-{harts}-{layout}.zst"
        with path.with_suffix(".lock").open("w") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            if not path.exists():
                where = ("-o", path, "--harts", str(harts), "--layout", layout)
                run = gcpt("snapshot", *where, *LOAD_U_BOOT, *AT_THE_PROMPT)
                assert (run.returncode, run.stderr) == (0, ""), run.stderr
        return path

    return take
