"""Lines of a build's standard output, on which SCons's threads write side by side."""

import sys


def say(text: str) -> None:
    """Write ``text`` and the end of its line at once: print() writes them one by one, and another thread's line may
    come between.
    """
    sys.stdout.write(f"{text}\n")
