"""The example in docs/library.md, extracted from the page."""

import re
import subprocess
import sys
from pathlib import Path

import gcpt.checkpoint
from gcpt.checkpoint import PLACES, difference, edits, open_checkpoint, write_checkpoint
from gcpt.checkpoint.layouts import LAYOUTS
from gcpt.machines import synthetic
from gcpt.machines.synthetic import DRAM, Recipe

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs" / "library.md").read_text()


def test_the_example(tmp_path: Path) -> None:
    checkpoint = synthetic.make(Recipe(harts=2))
    memory = edits.patched([bytes(1 << 20)] * 16, [(address - DRAM, data) for address, data in checkpoint.memory])
    write_checkpoint(tmp_path / "before.zst", checkpoint.harts, memory, PLACES["dual_core"])
    [program] = re.findall(r"```python\n(.*?)```", PAGE, re.DOTALL)
    environment = {"PYTHONPATH": str(ROOT / "site_scons")}
    command = [sys.executable, "-c", program]
    run = subprocess.run(command, cwd=tmp_path, env=environment, capture_output=True, text=True, check=True)
    pcs = [
        f"hart {number}: pc {hart.pc:#x}, satp {hart.get('satp'):#x}" for number, hart in enumerate(checkpoint.harts)
    ]
    assert run.stdout.splitlines() == pcs
    before, after = (open_checkpoint(tmp_path / name) for name in ("before.zst", "after.gz"))
    assert (after.place, after.container) == (PLACES["protobuf"], "gzip")
    differences = difference.compare(before, after)
    changed = [(register.hart, register.name) for register in differences.registers]
    timers = [(hart, name) for hart in (0, 1) for name in ("mtimecmp", "stimecmp")]
    assert sorted(changed) == sorted([*timers, (0, "x10 (a0)")])
    assert not differences.memory["memory"].size


def test_the_page_names_all_public_names() -> None:
    for name in gcpt.checkpoint.__all__:
        assert f"`{name}" in PAGE, name


def test_each_layout_has_a_place() -> None:
    assert set(LAYOUTS) == {*PLACES, "flash"}
