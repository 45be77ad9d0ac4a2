"""A thin adapter for stock QEMU: an image file as a machine's memory, its console, gdb stub and exit status."""

import os
import re
import shlex
import shutil
import signal
import socket
import struct
import subprocess
import time
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Self

from gcpt.checkpoint.layouts import MIB
from gcpt.errors import UserError
from gcpt.machines.children import child
from gcpt.machines.gdb import TIMEOUT, Gdb, GdbClosedError
from gcpt.scratch import remove_folder, short_folder

PROGRAM = "qemu-system-riscv64"
#: Names of the logs: QEMU's command line and messages, and the console's output.
LOGS = ("qemu.log", "console.log")
#: Options of -cpu that a hart with everything needs, with the version that brought each. pmu-mask: without it, a hart
#: has only the counters 3 to 18.
_CPU_OPTIONS = (
    ((0, 0), "vext_spec=v1.0"),
    ((0, 0), "h=true"),
    ((0, 0), "sstc=true"),
    ((0, 0), "svpbmt=true"),
    ((8, 2), "pmu-mask=0xfffffff8"),
)
#: What extensions were called before the version that counts them as finished.
_NEW_NAMES = (8, 2)
_OLD_NAMES = {"smepmp": "x-epmp", "smaia": "x-smaia", "ssaia": "x-ssaia"}
#: Name of the socket of the gdb stub.
_SOCKET = "gdb"
#: Seconds between two reads of the console's file, whose growth cannot be waited for.
_POLL = 0.02
#: Seconds for the end of a QEMU that closed its socket.
_END = 10
#: Characters of output in an error message.
_TAIL = 2000


@cache
def version(program: str = PROGRAM) -> tuple[int, int]:
    """Return QEMU's major and minor version.

    Args:
        program: The program.

    Returns:
        The version; (0, 0) if the program does not run or does not tell it.

    Raises:
        UserError: This machine lacks what a process needs, such as file descriptors.
    """
    try:
        run = subprocess.run([program, "--version"], capture_output=True, text=True, check=False)
    except OSError as error:
        if error.filename is None:  # not the program's fault: its options must not be those of another version
            raise UserError(f"{program}: {error.strerror}: free what other processes use, and start again") from error
        return (0, 0)
    match = re.search(r"version (\d+)\.(\d+)", run.stdout)
    return (int(match[1]), int(match[2])) if match else (0, 0)


def cpu(vlen: int = 128, program: str = PROGRAM, **extensions: bool) -> str:
    """Return QEMU's -cpu for a hart with everything that a checkpoint can hold.

    Args:
        vlen: VLEN in bits.
        program: QEMU's program, whose version knows some options and not others.
        extensions: Whether the hart has an extension, by its name since QEMU 8.2.

    Returns:
        The argument of -cpu.
    """
    installed = version(program)
    known = [option for since, option in _CPU_OPTIONS if installed >= since]
    old = _OLD_NAMES if installed < _NEW_NAMES else {}
    changed = [f"{old.get(name, name)}={str(value).lower()}" for name, value in extensions.items()]
    return ",".join(("rv64", "v=true", f"vlen={vlen}", *known, *changed))


def escaped(value: object) -> str:
    """Return a value of one of QEMU's comma-separated options.

    Args:
        value: The value, such as a path.

    Returns:
        The value as text, with its commas doubled.
    """
    return str(value).replace(",", ",,")


@dataclass(frozen=True)
class Machine:
    """A machine of QEMU.

    Attributes:
        harts: Number of harts.
        memory: Memory in bytes, a multiple of 1 MiB.
        cpu: Argument of -cpu.
        name: Argument of -machine.
        flash: Image of the first pflash.
        extra: Further command-line arguments.
        program: The program.
    """

    harts: int = 1
    memory: int = 128 * MIB
    cpu: str = field(default_factory=cpu)
    name: str = "virt"
    flash: Path | None = None
    extra: tuple[str, ...] = ()
    program: str = PROGRAM

    def arguments(self, image: Path) -> list[str]:
        """Return QEMU's command-line arguments.

        Args:
            image: Raw image that is the machine's memory; the machine writes to it.

        Returns:
            The arguments without the program.
        """
        return [
            *("-machine", f"{self.name},memory-backend=ram", "-cpu", self.cpu, "-smp", str(self.harts)),
            *("-m", f"{self.memory // MIB}M"),
            *("-object", f"memory-backend-file,id=ram,size={self.memory},mem-path={escaped(image)},share=on"),
            *(["-drive", f"if=pflash,format=raw,file={escaped(self.flash)}"] if self.flash else []),
            *("-bios", "none", "-nodefaults", "-display", "none", "-monitor", "none"),
            *self.extra,
        ]


