"""chipyard's checkpoints: a folder with ``loadarch``, the registers as Spike's debugger prints them, and ``mem.elf``.

``scripts/generate-ckpt.sh`` of chipyard takes them with Spike, and ``+loadarch=`` of testchipip loads them through the
debug module. A text holds the number of harts, a line with ":", and for each hart one value a line: pc, privilege,
CSRs, mtime, mtimecmp, 32 floating-point registers of 128 bits, 32 integer registers, and the vector registers.
"""

import re
from collections.abc import Iterable, Iterator, Sequence
from itertools import chain
from pathlib import Path
from typing import BinaryIO

from gcpt.checkpoint import elf_image, output, streams
from gcpt.checkpoint.layouts import MAX_HARTS
from gcpt.checkpoint.other_tools import ALLOW_ALL, BASE, Folder, create, prepare, running, without_place
from gcpt.checkpoint.state import HartState, checked_vlenb
from gcpt.checkpoint.streams import Watch
from gcpt.errors import UserError
from gcpt.isa import mstatus

#: The files of a folder.
TEXT, MEMORY = "loadarch", "mem.elf"
#: The CSRs of a hart in the order of their lines.
_CSRS = (
    *("fcsr", "vstart", "vxsat", "vxrm", "vcsr", "vtype"),
    *("stvec", "sscratch", "sepc", "scause", "stval", "satp"),
    *("mstatus", "medeleg", "mideleg", "mie", "mtvec", "mscratch", "mepc", "mcause", "mtval", "mip"),
    *("mcycle", "minstret"),
)
_MODES = {"U": mstatus.USER, "S": mstatus.SUPERVISOR, "M": mstatus.MACHINE}
_NO_VECTOR = "Processor selected does not support any vector extensions"
#: An element of a vector register has 64 bits, except in an ELEN of 32.
_ELEMENT = 8


def read(folder: Path) -> Folder:
    """Read a checkpoint in this format.

    Args:
        folder: The folder.

    Returns:
        The checkpoint.

    Raises:
        UserError: A file is missing, cannot be read or is damaged, or memory starts elsewhere.
    """
    text, memory = folder / TEXT, folder / MEMORY
    for path in (text, memory):
        if not path.is_file():
            raise UserError(f"{folder}: has no {path.name}: want a folder of chipyard's generate-ckpt.sh")
    try:
        lines = text.read_text(encoding="ascii").splitlines()
    except (OSError, ValueError) as error:
        raise UserError(f"{text}: cannot be read: {error}") from error
    try:
        harts, losses = _decode(lines)
    except (IndexError, ValueError) as error:
        raise UserError(f"{text}: not a loadarch file: {error}") from error
    first = elf_image.base_of(memory)
    if first < BASE:
        raise UserError(f"{memory}: memory starts at {first:#x}: want {BASE:#x} or more")
    return Folder(harts, losses, lambda: chain([bytes(first - BASE)], streams.chunks(memory)), (text, memory))


def write(folder: Path, harts: Sequence[HartState], memory: Iterator[bytes], watch: Watch = iter) -> int:
    """Write a checkpoint in this format, both files or none.

    Args:
        folder: The folder; it is created if it does not exist.
        harts: The state of each hart.
        memory: The image of memory without the state, in chunks.
        watch: Gets the chunks of memory on their way, for a progress bar.

    Returns:
        The length of the image in bytes.

    Raises:
        UserError: A file cannot be written, or a hart cannot be in this format.
    """
    text = encode(harts)
    create(folder)

    def write_memory(file: BinaryIO, content: Iterable[bytes]) -> int:
        return elf_image.write(file, streams.pages(content), BASE, {})

    return output.write_all([(folder / TEXT, [text.encode()], "raw"), (folder / MEMORY, watch(memory), write_memory)])[
        -1
    ]


def files(harts: int) -> list[str]:
    """List the names of the files of a folder.

    Args:
        harts: Number of harts.

    Returns:
        The names.
    """
    return [TEXT, MEMORY]


def encode(harts: Sequence[HartState]) -> str:
    """Write the text with all harts.

    Args:
        harts: The state of each hart.

    Returns:
        The text, as Spike prints it.

    Raises:
        UserError: A hart is a guest (V = 1), which the text cannot say.
    """
    lines = [str(len(harts)), ":"]
    names = {mode: name for name, mode in _MODES.items()}
    for number, state in enumerate(harts):
        after = running(state)
        if state.mode != mstatus.MACHINE and state.get("mstatus") & mstatus.MPV:
            raise UserError(f"hart {number}: a guest's checkpoint (V = 1): a loadarch file cannot hold it")
        if state.mode not in names:
            raise UserError(f"hart {number}: invalid mode {state.mode}: want 0, 1 or 3")
        lines += [_word(state.pc), names[state.mode], *(_word(after.get(name)) for name in _CSRS)]
        lines += [_word(state.mtime), _word(state.mtimecmp)]
        lines += [f"0x{'f' * 16 if value else '0' * 16}{value:016x}" for value in state.f]
        lines += map(_word, state.x)
        lines += _vectors(state.v) if state.get("vlenb") or after.get("mstatus") & mstatus.VS else [_NO_VECTOR]
    return "\n".join(lines) + "\n"


