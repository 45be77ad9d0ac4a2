"""The part of QMP (QEMU Machine Protocol) that a snapshot needs: qemu.qmp without coroutines."""

import asyncio
from contextlib import suppress
from typing import Any, Self

from qemu.qmp import QMPClient, QMPError

from gcpt.errors import UserError
from gcpt.scratch import LONGEST_SOCKET, fits_socket

Address = str | tuple[str, int]
#: Seconds for QEMU's greeting, enough on a busy machine.
TIMEOUT = 30


def address(text: str) -> Address:
    """Parse the address of a QMP socket.

    Args:
        text: ``unix:PATH``, ``PATH``, ``HOST:PORT`` or, as in QEMU's options, ``tcp:HOST:PORT``.

    Returns:
        The path, or host and port.

    Raises:
        UserError: The port is out of range, or the path too long.
    """
    host, _, port = text.removeprefix("tcp:").rpartition(":")
    if not (port.isascii() and port.isdigit()):
        path = text.removeprefix("unix:")
        if not fits_socket(path):
            raise UserError(f"{text}: a socket's path has at most {LONGEST_SOCKET} bytes: give a relative one")
        return path
    if len(port) > 5 or not 1 <= int(port) <= 0xFFFF:
        raise UserError(f"{text}: port {port} is out of range: want 1 to {0xFFFF}")
    return host or "localhost", int(port)


def for_qemu(text: str) -> str:
    """Return an address as QEMU's options want it.

    Args:
        text: The address, as for ``address``.

    Returns:
        ``unix:PATH`` or ``tcp:HOST:PORT``.

    Raises:
        UserError: The port is out of range, or the path too long.
    """
    parsed = address(text)
    return f"unix:{parsed}" if isinstance(parsed, str) else f"tcp:{parsed[0]}:{parsed[1]}"


class _Loop(asyncio.SelectorEventLoop):
    """An event loop that is silent where the system has no socket for it; ``Qmp`` closes those that it has."""

    def __del__(self) -> None:
        """Do not close what was not made."""


class Qmp:
    """A connection to a QMP socket, as a context manager; entering it raises UserError if QMP does not answer."""

    def __init__(self, text: str) -> None:
        self._text = text
        self._loop = _Loop()
        self._client = QMPClient("gcpt")

    def __enter__(self) -> Self:
        try:
            connecting = self._client.connect(address(self._text))
            self._loop.run_until_complete(asyncio.wait_for(connecting, TIMEOUT))
        except TimeoutError as error:
            self._loop.close()
            raise UserError(
                f"--qmp {self._text}: the program that listens there does not speak QMP: is it the gdb stub?"
            ) from error
        except (QMPError, OSError) as error:
            self._loop.close()
            text = f"--qmp {self._text}: {error}: start QEMU with -qmp {for_qemu(self._text)},server=on,wait=off"
            raise UserError(text) from error
        return self

    def __exit__(self, *_: object) -> None:
        with suppress(EOFError, OSError):  # QEMU ended
            self._loop.run_until_complete(self._client.disconnect())
        self._loop.close()

    def execute(self, command: str, **arguments: object) -> Any:
        """Execute a command.

        Args:
            command: The command's name.
            arguments: The command's arguments.

        Returns:
            What QEMU returns, decoded from JSON.

        Raises:
            UserError: QEMU refused the command, or ended.
        """
        try:
            return self._loop.run_until_complete(self._client.execute(command, arguments or None))
        except (QMPError, EOFError, OSError) as error:
            raise UserError(f"--qmp {self._text}: {command}: {error}") from error
