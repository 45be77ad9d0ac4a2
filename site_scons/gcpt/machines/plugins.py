"""Plugins of QEMU: compile one for the installed QEMU, and connect to the socket that it reports to."""

import shutil
import socket
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from gcpt.errors import UserError
from gcpt.machines.qemu import escaped, version
from gcpt.scratch import removal_of, short_folder

_SOURCES = Path(__file__).parent / "plugin"
#: The first versions of QEMU whose plugin API is version 2 and version 3.
_SECOND_API, _THIRD_API = (9, 0), (9, 1)
_SOCKET = "plugin"
#: Seconds for the plugin to connect, or to answer, enough on a busy machine.
_TIMEOUT = 120


def compile_plugin(name: str, folder: Path) -> Path:
    """Compile a plugin for the installed QEMU.

    Args:
        name: Its source without the ending.
        folder: Folder for it.

    Returns:
        The plugin.

    Raises:
        UserError: There is no compiler, or it fails.
    """
    plugin, source = folder / f"{name}.so", _SOURCES / f"{name}.c"
    installed = version()
    api = 1 if installed < _SECOND_API else 2 if installed < _THIRD_API else 3
    flags = ("-shared", "-fPIC", "-O2", "-fvisibility=hidden", "-pthread", f"-DAPI_VERSION={api}")
    if (compiler := shutil.which("cc")) is None:
        raise UserError("cc: not found: install a C compiler, such as gcc, for QEMU's plugin")
    run = subprocess.run([compiler, *flags, "-o", plugin, source], capture_output=True, text=True)
    if run.returncode:
        raise UserError(f"cc cannot compile QEMU's plugin: {(run.stderr.strip() or 'no message').splitlines()[-1]}")
    return plugin


@dataclass(frozen=True)
class Plugin:
    """A plugin of a machine to start.

    Attributes:
        options: QEMU's arguments that load the plugin.
        listening: The socket that it reports to.
    """

    options: tuple[str, ...]
    listening: socket.socket

    def accept(self) -> socket.socket:
        """Wait for the plugin of the machine that was started.

        Returns:
            The connection to it.
        """
        connection = self.listening.accept()[0]
        connection.settimeout(_TIMEOUT)
        return connection


@contextmanager
def compiled_plugin(name: str, folder: Path, *arguments: str) -> Iterator[Plugin]:
    """Compile a plugin for a machine to start, and listen to it.

    Args:
        name: Its source without the ending.
        folder: Folder for it.
        arguments: Its arguments after the socket, as NAME=VALUE.

    Yields:
        The plugin.

    Raises:
        UserError: There is no compiler, or it fails, or there is no folder for the socket.
    """
    plugin = compile_plugin(name, folder)
    with removal_of(short_folder(_SOCKET)) as sockets, socket.socket(socket.AF_UNIX) as listening:
        path = sockets / _SOCKET
        listening.settimeout(_TIMEOUT)
        listening.bind(str(path))
        listening.listen()
        options = ",".join([f"file={escaped(plugin)}", f"socket={escaped(path)}", *arguments])
        yield Plugin(("-plugin", options), listening)
