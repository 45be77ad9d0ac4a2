"""Copies of the project in which the real SCons runs."""

import hashlib
import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PARTS = ("SConstruct", "site_scons", "firmware", "proto", "pyproject.toml", "third_party", ".clangd", "sconsw")
FOREIGN = ("build/third_party/nanopb", "build/third_party/picolibc")


class Run:
    """The result of a run of SCons. steps: its "[ CC] file" lines, as {"CC file"}."""

    def __init__(self, process: "subprocess.CompletedProcess[str]") -> None:
        self.status, self.out, self.err = process.returncode, process.stdout, process.stderr
        self.lines = process.stdout.splitlines()
        steps = [line[1:].split("] ", 1) for line in self.lines if line.startswith("[") and "] " in line]
        self.steps = {f"{kind.strip()} {name}" for kind, name in steps}

    def compiled(self) -> set[str]:
        """File names of the compiled and assembled sources."""
        return {Path(step[3:]).name for step in self.steps if step[:3] in ("CC ", "AS ")}

    def kinds(self) -> set[str]:
        return {step.split(" ")[0] for step in self.steps}


class Project:
    """A copy of the files that a build reads, in a separate folder."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def __truediv__(self, name: str) -> Path:
        return self.folder / name

    def scons(self, *arguments: str, **environment: str) -> Run:
        command = [sys.executable, "-m", "SCons", *arguments]
        env = {**os.environ, "PYTHONDONTWRITEBYTECODE": "1", **environment}
        return Run(subprocess.run(command, cwd=self.folder, env=env, capture_output=True, text=True))

    def build(self, *arguments: str) -> Run:
        run = self.scons(*arguments)
        assert run.status == 0, run.out + run.err
        return run

    def replace(self, name: str, old: str, new: str) -> None:
        text = (self / name).read_text()
        assert old in text
        (self / name).write_text(text.replace(old, new))

    def append(self, name: str, text: str) -> None:
        with (self / name).open("a") as file:
            file.write(text)

    def contents(self) -> dict[str, str]:
        """Digests of all files by name."""
        files = [path for path in self.folder.rglob("*") if path.is_file()]
        return {str(path.relative_to(self.folder)): hashlib.sha256(path.read_bytes()).hexdigest() for path in files}

    def outputs(self) -> set[str]:
        """Files in the build folder, without fetched sources and SCons's own files."""
        names = [name for name in self.contents() if name.startswith("build/")]
        return {name for name in names if not name.startswith(("build/third_party/", "build/.sconsign."))}


def _copy_parts(folder: Path) -> Project:
    folder.mkdir()
    without_caches = shutil.ignore_patterns("__pycache__")
    for part in PARTS:
        if (ROOT / part).is_dir():
            shutil.copytree(ROOT / part, folder / part, ignore=without_caches)
        else:
            shutil.copy(ROOT / part, folder / part)
    for part in FOREIGN:
        assert (ROOT / part).is_dir(), "run ./sconsw --setup-only first"
        shutil.copytree(ROOT / part, folder / part)
    return Project(folder)


@pytest.fixture(scope="session")
def copy_project() -> Callable[[Path], Project]:
    """``copy_project(folder)``: an unbuilt project."""
    return _copy_parts


@pytest.fixture
def project(tmp_path: Path) -> Project:
    """An unbuilt project in a folder with a space in its name."""
    return _copy_parts(tmp_path / "a project")


@pytest.fixture(scope="session")
def built_once(tmp_path_factory: pytest.TempPathFactory) -> Path:
    project = _copy_parts(tmp_path_factory.mktemp("built") / "a project")
    project.build()
    return project.folder


@pytest.fixture
def built(built_once: Path, tmp_path: Path) -> Project:
    """A project that is built with the default options."""
    project = Project(shutil.copytree(built_once, tmp_path / "built project"))
    project.build()  # updates compile_commands.json, which has the folder's name
    return project


@pytest.fixture
def payload(tmp_path: Path) -> Path:
    """A payload outside the project, in a folder with a space in its name."""
    path = tmp_path / "boot stages" / "fw.bin"
    path.parent.mkdir()
    path.write_bytes(bytes(range(256)) * 300)
    return path


@pytest.fixture
def dtb(tmp_path: Path) -> Path:
    path = tmp_path / "board.dtb"
    path.write_bytes(b"\xd0\x0d\xfe\xed\0\0\0\x64" + bytes(92))
    return path
