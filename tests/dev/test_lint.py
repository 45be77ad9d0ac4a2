"""The checks of the sources: each finds a planted fault. CI checks that the project passes (.ci/run)."""

import os
import re
import subprocess
from pathlib import Path

import pytest

from gcpt.dev import lint

ROOT = Path(__file__).parents[2]
CONFIGURATION = ".pre-commit-config.yaml"
#: Faults by name: the check that finds it, the file, the text added at its end, part of the check's output.
FAULTS = {
    "unused import": ("ruff", "site_scons/gcpt/build/sources.py", "import os\n", "F401"),
    "unused import, in SConstruct": ("ruff", "SConstruct", "import  json\n", "F401"),
    "spaces": ("format", "site_scons/gcpt/build/sources.py", "x  = 1\n", "+x = 1"),
    "wrong type": ("mypy", "site_scons/gcpt/build/sources.py", "x: int = 'one'\n", "[assignment]"),
    "no types": ("mypy", "site_scons/gcpt/build/sources.py", "\n\ndef f(x):\n    return x\n", "[no-untyped-def]"),
    "import from a higher room": (
        "imports",
        "site_scons/gcpt/isa/mstatus.py",
        "import gcpt.cli\n",
        "gcpt.isa is not allowed to import gcpt.cli",
    ),
    "file that is not collected": (
        "collection",
        "tests/isa/test_mstatus.py",
        "__test__ = False\n",
        "collects no test from it",
    ),
    "brace": ("clang-format", "firmware/selfcheck.c", "int f(void) { return 0; }\n", "[-Wclang-format-violations]"),
    "brace of a header": ("clang-format", "firmware/include/plan.h", "int f(void) { return 0; }\n", "plan.h"),
    "indentation of the fuzzer": ("clang-format", "tests/firmware/host/host.c", "  int x;\n", "host.c"),
    "null pointer": (
        "clang-tidy",
        "firmware/plan.c",
        "int f(int x);\nint f(int x)\n{\n    int *p = 0;\n    return x ? *p : 0;\n}\n",
        "clang-analyzer-core.NullDereference",
    ),
}


@pytest.mark.parametrize("fault", FAULTS)
def test_a_planted_fault_is_found(copy: Path, fault: str) -> None:
    check, file, text, message = FAULTS[fault]
    with (copy / file).open("a") as opened:
        opened.write(text)
    output = lint.run(check, lint.Request(copy))
    assert message in output
    assert Path(file).stem in output


def test_every_check_has_a_planted_fault() -> None:
    assert {check for check, *_ in FAULTS.values()} == set(lint.CHECKS)


def test_every_c_file_is_checked(copy: Path) -> None:
    """clang-tidy reads each of the firmware's files in at least one variant."""
    seen: set[str] = set()
    for command in lint.CHECKS["clang-tidy"][1](lint.Request(copy)):
        if "SCons" in command:
            subprocess.run(command, cwd=copy, check=True)
        else:
            seen |= {Path(word).name for word in command if word.endswith(".c")}
    assert seen == {path.name for path in (copy / "firmware").glob("*.c")}


def test_fix(copy: Path) -> None:
    for name, text in (("firmware/selfcheck.c", "int  x;\n"), ("site_scons/gcpt/build/sources.py", "x  = 1\n")):
        with (copy / name).open("a") as opened:
            opened.write(text)
    request = lint.Request(copy, fix=True)
    assert [lint.run(check, request) for check in ("format", "clang-format")] == ["", ""]
    assert (copy / "firmware/selfcheck.c").read_text().endswith("}\nint x;\n")
    assert (copy / "site_scons/gcpt/build/sources.py").read_text().endswith("\nx = 1\n")


def _pre_commit(copy: Path, *arguments: str) -> "subprocess.CompletedProcess[str]":
    """Run pre-commit in a repository with all of ``copy`` added, and a cache of its own."""
    environment = {**os.environ, "PRE_COMMIT_HOME": str(copy.parent / "pre-commit"), "GIT_CONFIG_GLOBAL": os.devnull}
    for command in (["git", "init", "-q"], ["git", "add", "-A"]):
        subprocess.run(command, cwd=copy, check=True, env=environment)
    command = [str(copy / ".venv/bin/pre-commit"), *arguments]
    return subprocess.run(command, cwd=copy, env=environment, capture_output=True, text=True, check=False)


def test_every_check_belongs_to_a_hook() -> None:
    hooks = re.findall(r"^ +entry: \./sconsw -s lint lint=(\S+)$", (ROOT / CONFIGURATION).read_text(), re.MULTILINE)
    assert sorted(name for names in hooks for name in names.split(",")) == sorted(lint.CHECKS)


def test_pre_commit_runs_the_checks_for_the_files(copy: Path) -> None:
    """It accepts files without a problem."""
    done = _pre_commit(copy, "run", "--files", "SConstruct", "--verbose")
    assert done.returncode == 0, done.stdout + done.stderr
    assert re.findall("lint: ([a-z-]+) ", done.stdout) == ["ruff", "format", "mypy", "imports"]


def test_pre_commit_refuses_a_fault(copy: Path) -> None:
    """It runs only the checks for the committed files."""
    with (copy / "SConstruct").open("a") as opened:
        opened.write("import json\n")
    done = _pre_commit(copy, "run", "--files", "SConstruct")
    assert done.returncode == 1
    assert "F401" in done.stdout
    assert "lint: clang-tidy" not in done.stdout


@pytest.mark.parametrize(
    ("arguments", "status", "message"),
    [
        (["lint=rufff"], 2, "want one of ruff"),
        (["lint=clang-format,format"], 0, "lint: clang-format (C formatting): ok"),
    ],
)
def test_scons_lint(copy: Path, arguments: list[str], status: int, message: str) -> None:
    command = ["./sconsw", "-s", "lint", *arguments]
    done = subprocess.run(command, cwd=copy, capture_output=True, text=True, check=False)
    assert done.returncode == status
    assert message in done.stdout + done.stderr
