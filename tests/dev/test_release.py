"""``scons release``: its files, the same in each folder; what it refuses."""

import hashlib
import json
import os
import subprocess
import sys
import tarfile
import zipfile
from pathlib import Path

import pytest

from gcpt import __version__
from gcpt.build import provenance
from gcpt.dev import mutants, release
from gcpt.errors import UserError

ROOT = Path(__file__).parents[2]
NAME = f"gcpt-{__version__}"
WHEEL = f"{NAME}-py3-none-any.whl"
FILES = {WHEEL, f"{NAME}.tar.gz", f"{NAME}-restorers.tar.xz", f"{NAME}.cdx.json", f"{NAME}-changes.md"}
GIT = {
    "GIT_CONFIG_GLOBAL": os.devnull,
    **{f"GIT_{who}_{what}": "t" for who in ("AUTHOR", "COMMITTER") for what in ("NAME", "EMAIL")},
}


def _git(folder: Path, *arguments: str | Path) -> str:
    run = subprocess.run(
        ["git", *arguments], cwd=folder, env={**os.environ, **GIT}, check=True, capture_output=True, text=True
    )
    return run.stdout


def _release(folder: Path) -> "subprocess.CompletedProcess[str]":
    command = [sys.executable, "-m", "SCons", "-Q", "release"]
    return subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False)


@pytest.fixture(scope="module")
def checkout(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A repository with one commit: the sources as they are now."""
    folder = mutants.Copy(ROOT, tmp_path_factory.mktemp("release") / "a checkout").folder
    _git(folder, "init", "-q")
    _git(folder, "add", "-A")
    _git(folder, "commit", "-q", "-m", "x")
    return folder


@pytest.mark.slow
def test_a_release_is_the_same_in_each_folder(checkout: Path, tmp_path: Path) -> None:
    clone = tmp_path / "clone"
    _git(tmp_path, "clone", "-q", checkout, clone)
    (clone / "build").mkdir()
    (clone / "build/third_party").symlink_to(checkout / "build/third_party")
    for folder in (checkout, clone):
        run = _release(folder)
        assert (run.returncode, run.stderr) == (0, ""), run.stderr
    folder = checkout / "build/release"
    files = {path.name: path.read_bytes() for path in folder.iterdir()}
    assert {path.name: path.read_bytes() for path in (clone / "build/release").iterdir()} == files
    sums = dict(reversed(line.split("  ")) for line in files.pop("SHA256SUMS").decode().splitlines())  # type: ignore[misc]
    assert sums == {name: hashlib.sha256(data).hexdigest() for name, data in files.items()}
    assert set(files) == FILES
    wheel = zipfile.ZipFile(folder / WHEEL)
    assert wheel.read("gcpt/restorer/restorers.tar.xz") == files[f"{NAME}-restorers.tar.xz"]
    commit = f"{_git(checkout, 'rev-parse', 'HEAD')[:8]} 0\n"
    assert wheel.read("gcpt/project/commit").decode() == commit
    bill = json.loads(files[f"{NAME}.cdx.json"])
    hashes = {file["name"]: file["hashes"][0]["content"] for file in bill["metadata"]["component"]["components"]}
    assert hashes.items() <= sums.items() and set(hashes) == FILES - {f"{NAME}.cdx.json", f"{NAME}-changes.md"}
    assert [part["name"] for part in bill["components"]] == ["picolibc"]
    _check_source_archive(folder / f"{NAME}.tar.gz", commit, checkout, tmp_path)


def _check_source_archive(archive: Path, commit: str, checkout: Path, folder: Path) -> None:
    """It has the files of git and a record of the commit, and pip makes a wheel of it."""
    with tarfile.open(archive) as tar:
        names = {name.removeprefix(f"{NAME}/") for name in tar.getnames()}
    assert names == {*_git(checkout, "ls-files").splitlines(), provenance.RECORD, "PKG-INFO"}
    command = [sys.executable, "-m", "pip", "wheel", "-q", "--no-deps", "--no-build-isolation", "-w", folder, archive]
    subprocess.run(command, check=True, capture_output=True)
    wheel = zipfile.ZipFile(folder / WHEEL)
    assert wheel.read("gcpt/project/commit").decode() == commit
    assert "gcpt/restorer/restorers.tar.xz" not in wheel.namelist()


def test_changed_files_are_refused_and_the_last_release_stays(checkout: Path) -> None:
    folder = checkout / "build/release"
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "mark").touch()
    readme = checkout / "README.md"
    text = readme.read_text()
    readme.write_text(text + "\n")
    run = _release(checkout)
    readme.write_text(text)
    (folder / "mark").unlink()
    assert run.returncode == 2
    assert "gcpt: release: tracked files differ from the commit: commit the changes first" in run.stderr


def test_the_changes_of_a_version_are_its_section() -> None:
    text = "# Changes\n\n## 0.2.0 (soon)\n\nNew.\n\n## 0.1.0\n\nOld:\n\n- one\n"
    assert release.changes(text, "0.2.0") == "New.\n"
    assert release.changes(text, "0.1.0") == "Old:\n\n- one\n"
    with pytest.raises(UserError, match=r"CHANGELOG.md: no section '## 0\.3\.0': add"):
        release.changes(text, "0.3.0")
