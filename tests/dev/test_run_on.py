"""docs/run-on.md: every command that is not marked runs, in a copy of the project and in the order of the page."""

import os
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from gcpt.machines import demo

PAGE = Path(__file__).parents[2] / "docs/run-on.md"
#: The ends of the paragraphs before commands that the tests do not run here.
_MARKS = ("(not run by us):", "(run by other tests):", "(run by hand):")
_PLACES = (
    "NEMU",
    "XiangShan's emu, from memory",
    "XiangShan's emu, from flash",
    "FPGA with a debugger",
    "XS-GEM5",
    "gsim",
    "chipyard",
    "Spike",
    "Whisper",
    "QEMU's fork, machine nemu",
    "Stock QEMU",
)


def _sections() -> dict[str, str]:
    """The sections by title; "" for the text before the first."""
    first, *rest = re.split(r"^## ", PAGE.read_text(), flags=re.MULTILINE)
    return {"": first, **dict(section.split("\n", 1) for section in rest)}


def _commands(section: str) -> Iterator[str]:
    """The commands of a section that are not marked."""
    paragraphs = section.split("\n\n")
    for before, block in zip(["", *paragraphs], paragraphs, strict=False):
        lines = [line[4:] for line in block.strip("\n").splitlines() if line.startswith("    ")]
        if lines and not " ".join(before.split()).endswith(_MARKS):
            yield from lines


def test_each_place_has_its_section() -> None:
    assert tuple(_sections()) == ("", *_PLACES)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory, copy_project) -> Path:  # type: ignore[no-untyped-def]
    """A copy of the project with ckpt.zst, a command gcpt, and a sconsw that installs nothing."""
    copy: Path = copy_project(tmp_path_factory.mktemp("run-on") / "project").folder
    python, package = sys.executable, copy / "site_scons"
    for name, module in {"bin/gcpt": "gcpt", "sconsw": "SCons -Q"}.items():
        script = copy / name
        script.parent.mkdir(exist_ok=True)
        script.write_text(f'#!/bin/sh\nPYTHONPATH={package} exec {python} -m {module} "$@"\n')
        script.chmod(0o755)
    assert demo.main([str(copy / "demo.raw")]) == 0
    assert _run(copy, "gcpt convert demo.raw ckpt.zst").returncode == 0
    return copy


def _run(folder: Path, command: str) -> "subprocess.CompletedProcess[str]":
    path = f"{folder / 'bin'}{os.pathsep}{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    return subprocess.run(
        ["sh", "-c", command],
        cwd=folder,
        env={**os.environ, "PATH": path},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        check=False,
    )


@pytest.mark.parametrize("title", ["", *_PLACES], ids=lambda title: title or "before any of them")
def test_the_commands_run(folder: Path, title: str) -> None:
    commands = list(_commands(_sections()[title]))
    assert commands
    for command in commands:
        run = _run(folder, command)
        assert run.returncode == 0, command + "\n" + run.stdout + run.stderr
        if command.startswith(("gcpt run", "qemu-system-riscv64")):
            assert demo.TEXT.decode().partition("...")[2].strip() in run.stdout
