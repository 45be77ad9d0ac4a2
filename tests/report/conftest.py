"""One browser per pytest worker, and the pages of real builds."""

import fcntl
import hashlib
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from browser import Browser
from command import SCONS

ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="session")
def browser(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Browser]:
    with Browser(tmp_path_factory.mktemp("browser")) as running:
        yield running


@pytest.fixture(scope="session")
def report(session_folder: Path) -> Callable[..., Path]:
    """``report(mode="dual_core")``: the folder of the variant, with report.html. Each is built once per session."""

    def make(**options: str) -> Path:
        folder = session_folder / f"report-{hashlib.sha256(repr(sorted(options.items())).encode()).hexdigest()[:12]}"
        settings = [f"{name}={value}" for name, value in {**options, "build_dir": str(folder)}.items()]
        with folder.with_suffix(".lock").open("w") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            if not list(folder.glob("*/report.html")):
                scons = [*SCONS, "report", *settings]
                run = subprocess.run(scons, cwd=ROOT, capture_output=True, text=True, check=False)
                assert run.returncode == 0, f"{' '.join(scons)}\n{run.stdout}{run.stderr}"
        [page] = folder.glob("*/report.html")
        return page.parent

    return make


@pytest.fixture(scope="session")
def site(session_folder: Path) -> Path:
    """The folder of the documentation's site, which is made once in a session."""
    folder = session_folder / "site"
    with folder.with_suffix(".lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not (folder / "docs/html").exists():
            scons = [*SCONS, "docs", f"build_dir={folder}"]
            run = subprocess.run(scons, cwd=ROOT, capture_output=True, text=True, check=False)
            assert run.returncode == 0, f"{' '.join(scons)}\n{run.stdout}{run.stderr}"
    return folder / "docs/html"
