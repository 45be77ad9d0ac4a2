"""QEMU's machine protocol, as far as a snapshot needs it: qemu.qmp without its coroutines."""

import asyncio
from typing import Any, Self

from qemu.qmp import QMPClient, QMPError

from gcpt.errors import UserError

Address = str | tuple[str, int]


def address(text: str) -> Address:
    """``unix:PATH``, a path, or ``HOST:PORT``."""
    host, _, port = text.rpartition(":")
    return (host or "localhost", int(port)) if port.isdigit() else text.removeprefix("unix:")


class Qmp:
    """A connection; use it as a context manager. UserError when nobody answers."""

    def __init__(self, text: str) -> None:
        self._text = text
        self._loop = asyncio.new_event_loop()
        self._client = QMPClient("gcpt")

    def __enter__(self) -> Self:
        try:
            self._loop.run_until_complete(self._client.connect(address(self._text)))
        except (QMPError, OSError) as error:
            self._loop.close()
            text = f"--qmp {self._text}: {error}: start QEMU with -qmp {self._text},server=on,wait=off"
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
