"""Runs ``gcpt`` with one system call that fails: faulty.c, compiled and preloaded, lists and fails the calls."""

import errno
import os
import subprocess
import sys
from collections import Counter
from dataclasses import dataclass
from pathlib import Path

from command import UNMEASURED

_SOURCE = Path(__file__).with_name("faulty.c")
#: What each call may fail with.
ERRORS = {
    "open": ("EACCES", "EMFILE", "EIO"),
    "read": ("EIO",),
    "pread": ("EIO",),
    "write": ("ENOSPC", "EIO"),
    "pwrite": ("ENOSPC",),
    "copy": ("EIO",),
    "fsync": ("EIO", "ENOSPC"),
    "ftruncate": ("EFBIG", "ENOSPC"),
    "truncate": ("ENOSPC",),
    "lseek": ("EIO",),
    "fstat": ("EIO",),
    "stat": ("EACCES", "EIO"),
    "readlink": ("EACCES",),
    "chmod": ("EPERM",),
    "rename": ("EACCES", "ENOSPC"),
    "unlink": ("EACCES", "EIO"),
    "rmdir": ("EACCES",),
    "mkdir": ("ENOSPC", "EACCES"),
    "opendir": ("EMFILE",),
    "readdir": ("EIO",),
    "mmap": ("ENOMEM",),
    "socket": ("EMFILE",),
    "socketpair": ("EMFILE",),
    "connect": ("ECONNREFUSED", "EACCES"),
    "bind": ("EADDRINUSE",),
    "listen": ("EADDRINUSE",),
    "send": ("EPIPE", "ECONNRESET"),
    "recv": ("ECONNRESET",),
    "fork": ("EAGAIN", "ENOMEM"),
    "pipe": ("EMFILE",),
}


@dataclass(frozen=True)
class Call:
    """A system call of a run: its name, its number among those of this name (from 1), and the file or ``-``.

    The name of a call of a worker begins with ``worker:``. A file of the run's folder has its path there, others their
    absolute paths, sockets a name.
    """

    name: str
    number: int
    file: str

    @property
    def kind(self) -> str:
        """Its name without that of the process: a key of ERRORS."""
        return self.name.removeprefix("worker:")

    def __str__(self) -> str:
        return f"{self.name} {self.number} ({self.file})"


@dataclass(frozen=True)
class Run:
    """A finished run. calls: those that concern the folder; failed: the one that the shim failed, if it came to it."""

    status: int
    stdout: str
    stderr: str
    calls: list[Call]
    failed: bool


def compile_shim(folder: Path) -> Path:
    shim = folder / "faulty.so"
    subprocess.run(["gcc", "-shared", "-fPIC", "-O1", "-Wall", "-Werror", _SOURCE, "-o", shim, "-ldl"], check=True)
    return shim


def run(shim: Path, folder: Path, arguments: list[str], call: Call | None = None, error: str = "") -> Run:
    """Run ``gcpt`` in ``folder``, whose files count, with its temporary files in ``folder``/tmp, and fail ``call``."""
    log = folder.with_name(f"calls-{folder.name}")
    log.unlink(missing_ok=True)
    environment = {**UNMEASURED, "TMPDIR": str(folder / "tmp"), "LD_PRELOAD": str(shim)}
    environment |= {"FAULT_UNDER": str(folder), "FAULT_LOG": str(log)}
    if call:
        number = str(getattr(errno, error))
        environment |= {"FAULT_CALL": call.name, "FAULT_AT": str(call.number), "FAULT_ERRNO": number}
    done = subprocess.run(
        [sys.executable, "-P", "-m", "gcpt", *arguments],  # -P: no search for modules in the folder
        cwd=folder,
        env=environment,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    lines = log.read_text().splitlines() if log.exists() else []
    counts: Counter[str] = Counter()
    calls = []
    for line in lines:
        name, _, file = line.removeprefix("! ").partition(" ")
        counts[name] += 1
        calls.append(Call(name, counts[name], file.removeprefix(f"{folder}/")))
    return Run(done.returncode, done.stdout, done.stderr, calls, any(line.startswith("! ") for line in lines))


def processes_of(folder: Path) -> list[str]:
    """The command lines of running processes that name ``folder``."""
    found = []
    for entry in Path("/proc").iterdir():
        if entry.name.isdecimal() and int(entry.name) != os.getpid():
            try:
                line = (entry / "cmdline").read_bytes().replace(b"\0", b" ").decode(errors="replace")
            except OSError:
                continue
            if f"{folder}/" in line:
                found.append(line)
    return found
