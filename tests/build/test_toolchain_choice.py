"""The choice of a toolchain, with dummy commands and with real ones."""

import os
import time
from pathlib import Path

import pytest

from gcpt.build import toolchains
from gcpt.errors import UserError
from gcpt.restorer.resolution import resolve

PATH = os.environ["PATH"]
GNU, LINUX = "riscv64-unknown-elf-gcc", "riscv64-linux-gnu-gcc"


def commands(folder: Path, names: str, text: str = "") -> str:
    for name in names.split():
        (folder / name).write_text(f"#!/bin/sh\n{text}\n")
        (folder / name).chmod(0o755)
    return str(folder)


def gnu(prefix: str) -> str:
    return " ".join(prefix + name for name in ("gcc", "as", "ld", "objdump"))


def llvm(suffix: str) -> str:
    return f"clang{suffix} ld.lld{suffix} llvm-objdump{suffix}"


def chosen(path: str, bad: str = "", **options: str) -> str:
    """The chosen toolchain if all work except those with ``bad`` in their name."""
    return toolchains.choose(resolve(options), path, lambda candidate: "old" if bad and bad in candidate.name else "")[
        0
    ].name


def test_the_first_usable_one_is_taken_in_a_fixed_order(tmp_path):
    path = commands(tmp_path, f"{gnu('riscv64-unknown-elf-')} {gnu('riscv64-linux-gnu-')} {llvm('-18')} {llvm('')}")
    assert chosen(path) == chosen(path, toolchain="gnu") == GNU
    assert chosen(path, bad="elf") == chosen(path, cross_compile="riscv64-linux-gnu-") == LINUX
    assert chosen(path, bad="riscv64") == chosen(path, toolchain="llvm") == "clang-18"
    assert chosen(path, bad="-") == "clang"
    assert chosen(path, toolchain="zig") == "zig"
    commands(tmp_path, llvm("-20"))
    assert chosen(path, toolchain="llvm") == "clang-20"
    (tmp_path / "ld.lld-20").unlink()
    (tmp_path / "riscv64-unknown-elf-ld").unlink()
    assert (chosen(path, toolchain="llvm"), chosen(path)) == ("clang-18", LINUX)


def test_a_wrong_choice_is_one_line_with_each_reason(tmp_path):
    path = commands(tmp_path, "my-gcc clang-16 ld.lld-16 llvm-objdump-16 clang")
    with pytest.raises(UserError) as refused:
        chosen(path, cross_compile="my-")
    assert str(refused.value) == "my-ld is not found: choose another prefix with cross_compile=, or remove it"
    with pytest.raises(UserError) as refused:
        chosen(path, bad="-16", toolchain="llvm")
    assert str(refused.value).startswith("toolchain=llvm: clang-16 old; ld.lld is not found: ./sconsw")


def test_what_the_firmware_needs_is_really_tried(tmp_path):
    env = {"PATH": PATH}
    for candidate in toolchains.candidates("auto", "", PATH):
        if not candidate.missing(PATH):
            works = candidate.kind != "llvm" or int(candidate.name.partition("-")[2] or "17") >= toolchains.OLDEST_LLVM
            assert (toolchains.try_out(candidate, env, tmp_path) == "") == works, candidate.name
    path = commands(tmp_path, llvm("-16"), 'echo "probe.S: error: unknown option" >&2; exit 1')
    old = next(toolchains.candidates("llvm", "", path))
    reason = toolchains.try_out(old, {"PATH": f"{path}:{PATH}"}, tmp_path)
    assert reason == "does not support the firmware's assembly; LLVM 17 or newer does (probe.S: error: unknown option)"


def test_a_verdict_is_remembered_until_the_compiler_is_another(tmp_path):
    out, log = tmp_path / "out", tmp_path / "log"
    path = commands(tmp_path, gnu("my-"), f"echo x >> {log}")
    config, env = resolve({"cross_compile": "my-", "build_dir": str(out)}), {"PATH": f"{path}:{PATH}"}
    assert toolchains.presumed(config, env).name == "my-gcc"
    assert not log.exists() and not out.exists()
    for _ in range(3):
        assert toolchains.for_build(config, env)[0].name == "my-gcc"
    assert log.read_text() == "x\n"
    commands(tmp_path, "my-as", f"# another\necho x >> {log}")
    os.utime(tmp_path / "my-gcc", (time.time() + 9,) * 2)
    commands(tmp_path, "my-gcc", f"echo x >> {log}; exit 1")
    with pytest.raises(UserError, match="my-gcc does not support the firmware's assembly"):
        toolchains.for_build(config, env)
    with pytest.raises(UserError, match="does not support"):
        toolchains.for_build(config, env)
    assert log.read_text() == "x\nx\n"
    (out / "toolchains.json").write_text("{")
    with pytest.raises(UserError, match="does not support"):
        toolchains.for_build(config, env)


def test_a_file_that_is_no_program_is_a_reason(tmp_path):
    path = commands(tmp_path, gnu("my-"))
    (tmp_path / "my-gcc").write_bytes(b"\x7fELF")
    [candidate] = toolchains.candidates("gnu", "my-", path)
    assert toolchains.try_out(candidate, {"PATH": path}, tmp_path) == "cannot be run: Exec format error"
