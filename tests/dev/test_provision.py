"""The set-up's decisions, without network and without touching the system."""

import io
import re
import subprocess
import sysconfig
import tarfile
import venv
from pathlib import Path

import pytest

from gcpt.dev import provision
from gcpt.dev.provision import Package, Pin, SetupError

REPO = Path(__file__).resolve().parents[2]


def pin(**changes: object) -> Pin:
    values = vars(provision.read_pin(REPO / "third_party/nanopb.toml")) | changes
    return Pin(**values)


def tarball(path: Path, *names: str) -> Path:
    with tarfile.open(path, "w:gz") as archive:
        for name in names:
            member = tarfile.TarInfo(f"nanopb-1/{name}")
            member.size = len(name)
            archive.addfile(member, io.BytesIO(name.encode()))
    return path


def test_a_package_is_missing_when_its_probe_finds_nothing(tmp_path: Path) -> None:
    packages = [
        Package("shell", "", "", command="sh"),
        Package("no-command", "", "", command="no-such-command"),
        Package("here", "", "", file=str(tmp_path)),
        Package("no-file", "", "", file=str(tmp_path / "absent")),
        Package("library", "", "", modules=["json", "venv"]),
        Package("no-module", "", "", modules=["json", "no_such_module"]),
    ]
    names = [package.name for package in provision.missing(packages)]
    assert names == ["no-command", "no-file", "no-module"]


def test_every_system_package_says_what_it_is_for_and_has_one_probe() -> None:
    for package in provision.read_packages(REPO / "third_party/debian.toml"):
        assert package.use and package.licence
        assert [bool(package.command), bool(package.file), bool(package.modules)].count(True) == 1


@pytest.mark.parametrize(
    ("root", "sudo", "wrapped"),
    [(True, False, "{}"), (False, True, "sudo sh -c '{}'"), (False, False, "su - -c '{}'")],
)
def test_the_command_to_type_fits_who_types_it(root: bool, sudo: bool, wrapped: str) -> None:
    plain = "apt-get update && apt-get install -y --no-install-recommends a b"
    assert provision.command_to_type(["a", "b"], root, sudo) == wrapped.format(plain)


def test_sources_come_from_each_full_mirror_once() -> None:
    releases = ["a/dists/trixie", "a/dists/trixie-updates", "a/dists/trixie", "b/dists/stable", "flat"]
    uris = "".join(f"'mirror:/{release}/InRelease' name 0 \n" for release in releases)
    lines = provision.source_list(uris, pin(suite="old", keyring="/k")).splitlines()
    assert lines == [f"deb-src [signed-by=/k] mirror:/{name}/ old main" for name in "ab"]


def test_a_tarball_with_another_hash_is_refused(tmp_path: Path) -> None:
    with pytest.raises(SetupError, match="not the pinned"):
        provision.unpack_source(pin(), tarball(tmp_path / "t.tar.gz", "pb.h"), tmp_path / "nanopb")
    assert not (tmp_path / "nanopb").exists()


def test_a_tarball_without_a_needed_file_leaves_the_old_sources(tmp_path: Path) -> None:
    source, target = tarball(tmp_path / "t.tar.gz", "pb.h"), tmp_path / "nanopb"
    wanted = pin(sha256=provision.sha256(source), files=["pb.h"])
    provision.unpack_source(wanted, source, target)
    with pytest.raises(SetupError, match=r"pb_new\.c"):
        provision.unpack_source(pin(sha256=wanted.sha256, files=["pb_new.c"]), source, target)
    assert (target / "pb.h").read_text() == "pb.h"


def test_an_interrupted_or_moved_environment_is_not_ready(tmp_path: Path) -> None:
    venv = tmp_path / "venv"
    (venv / "bin").mkdir(parents=True)
    (venv / "bin/python").symlink_to("/bin/sh")
    assert not provision.environment_is_ready(venv, "digest")
    stamp = venv / provision.STAMP
    for text, ready in [
        ("", False),
        (f"{venv}\nolder", False),
        (f"{tmp_path}/elsewhere\ndigest", False),
        (f"{venv}\ndigest", True),
    ]:
        stamp.write_text(text)
        assert provision.environment_is_ready(venv, "digest") is ready


def test_the_command_runs_whatever_the_folders_are_called(tmp_path: Path) -> None:
    """And whatever lies in the one that it is started in."""
    environment, here = tmp_path / "it's a $HOME" / ".venv", tmp_path / "here"
    venv.create(environment, symlinks=True)
    [packages] = environment.glob("lib/python3*/site-packages")
    (packages / "others.pth").write_text(sysconfig.get_path("purelib") + "\n")
    provision.install_command(REPO, environment)
    here.mkdir()
    (here / "click.py").write_text("raise SystemExit('not this one')")
    run = subprocess.run([environment / "bin/gcpt", "--version"], cwd=here, capture_output=True, text=True, check=False)
    assert (run.returncode, run.stderr) == (0, "") and run.stdout.startswith("gcpt ")


def test_every_python_package_is_pinned_with_hashes_and_every_direct_one_is_locked() -> None:
    lock = (REPO / "requirements.txt").read_text().replace("\\\n", " ")
    entries = [line for line in lock.splitlines() if line and not line.lstrip().startswith("#")]
    for entry in entries:
        assert re.fullmatch(r"[\w-]+==[\w.]+( +--hash=sha256:[0-9a-f]{64})+ *", entry), entry
    direct = {name.partition("[")[0] for name in (REPO / "requirements.in").read_text().split()}
    assert direct <= {entry.partition("==")[0] for entry in entries}


def test_the_lock_names_no_index() -> None:
    lock = (REPO / "requirements.txt").read_text()
    assert "://" not in lock and "--index" not in lock and "--find-links" not in lock
