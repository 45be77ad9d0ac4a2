"""A thin adapter for stock QEMU: an image file as the memory of a machine, its console, its gdb stub, its end."""

import re
import shlex
import signal
import socket
import struct
import subprocess
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Self

from gcpt.checkpoint.layouts import MIB
from gcpt.machines.children import child
from gcpt.machines.gdb import Gdb, GdbError

PROGRAM = "qemu-system-riscv64"
_POLL = 0.02
#: Characters of output that a failure shows.
_TAIL = 2000


def cpu(vlen: int = 128) -> str:
    """QEMU's name for a hart with everything that a checkpoint may hold, with vectors of ``vlen`` bits."""
    return f"rv64,v=true,vlen={vlen},vext_spec=v1.0,h=true,sstc=true"


@dataclass(frozen=True)
class Machine:
    """harts: how many. memory: in bytes. cpu: QEMU's -cpu. flash: an image of the first pflash. extra: more options."""

    harts: int = 1
    memory: int = 128 * MIB
    cpu: str = cpu()
    name: str = "virt"
    flash: Path | None = None
    extra: tuple[str, ...] = ()

    def arguments(self, image: Path) -> list[str]:
        return [
            *("-machine", f"{self.name},memory-backend=ram", "-cpu", self.cpu, "-smp", str(self.harts)),
            *("-m", f"{self.memory // MIB}M"),
            *("-object", f"memory-backend-file,id=ram,size={self.memory},mem-path={image},share=on"),
            *(["-drive", f"if=pflash,format=raw,file={self.flash}"] if self.flash else []),
            *("-bios", "none", "-nodefaults", "-display", "none", "-monitor", "none"),
            *self.extra,
        ]


class QemuError(Exception):
    """The machine did not do what was waited for. The text has what was, the end of the output and the log's path."""


class Qemu:
    """A running machine; use it as a context manager.

    folder keeps the log (``qemu.log``: command line and QEMU's own messages) and ``console.log``. paused: wait for gdb.
    """

    def __init__(self, image: Path, machine: Machine, folder: Path, paused: bool = True) -> None:
        self.machine = machine
        self._image = image
        self._matched = 0
        self.log = folder / "qemu.log"
        self.console_log = folder / "console.log"
        self._sockets = tempfile.TemporaryDirectory(prefix="gcpt-")  # short: a socket's path has 107 characters at most
        self.gdb_path = Path(self._sockets.name) / "gdb"
        self._command = [
            *(PROGRAM, *machine.arguments(image), *(["-S"] if paused else [])),
            *("-chardev", f"socket,id=gdb,path={self.gdb_path},server=on,wait=off", "-gdb", "chardev:gdb"),
            *("-chardev", "stdio,id=con,signal=off", "-serial", "chardev:con"),
        ]

    def __enter__(self) -> Self:
        self.log.parent.mkdir(parents=True, exist_ok=True)
        self.log.write_text(shlex.join(self._command) + "\n")
        # A file takes the console's output whether anybody reads or not: a full socket would stop the guest.
        with self.log.open("a") as log, self.console_log.open("w") as console:
            # In a group of its own: Ctrl-C at the terminal is gdb's, and would end the machine too.
            self._child = child(self._command, stdin=subprocess.PIPE, stdout=console, stderr=log, process_group=0)
            self._process = self._child.__enter__()
        return self

    def __exit__(self, *_: object) -> None:
        self._child.__exit__(None, None, None)  # QEMU quits in order at SIGTERM
        if self._process.stdin:
            self._process.stdin.close()
        self._sockets.cleanup()

    def failure(self, what: str) -> QemuError:
        """What is known when something went wrong: ``what``, the end of the output, where the logs are."""
        messages = "\n".join(self._messages())
        parts = [what, "--- end of the console:", self.output()[-_TAIL:], "--- QEMU's messages:", messages[-_TAIL:]]
        return QemuError("\n".join([*parts, f"--- logs: {self.log}, {self.console_log}"]))

    def _messages(self) -> list[str]:
        """QEMU's own, behind its command line."""
        return self.log.read_text(errors="replace").splitlines()[1:]

    def wait_ready(self) -> socket.socket:
        """A connection to QEMU's gdb socket, which appears a moment after its start."""
        deadline = time.monotonic() + 10
        while True:
            connection = socket.socket(socket.AF_UNIX)
            try:
                connection.connect(str(self.gdb_path))
                return connection
            except OSError:
                connection.close()
            if (status := self._process.poll()) is not None:
                raise self._ended(status)
            if time.monotonic() > deadline:
                raise self.failure("QEMU did not open its gdb socket within 10 s")
            time.sleep(_POLL)

    def gdb(self) -> Gdb:
        """A gdb client; close it before another one is asked for."""
        try:
            return Gdb(self.wait_ready())
        except GdbError as error:
            # A QEMU that refuses its command line may have opened the socket before it ends.
            try:
                status = self._process.wait(1)
            except subprocess.TimeoutExpired:
                raise error from None
            raise self._ended(status) from error

    def _ended(self, status: int, when: str = "early, with") -> QemuError:
        if status == -signal.SIGBUS:  # a write to a page that the file of its memory has no room for
            room = f"the disk of {self._image.parent} is full, where the machine's memory is"
            return self.failure(f"{room}: TMPDIR names another folder")
        said = "".join(f": {line}" for line in self._messages()[-1:] if line.startswith(PROGRAM))
        return self.failure(f"QEMU ended {when} status {status}{said}")

    def type(self, text: str) -> None:
        """Type ``text`` at the console."""
        assert self._process.stdin is not None
        self._process.stdin.write(text.encode())
        self._process.stdin.flush()

    def output(self) -> str:
        """Everything that the console printed until now."""
        return self.console_log.read_text(errors="replace")

    def expect(self, pattern: str, timeout: float) -> re.Match[str]:
        """Wait until the console's output, all since the start, has ``pattern``; QemuError when it does not come."""
        return self._expect(pattern, timeout, 0)

    def expect_next(self, pattern: str, timeout: float) -> None:
        """Like ``expect``, in what came after the last match of this."""
        self._matched = self._expect(pattern, timeout, self._matched).end()

    def _expect(self, pattern: str, timeout: float, begin: int) -> re.Match[str]:
        deadline, compiled = time.monotonic() + timeout, re.compile(pattern)
        while True:
            status = self._process.poll()  # before the output is read: what it printed at its end counts
            if match := compiled.search(self.output(), begin):
                return match
            if status is not None:
                raise self._ended(status, f"before its console printed {pattern!r}, with")
            if time.monotonic() > deadline:
                raise self.failure(f"the console did not print {pattern!r} within {timeout:g} s")
            time.sleep(_POLL)

    def wait_exit(self, timeout: float) -> int:
        """QEMU's exit status, which is the code that the guest gave the finisher; QemuError when it runs on."""
        try:
            return self._process.wait(timeout)
        except subprocess.TimeoutExpired:
            raise self.failure(f"the machine did not end within {timeout:g} s") from None


def jump(source: int, target: int) -> bytes:
    """Code at ``source`` that jumps to ``target``, up to 2 GiB away: it changes t0 only."""
    distance = target - source
    high, low = (distance + 0x800) >> 12, distance & 0xFFF
    auipc = (high & 0xFFFFF) << 12 | 5 << 7 | 0x17
    jalr = low << 20 | 5 << 15 | 0x67
    return struct.pack("<II", auipc, jalr)
