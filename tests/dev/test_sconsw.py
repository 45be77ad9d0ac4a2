"""The real ./sconsw in a copy of the project, with stand-ins for the commands around it."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from gcpt.dev import provision

REPO = Path(__file__).resolve().parents[2]
INPUTS = ["sconsw", "requirements.txt", "requirements-test.txt", "site_scons/gcpt/dev/provision.py"]
INPUTS += ["third_party/debian.toml", "third_party/nanopb.toml", "third_party/picolibc.toml"]
#: Inputs of what only tests need.
OF_TESTS = ("requirements-test.txt", "third_party/nanopb.toml")


def script(path: Path, text: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(f"#!/bin/sh\n{text}\n")
    path.chmod(0o755)


class Project:
    """A copy that is set up: stamps, and an environment whose scons tells how it was called."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.tools = root.parent / "tools"
        for name in INPUTS:
            (root / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(REPO / name, root / name)
            os.utime(root / name, (1, 1))
        (root / "sconsw").chmod(0o755)
        script(root / ".venv/bin/python", "exit 99")
        script(root / ".venv/bin/scons", 'pwd -P; printf "<%s>" "$@"')
        for stamp in provision.ENVIRONMENT.values():
            self.write(f".venv/{stamp}", f"{root}/.venv\n")
        self.write("build/third_party/system.stamp", "build run test\n")
        for name in ("nanopb", "picolibc"):
            self.write(f"build/third_party/{name}/gcpt.stamp", "")
        script(self.tools / "python3", "echo python was started >&2; exit 99")

    def write(self, name: str, text: str) -> None:
        path = self.root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)

    def use_real_python(self) -> None:
        script(self.tools / "python3", f'exec "{os.path.realpath(sys.executable)}" "$@"')

    def run(self, *arguments: str, **environ: str) -> subprocess.CompletedProcess[str]:
        path = f"{self.tools}:/usr/bin:/bin"
        return subprocess.run(
            [str(self.root / "sconsw"), *arguments],
            env={"PATH": path, **environ},
            cwd="/",
            check=False,
            capture_output=True,
            text=True,
        )


@pytest.fixture
def project(tmp_path: Path) -> Project:
    return Project(tmp_path / "a project")


def test_a_ready_project_starts_scons_in_its_root_and_no_python(project: Project) -> None:
    done = project.run("debug", "a b=c  d")
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout == f"{project.root}\n<debug><a b=c  d>"


def test_a_symbolic_link_to_sconsw_works(project: Project, tmp_path: Path) -> None:
    (tmp_path / "link").symlink_to(project.root / "sconsw")
    done = subprocess.run([tmp_path / "link"], check=True, capture_output=True, text=True)
    assert done.stdout.startswith(f"{project.root}\n")


@pytest.mark.parametrize("name", INPUTS[1:])
def test_a_changed_input_is_noticed(project: Project, name: str) -> None:
    os.utime(project.root / name)
    assert project.run().returncode == (0 if name in OF_TESTS else 1)
    assert project.run("test").returncode == 1


@pytest.mark.parametrize("name", [".venv", "build", "build/third_party/picolibc", ".venv/gcpt.stamp"])
def test_a_removed_result_is_noticed(project: Project, name: str) -> None:
    path = project.root / name
    shutil.rmtree(path) if path.is_dir() else path.unlink()
    assert project.run().returncode == 1


@pytest.mark.parametrize("name", [".venv/gcpt-test.stamp", "build/third_party/nanopb/gcpt.stamp"])
def test_a_project_without_what_tests_need_builds(project: Project, name: str) -> None:
    (project.root / name).unlink()
    assert project.run("report").returncode == 0
    assert project.run("test").returncode == 1


def test_a_moved_environment_is_noticed(project: Project) -> None:
    project.root = project.root.rename(project.root.with_name("moved"))
    assert project.run().returncode == 1


def test_your_own_copy_is_not_fetched(project: Project) -> None:
    shutil.rmtree(project.root / "build/third_party/picolibc")
    assert project.run("picolibc=/somewhere").returncode == 0


def test_setup_only_takes_no_targets(project: Project) -> None:
    done = project.run("--setup-only", "debug")
    assert done.returncode == 2
    assert done.stderr == "sconsw: --setup-only does not go with 'debug'\n"


def test_an_old_python_is_named_in_one_line(project: Project) -> None:
    script(project.tools / "python3", "exit 1")
    done = project.run("--setup-only")
    assert done.returncode == 1
    assert done.stderr.count("\n") == 1 and "3.11" in done.stderr


PACKAGE = '[[package]]\nname = "{0}"\ngroup = "{1}"\nuse = "a test"\nlicence = "none"\ncommand = "no-{0}"\n'
INSTALL = "apt-get install -y --no-install-recommends "


