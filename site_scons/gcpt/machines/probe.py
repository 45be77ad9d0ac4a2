"""Probe the CSRs of a hart of Spike by a program in M mode: which there are, and what they hold after a write.

The program uses no inventory of CSRs, so it sees what the project's own lacks.
"""

import re
import struct
import subprocess
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

from gcpt.checkpoint import elf_image
from gcpt.checkpoint.state import HartState
from gcpt.errors import SimulatorError
from gcpt.isa import mstatus
from gcpt.isa.csrs import BY_NAME, When
from gcpt.machines.spike import Spike

_BASE = 0x8000_0000
#: Offsets of the trap handler, the body, the written values, the readings and HTIF's words, in bytes.
_HANDLER, _BODY, _VALUES, _READINGS, _TOHOST, _FROMHOST = 0x40, 0x60, 0x10_0000, 0x20_0000, 0x30_0000, 0x30_0040
_MEMORY = 4 << 20
_T0, _T1, _T2, _T3, _T4 = 5, 6, 7, 28, 29
_MSTATUS, _MTVEC, _MEPC, _MNSTATUS = 0x300, 0x305, 0x341, 0x744
_MRET, _LOOP = 0x3020_0073, 0x0000_006F
_NMIE, _MDT_SHIFT = 8, 42
#: Bits of mstatus that the program does not write, because it would be interrupted or read other memory. A hart with M
#: and U mode holds them.
UNWRITTEN = mstatus.MIE | mstatus.MPRV
#: Seconds for one run.
_TIMEOUT = 30.0
_NAME = re.compile(r"\(0x[0-9a-f]*?([0-9a-f]{8})\) csrr +t0, (\S+)", re.MULTILINE)


class Step(NamedTuple):
    """One access of the program.

    Attributes:
        number: The CSR's number in the ISA.
        value: The value to write; None: read.
    """

    number: int
    value: int | None = None


def _csrrw(number: int, rs1: int) -> int:
    return number << 20 | rs1 << 15 | 1 << 12 | 0x73


def _csrr(rd: int, number: int) -> int:
    return number << 20 | 2 << 12 | rd << 7 | 0x73


def _addi(rd: int, rs1: int, value: int) -> int:
    return (value & 0xFFF) << 20 | rs1 << 15 | rd << 7 | 0x13


def _auipc(rd: int, offset: int) -> int:
    return (offset >> 12) << 12 | rd << 7 | 0x17


def _ld(rd: int, rs1: int) -> int:
    return rs1 << 15 | 3 << 12 | rd << 7 | 0x03


def _sd(rs2: int, rs1: int, offset: int) -> int:
    return rs2 << 20 | rs1 << 15 | 3 << 12 | offset << 7 | 0x23


def _jal(offset: int) -> int:
    return (offset >> 1 & 0x3FF) << 21 | 0x6F


def program(steps: Sequence[Step]) -> list[tuple[int, bytes]]:
    """Assemble the program.

    Args:
        steps: The accesses, in order.

    Returns:
        Pieces of memory (offset, bytes): the code and the values. Each reading is two doublewords: the value, and
        whether it trapped.
    """
    start = [
        *(_auipc(_T1, _READINGS), _auipc(_T4, _VALUES), _addi(_T4, _T4, -4)),
        *(_auipc(_T2, 0), _addi(_T2, _T2, _HANDLER - 0xC), _csrrw(_MTVEC, _T2)),
        _jal(_BODY - 0x18),
    ]
    handler = [_csrr(_T2, _MEPC), _addi(_T2, _T2, 4), _csrrw(_MEPC, _T2), _addi(_T3, 0, 1), _MRET]
    body = [
        # mstatus.MDT off, then mnstatus.NMIE on, so that the handler can be reached; FS and VS on.
        *(_addi(_T0, 0, 1), _MDT_SHIFT << 20 | _T0 << 15 | 1 << 12 | _T0 << 7 | 0x13),
        _MSTATUS << 20 | _T0 << 15 | 3 << 12 | 0x73,
        _MNSTATUS << 20 | _NMIE << 15 | 6 << 12 | 0x73,
        *(0x6 << 12 | _T0 << 7 | 0x37, _addi(_T0, _T0, 0x600)),
        _MSTATUS << 20 | _T0 << 15 | 2 << 12 | 0x73,
    ]
    for number, value in steps:
        if value is None:
            body += [_addi(_T3, 0, 0), _csrr(_T0, number), _sd(_T0, _T1, 0), _sd(_T3, _T1, 8), _addi(_T1, _T1, 16)]
        else:
            body += [_ld(_T0, _T4), _addi(_T4, _T4, 8), _csrrw(number, _T0)]
    at = _BODY + 4 * len(body)
    distance = _TOHOST - at
    low = (distance & 0xFFF) - (0x1000 if distance & 0x800 else 0)
    body += [_auipc(_T2, distance - low), _addi(_T2, _T2, low), _addi(_T0, 0, 1), _sd(_T0, _T2, 0), _LOOP]
    code = struct.pack(f"<{len(start)}I", *start).ljust(_HANDLER, b"\0")
    code += struct.pack(f"<{len(handler)}I", *handler).ljust(_BODY - _HANDLER, b"\0")
    values = [value for _, value in steps if value is not None]
    return [
        (0, code + struct.pack(f"<{len(body)}I", *body)),
        (_VALUES, struct.pack(f"<{len(values)}Q", *values)),
        (_FROMHOST, bytes(8)),
    ]


