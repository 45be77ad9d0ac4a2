"""The build with each toolchain, and on machines that lack some."""

import json
import os
import shutil
import subprocess
from pathlib import Path

import pytest

CHOICES = {
    "gnu": ["toolchain=gnu"],
    "linux": ["cross_compile=riscv64-linux-gnu-"],
    "llvm": ["toolchain=llvm"],
    "zig": ["toolchain=zig"],
}
PRINTS = ["log=debug", "display_cpu=all", "selfcheck=1"]


def without_compilers(folder: Path) -> str:
    """A PATH with system commands that a build may use, and no compiler."""
    for name in ("env", "git", "sh"):
        if path := shutil.which(name):
            (folder / name).symlink_to(path)
    return str(folder)


def test_a_machine_without_any_cross_compiler_builds_with_zig(project, tmp_path):
    path = without_compilers(tmp_path)
    with_zig = project.build(*PRINTS, "toolchain=zig")
    assert with_zig.err == ""
    expected = (project / "build/gcpt.bin").read_bytes()
    run = project.scons(*PRINTS, PATH=path, HOME=str(tmp_path / "home"))
    assert (run.status, run.err) == (0, "")
    assert "gcpt: using zig: riscv64-unknown-elf-gcc is not found (scons toolchains lists all)" in run.lines
    assert (project / "build/gcpt.bin").read_bytes() == expected
    assert project.scons(*PRINTS, PATH=path).steps == set()
    assert not (tmp_path / "home").exists()  # no files outside the build folder


@pytest.mark.parametrize("choice", CHOICES)
def test_what_is_built_does_not_depend_on_the_folder_and_is_cleaned_up(project, built_once, tmp_path, choice):
    arguments = [*CHOICES[choice], *PRINTS]
    run = project.build(*arguments)
    assert run.err == ""
    image = (project / "build/gcpt.bin").read_bytes()
    assert ("DIS" in run.kinds()) == (choice != "zig")
    assert project.build(*arguments).steps == set()
    assert project.scons("-q", *arguments).status == 0
    moved = type(project)(project.folder.rename(tmp_path / "elsewhere"))
    shutil.rmtree(moved / "build/common")
    moved.build(*arguments, "-j1")
    assert (moved / "build/gcpt.bin").read_bytes() == image
    assert str(tmp_path).encode() not in (moved / "build/gcpt.elf").read_bytes()
    moved.build(*arguments, "-c")
    assert moved.outputs() == set()


@pytest.mark.parametrize("choice", ["llvm", "zig"])
def test_compile_database_of_another_compiler(project, choice):
    project.build(*CHOICES[choice])
    entries = json.loads((project / "build/compile_commands.json").read_text())
    for entry in entries:
        before = (project / entry["output"]).read_bytes()
        (project / entry["output"]).unlink()
        subprocess.run(entry["arguments"], cwd=entry["directory"], check=True)
        assert (project / entry["output"]).read_bytes() == before


@pytest.mark.parametrize("choice", ["llvm", "zig"])
def test_debug_has_source_lines_wherever_it_was_built(project, choice):
    project.build(*CHOICES[choice], "mode=auto", "debug=1")
    command = ["gdb-multiarch", "-batch", "-ex", "info line gcpt_check_plan", "build/gcpt.elf"]
    output = subprocess.run(command, cwd=project.folder, capture_output=True, text=True, check=True).stdout
    assert 'firmware/decode.c" starts at address' in output
    assert str(project.folder).encode() not in (project / "build/gcpt.elf").read_bytes()
    project.build(*CHOICES[choice], "mode=auto")
    assert b".debug_line" not in (project / "build/gcpt.elf").read_bytes()


#: Default flags of compilers in distributions.
DEFAULTS = (
    "-fPIE -fstack-protector-strong -fstack-clash-protection -fasynchronous-unwind-tables -fexceptions "
    "-D_FORTIFY_SOURCE=2 -fcommon -g"
)


def test_the_defaults_of_distributions_change_nothing(project, tmp_path):
    """The same compiler with these defaults."""
    for name in ("gcc", "as", "ld", "objdump"):
        flags = {"gcc": DEFAULTS, "ld": "--build-id -z relro -z now --warn-rwx-segments"}.get(name, "")
        real = shutil.which(f"riscv64-unknown-elf-{name}")
        (tmp_path / f"distro-{name}").write_text(f'#!/bin/sh\nexec {real} {flags} "$@"\n')
        (tmp_path / f"distro-{name}").chmod(0o755)
    project.build(*PRINTS)
    image = (project / "build/gcpt.bin").read_bytes()
    project.build(*PRINTS, f"cross_compile={tmp_path}/distro-")
    assert (project / "build/gcpt.bin").read_bytes() == image


def test_the_table_tells_what_there_is_and_what_is_wrong_with_the_others(project, tmp_path):
    for name in ("clang-16", "ld.lld-16", "llvm-objdump-16"):
        (tmp_path / name).write_text('#!/bin/sh\necho "error: unknown option" >&2\nexit 1\n')
        (tmp_path / name).chmod(0o755)
    before = project.contents()
    run = project.scons("toolchains", PATH=f"{tmp_path}:{os.environ['PATH']}")
    assert run.status == 0
    lines = "\n".join(run.lines)
    assert "* gnu   riscv64-unknown-elf-gcc: riscv64-unknown-elf-gcc (" in lines
    assert "  gnu   riscv64-unknown-linux-gnu-gcc: riscv64-unknown-linux-gnu-gcc is not found" in lines
    assert "  llvm  clang-19: " in lines and "  zig   zig: " in lines
    assert "clang-16: does not support the firmware's assembly; LLVM 17 or newer does (error: unknown option)" in lines
    assert {name for name in project.contents() if "zig-cache" not in name} == set(before)
    assert "*" not in "".join(project.scons("toolchains", PATH=without_compilers(tmp_path)).lines[:3])
