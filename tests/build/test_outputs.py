"""The outputs of a build."""

import fcntl
import json
import struct
import subprocess
import sys
from pathlib import Path

import pytest

from gcpt.restorer import options

OUTPUTS = ("gcpt.elf", "gcpt.bin", "gcpt.map", "gcpt.dis", "compile_commands.json", "config.json")
LATEST = ("gcpt.elf", "gcpt.bin", "compile_commands.json")


def size_word(image: bytes) -> int:
    return int(struct.unpack_from("<I", image, 4)[0])


def test_default_build_from_nothing(project):
    before = project.contents()
    run = project.build()
    assert {"CC firmware/decode.c", "LD build/normal/gcpt.elf", "AUD build/normal/gcpt.elf"} <= run.steps
    image = (project / "build/gcpt.bin").read_bytes()
    assert image == (project / "build/normal/gcpt.bin").read_bytes()
    assert len(image) == size_word(image)
    assert (project / "build/gcpt.elf").read_bytes() == (project / "build/normal/gcpt.elf").read_bytes()
    after = project.contents()
    assert {name: after[name] for name in before} == before
    new = [name for name in after if name not in before]
    assert all(name.startswith("build/") for name in new)
    assert not [name for name in new if name.endswith((".new", ".rejected"))]


def test_the_report_ends_the_output_with_a_line_for_each_file(project):
    lines = project.build("mode=single_core").lines[-len(OUTPUTS) - len(LATEST) :]
    names = [*(f"build/single_core/{name}" for name in OUTPUTS), *(f"build/{name}" for name in LATEST)]
    assert sorted(line.split("  ")[0] for line in lines) == sorted(names)
    size = (project / "build/gcpt.bin").stat().st_size
    assert f"build/gcpt.bin  {size:,} bytes of 3,584" in lines


def test_nothing_to_do(built):
    before = built.contents()
    assert built.build().steps == set()
    assert built.scons("-q").status == 0
    assert built.contents() == before


@pytest.mark.parametrize(
    "arguments",
    [
        "mode=dual_core stop_cpu=1",
        "mode=dual_core display_cpu=0 harts=2 platform=qemu-virt",
        "mode=bare_metal",
        "mode=bare_metal platform=spike",
        "mode=single_core log=debug display_cpu=all",
        "mode=auto log=info platform=kmh-fpga header_addr=0x50000000 -j2",
        "platform=southlake clint=0x2000000 uart=16550@0x10000000 -j1",
        "platform=xiangshan-syscnt stop_cpu=0,127 display_cpu=3",
    ],
)
def test_combinations_of_options(project, arguments):
    run = project.build(*arguments.split())
    assert run.err == ""
    image = (project / "build/gcpt.bin").read_bytes()
    assert len(image) == size_word(image)


@pytest.mark.parametrize("mode", ["normal", "dual_core", "single_core", "auto"])
def test_payload_and_device_tree(project, payload, dtb, mode):
    project.build(f"mode={mode}", f"gcpt_payload={payload}", f"gcpt_dtb={dtb}", "gcpt_payload_position=0x80200000")
    image = (project / "build/gcpt.bin").read_bytes()
    assert image[0x20_0000:] == payload.read_bytes()
    assert dtb.read_bytes() in image[: size_word(image)]
    assert not any(image[size_word(image) : 0x20_0000])


def test_images_do_not_depend_on_the_folder(project, built, payload):
    out = project.folder.with_name("out put")
    for arguments in ([], ["log=info", f"gcpt_payload={payload}"]):
        project.build(f"build_dir={out}", *arguments)
        built.build(*arguments)
        assert (out / "gcpt.bin").read_bytes() == (built / "build/gcpt.bin").read_bytes()
        assert str(out.parent).encode() not in (out / "gcpt.elf").read_bytes()
    assert not (project / "build/normal").exists()


def test_compile_database_holds_the_commands_that_were_run(project, payload):
    project.build("display_cpu=0", f"gcpt_payload={payload}")
    entries = json.loads((project / "build/compile_commands.json").read_text())
    assert {Path(entry["file"]).name for entry in entries} >= {"plan.c", "display.c", "payload.S", "decode.c"}
    for entry in entries:
        before = (project / entry["output"]).read_bytes()
        (project / entry["output"]).unlink()
        subprocess.run(entry["arguments"], cwd=entry["directory"], check=True)
        assert (project / entry["output"]).read_bytes() == before


