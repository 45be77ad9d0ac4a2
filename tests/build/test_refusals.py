"""Errors: one line, exit status 2, and unchanged outputs."""

import shutil

import pytest


def refused(project, *arguments, **environment):
    """Run SCons, which must fail with one line and change no file; the line."""
    before = project.contents()
    run = project.scons(*arguments, **environment)
    assert run.status == 2
    assert project.contents() == before
    assert run.steps == set()
    [line] = run.err.splitlines()
    assert line.startswith("gcpt: ")
    return line


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ("stopcpu=1", "did you mean stop_cpu?"),
        ("--mode=dual_core", "build options have no dashes: write mode=dual_core"),
        ("--stop-cpu 1", "build options have no dashes: write stop_cpu=..."),
        ("gcpt-payload=x", "did you mean gcpt_payload?"),
        ("mode=multi", "mode=multi: want one of normal, dual_core, single_core, auto, bare_metal"),
        ("platform=qemu", "did you mean qemu-virt?"),
        ("stop_cpu=1 stop_cpu=2", "stop_cpu= has two different values"),
        ("stop_cpu=0 mode=bare_metal", "all harts are parked"),
        ("display_cpu=5 harts=4", "hart 5 is out of range for harts=4"),
        ("harts=2 mode=single_core", "mode=single_core restores one hart"),
        ("gcpt_payload=missing.bin", "gcpt_payload=missing.bin: no such file"),
        ("gcpt_payload=empty.bin", "the file is empty"),
        ("gcpt_payload=SConstruct gcpt_payload_position=0x80000000", "overlaps the restorer's first MiB"),
        ("gcpt_payload=SConstruct gcpt_payload_position=0x1000", "outside memory"),
        ("gcpt_dtb=SConstruct", "set gcpt_payload=FILE or gcpt_payload_position= as well"),
        ("gcpt_payload=SConstruct gcpt_dtb=SConstruct", "not a device tree blob"),
        ("header_addr=0x80300000 mode=dual_core", "mode=dual_core reads no protobuf header"),
        ("build_dir=firmware", "choose a separate folder"),
        ("build_dir=/proc/x", "/proc/x/toolchains.json: No such file or directory: choose another folder"),
        ("cache_dir=tests", "cache_dir=tests: outputs would mix"),
        ("export_dir=firmware", "export_dir=firmware: outputs would mix with the sources"),
        ("export_dir=.", "export_dir=.: outputs would mix with the sources"),
        ("destdir=SConstruct", "destdir=SConstruct: this is a file"),
        ("cache_dir=SConstruct", "cache_dir=SConstruct: this is a file"),
        ("cache_dir=/proc/x", "cache_dir=/proc/x: No such file or directory: choose another folder"),
        ("build_dir=a'b", "cannot use a path with"),
        ("options_file=firmware", "options_file=firmware: not a file"),
        ("save_options=firmware", "save_options=firmware: this is a folder"),
        ("test pytest_args='unbalanced", "pytest_args='unbalanced: No closing quotation"),
        ("coverage pytest_args='unbalanced", "pytest_args='unbalanced: No closing quotation"),
        ("csrs=+", "csrs=+: no group follows a + or -"),
        ("run platform=spike", "platform=spike: run uses QEMU's virt machine"),
        ("run flash=1", "flash=1: run loads the restorer into memory"),
        ("debug ckpt=missing", "ckpt=missing: no such file"),
        ("run debug", "run and debug both need the terminal"),
        ("ide=vsc", "ide=vsc: want one of vscode; did you mean vscode?"),
        ("gdb_port=65536", "gdb_port=65536: want a number from 1 to 65535"),
        ("random random_count=0", "random_count=0: want a number from 1 to 1000000"),
        ("random random_count=-1", "random_count=-1: want a number from 1 to 1000000"),
        ("random random_minutes=nan", "random_minutes=nan: want a number from 1 to 1000000"),
        ("random random_seed=x", "random_seed=x: want a number from 0 to 4294967295"),
        ("mutants sample=x", "sample=x: want a number from 1 to 1000000"),
        ("mutants sample_seed=-1", "sample_seed=-1: want a number from 0 to 4294967295"),
        ("debug=yes", "debug=yes: want one of 0, 1"),
        ("options_file=missing", "options_file=missing: no such file"),
        ("cross_compile=nothing-", "nothing-gcc is not found: choose another prefix"),
        ("toolchain=zig cross_compile=riscv64-unknown-elf-", "a GNU prefix contradicts toolchain=zig: remove one"),
        ("toolchain=clang", "toolchain=clang: want one of auto, gnu, llvm, zig"),
        ("picolibc=/nowhere", "/nowhere/ has no newlib/libc/machine/riscv/memcpy-asm.S"),
    ],
)
def test_one_line_and_nothing_built(built, arguments, words):
    (built / "empty.bin").touch()
    assert words in refused(built, *arguments.split())


