"""Editor integration with real tools: clangd reads the database; tasks and the debug configuration run."""

import contextlib
import json
import os
import re
import shutil
import socket
import subprocess
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from command import free_port
from editor import Debugger, VsCode

from gcpt.machines.gdb import TIMEOUT

ROOT = Path(__file__).parents[2]
VARIANTS = {
    "the default": [],
    "one hart without C": ["mode=single_core"],
    "everything": ["mode=auto", "log=debug", "display_cpu=all", "selfcheck=1", "platform=spike", "debug=1"],
}


def firmware(project):
    return sorted(path for path in (project / "firmware").rglob("*") if path.suffix in (".c", ".S", ".h"))


def clangd(project, *files):
    """Problems that clangd reports in files with the project's settings."""
    clangd_command = [
        "clangd-19",
        f"--compile-commands-dir={project.folder}",
        "--query-driver=**/riscv64-unknown-elf-gcc",
        "--tweaks=RawStringLiteral",  # no other refactorings: it tries them, and some of inline functions fail
    ]

    def check(file):
        command = [*clangd_command, f"--check={file}"]
        done = subprocess.run(command, cwd=project.folder, capture_output=True, text=True, check=False)
        problems = [line.partition("] ")[2] for line in done.stderr.splitlines() if line[:2] in ("E[", "W[")]
        return [f"{file.name}: {line}" for line in problems or ["failed"] * bool(done.returncode)]

    with ThreadPoolExecutor(os.cpu_count()) as pool:
        return [line for lines in pool.map(check, files) for line in lines]


@pytest.mark.parametrize("arguments", VARIANTS.values(), ids=VARIANTS)
def test_clangd_understands_every_file_though_nothing_was_compiled(project, arguments):
    run = project.scons("compiledb", *arguments, PATH="/nowhere")
    assert (run.status, run.err, run.kinds()) == (0, "", {"GEN"})
    assert len(firmware(project)) > 25
    assert clangd(project, *firmware(project)) == []


@pytest.mark.parametrize("toolchain", ["llvm", "zig"])
def test_clangd_understands_the_commands_of_other_compilers(project, toolchain):
    project.build("compiledb", "log=debug", "display_cpu=0", "debug=1", f"toolchain={toolchain}")
    names = ("plan.c", "console.c", "decode.c", "head.S", "include/macros.h")
    assert clangd(project, *(project / f"firmware/{name}" for name in names)) == []


def test_the_database_is_that_of_the_options_and_not_made_again(project):
    project.build("compiledb", "mode=single_core", "debug=1")
    assert project.build("compiledb", "mode=single_core", "debug=1").steps == set()
    entries = json.loads((project / "compile_commands.json").read_text())
    assert {Path(entry["file"]).name for entry in entries} >= {path.name for path in firmware(project)}
    assert all(entry["directory"] == str(project.folder) for entry in entries)
    [restore] = [entry for entry in entries if entry["file"] == "firmware/restore.S"]
    assert "-g" in restore["arguments"]
    [folder] = [word[2:] for word in restore["arguments"] if word.startswith("-Ibuild")]
    assert "#define GCPT_DIRECT 1\n" in (project / folder / "gcpt_config.h").read_text()
    project.build("mode=single_core", "debug=1")
    command = [word for word in restore["arguments"] if word != "-c"]
    output = project / restore["arguments"][restore["arguments"].index("-o") + 1]
    assert output.exists() and command[0].endswith("gcc")
    project.build("compiledb", "mode=single_core", "debug=1", "-c")
    assert not (project / "compile_commands.json").exists()


def test_clangd_sees_faults_in_c_and_of_the_preprocessor_in_assembly(project):
    project.build("compiledb")
    project.replace("firmware/head.S", '#include "gcpt_config.h"', '#include "gcpt_config.h"\n#include "nosuch.h"')
    project.replace("firmware/boot_planned.S", "#if GCPT_STOP", "#if GCPT_STOPS")
    project.replace("firmware/plan.c", "#include", "static int unused_thing = nothing;\n#include")
    problems = clangd(project, *(project / f"firmware/{name}" for name in ("head.S", "boot_planned.S", "plan.c")))
    assert any(line.startswith("head.S: [pp_file_not_found]") for line in problems)
    assert any(line.startswith("boot_planned.S: [-Wundef]") and "GCPT_STOPS" in line for line in problems)
    assert any(line.startswith("plan.c: [undeclared_var_use]") for line in problems)


