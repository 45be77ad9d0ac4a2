"""A client of the gdb remote protocol for QEMU's stub: harts, registers, physical memory, breakpoints.

Sources: "GDB Remote Serial Protocol" of the GDB manual; QEMU's gdbstub for Qqemu.PhyMemMode and CSRs by number.
"""

import re
import select
import socket
import time
from pathlib import Path
from typing import Self
from xml.etree import ElementTree

_ESCAPE = 0x7D
#: Bytes of memory in one packet; QEMU's packets hold 4096 characters.
_PIECE = 0x400
#: Flags of QEMU's steps: a step; and one in which no interrupt is taken and no time passes, as at first.
_STEP, _STEP_ALONE = 1, 7
#: Attempts of a step that must change the pc.
_STEPS = 8
#: Seconds after which a machine counts as stuck that does not answer, arrive or end. Each takes a fraction of a second,
#: or some seconds on a busy computer.
TIMEOUT = 120.0


class GdbError(Exception):
    """The stub refused a request, or the connection to it was lost."""


class GdbTimeoutError(GdbError):
    """The machine did not stop, or the stub did not answer, in time."""


class GdbClosedError(GdbError):
    """The connection was closed, or the machine ended."""


def _unescaped(data: bytes) -> bytes:
    """Expand escapes and run lengths in a packet's content; GdbError if one is cut short."""
    out = bytearray()
    at = 0
    while at < len(data):
        if data[at] in (_ESCAPE, ord("*")) and at + 1 == len(data):
            raise GdbError(f"a packet of the gdb stub ends within {bytes([data[at]])!r}")
        if data[at] == _ESCAPE:
            out.append(data[at + 1] ^ 0x20)
            at += 2
        elif data[at] == ord("*"):
            out += out[-1:] * (data[at + 1] - 29)
            at += 2
        else:
            out.append(data[at])
            at += 1
    return bytes(out)