def losses(harts: Sequence[HartState]) -> list[str]:
    """Name what the text cannot hold.

    Args:
        harts: The state of each hart.

    Returns:
        One line for each CSR of a hart that a restorer would write and the text does not have.
    """
    lines = []
    for number, state in enumerate(harts):
        allows = all(state.get(name) == value for name, value in ALLOW_ALL.items())
        lines += without_place(number, state, (*_CSRS, *(ALLOW_ALL if allows else ())), "a loadarch file")
    return lines


def _word(value: int) -> str:
    return f"0x{value:016x}"


def _vectors(registers: Sequence[bytes]) -> list[str]:
    lines = [f"VLEN={8 * len(registers[0])} bits; ELEN={8 * _ELEMENT} bits"]
    for number, data in enumerate(registers):
        words = [(at, data[8 * at : 8 * at + 8]) for at in range(len(data) // _ELEMENT)]
        elements = "".join(f"[{at}]: {_word(int.from_bytes(word, 'little'))}  " for at, word in reversed(words))
        lines.append(f"{f'v{number}':4}: {elements}")
    return lines


def _decode(lines: list[str]) -> tuple[list[HartState], list[str]]:
    """Read the text: the harts and what a restore loses. ValueError or IndexError if it is something else."""
    queue = iter(lines)
    count = int(next(queue, ""), 0)
    if not 1 <= count <= MAX_HARTS or next(queue, "") != ":":
        raise ValueError(f"its first lines are not the number of harts, 1 to {MAX_HARTS}, and ':'")
    harts, lost = [], []
    for number in range(count):
        state, prepared = _hart(queue, number, count)
        harts.append(state)
        lost += [f"hart {number}: {line}" for line in prepared]
    if rest := next(queue, ""):
        raise ValueError(f"more lines than {count} harts have: {rest!r}")
    return harts, lost


def _hart(queue: Iterator[str], number: int, count: int) -> tuple[HartState, list[str]]:
    """Read one hart, and prepare its mstatus for the restore."""
    pc = _value(queue)
    word = next(queue, "the end of the file")
    if word not in _MODES:
        raise ValueError(f"the privilege mode of hart {number} is {word!r}: want U, S or M")
    state = HartState(pc=pc, mode=_MODES[word], count=count)
    for name in _CSRS:
        state.set(name, _value(queue))
    state.mtime, state.mtimecmp = _value(queue), _value(queue)
    state.f = [_value(queue) % (1 << 64) for _ in range(32)]  # Spike's registers have 128 bits
    state.x = [_value(queue) for _ in range(32)]
    if registers := _read_vectors(queue, number):
        state.v = registers
        state.set("vlenb", len(registers[0]))
    for name, value in ALLOW_ALL.items():
        state.set(name, value)
    lost = prepare(state)
    if state.get("mstatus") & mstatus.VS and state.get("vtype"):
        lost.append("vl will be 0: a loadarch file has no place for it")
    return state, lost


def _value(queue: Iterator[str]) -> int:
    """The next line's value; 0 for a CSR that Spike says is absent."""
    line = next(queue, "the end of the file")
    if line.startswith("0xReceived trap"):
        return 0
    if not re.fullmatch(r"0x[0-9a-f]{1,32}", line):
        raise ValueError(f"{line!r} is no value")
    return int(line, 16)


def _read_vectors(queue: Iterator[str], number: int) -> list[bytes]:
    """Read the vector registers; none of a hart without V."""
    head = next(queue, "the end of the file")
    if head == _NO_VECTOR:
        return []
    sizes = re.fullmatch(r"VLEN=(\d+) bits; ELEN=(\d+) bits", head)
    if not sizes:
        raise ValueError(f"{head!r} says nothing of the vector registers")
    vlenb, element = checked_vlenb(number, int(sizes[1]) // 8), int(sizes[2]) // 8
    registers = []
    for _ in range(32):
        line = next(queue, "the end of the file")
        elements = [int(digits, 16) for digits in re.findall(r"0x([0-9a-f]+)", line)]
        if element not in (1, 2, 4, 8) or len(elements) * element != vlenb:
            raise ValueError(f"{line!r} is not a vector register of {vlenb} bytes")
        registers.append(b"".join(value.to_bytes(element, "little") for value in reversed(elements)))
    return registers
