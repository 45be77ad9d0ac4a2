"""Markers in the workload at which instructions begin to count: an instruction, or what the console prints.

Nothing stops a recording, because time passes in a stop. So the run is recorded past the marker first: a plugin of QEMU
reports executions of the instruction, and the console's log shows what was printed. Then replays find the exact
position: the instruction itself is the first that counts, or the one after that which printed the last character.
"""

import re
import select
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from gcpt.errors import UserError
from gcpt.machines import replay
from gcpt.machines.gdb import Gdb, GdbClosedError
from gcpt.machines.plugins import Plugin, compiled_plugin
from gcpt.machines.qemu import Qemu
from gcpt.machines.qmp import Qmp

#: slti x0, x0, 0, whose HINTs are for custom use (unprivileged specification 2.9), and the place of its immediate.
_HINT, _IMMEDIATE, _MAX_HINT = 0x2013, 20, 0x7FF
#: NEMU's trap instruction, .insn r 0x6B, 0, 0, x0, x0, x0; its code is in a0.
_TRAP = 0x6B
_FORMS = "hint:N with N from 0 to 0x7ff, trap:CODE, or console:REGEX"
#: The most bytes of the plugin's reports to read at once.
_PART = 1 << 16
#: Stops of one replay in the search for the end of the console's text.
_STOPS = 32
#: Instructions that a machine executes at most between two reads of its count and its end.
_END = 1 << 32


@dataclass(frozen=True)
class Marker:
    """A marker.

    Attributes:
        text: How the user writes it.
        word: The instruction; None: the console prints ``pattern``.
        code: What a0 must hold at the instruction; None: anything.
        pattern: Regular expression for the console's text.
    """

    text: str
    word: int | None = None
    code: int | None = None
    pattern: str = ""

    @property
    def option(self) -> str:
        """The option that names it, for messages."""
        return f"--start-at {self.text}"


def parse(text: str) -> Marker:
    """Parse a marker.

    Args:
        text: ``hint:N``, ``trap:CODE`` or ``console:REGEX``.

    Returns:
        The marker.

    Raises:
        UserError: It has another form, or the regular expression is wrong.
    """
    kind, _, value = text.partition(":")
    if kind == "console" and value:
        try:
            re.compile(value)
        except (re.error, ValueError, OverflowError, RecursionError) as error:
            raise UserError(f"--start-at {text}: not a regular expression: {error}") from error
        return Marker(text, pattern=value)
    try:
        number = int(value, 0) if len(value) <= len(f"{1 << 64}") else -1
    except ValueError:
        number = -1
    if kind == "hint" and 0 <= number <= _MAX_HINT:
        return Marker(text, _HINT | number << _IMMEDIATE)
    if kind == "trap" and 0 <= number < 1 << 64:
        return Marker(text, _TRAP, number)
    raise UserError(f"--start-at {text}: want {_FORMS}")


class InstructionWatch:
    """A watch for the executions of an instruction.

    Attributes:
        marker: The marker.
        options: QEMU's arguments for the recording.
    """

    def __init__(self, marker: Marker, plugin: Plugin) -> None:
        self.marker = marker
        self.options = plugin.options
        self._plugin = plugin
        self._running: Qemu | None = None
        self._connection: socket.socket | None = None
        self._places: set[int] = set()

    @property
    def option(self) -> str:
        """The option that names the marker, for messages."""
        return self.marker.option

    def begin(self, running: Qemu) -> None:
        """Begin at the position of a stopped machine that is recorded."""
        self._running = running
        self._connection = self._plugin.accept()
        self._read()

    def is_new(self, _: int) -> bool:
        """Return whether the machine may have reached the marker since the last call.

        Only the code in a0 distinguishes traps, and it cannot be read while the machine runs.
        """
        is_first = not self._places
        places = self._read()
        self._places |= places
        return bool(places) and (is_first or self.marker.code is not None)

    def _read(self) -> set[int]:
        """Read the addresses that the plugin reported; each line is written at once."""
        assert self._connection is not None
        data = b""
        while select.select([self._connection], [], [], 0)[0] and (part := self._connection.recv(_PART)):
            data += part
        return {int(line, 16) for line in data.split()}

    def find(self, recording: replay.Recording, start: int, seconds: float) -> int:
        """Find the marker in a recording.

        Args:
            recording: The recording.
            start: Instructions from reset to where the watch began.
            seconds: A time limit for a replay.

        Returns:
            Instructions from reset to the marker, which is the next one.

        Raises:
            UserError: The software did not reach it.
        """
        self.is_new(0)
        assert self._connection is not None and self._running is not None
        last_line = self._running.last_line()  # of the recording: the replay's console is in the same file
        self._connection.close()
        with (
            recording.start("replay") as (running, monitor_socket),
            running.gdb() as gdb,
            Qmp(monitor_socket) as monitor,
        ):
            replay.replay_to(gdb, monitor, start, seconds, self.marker.option)
            for place in self._places:
                gdb.set_breakpoint(place)
            try:
                while not self._is_at(gdb):
                    if gdb.read_int(0, "pc") in self._places:
                        gdb.step_away(0)
                        continue
                    gdb.resume()
                    gdb.wait_stop(seconds)
            except GdbClosedError as error:
                raise _unreached(self.marker, last_line) from error
            return replay.count(monitor)

    def _is_at(self, gdb: Gdb) -> bool:
        """Return whether the marker is the next instruction of a stopped machine."""
        pc = gdb.read_int(0, "pc")
        if (
            pc not in self._places
            or int.from_bytes(gdb.read_memory(pc, 4, physical=False), "little") != self.marker.word
        ):
            return False
        return self.marker.code in (None, gdb.read_int(0, "a0"))