class QemuError(Exception):
    """The machine did not do what was expected; the text has the end of its output and the paths of the logs."""


class Qemu:
    """A running machine, as a context manager.

    Attributes:
        machine: The machine.
        log: QEMU's command line and messages.
        console_log: The console's output.
        gdb_path: The Unix socket of the gdb stub.
    """

    def __init__(self, image: Path, machine: Machine, folder: Path, paused: bool = True) -> None:
        """Prepare the machine; entering the context starts it.

        Args:
            image: Raw image that is the machine's memory.
            machine: The machine.
            folder: Existing folder for the logs.
            paused: Whether to wait at reset until gdb resumes the machine.
        """
        self.machine = machine
        self._image = image
        self._matched = 0
        self._command_line = ""
        self.log, self.console_log = (folder / name for name in LOGS)
        self._sockets = short_folder(_SOCKET)
        self.gdb_path = self._sockets / _SOCKET
        self._command = [
            *(machine.program, *machine.arguments(image), *(["-S"] if paused else [])),
            *("-chardev", "stdio,id=con,signal=off", "-serial", "chardev:con"),
        ]

    def __enter__(self) -> Self:
        try:
            with socket.socket(socket.AF_UNIX) as listening:  # opened here, so that clients can connect at once
                listening.bind(str(self.gdb_path))
                listening.listen()
                gdb = ["-chardev", f"socket,id=gdb,fd={listening.fileno()},server=on,wait=off", "-gdb", "chardev:gdb"]
                self._start([*self._command, *gdb], listening)
        except BaseException:
            shutil.rmtree(self._sockets, ignore_errors=True)
            raise
        return self

    def _start(self, command: list[str], listening: socket.socket) -> None:
        self._command_line = shlex.join(command) + "\n"
        self.log.write_bytes(os.fsencode(self._command_line))
        # The console goes to a file: a full socket or pipe would stop the guest.
        with self.log.open("a") as log, self.console_log.open("w") as console:
            # In its own process group: Ctrl-C on the terminal is for gdb and must not end the machine.
            streams = {"stdin": subprocess.PIPE, "stdout": console, "stderr": log}
            self._child = child(command, **streams, pass_fds=[listening.fileno()], process_group=0)
            self._process = self._child.__enter__()

    def __exit__(self, *_: object) -> None:
        self._child.__exit__(None, None, None)  # QEMU exits cleanly on SIGTERM
        if self._process.stdin:
            self._process.stdin.close()
        remove_folder(self._sockets)

    def failure(self, what: str) -> QemuError:
        """Build the error for something that went wrong.

        Args:
            what: What went wrong, in one line.

        Returns:
            The error with ``what``, the end of the output and the paths of the logs.
        """
        messages = "\n".join(self._messages())
        parts = [what, "--- end of the console:", self.output()[-_TAIL:], "--- QEMU's messages:", messages[-_TAIL:]]
        return QemuError("\n".join([*parts, f"--- logs: {self.log}, {self.console_log}"]))

    def _messages(self) -> list[str]:
        """Return QEMU's messages, which follow its command line in the log."""
        return self.log.read_text(errors="surrogateescape").split(self._command_line, 1)[-1].splitlines()

    def gdb(self) -> Gdb:
        """Connect a gdb client and wait for QEMU's first answers; close it before connecting another.

        Returns:
            The client.

        Raises:
            QemuError: QEMU ended, or its stub closed the connection.
            UserError: This process cannot make a connection, such as for lack of file descriptors.
            GdbError: The stub refused, or did not answer in time.
        """
        try:
            return Gdb.unix(self.gdb_path)
        except (GdbClosedError, OSError) as error:  # QEMU closes its socket only when it ends
            try:
                status = self._process.wait(_END)
            except subprocess.TimeoutExpired:
                if isinstance(error, OSError) and error.strerror:
                    raise UserError(
                        f"no connection to QEMU's gdb stub: {error.strerror}: end other programs"
                    ) from error
                raise self.failure(f"no connection to QEMU's gdb stub: {error}") from error
            raise self._ended(status) from error

    def _ended(self, status: int, when: str = "early, with") -> QemuError:
        if status == -signal.SIGBUS:  # a write to a page of its memory's file that the disk has no room for
            full = f"the disk of {self._image.parent}, which holds the machine's memory, is full"
            return self.failure(f"{full}: set TMPDIR to another folder")
        message = "".join(f": {line}" for line in self._messages()[-1:] if line.startswith(PROGRAM))
        return self.failure(f"QEMU ended {when} status {status}{message}")

    def type(self, text: str) -> None:
        """Type ``text`` on the console.

        Args:
            text: The text; a newline is Enter.
        """
        assert self._process.stdin is not None
        self._process.stdin.write(os.fsencode(text))
        self._process.stdin.flush()

    def output(self) -> str:
        """Return everything that the console has printed."""
        return self.console_log.read_text(errors="replace")

    def last_line(self) -> str:
        """Return what the console printed last, as the end of a message."""
        lines = [line for line in map(str.strip, self.output().splitlines()) if line]
        return f"the console's last line is {lines[-1]!r}" if lines else "the console printed nothing"

    def expect(self, pattern: str, timeout: float = TIMEOUT) -> re.Match[str]:
        """Wait until the console's output since the start matches a pattern.

        Args:
            pattern: Regular expression to search for.
            timeout: Seconds to wait.

        Returns:
            The match.

        Raises:
            QemuError: The pattern did not appear in time, or QEMU ended.
        """
        return self._expect(pattern, timeout, 0)

    def expect_next(self, pattern: str, timeout: float = TIMEOUT) -> None:
        """Wait until the console's output after the last match of this method matches a pattern.

        Args:
            pattern: Regular expression to search for.
            timeout: Seconds to wait.

        Raises:
            QemuError: The pattern did not appear in time, or QEMU ended.
        """
        self._matched = self._expect(pattern, timeout, self._matched).end()

    def _expect(self, pattern: str, timeout: float, begin: int) -> re.Match[str]:
        deadline, compiled = time.monotonic() + timeout, re.compile(pattern)
        while True:
            status = self._process.poll()  # before reading the output, which includes what it printed last
            if match := compiled.search(self.output(), begin):
                return match
            if status is not None:
                raise self._ended(status, f"before its console printed {pattern!r} ({self.last_line()}), with")
            if time.monotonic() > deadline:
                raise self.failure(f"the console did not print {pattern!r} within {timeout:g} s; {self.last_line()}")
            time.sleep(_POLL)

    def wait_exit(self, timeout: float = TIMEOUT) -> int:
        """Wait until QEMU ends.

        Args:
            timeout: Seconds to wait.

        Returns:
            QEMU's exit status: the code that the guest wrote to the finisher.

        Raises:
            QemuError: The machine is still running.
        """
        try:
            return self._process.wait(timeout)
        except subprocess.TimeoutExpired:
            raise self.failure(f"the machine did not end within {timeout:g} s") from None


def jump(source: int, target: int) -> bytes:
    """Assemble a jump (auipc, jalr) that changes only t0.

    Args:
        source: Address of the code.
        target: Address to jump to, up to 2 GiB away.

    Returns:
        8 bytes of code.
    """
    distance = target - source
    high, low = (distance + 0x800) >> 12, distance & 0xFFF
    auipc = (high & 0xFFFFF) << 12 | 5 << 7 | 0x17
    jalr = low << 20 | 5 << 15 | 0x67
    return struct.pack("<II", auipc, jalr)