def test_a_missing_toolchain_is_named_before_anything_is_built(project):
    assert "toolchain=gnu: riscv64-unknown-elf-gcc is not found; riscv64-linux-gnu-gcc is not found; " in refused(
        project, "toolchain=gnu", PATH="/nowhere"
    )
    assert "toolchain=llvm: clang is not found: ./sconsw --setup-only installs it" in refused(
        project, "toolchain=llvm", PATH="/nowhere"
    )


def test_missing_sources_are_named_where_they_are_needed(project):
    shutil.rmtree(project / "build/third_party/picolibc")
    assert "memset.S: ./sconsw --setup-only fetches it" in refused(project, "mode=dual_core")
    project.build("mode=single_core")


@pytest.mark.parametrize(
    ("target", "module"), {"test": "pytest", "lint": "ruff", "mutants": "pytest", "coverage": "coverage"}.items()
)
def test_a_missing_python_package_of_the_tests_is_named(project, tmp_path, target, module):
    (tmp_path / "sitecustomize.py").write_text(f"import sys\nsys.modules['{module}'] = None\n")
    run = project.scons(target, PYTHONPATH=str(tmp_path))
    assert run.status != 0
    assert run.err == f"scons: *** [{target}] {module} is not installed: ./sconsw {target} installs it\n"


def test_old_python_or_scons_is_refused_with_a_remedy(project):
    project.replace("site_scons/site_init.py", "_SCONS = (4, 5)", "_SCONS = (99, 0)")
    assert "99.0 or newer is needed" in refused(project)
    project.replace("site_scons/site_init.py", "_PYTHON = (3, 11)", "_PYTHON = (4, 0)")
    assert "4.0 or newer is needed" in refused(project)


def test_options_from_files(project):
    run = project.build("mode=dual_core", "stop_cpu=0,3", "log=info", "save_options=my.options")
    assert "GEN my.options" in run.steps
    assert (project / "my.options").read_text() == "mode = 'dual_core'\nstop_cpu = '0,3'\nlog = 'info'\n"
    assert project.scons("-q", "options_file=my.options").status == 0
    image = (project / "build/gcpt.bin").read_bytes()
    assert project.build("options_file=my.options", "log=quiet").compiled()
    assert (project / "build/gcpt.bin").read_bytes() != image
    assert (project / "build/dual_core-stop0.3/gcpt.bin").exists()
    project.build("save_options=my.options", "-c")
    assert (project / "my.options").exists()


def test_the_default_options_file_is_python_and_the_command_line_wins(project):
    (project / "gcpt.options").write_text("mode = 'bare' + '_metal'\nplatform = 'spike'\nstop_cpu = None\n")
    project.build()
    assert (project / "build/single_core-spike/gcpt.bin").exists()
    project.build("platform=qemu-virt")
    assert (project / "build/single_core-qemu-virt/gcpt.bin").exists()
    (project / "gcpt.options").write_text("mode = 'dual_core'\nstop_cpu = 0\ndisplay_cpu = [0, 1]\n")
    project.build()
    assert (project / "build/dual_core-stop0-display0.1/gcpt.bin").exists()


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("stopcpu = 1\n", "did you mean stop_cpu?"),
        ("mode = dual_core\n", "gcpt.options: name 'dual_core' is not defined: want lines such as mode = 'dual_core'"),
        ("mode dual_core\n", "gcpt.options: invalid syntax"),
        ("harts = 0\n", "harts=0: want a number from 1 to 128"),
        ("\ufeffmode = 'normal'\n", "gcpt.options: starts with a byte order mark: save it as UTF-8 without one"),
    ],
)
def test_what_is_wrong_in_an_options_file(project, text, words):
    (project / "gcpt.options").write_text(text)
    assert words in refused(project)


