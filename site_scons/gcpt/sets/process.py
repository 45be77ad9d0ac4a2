"""Run a simulator in a process group of its own, which ends with it: on Linux."""

import fcntl
import os
import select
import signal
import socket
import subprocess
import time
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import BinaryIO

from gcpt.machines.children import end_with_parent

#: The file that a simulator and all its processes keep locked; it holds the number of their process group and the host.
LOCK = ".lock"
#: Seconds from SIGTERM to SIGKILL after the time limit.
_GRACE = 10
#: Signals that end a worker.
_ENDS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
#: Seconds for the processes of an earlier run to end, and between two looks.
_LEFTOVER, _LOOK = 10.0, 0.05


#: The process groups of what runs in this process now.
_groups: set[int] = set()


class BusyError(Exception):
    """Processes of an earlier run still work in a folder."""


@dataclass(frozen=True)
class Ending:
    """How a process ended.

    Attributes:
        status: Its exit status, negative for a signal.
        seconds: Its time.
        is_late: Whether it was stopped at the time limit.
    """

    status: int
    seconds: float
    is_late: bool


@contextmanager
def locked(folder: Path) -> Iterator[BinaryIO]:
    """Lock a point's folder.

    Args:
        folder: The folder.

    Yields:
        The lock's file, which processes may inherit: it stays locked until the last of them ends.

    Raises:
        BusyError: Processes of an earlier run have it locked.
        OSError: The file cannot be written.
    """
    with (folder / LOCK).open("a+b") as file:
        deadline = time.monotonic() + _LEFTOVER
        while not _lock(file):
            _kill_orphans(file)
            if time.monotonic() > deadline:
                raise BusyError(f"process group {_owner(file)} of an earlier run still works in {folder}")
            time.sleep(_LOOK)
        yield file


def _lock(file: BinaryIO) -> bool:
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def _owner(file: BinaryIO) -> str:
    """The text of a lock's file: ``NUMBER on HOST``."""
    file.seek(0)
    return file.read(300).decode(errors="replace")


def _group(file: BinaryIO) -> int:
    """The process group in a lock's file; 0 if there is none on this host."""
    number, _, host = _owner(file).partition(" on ")
    return int(number) if number.isdecimal() and host == socket.gethostname() else 0


def _kill_orphans(file: BinaryIO) -> None:
    """Kill what is left of a process group whose leader ended with its worker."""
    if (group := _group(file)) and not Path("/proc", str(group)).exists():
        _signal(group, signal.SIGKILL)


def is_locked(file_path: Path) -> bool:
    """Return whether a process has a file locked.

    Args:
        file_path: The file; one that is absent is not locked.
    """
    try:
        with file_path.open("rb") as file:
            fcntl.flock(file, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    except OSError:
        return False
    return False


def stop_leftover(folder: Path) -> None:
    """Kill the processes of a worker on this machine that was killed while they worked in a folder.

    Args:
        folder: The point's folder.
    """
    with suppress(OSError), (folder / LOCK).open("r+b") as file:
        if not _lock(file) and (group := _group(file)):
            os.killpg(group, signal.SIGKILL)


def end_worker() -> None:
    """End this worker at once with all that it runs, so that no result is written, and the process that restarts it."""
    for group in tuple(_groups):
        _signal(group, signal.SIGKILL)
    os.kill(os.getppid(), signal.SIGKILL)
    os._exit(0)


def run(command: Sequence[str], folder: Path, out: Path, err: Path, limit: float | None) -> Ending:
    """Run a command in a folder until it ends; then nothing of its process group is left.

    Args:
        command: The program and its arguments.
        folder: The current folder of the command.
        out: The file for its standard output.
        err: The file for its standard error; may be ``out``.
        limit: Seconds; None without a limit.

    Returns:
        How it ended.

    Raises:
        BusyError: Processes of an earlier run still work in the folder.
        OSError: The command cannot be started, or a file cannot be written.
    """
    with locked(folder) as lock, out.open("wb") as out_file, _other(err, out, out_file) as err_file:
        start = time.monotonic()
        # What a signal raises in the functions that Python runs after a fork would be lost.
        before = signal.pthread_sigmask(signal.SIG_BLOCK, _ENDS)
        try:
            process = subprocess.Popen(
                command,
                cwd=folder,
                stdin=subprocess.DEVNULL,
                stdout=out_file,
                stderr=err_file,
                start_new_session=True,
                pass_fds=(lock.fileno(),),
                preexec_fn=partial(_prepare, before),
            )
            _groups.add(process.pid)
            try:
                signal.pthread_sigmask(signal.SIG_SETMASK, before)
                lock.truncate(0)
                lock.write(f"{process.pid} on {socket.gethostname()}".encode())
                lock.flush()
                is_late = not _wait(process.pid, limit)
                if is_late:
                    _signal(process.pid, signal.SIGTERM)
                    _wait(process.pid, _GRACE)
            finally:
                _groups.discard(process.pid)
                _signal(process.pid, signal.SIGKILL)  # the leader is not reaped yet, so the number is still the group's
                status = process.wait()
        finally:
            signal.pthread_sigmask(signal.SIG_SETMASK, before)
        return Ending(status, time.monotonic() - start, is_late)


def _prepare(mask: Iterable[int]) -> None:
    """In the child, before the command: it ends with its worker, and has the signals of a new process."""
    end_with_parent(signal.SIGKILL)
    for number in _ENDS:
        signal.signal(number, signal.SIG_DFL)
    signal.pthread_sigmask(signal.SIG_SETMASK, mask)


@contextmanager
def _other(err: Path, out: Path, out_file: BinaryIO) -> Iterator[BinaryIO]:
    if err == out:
        yield out_file
    else:
        with err.open("wb") as file:
            yield file


def _wait(number: int, seconds: float | None) -> bool:
    """Wait until a child ends, without reaping it; return whether it did."""
    descriptor = os.pidfd_open(number)
    try:
        poll = select.poll()
        poll.register(descriptor, select.POLLIN)
        return bool(poll.poll(None if seconds is None else seconds * 1000))
    finally:
        os.close(descriptor)


def _signal(group: int, number: int) -> None:
    with suppress(ProcessLookupError):
        os.killpg(group, number)