def test_compile_database_needs_no_compilation(project):
    run = project.scons("build/normal/compile_commands.json", PATH="/nowhere")
    assert (run.status, run.compiled()) == (0, set())
    names = {entry["file"] for entry in json.loads((project / "build/normal/compile_commands.json").read_text())}
    assert {"firmware/head.S", "firmware/plan.c", "firmware/decode.c"} <= names


def test_config_json_says_how_to_build_the_same_again(project):
    project.build("mode=bare_metal", "uart=htif")
    saved = json.loads((project / "build/single_core-htif/config.json").read_text())
    assert saved == {"variant": "single_core-htif", "options": {"mode": "single_core", "uart": "htif"}}


def test_verbose_shows_the_commands(project):
    run = project.build("--verbose", "mode=single_core")
    assert any(line.startswith("riscv64-unknown-elf-gcc ") and "firmware/head.S" in line for line in run.lines)
    assert any(line.startswith("riscv64-unknown-elf-ld ") and "-T firmware/gcpt.ld" in line for line in run.lines)


def test_clean_removes_what_was_built(built):
    built.build("mode=single_core")
    built.build("-c")
    assert all(name.startswith("build/single_core/") for name in built.outputs())
    built.build("mode=single_core", "-c")
    assert built.outputs() == set()


def test_builds_side_by_side_in_one_folder_take_turns(project):
    with (project / "build/.sconsign.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        command = [sys.executable, "-m", "SCons", "-s"]
        running = [
            subprocess.Popen([*command, f"mode={mode}"], cwd=project.folder, stderr=subprocess.PIPE, text=True)
            for mode in ("normal", "dual_core", "single_core")
        ]
        for process in running:
            assert process.stderr.readline() == "gcpt: build: another scons builds here: waiting for it to end\n"
        assert project.scons("-q", "mode=normal").status == 1  # does not wait
        assert project.outputs() <= {"build/toolchains.json"}  # written before the lock
    for process in running:
        with process:
            assert (process.stderr.read(), process.wait()) == ("", 0)
    assert {"build/normal/gcpt.bin", "build/dual_core/gcpt.bin", "build/single_core/gcpt.bin"} <= project.outputs()


@pytest.mark.parametrize("arguments", [["-n"], ["-c"], ["-q"], ["-h"], ["-h", "mode=nonsense"]])
def test_what_builds_nothing_writes_nothing(project, arguments):
    before = project.contents()
    run = project.scons("build_dir=out", *arguments)
    assert run.status == (1 if arguments == ["-q"] else 0)
    assert project.contents() == before
    assert not (project / "out").exists()


def test_dry_run_shows_the_steps_of_the_real_one_even_without_a_toolchain(project):
    dry = project.scons("-n", "toolchain=gnu", PATH="/nowhere")
    assert dry.status == 0
    assert dry.steps == project.build("toolchain=gnu").steps


def test_help_lists_each_option(project):
    run = project.scons("-h")
    for option in options.TABLE:
        assert f"  {option.name}={option.values}\n      {option.help}" in run.out


def test_the_tests_run_under_scons_and_their_failure_is_its_own(project):
    (project / "tests").mkdir()
    test_one = "import os\ndef test_one():\n    print(os.environ['GCPT_FUZZ_CASES'], 'SECRET' in os.environ)\n"
    (project / "tests/test_it.py").write_text(test_one + "def test_two():\n    assert False\n")
    environment = {"GCPT_FUZZ_CASES": "seen", "SECRET": "1"}
    run = project.scons("test", 'pytest_args=-k "test_one or test_none" -s -n 0', **environment)
    assert (run.status, "seen False" in run.out, "1 passed" in run.out) == (0, True, True)
    run = project.scons("test", PATH="/nowhere", **environment)
    assert run.status == 2
    assert "1 failed, 1 passed" in run.out
    assert run.err == "scons: *** [test] tests failed (exit status 1)\n"
    assert not (project / "build/normal").exists()


def test_a_folder_with_a_comma(project):
    project.build("mode=single_core", "build_dir=out, of the way")
    assert (project / "out, of the way/single_core/gcpt.map").exists()


def test_the_image_is_what_objcopy_makes(project, payload):
    """Of an ELF file with one segment, with two, and with a distant payload."""
    for arguments in (["mode=single_core"], ["mode=dual_core"], [f"gcpt_payload={payload}"]):
        project.build(*arguments)
        command = ["riscv64-unknown-elf-objcopy", "-O", "binary", "build/gcpt.elf", "objcopy.bin"]
        subprocess.run(command, cwd=project.folder, check=True)
        assert (project / "objcopy.bin").read_bytes() == (project / "build/gcpt.bin").read_bytes()
