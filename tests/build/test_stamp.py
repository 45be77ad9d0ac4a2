"""The stamp of a built image, and reproducible images."""

import os
import shutil
import subprocess

import pytest

from gcpt import __version__
from gcpt.checkpoint import stamp
from gcpt.checkpoint.stamp import Stamp


def _git(project, *arguments):
    who = ["-c", "user.name=Test", "-c", "user.email=test@example.org", "-c", "commit.gpgsign=false"]
    command = ["git", *who, *arguments]
    return subprocess.run(command, cwd=project.folder, check=True, capture_output=True, text=True).stdout.strip()


def _commit(project):
    _git(project, "add", ".")
    _git(project, "commit", "-q", "-m", "test")
    return _git(project, "rev-parse", "HEAD")[:8]


def _stamp(project, build_dir="build"):
    return stamp.find((project / build_dir / "gcpt.bin").read_bytes())


@pytest.fixture
def in_git(built):
    _git(built, "init", "-q")
    (built / ".gitignore").write_text("build/\n__pycache__/\n.sconsign*\n")
    return built


def test_outside_git_the_commit_is_unknown(built):
    assert _stamp(built) == Stamp(__version__)


@pytest.mark.parametrize("broken", [False, True])
def test_a_folder_of_another_checkout_has_no_commit(in_git, broken):
    _commit(in_git)
    inner = type(in_git)(in_git / "inner")
    shutil.copytree(in_git.folder, inner.folder, ignore=shutil.ignore_patterns(".git", "inner"))
    if broken:
        (inner / ".git").mkdir()
    inner.build()
    assert _stamp(inner) == Stamp(__version__)


def test_commits_and_changes_link_again_and_no_more(in_git):
    first = _commit(in_git)
    run = in_git.build()
    assert (run.compiled(), "LD" in run.kinds()) == (set(), True)
    assert _stamp(in_git) == Stamp(__version__, first)
    assert in_git.build().steps == set()
    in_git.append("pyproject.toml", "# Changed.\n")
    run = in_git.build()
    assert (run.compiled(), "LD" in run.kinds()) == (set(), True)
    assert _stamp(in_git) == Stamp(__version__, first, dirty=True)
    in_git.append("pyproject.toml", "# Changed more.\n")
    assert in_git.build().steps == set()
    second = _commit(in_git)
    in_git.build()
    assert _stamp(in_git) == Stamp(__version__, second)
    (in_git / "notes").touch()
    assert in_git.build().steps == set()


def test_options_are_stamped_without_folders(built, payload):
    built.build("mode=single_core", "platform=qemu-virt", f"gcpt_payload={payload}", "build_dir=other")
    image_stamp = _stamp(built, "other")
    assert image_stamp
    name = image_stamp.options.pop("gcpt_payload")
    assert image_stamp.options == {"mode": "single_core", "platform": "qemu-virt"}
    assert name.startswith("fw.bin.") and len(name) == len("fw.bin.") + 8
    payload.write_bytes(payload.read_bytes()[::-1])
    built.build("mode=single_core", "platform=qemu-virt", f"gcpt_payload={payload}", "build_dir=other")
    image_stamp = _stamp(built, "other")
    assert image_stamp and image_stamp.options["gcpt_payload"] != name


@pytest.mark.parametrize("options", [(), ("mode=single_core", "platform=qemu-virt"), ("log=info", "display_cpu=0")])
def test_same_sources_same_bytes(in_git, tmp_path, options):
    """Folder, user, time, umask, time zone, number of jobs and build folder do not matter."""
    _commit(in_git)
    in_git.build("build", "sbom", *options)
    copy = type(in_git)(tmp_path / "elsewhere")
    _git(in_git, "clone", "-q", str(in_git.folder), str(copy.folder))
    shutil.copytree(in_git / "build/third_party", copy / "build/third_party")
    before = os.umask(0o077)
    try:
        who = {"USER": "somebody", "LOGNAME": "somebody", "HOME": str(tmp_path), "HOSTNAME": "elsewhere"}
        when = {"TZ": "Asia/Shanghai", "LANG": "C", "SOURCE_DATE_EPOCH": "1"}
        run = copy.scons("build", "sbom", *options, "-j1", "build_dir=out", **who, **when)
    finally:
        os.umask(before)
    assert run.status == 0, run.out + run.err
    [variant] = (path.parent.name for path in (copy / "out").glob("*/gcpt.cdx.json"))
    for name in ("gcpt.bin", "gcpt.elf", f"{variant}/gcpt.cdx.json"):
        assert (copy / "out" / name).read_bytes() == (in_git / "build" / name).read_bytes(), name
