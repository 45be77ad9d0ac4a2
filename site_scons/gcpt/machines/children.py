"""Child processes that end with this process, however it ends."""

import ctypes
import signal
import subprocess
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

_END_SIGNALS = {signal.SIGINT, signal.SIGTERM, signal.SIGHUP}
#: Linux's prctl(2), which requests a signal when the parent ends; None on other systems.
_PRCTL = getattr(ctypes.CDLL(None), "prctl", None)
_PR_SET_PDEATHSIG = 1
#: Seconds from SIGTERM to SIGKILL, enough on a busy machine.
_TERMINATION_TIMEOUT = 30


def end_with_parent(number: int) -> None:
    """Let the kernel send a signal to this process when the thread that started it ends; on Linux only.

    Args:
        number: The signal.
    """
    if _PRCTL:
        _PRCTL(_PR_SET_PDEATHSIG, number)


@contextmanager
def child(command: Sequence[str], **options: Any) -> Iterator[subprocess.Popen[bytes]]:
    """Start a process that is terminated at the end of the block, or when this process is killed.

    Args:
        command: The program and its arguments.
        options: Further arguments of Popen.

    Yields:
        The running process.

    Raises:
        FileNotFoundError: The program is not installed.
    """
    before = signal.pthread_sigmask(signal.SIG_BLOCK, _END_SIGNALS)  # until the process can be terminated here

    def prepare_child() -> None:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)
        end_with_parent(signal.SIGTERM)

    process = None
    try:
        process = subprocess.Popen(command, preexec_fn=prepare_child, **options)
        signal.pthread_sigmask(signal.SIG_SETMASK, before)
        yield process
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)
        if process and process.poll() is None:
            process.terminate()
            try:
                process.wait(_TERMINATION_TIMEOUT)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()