class Gdb:
    """A connection to a gdb stub, each of whose threads is a hart.

    Harts are numbered from 0. Registers are little-endian bytes or integers. Every method raises GdbError if the stub
    refuses or the connection is lost.

    Attributes:
        threads: The stub's thread of each hart, as hexadecimal digits.
        numbers: The stub's register numbers by name.
    """

    def __init__(self, connection: socket.socket, timeout: float = TIMEOUT) -> None:
        self._socket = connection
        self._timeout = timeout
        self._buffer = bytearray()
        self._selected = -1
        self._running = False
        self._exchange("qSupported:xmlRegisters=riscv")
        self.threads = self._threads()
        self.numbers = self._register_numbers()

    @classmethod
    def unix(cls, path: Path, timeout: float = TIMEOUT) -> Self:
        """Connect to a Unix socket.

        Args:
            path: The socket.
            timeout: Seconds for each answer.

        Returns:
            The connection.

        Raises:
            OSError: Nothing listens there.
            GdbError: The stub refused.
        """
        connection = socket.socket(socket.AF_UNIX)
        try:
            connection.connect(str(path))
        except OSError:
            connection.close()
            raise
        return cls(connection, timeout)

    @classmethod
    def tcp(cls, host: str, port: int, timeout: float = TIMEOUT) -> Self:
        """Connect to a TCP port.

        Args:
            host: The host.
            port: Its port.
            timeout: Seconds for each answer.

        Returns:
            The connection.

        Raises:
            OSError: Nothing listens there.
            GdbError: The stub refused.
        """
        connection = socket.create_connection((host, port))
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        return cls(connection, timeout)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Close the connection."""
        self._socket.close()

    # Packets.

    def _send(self, text: str) -> None:
        data = text.encode("ascii")
        self._write(b"$%b#%02x" % (data, sum(data) & 0xFF))

    def _write(self, data: bytes) -> None:
        try:
            self._socket.sendall(data)
        except OSError as error:
            raise GdbClosedError(f"the connection to the gdb stub is lost: {error.strerror}") from error

    def _receive(self, timeout: float) -> str:
        deadline = time.monotonic() + timeout
        while (packet := re.search(rb"\$([^#]*)#..", self._buffer, re.DOTALL)) is None:
            left = deadline - time.monotonic()
            if left <= 0 or not select.select([self._socket], [], [], left)[0]:
                raise GdbTimeoutError(f"no answer from the gdb stub within {timeout:g} s")
            try:
                data = self._socket.recv(1 << 16)
            except OSError:
                data = b""  # connection reset
            if not data:
                raise GdbClosedError("the gdb stub closed the connection: the machine ended")
            self._buffer += data
        content = _unescaped(packet[1])
        del self._buffer[: packet.end()]
        self._write(b"+")
        return content.decode("latin-1")

    def _exchange(self, text: str) -> str:
        self._send(text)
        # A machine that ran before the client connected reports its stop at some later time.
        while re.match(r"[TS][0-9a-f]{2}", answer := self._receive(self._timeout)):
            pass
        return answer

    def _ask(self, text: str) -> str:
        """Send a packet and return the answer; GdbError if it is an error or empty (not supported)."""
        answer = self._exchange(text)
        if not answer or re.fullmatch(r"E[0-9a-f]{2}", answer):
            raise GdbError(f"{text[:40]}: the gdb stub answers {answer or 'nothing'}")
        return answer

    # Threads and registers.

    def _threads(self) -> list[str]:
        threads: list[str] = []
        answer = self._ask("qfThreadInfo")
        while answer.startswith("m"):
            threads += answer[1:].split(",")
            answer = self._ask("qsThreadInfo")
        if not threads or not all(re.fullmatch(r"[0-9a-f]+", name) for name in threads):
            raise GdbError(f"the gdb stub lists its threads as {','.join(threads)[:40]!r}")
        return sorted(threads, key=lambda name: int(name, 16))

    def _feature(self, annex: str) -> str:
        text, more = "", "m"
        while more == "m":
            answer = self._ask(f"qXfer:features:read:{annex}:{len(text):x},{_PIECE:x}")
            more, text = answer[0], text + answer[1:]
            if answer == "m":
                raise GdbError(f"{annex}: the gdb stub's list of registers has no end")
        return text

    def _register_numbers(self) -> dict[str, int]:
        """Return register numbers by name; a register without a number follows the previous one."""
        numbers: dict[str, int] = {}
        number = 0
        # QEMU 7.2 does not declare the prefix xi, so no XML parser accepts the file.
        for annex in re.findall(r'<xi:include href="([!-~]+?)"', self._feature("target.xml")):
            try:
                for register in ElementTree.fromstring(self._feature(annex)).iter("reg"):
                    number = int(register.get("regnum", number))
                    numbers[register.attrib["name"]] = number
                    number += 1
            except (ElementTree.ParseError, KeyError, ValueError) as error:
                raise GdbError(f"{annex}: the gdb stub's list of registers cannot be read: {error}") from error
        return numbers

    def _number(self, register: str) -> int:
        if register not in self.numbers:
            raise GdbError(f"the gdb stub lists no register {register}")
        return self.numbers[register]

    def csr_number(self, address: int) -> int:
        """Return the register number of a CSR; the stub also has CSRs that it does not list.

        Args:
            address: The CSR's number in the ISA.

        Returns:
            The stub's register number.
        """
        return self._number("sstatus") - 0x100 + address

    # State of one hart.

    def _select(self, hart: int) -> None:
        if self._selected != hart:
            self._ask(f"Hg{self.threads[hart]}")
            self._selected = hart

    def read(self, hart: int, register: str | int) -> bytes:
        """Read a register.

        Args:
            hart: The hart.
            register: The register's name or the stub's number.

        Returns:
            Its little-endian bytes.
        """
        self._select(hart)
        number = self._number(register) if isinstance(register, str) else register
        return _bytes(self._ask(f"p{number:x}"))

    def read_int(self, hart: int, register: str | int) -> int:
        """Read a register as an unsigned integer.

        Args:
            hart: The hart.
            register: The register's name or the stub's number.

        Returns:
            Its value.
        """
        return int.from_bytes(self.read(hart, register), "little")

    def write(self, hart: int, register: str | int, value: int, size: int = 8) -> None:
        """Write a register.

        Args:
            hart: The hart.
            register: The register's name or the stub's number.
            value: The value.
            size: The register's size in bytes.
        """
        self._select(hart)
        number = self._number(register) if isinstance(register, str) else register
        self._ask(f"P{number:x}={value.to_bytes(size, 'little').hex()}")

    def read_csr(self, hart: int, address: int) -> int | None:
        """Read a CSR.

        Args:
            hart: The hart.
            address: The CSR's number in the ISA.

        Returns:
            Its value; None if the hart does not have it.
        """
        self._select(hart)
        answer = self._exchange(f"p{self.csr_number(address):x}")
        if answer.startswith("E") or not answer:
            return None
        return int.from_bytes(_bytes(answer), "little")

    def write_csr(self, hart: int, address: int, value: int) -> bool:
        """Write a CSR.

        Args:
            hart: The hart.
            address: The CSR's number in the ISA.
            value: The value.

        Returns:
            Whether the hart accepted the write.
        """
        self._select(hart)
        return self._exchange(f"P{self.csr_number(address):x}={value.to_bytes(8, 'little').hex()}") == "OK"

    # Memory.

    def read_memory(self, address: int, size: int, hart: int = 0, physical: bool = True) -> bytes:
        """Read memory.

        Args:
            address: Address of the first byte.
            size: Number of bytes.
            hart: The hart whose translation applies if ``physical`` is false.
            physical: Whether the address is physical.

        Returns:
            The bytes.
        """
        self._mapped(hart, physical)
        data = b""
        while len(data) < size:
            count = min(_PIECE, size - len(data))
            piece = _bytes(self._ask(f"m{address + len(data):x},{count:x}"))
            if not piece:
                raise GdbError(f"the gdb stub returns no memory at {address + len(data):#x}")
            data += piece
        return data

    def write_memory(self, address: int, data: bytes, hart: int = 0, physical: bool = True) -> None:
        """Write memory.

        Args:
            address: Address of the first byte.
            data: The bytes.
            hart: The hart whose translation applies if ``physical`` is false.
            physical: Whether the address is physical.
        """
        self._mapped(hart, physical)
        for start in range(0, len(data), _PIECE):
            piece = data[start : start + _PIECE]
            self._ask(f"M{address + start:x},{len(piece):x}:{piece.hex()}")

    def _mapped(self, hart: int, physical: bool) -> None:
        self._select(hart)
        self._ask(f"Qqemu.PhyMemMode:{physical:d}")

    # Running.

    def set_breakpoint(self, address: int) -> None:
        """Set a hardware breakpoint for all harts; it does not change memory.

        Args:
            address: Virtual address, or physical where nothing is translated.
        """
        self._ask(f"Z1,{address:x},4")

    def clear_breakpoint(self, address: int) -> None:
        """Clear a breakpoint.

        Args:
            address: The address it was set at.
        """
        self._ask(f"z1,{address:x},4")

    def resume(self, harts: list[int] | None = None) -> None:
        """Resume harts.

        Args:
            harts: The harts to run, by default all; the others stay stopped.
        """
        self._send("vCont;c" if harts is None else "vCont" + "".join(f";c:{self.threads[hart]}" for hart in harts))
        self._running = True

    def wait_stop(self, timeout: float) -> int:
        """Wait until the machine stops.

        Args:
            timeout: Seconds to wait.

        Returns:
            The hart that stopped.

        Raises:
            GdbTimeoutError: The machine did not stop; it is still running.
            GdbError: The machine ended, or the connection was lost.
        """
        answer = self._receive(timeout)
        self._running = False
        self._selected = -1
        thread = re.match(r"[TS].*?thread:([0-9a-f]+);", answer)
        number = int(thread[1], 16) if thread else -1  # leading zeros may differ from those in the list
        harts = [hart for hart, name in enumerate(self.threads) if int(name, 16) == number]
        if not harts:
            raise GdbClosedError(f"the machine ended: stop reply {answer[:40]!r}")
        return harts[0]

    def interrupt(self) -> None:
        """Stop a running machine."""
        if self._running:
            self.request_stop()
            self.wait_stop(self._timeout)

    def request_stop(self) -> None:
        """Ask a running machine to stop; ``wait_stop`` waits until it has."""
        self._write(b"\x03")

    def let_steps_take_interrupts(self, allowed: bool) -> None:
        """Choose whether time passes in steps, and whether they take interrupts; at first neither.

        Args:
            allowed: Whether they do.
        """
        self._ask(f"Qqemu.sstep={_STEP if allowed else _STEP_ALONE:x}")

    def detach(self) -> None:
        """Detach from the machine, which continues."""
        self._send("D")

    def step_away(self, hart: int) -> None:
        """Step one instruction that changes the pc: QEMU 7.2 sometimes reports a step before executing it.

        Args:
            hart: The hart.
        """
        before = self.read_int(hart, "pc")
        for _ in range(_STEPS):
            self.step(hart)
            if self.read_int(hart, "pc") != before:
                return
        raise GdbError(f"hart {hart} does not leave {before:#x} in {_STEPS} steps")

    def step(self, hart: int, timeout: float | None = None, others: bool = False) -> None:
        """Step one instruction of a hart, by default without taking interrupts.

        Args:
            hart: The hart.
            timeout: Seconds to wait; by default those of the connection.
            others: Whether the other harts run meanwhile.

        Raises:
            GdbTimeoutError: The hart sleeps in a wfi; the step is still pending.
        """
        self._send(f"vCont;s:{self.threads[hart]}" + ";c" * others)
        self._running = True
        self.wait_stop(self._timeout if timeout is None else timeout)


def _bytes(text: str) -> bytes:
    """Decode the hexadecimal digits of a register or memory."""
    try:
        return bytes.fromhex(text)
    except ValueError:
        raise GdbError(f"the gdb stub answers {text[:40]!r}: want hexadecimal digits") from None
