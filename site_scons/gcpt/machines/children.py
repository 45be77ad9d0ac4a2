"""Programs that this one starts and that end with it, however it ends."""

import ctypes
import signal
import subprocess
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

_ENDING = {signal.SIGINT, signal.SIGTERM, signal.SIGHUP}
#: Linux' prctl(2), by which a process asks for a signal at its parent's end; None on other systems.
_PRCTL = getattr(ctypes.CDLL(None), "prctl", None)
_PR_SET_PDEATHSIG = 1
#: Seconds that a program has to end when it is told to.
_PATIENCE = 5


@contextmanager
def child(command: Sequence[str], **options: Any) -> Iterator[subprocess.Popen[bytes]]:
    """Start ``command`` (options: those of Popen); it is over when the block is, or when this process is killed."""
    before = signal.pthread_sigmask(signal.SIG_BLOCK, _ENDING)  # until the child is known, which then ends too

    def first() -> None:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)
        if _PRCTL:
            _PRCTL(_PR_SET_PDEATHSIG, signal.SIGTERM)

    process = None
    try:
        process = subprocess.Popen(command, preexec_fn=first, **options)
        signal.pthread_sigmask(signal.SIG_SETMASK, before)
        yield process
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)
        if process and process.poll() is None:
            process.terminate()
            try:
                process.wait(_PATIENCE)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()
