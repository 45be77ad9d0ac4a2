"""The exceptions: faults that a user can fix, and their line; simulators that fail."""

import re

#: Words that are much longer than any file's name, such as a number of thousands of digits.
_LONG_WORD = re.compile(r"\w{1024,}")
_CONTROL = re.compile(r"[\x00-\x1f\x7f]")


class UserError(Exception):
    """Invalid input. The message is the one line that the user sees: where, what is wrong, how to fix it."""


class SimulatorError(Exception):
    """A simulator was not built or did not do what was expected; the text is one line.

    Attributes:
        console: The console's output.
    """

    def __init__(self, message: str, console: str = "") -> None:
        super().__init__(message)
        self.console = console


def system_error(error: OSError) -> str:
    """Describe a system call that failed: files that no user named are temporary.

    Args:
        error: The error.

    Returns:
        The file and the cause.
    """
    return f"{error.filename or 'a temporary file'}: {error.strerror or error}"


def one_line(text: str) -> str:
    r"""Format a message as one line that a terminal can show.

    Args:
        text: The message, of any number of lines, with names of any characters.

    Returns:
        The lines joined by spaces, with control characters as ``\xNN``, and with the start of each word that is much
        longer than a file's name.
    """
    line = " ".join(part for part in map(str.strip, text.split("\n")) if part)
    line = _CONTROL.sub(lambda match: f"\\x{ord(match[0]):02x}", line)
    return _LONG_WORD.sub(lambda match: f"{match[0][:20]}... ({len(match[0])} characters)", line)
