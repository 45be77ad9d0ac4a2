"""Follow docs/adding.md literally in copies of the project, and check the results that it promises."""

import os
import re
import subprocess
import sys
from pathlib import Path

_INSERT = re.compile(r"In `([\w/.]+)`, (after|before) the line with\s`([^`]+)`:\n\n((?: {4}.*\n)+)")
_REPLACE = re.compile(r"in\s`([\w/.]+)`,\s`([^`]+)` becomes `([^`]+)`")


def _follow(copy: Path, title: str) -> None:
    """Apply the edits of the section ``title``."""
    section = (copy / "docs/adding.md").read_text().partition(f"\n## {title}\n")[2].partition("\n## ")[0]
    inserted, replaced = _INSERT.findall(section), _REPLACE.findall(section)
    assert inserted, title
    for name, side, anchor, block in inserted:
        lines = (copy / name).read_text().splitlines(keepends=True)
        [at] = [i for i, line in enumerate(lines) if anchor in line]
        lines.insert(at + (side == "after"), "".join(line[4:] for line in block.splitlines(keepends=True)))
        (copy / name).write_text("".join(lines))
    for name, old, new in replaced:
        text = (copy / name).read_text()
        assert text.count(old) == 1, (name, old)
        (copy / name).write_text(text.replace(old, new))


def _python(copy: Path, *arguments: str, status: int = 0) -> str:
    """Run a Python module in the copy; return its output."""
    environment = {**os.environ, "PYTHONPATH": str(copy / "site_scons")}
    command = [sys.executable, "-m", *arguments]
    done = subprocess.run(command, cwd=copy, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == status, done.stdout + done.stderr
    return done.stdout


def _tables_and_order_hold(copy: Path) -> None:
    _python(copy, "ruff", "format", "site_scons")
    _python(copy, "gcpt.dev.tables")
    _python(copy, "pytest", "-q", "-p", "no:cacheprovider", "tests/isa/test_inventories.py", "tests/isa/test_fields.py")


def test_adding_a_csr(copy: Path) -> None:
    _follow(copy, "Adding a CSR")
    _tables_and_order_hold(copy)
    assert "| 0x5c5 | examplectl | xscustom | early | an example | example 1.2 |" in (copy / "docs/csrs.md").read_text()
    _python(copy, "SCons", "-s", "csrs=+xscustom", "mode=single_core")
    [listing] = copy.glob("build/single_core-csrs*/gcpt.dis")
    written = re.findall(r"csrw\t(0x5c\d),a[01]", listing.read_text())
    assert written == ["0x5c0", "0x5c1", "0x5c2", "0x5c3", "0x5c4", "0x5c5"]


def test_adding_a_platform(copy: Path) -> None:
    _follow(copy, "Adding a platform")
    _tables_and_order_hold(copy)
    assert "`example` | a board with" in (copy / "docs/platforms.md").read_text()
    _python(copy, "SCons", "-s", "platform=example", "mode=dual_core", "log=info")
    machine = ["qemu-system-riscv64", "-machine", "virt", "-nographic", "-bios", "build/gcpt.bin"]
    ran = subprocess.run(machine, cwd=copy, capture_output=True, text=True, check=False)
    assert (ran.returncode, "gcpt: error 8 hart 0: no checkpoint: " in ran.stdout) == (8, True), ran


def test_adding_a_layout(copy: Path) -> None:
    _follow(copy, "Adding a layout")
    _tables_and_order_hold(copy)
    _python(copy, "gcpt.machines.demo", "demo.img")
    _python(copy, "gcpt", "convert", "demo.img", "compact.zst", "--layout", "compact")
    assert "compact" in _python(copy, "gcpt", "convert", "--help")
    shown = _python(copy, "gcpt", "verify", "compact.zst")
    assert "exact" in shown
