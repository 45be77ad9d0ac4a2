"""Fixtures for all tests: restorers that the real build makes, and the real checkpoints in ../shared."""

import fcntl
import hashlib
import os
import subprocess
import sys
from collections.abc import Callable, Generator
from pathlib import Path

import pytest
from hypothesis import settings

ROOT = Path(__file__).parents[1]
sys.path.insert(0, str(ROOT / "tests" / "support"))

import abilities  # noqa: E402
from command import SCONS  # noqa: E402
from restorer import Restorer  # noqa: E402

from gcpt.restorer.resolution import resolve  # noqa: E402

Build = Callable[..., Restorer]

os.environ.pop("SCONSFLAGS", None)  # options of the user's own builds

# No deadline for an example: the machine may be busy.
settings.register_profile("gcpt", deadline=None)
settings.load_profile("gcpt")


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption(
        "--build",
        action="append",
        default=[],
        metavar="OPTION=VALUE",
        help="a build option for all restorers that tests build (./sconsw test toolchain=llvm passes toolchain)",
    )
    parser.addoption("--rtl-harts", type=int, choices=(1, 4), default=1, help="4: test Rocket's RTL with 4 harts too")


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    report = yield
    abilities.judge(item, report)
    return report


@pytest.fixture(scope="session")
def session_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder that all workers of a pytest-xdist session share."""
    base = tmp_path_factory.getbasetemp()
    return base.parent if "PYTEST_XDIST_WORKER" in os.environ else base


@pytest.fixture(scope="session")
def build_restorer(session_folder: Path, pytestconfig: pytest.Config) -> Build:
    """``build_restorer(mode="single_core", platform="qemu-virt")`` builds a restorer with these options with SCons.

    The first worker that needs a set of options builds it, once in a session.
    """
    common_options = dict(option.split("=", 1) for option in pytestconfig.getoption("--build"))

    def build(**options: str) -> Restorer:
        if not options.keys() & {"toolchain", "cross_compile"}:
            options = {**common_options, **options}
        digest = hashlib.sha256(repr(sorted(options.items())).encode()).hexdigest()[:12]
        folder = session_folder / f"build-{digest}"
        settings = {**options, "build_dir": str(folder)}
        with (session_folder / f"build-{digest}.lock").open("w") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            if not (folder / "gcpt.bin").exists():
                scons = [*SCONS, *(f"{name}={value}" for name, value in settings.items())]
                run = subprocess.run(scons, cwd=ROOT, capture_output=True, text=True, check=False)
                assert run.returncode == 0, f"{' '.join(scons)}\n{run.stdout}{run.stderr}"
        return Restorer(folder, resolve(settings))

    return build


@pytest.fixture(scope="session")
def shared_file() -> Callable[[str], Path]:
    """``shared_file("checkpoints/nemu-m.gz")``: a file in ../shared; skips the test with a reason if it is absent."""

    def find(name: str) -> Path:
        folder = Path(os.environ.get("GCPT_SHARED") or ROOT.parent / "shared")
        if not (folder / name).exists():
            pytest.skip(f"{name} is not in ../shared, the folder of real checkpoints (GCPT_SHARED names another)")
        return folder / name

    return find
