"""Chroots of other systems: a stand-in for debootstrap makes the smallest one, in which there is only a shell."""

import os
import shlex
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from gcpt.dev import chroots, portability
from gcpt.dev.chroots import Chroot, Outcome
from gcpt.dev.portability import SYSTEMS, Step
from gcpt.errors import UserError

needs_root = pytest.mark.skipif(os.geteuid() != 0, reason="only root can make chroots")
DEBOOTSTRAP = """#!/bin/sh
for last; do root=$folder folder=$last; done
mkdir -p "$root/proc" "$root/sys" "$root/dev" "$root/etc" "$root/root" "$root/usr/bin"
ln -s usr/bin "$root/bin"
cd / && for program in sh env sleep; do
    program=$(command -v $program)
    cp -L --parents "$program" $(ldd "$program" | grep -o '/[^ ]*') "$root"
done
"""


@pytest.fixture
def tools(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder on PATH with the stand-in."""
    program = tmp_path / "tools/debootstrap"
    program.parent.mkdir()
    program.write_text(DEBOOTSTRAP)
    program.chmod(0o755)
    monkeypatch.setenv("PATH", f"{program.parent}:{os.environ['PATH']}")
    monkeypatch.setattr(portability, "FOLDER", tmp_path)
    return program.parent


def _mounts() -> str:
    return Path("/proc/self/mounts").read_text()


@needs_root
def test_what_a_newcomer_types_is_run_in_a_fresh_system(tools: Path, tmp_path: Path) -> None:
    """Here in one without Python: ./sconsw names it. Nothing is left."""
    before = _mounts()
    steps = [SYSTEMS["debian-12"].steps[0], Step("build", "./sconsw", "install it (Debian: apt-get install python3)")]
    good, rows = portability.run("debian-12", [*steps, Step("build", "test -f sconsw")], tmp_path, "abc")
    assert not good
    assert [row[1:3] for row in rows[:3]] == [
        ("`./sconsw`", "failed (status 1)"),
        ("`./sconsw`", "names what is missing (status 1)"),
        ("`test -f sconsw`", "passed"),
    ]
    assert (rows[3][1], _mounts(), (tmp_path / "debian-12").exists()) == ("versions", before, False)


INTERRUPTED = """
import sys
from pathlib import Path
from gcpt.dev.chroots import Chroot
with Chroot(Path(sys.argv[1]), "stable", [], sys.stdout) as chroot:
    chroot.run("echo started; sleep 987")
"""


@needs_root
def test_an_interruption_leaves_neither_mounts_nor_processes_nor_files(tools: Path, tmp_path: Path) -> None:
    command = [sys.executable, "-c", INTERRUPTED, str(tmp_path / "chroot")]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as running:
        assert running.stdout
        for line in running.stdout:
            if line == "started\n":
                break
        assert str(tmp_path) not in _mounts(), "the mounts are those of the command alone"
        running.send_signal(signal.SIGINT)
        running.wait()
    assert not (tmp_path / "chroot").exists() and str(tmp_path) not in _mounts()
    commands = [path.read_bytes() for path in Path("/proc").glob("[0-9]*/cmdline")]
    assert not [command for command in commands if b"sleep\0987" in command]


@needs_root
def test_a_system_that_cannot_be_made_leaves_nothing(tools: Path, tmp_path: Path) -> None:
    with (tools / "debootstrap").open("a") as program:
        program.write("exit 7\n")
    with (tmp_path / "log").open("w") as log, pytest.raises(UserError, match=r"debootstrap stable failed: see .*log"):
        Chroot(tmp_path / "chroot", "stable", [], log).__enter__()
    assert not (tmp_path / "chroot").exists()


def test_settings_of_the_network_are_passed_on() -> None:
    listing = "global.index-url='https://mirror/simple'\nglobal.constraint='/etc/c.txt'\n:env:.default-timeout='9'\n"
    listing += "global.find-links='/opt/wheels file:///opt https://more/'\nglobal.cert='/own.pem'\n"
    lines = ["[global]", "cert = /etc/ssl/certs/ca-certificates.crt", "index-url = https://mirror/simple"]
    assert chroots.pip_settings(listing).splitlines() == [*lines, "timeout = 9", "find-links = https://more/"]
    dump = 'Acquire::http::Proxy "p";\nAcquire::Languages:: "none";\nDPkg::Post-Invoke "x";\n'
    assert chroots.apt_settings(dump) == 'Acquire::http::Proxy "p";\n'


PAGE = """text
<!-- results -->
| system | command | result | seconds | commit | date |
| --- | --- | --- | --- | --- | --- |
| debian-12 | `./sconsw` | passed | 1 | a | 2000-01-01 |
| debian-12 | versions | x; y | - | a | 2000-01-01 |
| other | `./sconsw` | passed | 2 | a | 2000-01-01 |
| unknown | `./sconsw` | passed | 3 | a | 2000-01-01 |
<!-- /results -->
more
"""


def test_results_replace_those_of_their_systems_only() -> None:
    row = ("other", "`./sconsw test`", "failed", "9", "b", "2000-01-02")
    lines = PAGE.splitlines()
    expected = [*lines[:6], f"| {' | '.join(row)} |", *lines[8:]]
    assert portability.merge(PAGE, [row]).splitlines() == expected
    assert portability.merge(portability.merge(PAGE, [row]), [row]).splitlines() == expected


@pytest.mark.parametrize(
    ("refusal", "status", "output", "judgement"),
    [
        ("", 0, "== 3 passed in 1.00s ==\n", (True, "passed: 3 passed")),
        ("", 2, "== 1 failed, 2 passed in 61.00s (0:01:01) ==\n", (False, "failed (status 2): 1 failed, 2 passed")),
        ("no apt", 1, "there is no apt\n", (True, "names what is missing (status 1)")),
        ("no apt", 0, "there is no apt\n", (False, "does not name what is missing (status 0)")),
        ("no apt", 1, "Traceback\n", (False, "does not name what is missing (status 1)")),
    ],
)
def test_a_command_is_judged(refusal: str, status: int, output: str, judgement: tuple[bool, str]) -> None:
    assert portability.result(Step("test", "x", refusal), Outcome(status, 1.0, output)) == judgement


def test_arguments_of_pytest_go_to_the_tests_alone() -> None:
    arguments = ["-k", "a b"]
    lines = [step.complete("w", arguments).line for step in SYSTEMS["debian-12"].steps]
    assert lines[0] == "./sconsw"
    assert shlex.split(shlex.split(lines[1])[2].removeprefix("pytest_args=")) == arguments


@pytest.mark.parametrize(
    ("option", "message"),
    [("--systems=debian-1", "systems=debian-1: no 'debian-1'"), ("--commands=a", "commands=a: no 'a'")],
)
def test_unknown_names_are_refused(option: str, message: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert portability.main([option]) == 2
    assert message in capsys.readouterr().err