@contextlib.contextmanager
def started(vscode, label):
    """A background task that ends with the test."""
    with vscode.start(label) as running:
        try:
            yield running
        finally:
            running.terminate()


@pytest.fixture
def vscode(project):
    """The project, set up for sconsw with the environment of this test run."""
    (project / ".venv").symlink_to(ROOT / ".venv")
    (project / "build/third_party/system.stamp").write_text("build docs run test\n")
    for name in ("requirements.txt", "requirements-test.txt", "third_party/debian.toml", "third_party/nanopb.toml"):
        (project / name).parent.mkdir(exist_ok=True)
        shutil.copy2(ROOT / name, project / name)
    return VsCode(project.folder)


def test_the_debug_configuration_reaches_the_first_restored_instruction(project, vscode):
    port = free_port()
    run = project.build("ide=vscode", "debug=1", f"gdb_port={port}")
    assert run.compiled() == set() and (project / "compile_commands.json").exists()
    [configuration] = vscode.read("launch.json")["configurations"]
    task = vscode.task(configuration["preLaunchTask"])
    assert task["isBackground"]
    [background] = [matcher["background"] for matcher in task["problemMatcher"] if "background" in matcher]
    with started(vscode, configuration["preLaunchTask"]) as server, Debugger(configuration) as gdb:
        lines = []
        for line in server.stdout:
            lines.append(line.rstrip("\n"))
            if re.search(background["endsPattern"], line):
                break
        assert re.search(background["beginsPattern"], lines[0])
        assert vscode.problems(task["label"], "\n".join(lines)) == []
        gdb.connect()
        source = project / "firmware/restore.S"
        line = source.read_text().splitlines().index("gcpt_restore:") + 2
        gdb.command(f'-break-insert -f "{source}:{line}"')
        assert 'func="gcpt_restore"' in (stop := gdb.go())
        assert f'fullname="{source}"' in stop.replace("/./", "/")
        stop = gdb.go()
        assert 'addr="0x0000000080100000"' in stop and 'reason="breakpoint-hit"' in stop
        assert "hart 0: S pc 0x80100000 (its restored pc)" in gdb.console("harts")
        assert "mepc           0x80100000" in gdb.console("csrs base")
        gdb.command("-exec-continue", wanted="running")
        rest = server.stdout.read()
        assert "here it goes on, with every register in its place." in rest
        assert server.wait(TIMEOUT) == 0


def test_a_server_whose_port_is_taken_says_so(project, vscode):
    with socket.create_server(("localhost", 0)) as other_server:
        port = other_server.getsockname()[1]
        project.build("ide=vscode", f"gdb_port={port}")
        status, output = vscode.run("gcpt: debug server")
    assert status == 2, output
    assert [found[2] for found in vscode.problems("gcpt: debug server", output)] == [
        f"port {port}: Address already in use: stop the process that uses it or choose another port"
    ]


def test_the_other_tasks_do_what_they_say(project, vscode):
    project.build("ide=vscode", "mode=single_core", "platform=kmh-fpga", "uart=htif")
    status, output = vscode.run("gcpt: build")
    assert status == 0 and "build/single_core-kmh-fpga-htif/gcpt.bin" in output
    assert vscode.problems("gcpt: build", output) == []
    status, output = vscode.run("gcpt: run")
    assert (status, "with every register in its place." in output) == (0, True)
    assert vscode.run("gcpt: compile database")[0] == 0
    (project / "tests").mkdir()
    (project / "tests/test_it.py").write_text("def test_one(): pass\n")
    status, output = vscode.run("gcpt: test")
    assert (status, "1 passed" in output) == (0, True)


