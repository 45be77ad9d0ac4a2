"""Effects of debug=1 on a build, and runs that must not launch a checkpoint."""

import subprocess

import pytest
from elftools.elf.elffile import ELFFile


def sections(path):
    with path.open("rb") as file:
        return {section.name for section in ELFFile(file).iter_sections()}


def test_the_direct_restorer_is_the_same_but_for_its_stamp(project):
    project.build("mode=single_core")
    plain = (project / "build/gcpt.bin").read_bytes()
    project.build("mode=single_core", "debug=1")
    debug = (project / "build/gcpt.bin").read_bytes()
    assert ".debug_line" in sections(project / "build/gcpt.elf")
    assert ".debug_line" not in sections(project / "build/single_core/gcpt.elf")
    code = plain.index(bytes.fromhex("526173002030"))  # ld sp, 272(sp); mret
    assert (plain[:4], plain[8:code]) == (debug[:4], debug[8:code])


@pytest.mark.parametrize(
    "arguments", [["mode=auto"], ["selfcheck=1"], ["mode=auto", "log=debug", "display_cpu=all", "selfcheck=1"]]
)
def test_all_of_it_is_within_its_budget(project, arguments):
    project.build(*arguments, "debug=1")
    project.build(*arguments)


def test_gdb_knows_lines_and_a_checkout_in_another_folder_has_the_same_bytes(built, project, tmp_path):
    cache = f"cache_dir={tmp_path / 'cache'}"
    built.build(cache, "debug=1")
    assert "plan.c" not in project.build(cache, "debug=1").compiled()
    project.build("debug=1", "build_dir=build2")
    elf = (project / "build/gcpt.elf").read_bytes()
    assert elf == (built / "build/gcpt.elf").read_bytes()
    assert str(built.folder).encode() not in elf and str(project.folder).encode() not in elf
    assert str(project.folder).encode() not in (project / "build2/gcpt.elf").read_bytes()
    commands = ["info line gcpt_restore", "list gcpt_make_plan"]
    gdb = [
        "gdb-multiarch",
        "-q",
        "-nx",
        "-batch",
        *(word for command in commands for word in ("-ex", command)),
        "build/gcpt.elf",
    ]
    output = subprocess.run(gdb, cwd=project.folder, capture_output=True, text=True, check=False).stdout
    assert 'of "firmware/restore.S"' in output and "void" in output


def test_what_failed_is_not_launched(project):
    project.replace("firmware/head.S", ".word   gcpt_size", ".word   gcpt_size - 8")
    run = project.scons("run")
    assert run.status == 2 and "audit rule size_word" in run.err and "here it goes on" not in run.out
    project.replace("firmware/head.S", ".word   gcpt_size - 8", ".word   gcpt_size")
    (project / "tests").mkdir()
    (project / "tests/test_it.py").write_text("def test_one(): assert False\n")
    run = project.scons("-k", "run", "test")
    assert run.status == 2 and "1 failed" in run.out and "here it goes on" not in run.out


def test_a_dry_run_launches_nothing(project):
    run = project.scons("-n", "run", PATH="/nowhere")
    assert run.status == 0 and "RUN build/demo.zst" in run.steps
    assert not (project / "build/demo.zst").exists()