class ConsoleWatch:
    """A watch for what the console prints.

    Attributes:
        marker: The marker.
        options: QEMU's arguments for the recording: none.
    """

    options: tuple[str, ...] = ()

    def __init__(self, marker: Marker) -> None:
        self.marker = marker
        self._running: Qemu | None = None
        self._printed = 0
        self._end = 0
        self._is_reached = False

    @property
    def option(self) -> str:
        """The option that names the marker, for messages."""
        return self.marker.option

    def begin(self, running: Qemu) -> None:
        """Begin at the position of a stopped machine that is recorded."""
        self._running, self._printed = running, len(running.output())

    def is_new(self, instructions: int) -> bool:
        """Return whether the machine reached the marker since the last call."""
        assert self._running is not None
        if self._is_reached:
            return False
        self._is_reached = self._is_printed(self._running, self._printed)
        self._end = instructions if self._is_reached else instructions + _END
        return self._is_reached

    def _is_printed(self, running: Qemu, printed: int) -> bool:
        """Return whether the pattern is in the console's text behind some characters."""
        return bool(re.compile(self.marker.pattern).search(running.output(), printed))

    def find(self, recording: replay.Recording, start: int, seconds: float) -> int:
        """Find the marker in a recording: each round replays it with stops at equal distances.

        Args:
            recording: The recording.
            start: Instructions from reset to where the watch began.
            seconds: A time limit for a replay.

        Returns:
            Instructions from reset to the first one after the text.

        Raises:
            UserError: The software did not print it.
        """
        assert self._running is not None
        if not self._is_printed(self._running, self._printed):
            raise _unreached(self.marker, self._running.last_line())
        low, high = start, max(self._end, start + _END * (not self._end))
        while high - low > 1:
            step = -(-(high - low) // _STOPS)
            with (
                recording.start("replay") as (running, monitor_socket),
                running.gdb() as gdb,
                Qmp(monitor_socket) as monitor,
            ):
                for stop in range(low + step, high, step):
                    try:
                        replay.replay_to(gdb, monitor, stop, seconds, self.marker.option)
                    except replay.EndedError:
                        high = stop
                        break
                    if self._is_printed(running, self._printed):
                        high = stop
                        break
                    low = stop
        return high


Watch = InstructionWatch | ConsoleWatch


def _unreached(marker: Marker, last_line: str) -> UserError:
    return UserError(f"{marker.option}: the software ended before: choose another marker; {last_line}")


@contextmanager
def watching(marker: Marker, folder: Path) -> Iterator[Watch]:
    """Prepare a watch for a marker.

    Args:
        marker: The marker.
        folder: Folder for a plugin.

    Yields:
        The watch.

    Raises:
        UserError: QEMU's plugin cannot be compiled.
    """
    if marker.word is None:
        yield ConsoleWatch(marker)
        return
    with compiled_plugin("markers", folder, f"word={marker.word:x}") as plugin:
        yield InstructionWatch(marker, plugin)