def test_a_missing_package_without_permission_prints_one_command(project: Project) -> None:
    project.use_real_python()
    project.write("third_party/debian.toml", PACKAGE.format("absent", "test"))
    done = project.run("--setup-only", GCPT_NO_SYSTEM="1")
    assert done.returncode == 1
    assert done.stderr.count(f"{INSTALL}absent") == 1
    assert not (project.root / "build/third_party/system.stamp").exists()


def make_environment_ready(project: Project) -> None:
    """... so that provision.py itself, run for the system packages, has nothing else to do."""
    for lock, stamp in provision.ENVIRONMENT.items():
        project.write(f".venv/{stamp}", f"{project.root}/.venv\n{provision.sha256(project.root / lock)}")
    for name in ("nanopb", "picolibc"):
        pin = provision.read_pin(project.root / f"third_party/{name}.toml")
        project.write(f"build/third_party/{name}/gcpt.stamp", provision.stamp_text(pin))
        for file in pin.files:
            if "*" not in file:
                project.write(f"build/third_party/{name}/{file}", "")


@pytest.mark.parametrize(
    ("group", "met", "status"),
    [
        ("setup", "", {"build": 1, "docs": 1, "run": 1, "test": 1}),
        ("compiler", "build docs run", {"build": 0, "docs": 0, "run": 0, "test": 1}),
        ("run", "build docs", {"build": 0, "docs": 0, "run": 1, "report": 1, "bench": 1}),
        (
            "test",
            "build docs run",
            {"build": 0, "docs": 0, "debug": 0, "test": 1, "lint": 1, "random": 1, "release": 1},
        ),
    ],
)
def test_a_target_insists_on_what_it_needs_only(project: Project, group: str, met: str, status: dict[str, int]) -> None:
    """... and SCons starts when that is there. It names no package that it does not need."""
    project.use_real_python()
    make_environment_ready(project)
    project.write("third_party/debian.toml", PACKAGE.format("absent", group) + PACKAGE.format("sh", "setup"))
    script(project.tools / "no-sh", "")
    for target, expected in status.items():
        done = project.run(target, GCPT_NO_SYSTEM="1")
        assert (done.returncode, f"<{target}>" in done.stdout) == (expected, not expected), done.stderr
        assert (f"{INSTALL}absent" in done.stderr) == (bool(expected) or (group, target) == ("compiler", "build"))
        if not expected:
            assert (project.root / "build/third_party/system.stamp").read_text() == f"{met}\n"


def test_what_could_not_be_installed_is_tried_again_when_it_is_needed(project: Project) -> None:
    project.write("build/third_party/system.stamp", "build run\n")
    assert project.run("build").returncode == 0
    assert project.run("mode=auto", "test").returncode == 1


#: As apt-get, which knows the packages known and other: each brings its command.
APT = """
[ "$1" = install ] || exit 0
for name; do [ "$name" != unknown ] || { echo "E: Unable to locate package unknown" >&2; exit 100; }; done
for name; do
    case $name in
        --simulate) exit 0 ;;
        known | other) : > "${0%/*}/no-$name"; chmod +x "${0%/*}/no-$name" ;;
    esac
done
"""


@pytest.mark.parametrize(("group", "status"), [("test", 1), ("compiler", 0)])
def test_a_package_that_apt_does_not_know_stops_no_other(project: Project, group: str, status: int) -> None:
    project.use_real_python()
    make_environment_ready(project)
    names = ["known", "unknown", "other"]
    project.write("third_party/debian.toml", "".join(PACKAGE.format(name, group) for name in names))
    script(project.tools / "sudo", 'shift; exec "$@"')
    script(project.tools / "apt-get", APT)
    done = project.run("test" if status else "build")
    assert done.returncode == status
    assert all((project.tools / f"no-{name}").exists() for name in ("known", "other"))
    [line] = [line for line in done.stderr.splitlines() if "unknown (a test)" in line]
    assert "apt-get cannot install unknown (a test): 'apt-get install unknown' says why" in line
    assert line.count("(a test)") == 1


def test_a_build_installs_no_package_of_run_and_test(project: Project) -> None:
    project.use_real_python()
    make_environment_ready(project)
    groups = {"known": "compiler", "other": "run", "third": "test"}
    project.write("third_party/debian.toml", "".join(PACKAGE.format(*each) for each in groups.items()))
    script(project.tools / "sudo", 'shift; exec "$@"')
    script(project.tools / "apt-get", APT)
    for target, installed in {"build": {"known"}, "run": {"known", "other"}}.items():
        (project.root / "build/third_party/system.stamp").unlink(missing_ok=True)
        assert project.run(target).returncode == 0
        assert {path.name for path in project.tools.glob("no-*")} == {f"no-{name}" for name in installed}