def outputs(project):
    names = ("gcpt.elf", "gcpt.bin", "gcpt.map", "gcpt.dis", "config.json", "compile_commands.json")
    return {name: digest for name, digest in project.contents().items() if name.endswith(names)}


@pytest.mark.parametrize(
    ("name", "old", "new", "message"),
    [
        ("firmware/head.S", ".word   gcpt_size", ".word   gcpt_size - 8", "audit rule size_word: "),
        ("firmware/complete.S", ".dword GCPT_", ".dword ~GCPT_", "audit rule complete_flag: "),
        ("site_scons/gcpt/restorer/budgets.py", "PROTOBUF = 12288", "PROTOBUF = 3000", "audit rule budget: "),
        ("firmware/gcpt.ld", "ENTRY(_start)", "ENTRY(gcpt_fail)", "audit rule entry_is_first: "),
        ("firmware/gcpt.ld", "FLAGS(6)", "FLAGS(7)", "gcpt.elf] Error 1"),
        ("firmware/gcpt.ld", "ENTRY(_start)", "ENTRY(", "gcpt.ld:"),
        ("firmware/plan.c", "#include", "#include <nothing.h>\n#include", "nothing.h: No such file"),
    ],
)
def test_a_fault_in_the_sources_leaves_the_last_good_outputs(built, name, old, new, message):
    """The faulty build is not up to date, and undoing the fault restores a good one."""
    before = outputs(built)
    built.replace(name, old, new)
    for _ in range(2):
        run = built.scons()
        assert run.status == 2
        assert message in run.err
        assert outputs(built) == before
    assert built.scons("-q").status == 1
    built.replace(name, new, old)
    built.build()
    assert outputs(built) == before
    assert built.scons("-q").status == 0


@pytest.mark.parametrize("look", [(), ("-q",), ("-n",)])
def test_messages_that_the_decoder_cannot_read_are_refused_before_the_build(built, look):
    before = outputs(built)
    built.replace("proto/checkpoint.proto", "uint64 version", "uint65 version")
    run = built.scons(*look)
    assert (run.status, run.out.count("[")) == (2, 0)
    [line] = run.err.splitlines()
    assert line.startswith("gcpt: ") and "proto/checkpoint.proto: uint65 version = 6: want uint64" in line
    assert outputs(built) == before


def test_a_rejected_first_link_leaves_no_elf(project):
    project.replace("firmware/head.S", ".word   gcpt_size", ".word   gcpt_size - 8")
    run = project.scons()
    assert run.status == 2
    [line] = run.err.splitlines()
    assert line.startswith("scons: *** [build/normal/gcpt.elf] audit rule size_word: ")
    assert not {name for name in outputs(project) if name.endswith(("gcpt.elf", "gcpt.bin"))}
    project.build("-c")
    assert not (project / "build/normal").exists()


@pytest.mark.parametrize(("ram", "sections"), [("0x80280000", set()), ("0x802e0000", {".bss"})])
def test_memory_among_the_blocks(project, ram, sections):
    """The data of a restorer in flash is in the memory at ram= and must not overlap blocks."""
    run = project.scons("mode=dual_core", "harts=128", "platform=qemu-virt", "flash=1", f"ram={ram}")
    assert run.status == (2 if sections else 0)
    assert {name for name in (".data", ".bss") if f"{name} (0x80" in run.err} == sections
    assert ("leaves_state_alone" in run.err) == bool(sections)
    assert run.err.count("\n") == (1 if sections else 0)
