"""Whether the workers of a cluster fit: the same gcpt, and the same files."""

import socket
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from gcpt import __version__
from gcpt.errors import UserError, one_line

#: What a worker evaluates: it may have no gcpt whose functions it could call.
_VERSION = "__import__('gcpt').__version__"


def missing(paths: Sequence[Path]) -> tuple[str, list[str]]:
    """Find out in a worker what it does not see.

    Args:
        paths: Files and folders.

    Returns:
        The name of the worker's host, and those that do not exist there.
    """
    return socket.gethostname(), [str(path) for path in paths if not path.exists()]


def check_workers(client: Any, where: str, paths: Sequence[Path]) -> None:
    """Check that all workers have this version of gcpt and see the files.

    Args:
        client: A client of Dask, which is connected.
        where: The engine, for messages.
        paths: Files and folders that all workers must see.

    Raises:
        UserError: A worker does not fit.
    """
    for address, version in client.run(eval, _VERSION, on_error="return").items():
        if isinstance(version, ImportError):
            problem = f"gcpt is not installed ({one_line(str(version))})"
        elif isinstance(version, Exception):
            problem = f"gcpt cannot be used ({one_line(str(version)) or type(version).__name__})"
        elif version != __version__:
            problem = f"gcpt {version} is installed, and here {__version__}"
        else:
            continue
        raise UserError(f"{where}: worker {address}: {problem}: install gcpt {__version__} for the worker's Python")
    for host, absent in client.run(missing, paths).values():
        if absent:
            raise UserError(
                f"{where}: {absent[0]} does not exist on host {host}: "
                "set, command and results need the same paths on all hosts"
            )
