"""The file of hosts of ``--on ssh:FILE``, in the format of GNU parallel's ``--sshloginfile``."""

import re
import shlex
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from gcpt.errors import UserError

#: This machine, without ssh.
HERE = ":"
_HOST = re.compile(r"(?:[\w.+-]+@)?[\w.:\[\]%-]+")
_WORKERS = re.compile(r"(\d+)/(.*)")


@dataclass(frozen=True)
class Host:
    """A host that does work.

    Attributes:
        number: The line of the file.
        login: HOST or USER@HOST; HERE for this machine.
        workers: Number of workers; 0 for one per core.
        ssh: The command that logs in, and its options.
    """

    number: int
    login: str
    workers: int = 0
    ssh: tuple[str, ...] = ("ssh",)


def read(name: str) -> list[Host]:
    """Read a file of hosts.

    Args:
        name: The file.

    Returns:
        The hosts, at least one.

    Raises:
        UserError: The file cannot be read, a line is no host, or there is none.
    """
    if not name:
        raise UserError("ssh: the file of hosts is missing: give ssh:FILE")
    try:
        return parse(Path(name).read_text().splitlines(), name)
    except (OSError, ValueError) as error:
        raise UserError(f"{name}: {getattr(error, 'strerror', None) or 'is no text'}: give a file of hosts") from error


def parse(lines: Iterable[str], name: str) -> list[Host]:
    """Read the lines of a file of hosts.

    Args:
        lines: The lines: ``[N/][ssh OPTIONS...][USER@]HOST``, or ``[N/]:`` for this machine; ``#`` begins a comment.
        name: The file, for messages.

    Returns:
        The hosts, at least one.

    Raises:
        UserError: A line is no host, or there is none.
    """
    hosts = [_host(line, number, name) for number, line in enumerate(lines, 1) if line.partition("#")[0].strip()]
    if not hosts:
        raise UserError(f"{name}: names no host: write one in a line, such as 4/node7")
    return hosts


def _host(line: str, number: int, name: str) -> Host:
    text, workers = line.partition("#")[0].strip(), 0
    if match := _WORKERS.fullmatch(text):
        workers, text = int(match[1]), match[2]
    try:
        *ssh, login = shlex.split(text)
    except ValueError:  # a quotation mark that is not closed, or no word at all
        ssh, login = [], ""
    if workers > 9999 or login.startswith("-") or not _HOST.fullmatch(login):
        raise UserError(
            f"{name}:{number}: {line.strip()!r} names no host: write [N/][USER@]HOST, or N/: for this machine"
        )
    return Host(number, login, workers, tuple(ssh) or ("ssh",))
