"""Dromajo's checkpoints: files with one name and different endings, which ``--save NAME`` writes.

``NAME.mainram`` is the memory. ``NAME.bootram`` is a boot ROM whose code restores the hart, and ``NAME.re_regs`` a text
with some of its registers and the map of memory. ``NAME.dev`` has the state of devices.

The text lacks mstatus.FS and registers, and the code has only 12 bits of some CSRs: so the code is executed, here, and
the text corrects these CSRs.
"""

import re
from dataclasses import dataclass, field
from pathlib import Path

from gcpt.checkpoint import streams
from gcpt.checkpoint.layouts import CSR_COUNT
from gcpt.checkpoint.other_tools import BASE, Folder, allow_without_pmp, prepare
from gcpt.checkpoint.state import HartState
from gcpt.errors import UserError
from gcpt.isa import mstatus
from gcpt.isa.csrs import BY_NUMBER, When

#: The endings of the files.
_MEMORY, _CODE, _TEXT, _DEVICES = ".mainram", ".bootram", ".re_regs", ".dev"
#: The largest size of the code and of a text that is read, in bytes; Dromajo writes 8 KiB.
_LARGEST = 1 << 20
#: CSRs of debug mode by number: privilege level and pc after dret (Sdext 4.9).
_DCSR, _DPC = 0x7B0, 0x7B1
_DRET = 0x7B200073
#: Bytes from mtimecmp of hart 0 to mtime in a CLINT.
_MTIME = 0xBFF8 - 0x4000
#: CSRs of which the code has 12 bits and the text all, and the base of their numbers there.
_SHORTENED = {"mcounteren": 10, "mcountinhibit": 10, "scounteren": 16}
_MASK = (1 << 64) - 1


@dataclass
class _Machine:
    """A hart that executes the code: its registers, and its stores by address in their order."""

    x: list[int] = field(default_factory=lambda: [0] * 32)
    f: list[int] = field(default_factory=lambda: [0] * 32)
    csr: list[int] = field(default_factory=lambda: [0] * CSR_COUNT)
    stores: dict[int, int] = field(default_factory=dict)


def read(name: Path) -> Folder:
    """Read a checkpoint.

    Args:
        name: The name of the checkpoint, or one of its files.

    Returns:
        The checkpoint.

    Raises:
        UserError: A file is missing, cannot be read or is damaged, or memory starts elsewhere.
    """
    if name.suffix in (_MEMORY, _CODE, _TEXT, _DEVICES):
        name = name.with_suffix("")
    memory, code, text, devices = (Path(f"{name}{ending}") for ending in (_MEMORY, _CODE, _TEXT, _DEVICES))
    for path in (memory, code, text):
        if not path.is_file():
            raise UserError(f"{name}: {path.name} is missing: want the name of a checkpoint of Dromajo")
    values = _values(text)
    try:
        machine = _execute(streams.read_at(code, 0, _LARGEST))
    except ValueError as error:
        raise UserError(f"{code}: restores no hart: {error}") from error
    try:
        state, losses = _state(machine, values)
    except (KeyError, ValueError) as error:
        raise UserError(f"{text}: does not belong to {code.name}: {error}") from error
    size = memory.stat().st_size
    if f"0x{BASE:x} 0x{size:x} ram" not in (line for key, line in values.items() if key.startswith("mrange")):
        raise UserError(f"{text}: has no {size} bytes of memory at {BASE:#x}: want this address and all of the memory")
    if devices.is_file() and re.search(rb"0x0*[1-9a-f]|vio", streams.read_at(devices, 0, _LARGEST)):
        losses.append("the state of the PLIC or of virtio devices: a checkpoint has no place for it")
    return Folder([state], losses, lambda: streams.raw_chunks(memory), (memory, code, text, devices))


def _values(path: Path) -> dict[str, str]:
    """The values of the text by name."""
    try:
        lines = streams.read_at(path, 0, _LARGEST).decode("ascii").splitlines()
    except ValueError as error:
        raise UserError(f"{path}: is no text: {error}") from error
    return {key: value for key, _, value in (line.partition(":") for line in lines)}


def _execute(code: bytes) -> _Machine:
    """Execute the code up to its dret; ValueError at an instruction that Dromajo does not write there."""
    machine, at = _Machine(), 0
    while at + 4 <= len(code):
        word = int.from_bytes(code[at : at + 4], "little")
        if word == _DRET:
            return machine
        at += _step(machine, code, at, word)
        machine.x[0] = 0
    raise ValueError("it ends without dret")


def _step(machine: _Machine, code: bytes, at: int, word: int) -> int:
    """Execute one instruction at an offset; return the bytes to the next one."""
    x, csr = machine.x, word >> 20
    opcode, rd, kind, rs1, rs2 = word & 0x7F, word >> 7 & 31, word >> 12 & 7, word >> 15 & 31, word >> 20 & 31
    immediate = (csr ^ 0x800) - 0x800
    if opcode == 0x17:  # auipc
        x[rd] = at + (word & ~0xFFF) - (word >> 31 << 32) & _MASK
    elif (opcode, kind) == (0x13, 0):  # addi
        x[rd] = x[rs1] + immediate & _MASK
    elif (opcode, kind) in ((0x03, 3), (0x07, 3)):  # ld, fld
        address = x[rs1] + immediate & _MASK
        if address > len(code) - 8:
            raise ValueError(f"the load at {at:#x} reads outside of it")
        (x if opcode == 0x03 else machine.f)[rd] = int.from_bytes(code[address : address + 8], "little")
    elif (opcode, kind) == (0x23, 3) and not (word >> 25 or rd):  # sd without an offset
        machine.stores[x[rs1]] = x[rs2]
    elif (opcode, kind, rd) == (0x73, 1, 0):  # csrw
        machine.csr[csr] = x[rs1]
    elif (opcode, kind, rs1) == (0x73, 2, 0):  # csrr
        x[rd] = machine.csr[csr]
    elif word == 0x00050663 and not x[10]:  # beqz a0: hart 0 leaves the others behind
        return 12
    else:
        raise ValueError(f"unknown instruction {word:#010x} at {at:#x}")
    return 4


def _state(machine: _Machine, values: dict[str, str]) -> tuple[HartState, list[str]]:
    """The state after the code, and what a restore loses; KeyError or ValueError if the text does not fit it."""
    state = HartState(pc=machine.csr[_DPC], mode=machine.csr[_DCSR] & 3, x=machine.x, f=machine.f, count=1)
    if int(values["pc"], 16) != state.pc:
        raise ValueError(f"its pc is {values['pc']}, not {state.pc:#x}")
    if state.mode == 2 or [address + _MTIME for address in machine.stores][:1] != list(machine.stores)[1:]:
        raise ValueError("the code enters no mode, or does not write mtimecmp and mtime")
    state.mtimecmp, state.mtime = machine.stores.values()
    for number, value in enumerate(machine.csr):
        csr = BY_NUMBER.get(number)
        if csr and (csr.when not in (When.ALIAS, When.NEVER) or csr.name == "misa"):
            state.csr[number] = value
    for name, base in _SHORTENED.items():
        state.set(name, int(values[name], base))
    allow_without_pmp(state)
    lost = prepare(state)
    if state.get("mstatus") & mstatus.FS and all(f >> 32 == x >> 32 for f, x in zip(state.f, state.x, strict=True)):
        lost.append("f0 to f31 have the upper halves of x0 to x31: Dromajo saves no others")
    if state.get("mstatus") & mstatus.VS:
        lost.append("v0 to v31, vl and vtype will be 0: Dromajo does not save them")
    return state, [f"hart 0: {line}" for line in lost]
