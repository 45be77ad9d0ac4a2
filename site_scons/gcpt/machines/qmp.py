"""QEMU's machine protocol, as far as a snapshot needs it: qemu.qmp without its coroutines."""

import asyncio
from typing import Any, Self

from qemu.qmp import QMPClient, QMPError

from gcpt.errors import UserError

Address = str | tuple[str, int]
#: Seconds that QEMU has to greet.
_PATIENCE = 5


def address(text: str) -> Address:
    """``unix:PATH``, a path, ``HOST:PORT`` or, as QEMU writes it, ``tcp:HOST:PORT``; UserError for a port too large."""
    host, _, port = text.removeprefix("tcp:").rpartition(":")
    if not port.isdigit():
        return text.removeprefix("unix:")
    if int(port) > 0xFFFF:
        raise UserError(f"{text}: {port} is no port: want 1 to {0xFFFF}")
    return host or "localhost", int(port)


def for_qemu(text: str) -> str:
    """The same in QEMU's words."""
    where = address(text)
    return f"unix:{where}" if isinstance(where, str) else f"tcp:{where[0]}:{where[1]}"


class Qmp:
    """A connection; use it as a context manager. UserError when nobody answers."""

    def __init__(self, text: str) -> None:
        self._text = text
        self._loop = asyncio.new_event_loop()
        self._client = QMPClient("gcpt")

    def __enter__(self) -> Self:
        try:
            connecting = self._client.connect(address(self._text))
            self._loop.run_until_complete(asyncio.wait_for(connecting, _PATIENCE))
        except TimeoutError as error:
            self._loop.close()
            raise UserError(f"--qmp {self._text}: who is there does not speak QMP: is it the gdb stub?") from error
        except (QMPError, OSError) as error:
            self._loop.close()
            text = f"--qmp {self._text}: {error}: start QEMU with -qmp {for_qemu(self._text)},server=on,wait=off"
            raise UserError(text) from error
        return self

    def __exit__(self, *_: object) -> None:
        self._loop.run_until_complete(self._client.disconnect())
        self._loop.close()

    def execute(self, command: str, **arguments: object) -> Any:
        """What QEMU returns; UserError when it refuses."""
        try:
            return self._loop.run_until_complete(self._client.execute(command, arguments or None))
        except QMPError as error:
            raise UserError(f"--qmp {self._text}: {command}: {error}") from error
