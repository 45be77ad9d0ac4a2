"""The worked example of docs/library.md, as it stands there."""

import re
import subprocess
import sys
from pathlib import Path

from gcpt import checkpoint
from gcpt.checkpoint import PLACES, difference, edits, open_checkpoint, write_checkpoint
from gcpt.checkpoint.layouts import LAYOUTS
from gcpt.machines import synthetic
from gcpt.machines.synthetic import DRAM, Recipe

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs" / "library.md").read_text()


def test_the_example(tmp_path: Path) -> None:
    made = synthetic.make(Recipe(harts=2))
    memory = edits.patched([bytes(1 << 20)] * 16, [(address - DRAM, data) for address, data in made.memory])
    write_checkpoint(tmp_path / "before.zst", made.harts, memory, PLACES["dual_core"])
    [program] = re.findall(r"```python\n(.*?)```", PAGE, re.DOTALL)
    environment = {"PYTHONPATH": str(ROOT / "site_scons")}
    command = [sys.executable, "-c", program]
    run = subprocess.run(command, cwd=tmp_path, env=environment, capture_output=True, text=True, check=True)
    pcs = [f"hart {number}: pc {hart.pc:#x}, satp {hart.get('satp'):#x}" for number, hart in enumerate(made.harts)]
    assert run.stdout.splitlines() == pcs
    before, after = (open_checkpoint(tmp_path / name) for name in ("before.zst", "after.gz"))
    assert (after.place, after.container) == (PLACES["protobuf"], "gzip")
    found = difference.compare(before, after)
    changed = [(one.hart, one.name) for one in found.registers]
    timers = [(hart, name) for hart in (0, 1) for name in ("mtimecmp", "stimecmp")]
    assert sorted(changed) == sorted([*timers, (0, "x10 (a0)")])
    assert not found.memory["memory"].size


def test_the_page_names_all_that_there_is() -> None:
    for name in checkpoint.__all__:
        assert f"`{name}" in PAGE, name


def test_layouts_are_those_that_there_are_places_for() -> None:
    assert set(LAYOUTS) == {*PLACES, "flash"}
