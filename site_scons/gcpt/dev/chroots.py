"""Chroots of Debian's releases, made by debootstrap from the host's own mirror.

Each command in a chroot, and debootstrap itself, has mount and process namespaces of its own: its mounts and processes
end with it, however it ends, and the host never has a mount in a chroot.
"""

import ast
import os
import re
import shlex
import shutil
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import IO, NamedTuple

from gcpt.errors import UserError

#: The programs that making and running a chroot needs, and their Debian packages.
PROGRAMS = {"debootstrap": "debootstrap", "unshare": "util-linux", "git": "git"}
#: What a command in a chroot inherits: how to reach the network.
_PROXIES = ("http_proxy", "https_proxy", "no_proxy", "HTTP_PROXY", "HTTPS_PROXY", "NO_PROXY")
_ENVIRONMENT = {
    "PATH": "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin",
    "HOME": "/root",
    "LANG": "C.UTF-8",
}
_NAMESPACES = ("unshare", "--mount", "--pid", "--fork", "--kill-child")
#: $1 is the chroot's folder; the other arguments are the command. As a mount the folder can be the root of further
#: mount namespaces, which tests make.
_MOUNTS = """
mount --bind "$1" "$1"
mount -t proc proc "$1/proc"
mount --rbind /sys "$1/sys"
mount --rbind /dev "$1/dev"
mount -t tmpfs tmpfs "$1/dev/shm"
exec chroot "$@"
"""
#: apt's and pip's settings of the network. Values of pip's that are local folders do not exist in a chroot.
_APT_SETTINGS = re.compile(r"Acquire::(https?|ftp|Check-|Retries|Force|Proxy).*")
_PIP_SETTINGS = ("index-url", "extra-index-url", "find-links", "trusted-host", "proxy", "timeout", "retries")
#: The bundle of the host's certificates, and where update-ca-certificates finds it.
_CERTIFICATES = Path("etc/ssl/certs/ca-certificates.crt")
_HOST_CERTIFICATES = Path("usr/local/share/ca-certificates/host.crt")


class Outcome(NamedTuple):
    """A command's end.

    Attributes:
        status: The exit status.
        seconds: Wall-clock time.
        output: Standard output and standard error.
    """

    status: int
    seconds: float
    output: str


def _host(*command: str) -> str:
    """Run a command on the host, and return its output."""
    run = subprocess.run(command, capture_output=True, text=True, check=False)
    if run.returncode:
        last = (run.stderr.strip() or run.stdout.strip() or "no output").splitlines()[-1]
        raise UserError(f"{shlex.join(command)}: {last}")
    return run.stdout


def mirror() -> str:
    """Find the mirror of Debian's archive in the host's apt configuration.

    Returns:
        Its address.

    Raises:
        UserError: apt knows none.
    """
    lines = _host("apt-get", "indextargets", "--format", "$(LABEL) $(REPO_URI)", "Created-By: Packages").splitlines()
    for label, _, address in (line.partition(" ") for line in lines):
        if label == "Debian":
            return address
    raise UserError("apt has no package lists of a mirror of Debian: run apt-get update on Debian")


def pip_settings(listing: str) -> str:
    """Choose the settings of pip that a chroot needs.

    Args:
        listing: The output of ``pip config list``.

    Returns:
        The text of a pip.conf; paths of the host are left out.
    """
    settings = {}
    for line in listing.splitlines():
        name, _, value = line.partition("=")
        key = name.rpartition(".")[2].removeprefix("default-")
        words = [word for word in str(ast.literal_eval(value)).split() if not word.startswith(("/", "file:"))]
        if key in _PIP_SETTINGS and words:
            settings[key] = " ".join(words)
    lines = ["[global]", f"cert = /{_CERTIFICATES}", *(f"{key} = {value}" for key, value in settings.items())]
    return "\n".join(lines) + "\n"


def apt_settings(dump: str) -> str:
    """Choose the settings of apt that a chroot needs.

    Args:
        dump: The output of ``apt-config dump``.

    Returns:
        The text of an apt.conf.
    """
    return "".join(f"{line}\n" for line in dump.splitlines() if _APT_SETTINGS.fullmatch(line))


class Chroot:
    """A chroot while it is in use as a context manager: entering it makes it, and leaving it removes it.

    Attributes:
        folder: Its root folder.
    """

    def __init__(self, folder: Path, suite: str, packages: Sequence[str], log: IO[str]) -> None:
        """Describe the chroot.

        Args:
            folder: Its root folder, which does not exist.
            suite: The release's code name.
            packages: Packages beyond those that every Debian system has.
            log: All output is appended to it.
        """
        self.folder, self._suite, self._packages, self._log = folder, suite, packages, log

    def __enter__(self) -> "Chroot":
        try:
            self._make()
        except BaseException:
            self._remove()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        self._remove()

    def _make(self) -> None:
        include = [f"--include={','.join(self._packages)}"] if self._packages else []
        command = ["debootstrap", "--variant=minbase", *include, self._suite, str(self.folder), mirror()]
        if self._follow([*_NAMESPACES, *command]).status:
            raise UserError(f"debootstrap {self._suite} failed: see {self._log.name}")
        apt = self.folder / "etc/apt/apt.conf.d/90host"
        apt.parent.mkdir(parents=True, exist_ok=True)
        apt.write_text(apt_settings(_host("apt-config", "dump")))
        listing = _host(sys.executable, "-m", "pip", "config", "list")
        (self.folder / "etc/pip.conf").write_text(pip_settings(listing))
        for copy in (_CERTIFICATES, _HOST_CERTIFICATES):
            if Path("/", _CERTIFICATES).exists():
                (self.folder / copy).parent.mkdir(parents=True, exist_ok=True)
                shutil.copyfile(Path("/", _CERTIFICATES), self.folder / copy)
        for name in ("hosts", "resolv.conf"):
            if Path("/etc", name).exists():
                (self.folder / "etc" / name).unlink(missing_ok=True)
                shutil.copyfile(Path("/etc", name), self.folder / "etc" / name)

    def _remove(self) -> None:
        subprocess.run(["rm", "-rf", "--one-file-system", str(self.folder)], check=True)

    def run(self, line: str, folder: str = "/root") -> Outcome:
        """Run a command in the chroot, with a clean environment.

        Args:
            line: A line of shell.
            folder: Where it starts.

        Returns:
            How it ended.
        """
        variables = _ENVIRONMENT | {name: os.environ[name] for name in _PROXIES if name in os.environ}
        command = ["env", "-i", *(f"{name}={value}" for name, value in variables.items())]
        command += ["sh", "-c", f'cd "$0" && {line}', folder]
        self._log.write(f"\n$ {line}\n")
        return self._follow([*_NAMESPACES, "sh", "-ec", _MOUNTS, "sh", str(self.folder), *command])

    def _follow(self, command: Sequence[str]) -> Outcome:
        """Run a command and log its output as it comes."""
        start = time.monotonic()
        output: list[str] = []
        streams = {"stdin": subprocess.DEVNULL, "stdout": subprocess.PIPE, "stderr": subprocess.STDOUT}
        # In a process group of its own: Ctrl-C reaches this process alone, which ends the command.
        with subprocess.Popen(command, process_group=0, text=True, errors="replace", **streams) as running:  # type: ignore[call-overload]
            try:
                for line in running.stdout:
                    output.append(line)
                    self._log.write(line)
                    self._log.flush()
            except BaseException:
                running.kill()
                running.stdout.read()  # until the last process of the namespace is gone
                raise
        return Outcome(running.returncode, time.monotonic() - start, "".join(output))