def run(spike: Spike, steps: Sequence[Step], folder: Path) -> tuple[list[int | None], dict[int, str]]:
    """Run the program on hart 0 of a Spike without a checkpoint.

    Args:
        spike: The program, its ISA and options.
        steps: The accesses, in order.
        folder: Folder for its files.

    Returns:
        The value of each reading, None where it trapped; and Spike's names of the CSRs that were read, by number.

    Raises:
        SimulatorError: The program did not end.
    """
    count = sum(value is None for _, value in steps)
    elf, signature, log = folder / "probe.elf", folder / "probe.readings", folder / "probe.log"
    signature.unlink(missing_ok=True)
    symbols = {
        "tohost": _BASE + _TOHOST,
        "fromhost": _BASE + _FROMHOST,
        "begin_signature": _BASE + _READINGS,
        "end_signature": _BASE + _READINGS + 16 * count,
    }
    pages = [
        (offset + start, data[start : start + 4096].ljust(4096, b"\0"))
        for offset, data in program(steps)
        for start in range(0, len(data), 4096)
    ]
    with elf.open("wb") as file:
        elf_image.write(file, [(offset & ~0xFFF, page) for offset, page in pages], _BASE, symbols)
    alone = Spike(spike.program, spike.isa, 1, _MEMORY, _BASE, spike.options)
    htif = (f"+signature={signature}", "+signature-granularity=8")
    try:
        command = alone.command(elf, ("-l", f"--log={log}"), htif)
        ended = subprocess.run(command, capture_output=True, text=True, timeout=_TIMEOUT, check=False)
    except subprocess.TimeoutExpired as error:
        raise SimulatorError(f"the probe of the CSRs did not end within {_TIMEOUT:g} s") from error
    if ended.returncode or not signature.exists():
        last = (ended.stderr.strip() or "no message").splitlines()[-1]
        raise SimulatorError(f"the probe of the CSRs ended with status {ended.returncode}: {last}")
    words = [int(line, 16) for line in signature.read_text().split()]
    readings = [None if trapped else value for value, trapped in zip(words[::2], words[1::2], strict=True)]
    names = {int(code, 16) >> 20: name for code, name in _NAME.findall(log.read_text())}
    return readings, names


def existing(spike: Spike, folder: Path) -> dict[int, str]:
    """Find the CSRs of a hart.

    Args:
        spike: The program, its ISA and options.
        folder: Folder for the probe's files.

    Returns:
        Spike's names of the CSRs that can be read in M mode, by number.

    Raises:
        SimulatorError: The probe did not end.
    """
    readings, names = run(spike, [Step(number) for number in range(1 << 12)], folder)
    return {number: names[number] for number, value in enumerate(readings) if value is not None and number in names}


def limits(state: HartState, name: str) -> list[Step]:
    """List the writes of what limits a CSR, such as menvcfg for henvcfg.

    Args:
        state: The state whose values are written.
        name: The CSR.

    Returns:
        The writes that a restorer does early, from the first to the last.
    """
    before = [BY_NAME[limit] for limit in _limits(name)]
    return [Step(csr.number, state.get(csr.name)) for csr in before if csr.when is When.EARLY]


def _limits(name: str) -> list[str]:
    """Return the CSRs that are written before a CSR, from the first to the last."""
    return [limit for before in BY_NAME[name].after for limit in (*_limits(before), before)]


def held(spike: Spike, number: int, value: int, before: Sequence[Step], folder: Path) -> int | None:
    """Write a value to a CSR after reset, and read it again.

    Args:
        spike: The program, its ISA and options.
        number: The CSR's number.
        value: The value.
        before: Writes of CSRs that limit it.
        folder: Folder for the probe's files.

    Returns:
        What the CSR holds then; None if there is no such CSR.
    """
    unwritten = value & UNWRITTEN if number == _MSTATUS else 0
    [reading], _ = run(spike, [*before, Step(number, value & ~unwritten), Step(number)], folder)
    return None if reading is None else reading | unwritten