@pytest.mark.parametrize(
    ("name", "old", "new", "file", "message"),
    [
        ("firmware/plan.c", '#include "plan.h"', "int nothing = nobody;", "", "'nobody' undeclared"),
        ("firmware/plan.c", '#include "plan.h"', "#include <nosuch.h>", "", "nosuch.h: No such file"),
        ("firmware/head.S", "j       gcpt_boot", "jjj     gcpt_boot", "", "unrecognized opcode `jjj"),
        ("firmware/gcpt.ld", "ENTRY(_start)", "ENTRY)", "", "syntax error"),
        (
            "firmware/head.S",
            ".word   gcpt_size",
            ".word   gcpt_size - 8",
            "build/normal/gcpt.elf",
            "audit rule size_word: ",
        ),
        ("proto/checkpoint.proto", "uint64 version", "uint65 version", "gcpt", "want uint64 NAME"),
    ],
    ids=["C", "include", "assembly", "linker script", "audit", "generator"],
)
def test_the_matchers_find_what_is_wrong_in_the_sources(project, vscode, name, old, new, file, message):
    """Problems are at the source's line or, without a line number, in ``file``."""
    project.build("ide=vscode")
    project.replace(name, old, f"{new}\n")
    [line] = [at for at, text in enumerate((project / name).read_text().splitlines(), 1) if new in text]
    status, output = vscode.run("gcpt: build")
    assert status == 2, output
    problems = vscode.problems("gcpt: build", output)
    assert any(message in problem[2] for problem in problems), (problems, output)
    assert {problem[:2] for problem in problems} == {(file, 0) if file else (name, line)}, problems
    assert len(problems) == len(set(problems))


@pytest.mark.parametrize(
    ("name", "old", "new", "file", "message"),
    [
        ("firmware/gcpt.ld", "ENTRY(_start)", "ENTRY)", "firmware/gcpt.ld", "( expected"),
        ("firmware/head.S", "j       gcpt_boot", "j nobody", "ld.lld-19", "undefined symbol: nobody"),
    ],
    ids=["linker script", "symbol"],
)
def test_the_matchers_find_what_lld_says(project, vscode, name, old, new, file, message):
    project.build("ide=vscode", "toolchain=llvm")
    project.replace(name, old, new)
    _, output = vscode.run("gcpt: build")
    [problem] = vscode.problems("gcpt: build", output)
    assert problem[0] == file and message in problem[2], (problem, output)


def test_the_matchers_find_wrong_options(project, vscode):
    project.build("ide=vscode", "mode=dual_core")
    (project / ".vscode/tasks.json").write_text(
        (project / ".vscode/tasks.json").read_text().replace("mode=dual_core", "mode=double_core")
    )
    status, output = vscode.run("gcpt: build")
    assert status == 2, output
    [(file, line, message)] = vscode.problems("gcpt: build", output)
    assert (file, line) == ("gcpt", 0) and message.startswith("mode=double_core: want one of normal, dual_core")


def test_clean_removes_the_editors_files_that_are_as_they_were_written(project):
    project.build("ide=vscode")
    settings = project / ".vscode/settings.json"
    settings.write_text("// mine\n" + settings.read_text())
    project.build("ide=vscode", "-c")
    left = [path.name for path in (project / ".vscode").iterdir()]
    assert sorted(left) == ["gcpt.json", "settings.json"]
    assert not (project / "compile_commands.json").exists()
    settings.unlink()
    project.build("ide=vscode")
    project.build("ide=vscode", "-c")
    assert list((project / ".vscode").iterdir()) == []


def test_a_file_that_is_no_json_stops_it_with_one_line(project):
    (project / ".vscode").mkdir()
    (project / ".vscode/launch.json").write_text('{"configurations": [\n')
    run = project.scons("ide=vscode")
    assert run.status == 2
    assert run.err == ("scons: *** [ide] .vscode/launch.json: line 2: want a value: fix the file, or move it away\n")
    assert [path.name for path in (project / ".vscode").iterdir()] == ["launch.json"]


@pytest.mark.parametrize("arguments", [["-n"], ["-h"], ["-c"]])
def test_what_builds_nothing_writes_no_editors_files(project, arguments):
    before = project.contents()
    assert project.scons("ide=vscode", "build_dir=out", *arguments).status == 0
    assert project.contents() == before


def test_a_target_that_is_named_is_built_as_well(project):
    run = project.build("ide=vscode", "mode=single_core", "build")
    assert (project / "build/single_core/gcpt.bin").exists() and (project / ".vscode/tasks.json").exists()
    assert "ide" not in (project / "build/single_core/config.json").read_text() and run.status == 0


def test_clangd_is_asked_as_the_settings_say(project):
    project.build("ide=vscode")
    settings = VsCode(project.folder).read("settings.json")
    assert shutil.which(settings["clangd.path"])
    command = [settings["clangd.path"], *settings["clangd.arguments"], "--check=firmware/console.c"]
    done = subprocess.run(command, cwd=project.folder, capture_output=True, text=True, check=False)
    assert (done.returncode, re.findall("^E.*", done.stderr, re.MULTILINE)) == (0, [])
    assert re.search(r"successfully executed \S*riscv64-unknown-elf-gcc", done.stderr)
