"""The checks that an output is no input and no other output, by any of its names."""

import os
from collections.abc import Callable, Mapping
from contextlib import suppress
from pathlib import Path

from gcpt.errors import UserError


def same(first: Path, second: Path) -> bool:
    """Compare two paths by the files that they name.

    Args:
        first: A path; the file need not exist.
        second: Another.

    Returns:
        Whether both are one file: through symbolic links, hard links or another spelling.
    """
    try:
        return first.samefile(second)
    except OSError:  # one of them does not exist yet
        with suppress(OSError):  # a relative path, and the working directory was deleted
            return os.path.realpath(first) == os.path.realpath(second)
        return first == second


def check(option: str, out: Path | None, files: Mapping[str, Path | None]) -> None:
    """Check that writing an output changes none of some other files.

    Args:
        option: The option or argument that names the output, for messages.
        out: The output; None if there is none.
        files: The other files by the option or argument that names them; None entries are ignored.

    Raises:
        UserError: The output is one of them.
    """
    for name, file in files.items():
        if out and file and same(out, file):
            separator = "" if option.endswith("=") else " "
            raise UserError(f"{option}{separator}{out} is also {name}: choose another file")


def check_kind(option: str, out: Path, is_kind: Callable[[bytes], bool], kind: str) -> None:
    """Check that an output that exists is what the command writes, so that no checkpoint or index is lost.

    Args:
        option: The option that names the output, for messages.
        out: The output.
        is_kind: Whether a file that begins with these bytes, at most 64, is of the kind.
        kind: What the command writes, for messages.

    Raises:
        UserError: It exists and is neither empty nor of the kind, or it cannot be read.
    """
    try:
        if not out.is_file():
            return
        with out.open("rb") as file:
            head = file.read(64)
    except OSError as error:
        raise UserError(f"{option} {out}: {error.strerror}: choose another file") from error
    if head and not is_kind(head):
        raise UserError(f"{option} {out}: exists and is no {kind}: choose another file")
