"""The sources that an installation builds from: picolibc's are carried, else those of a Python package."""

import tomllib
from pathlib import Path

import pytest

from gcpt.machines import sources

ROOT = Path(__file__).parents[2]
PIN = tomllib.loads((ROOT / "third_party/picolibc.toml").read_text())
CARRIED, INCLUDE = "build/third_party/picolibc", "newlib/libc/include/machine/a.h"


@pytest.fixture
def installation(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The project's folder of an installation without picolibc, beside the package that has it."""
    monkeypatch.setattr(sources, "_PROJECT", tmp_path / "project")
    (tmp_path / "project/third_party").mkdir(parents=True)
    (tmp_path / "project/third_party/picolibc.toml").write_bytes((ROOT / "third_party/picolibc.toml").read_bytes())
    data = tmp_path / "packages" / PIN["wheel"]["folder"]
    for name in (INCLUDE, "COPYING.NEWLIB", "newlib/libm/unused.c"):
        (data / name).parent.mkdir(parents=True, exist_ok=True)
        (data / name).touch()
    (data.parent / "__init__.py").touch()
    return tmp_path


def test_an_installation_without_picolibc_takes_the_packages(
    installation: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.syspath_prepend(installation / "packages")
    found = {name for name in sources._files() if name.startswith(CARRIED)}
    assert found == {f"{CARRIED}/{INCLUDE}", f"{CARRIED}/COPYING.NEWLIB"}


def test_carried_sources_come_first(installation: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(installation / "packages")
    (installation / "project" / CARRIED).mkdir(parents=True)
    assert not any(name.startswith(CARRIED) for name in sources._files())


def test_the_extra_brings_the_pinned_package() -> None:
    extras = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["optional-dependencies"]
    assert PIN["wheel"]["requirement"] in extras["build"]
