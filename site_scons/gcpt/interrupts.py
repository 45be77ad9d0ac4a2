"""Ctrl-C while a program starts or ends, when nothing handles KeyboardInterrupt."""

import os
import signal

#: The exit status after Ctrl-C: 128 + SIGINT.
INTERRUPTED = 130


def end(*_: object) -> None:
    """End the process with one line and status 130."""
    os.write(2, b"gcpt: interrupted\n")
    os._exit(INTERRUPTED)


def end_at_once() -> None:
    """Let Ctrl-C end the process with one line and status 130, until ``raise_again``; an ignored SIGINT stays so."""
    if signal.getsignal(signal.SIGINT) is signal.default_int_handler:
        signal.signal(signal.SIGINT, end)


def raise_again() -> None:
    """Let Ctrl-C raise KeyboardInterrupt again, after ``end_at_once``."""
    if signal.getsignal(signal.SIGINT) is end:
        signal.signal(signal.SIGINT, signal.default_int_handler)
