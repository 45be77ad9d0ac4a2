"""Whisper's snapshots: a folder with a text of registers for each hart, and the memory in use.

Tenstorrent's simulator Whisper writes one with ``--snapshotperiod`` and starts from one with ``--loadfrom``. The text
has a line for each register that is not zero: a tag, the number and the value. ``usedblocks`` has the address and the
length of each part of memory in use; ``memory`` has their bytes, one after another, in gzip.
"""

import re
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path

from gcpt.checkpoint import containers, elf_image, output, streams
from gcpt.checkpoint.layouts import CSR_COUNT, MAX_HARTS
from gcpt.checkpoint.other_tools import BASE, Folder, allow_without_pmp, create, prepare, running, without_place
from gcpt.checkpoint.state import HartState, checked_vlenb
from gcpt.checkpoint.streams import PIECE, ZEROS, Watch
from gcpt.errors import UserError
from gcpt.isa import mstatus
from gcpt.isa.csrs import BY_NUMBER, INVENTORY, When

#: The files of a folder; a hart's registers are in REGISTERS with its number, of a single hart also without it.
REGISTERS, BLOCKS, MEMORY, TIME, COMPARE = "registers", "usedblocks", "memory", "time", "mtimecmp"
#: The files that emulated system calls have open, and their memory, with the lines of a machine without such calls:
#: none, and free blocks.
_SYSTEM_CALLS = {"fd": r"", "mmap": r"\d+ \d+ 1"}
#: Device registers, which Whisper's memory has, too: those of the CLINT are in TIME and COMPARE.
_CLINT = range(0x200_0000, 0x201_0000)
_WORD = 4
_LZ4 = bytes.fromhex("04224d18")
#: The CSRs that Whisper loads: not the windows of indirect access.
_HELD = frozenset(csr.name for csr in INVENTORY if not re.fullmatch(r"(m|s|vs)ireg\d?", csr.name))
#: The tags of single values that belong to the simulation, not to the hart.
_IGNORED = frozenset({"po", "pr", "pb"})
_ELP = "the landing pad that it expects (elp)"


def read(folder: Path) -> Folder:
    """Read a snapshot.

    Args:
        folder: The folder.

    Returns:
        The checkpoint.

    Raises:
        UserError: A file is missing, cannot be read or is damaged.
    """
    memory = folder / MEMORY
    texts = _texts(folder)
    blocks = _blocks(folder / BLOCKS)
    if not memory.is_file():
        raise UserError(f"{folder}: has no {MEMORY}: want a snapshot folder of Whisper")
    time, compare = _value(folder / TIME), _compare(folder / COMPARE, len(texts))
    harts, losses = [], []
    for number, (path, mtimecmp) in enumerate(zip(texts, compare, strict=True)):
        try:
            state, lost = _decode(number, _lines(path), len(texts))
        except ValueError as error:
            raise UserError(f"{path}: not the registers of a snapshot: {error}") from error
        state.mtime, state.mtimecmp = time, mtimecmp
        harts.append(state)
        losses += [f"hart {number}: {line}" for line in lost]
    losses += [
        f"{path}: the files and memory of emulated system calls: a checkpoint has no place for them"
        for path, unused in ((folder / name, unused) for name, unused in _SYSTEM_CALLS.items())
        if path.is_file() and any(not re.fullmatch(unused, line) for line in _lines(path))
    ]
    losses += [
        f"memory at {address:#x} to {address + size - 1:#x}: an image starts at {BASE:#x}"
        for address, size in _used_below(memory, blocks)
    ]
    others = (folder / name for name in (BLOCKS, TIME, COMPARE, *_SYSTEM_CALLS))
    return Folder(harts, losses, lambda: _image(memory, blocks), (memory, *texts, *others))


def write(folder: Path, harts: Sequence[HartState], memory: Iterator[bytes], watch: Watch = iter) -> int:
    """Write a snapshot, all files or none.

    Args:
        folder: The folder; it is created if it does not exist.
        harts: The state of each hart.
        memory: The image of memory without the state, in chunks.
        watch: Gets the chunks of memory on their way, for a progress bar.

    Returns:
        The length of the image in bytes.

    Raises:
        UserError: A file cannot be written, or a hart's mode is invalid.
    """
    texts = [encode(number, state) for number, state in enumerate(harts)]
    create(folder)
    blocks: list[list[int]] = []
    small = {
        BLOCKS: (f"{address} {size}\n".encode() for address, size in blocks),
        **{f"{REGISTERS}{number}": [text.encode()] for number, text in enumerate(texts)},
        TIME: [f"{harts[0].mtime}\n".encode()],
        COMPARE: ["".join(f"{state.mtimecmp:#x}\n" for state in harts).encode()],
        **{name: [] for name in _SYSTEM_CALLS},
    }
    output.write_all(
        [
            (folder / MEMORY, _used(watch(memory), blocks), "gzip"),
            *((folder / name, content, "raw") for name, content in small.items()),
        ]
    )
    return blocks[-1][0] + blocks[-1][1] - BASE if blocks else 0


def files(harts: int) -> list[str]:
    """List the names of the files of a folder.

    Args:
        harts: Number of harts.

    Returns:
        The names.
    """
    return [MEMORY, BLOCKS, TIME, COMPARE, *_SYSTEM_CALLS, *(f"{REGISTERS}{number}" for number in range(harts))]


def encode(number: int, state: HartState) -> str:
    """Write the text of a hart.

    Args:
        number: The hart.
        state: Its state.

    Returns:
        The text, in Whisper's order: the CSRs by number.

    Raises:
        UserError: The hart's mode is invalid.
    """
    if state.mode not in (mstatus.USER, mstatus.SUPERVISOR, mstatus.MACHINE):
        raise UserError(f"hart {number}: invalid mode {state.mode}: want 0, 1 or 3")
    after, prepared = running(state), state.get("mstatus") if state.mode != mstatus.MACHINE else 0
    lines = [f"pm {state.mode}", f"vm {int(bool(prepared & mstatus.MPV))}", f"pc {state.pc:#x}"]
    lines.append(f"elp {int(bool(prepared & mstatus.MPELP))}")
    lines += [f"x {at} {value:#x}" for at, value in enumerate(state.x) if value and at]
    lines += [f"f {at} {value:#x}" for at, value in enumerate(state.f) if value]
    written = sorted(csr.number for csr in INVENTORY if csr.when not in (When.ALIAS, When.NEVER) and csr.name in _HELD)
    lines += [f"c {at:#x} {after.csr[at]:#x}" for at in written if after.csr[at]]
    if state.get("vlenb") or after.get("mstatus") & mstatus.VS:
        lines += [f"v {at} 0x{data[::-1].hex()}" for at, data in enumerate(state.v)]
    return "\n".join(lines) + "\n"


def losses(harts: Sequence[HartState]) -> list[str]:
    """Name what a snapshot cannot hold.

    Args:
        harts: The state of each hart.

    Returns:
        One line for each value that a restorer would write and Whisper would not load.
    """
    return [
        line
        for number, state in enumerate(harts)
        for line in without_place(number, state, _HELD, "a snapshot of Whisper's")
    ]


def _used(content: Iterable[bytes], blocks: list[list[int]]) -> Iterator[bytes]:
    """The pages in use, whole words each; fills ``blocks`` with address and length of each run of them, in bytes."""
    for offset, page in streams.pages(content):
        data = page + bytes(-len(page) % _WORD)
        if blocks and blocks[-1][0] + blocks[-1][1] == BASE + offset:
            blocks[-1][1] += len(data)
        else:
            blocks.append([BASE + offset, len(data)])
        yield data


def _lines(path: Path) -> list[str]:
    """The lines of a text; UserError if it is missing or is no text."""
    try:
        return path.read_text(encoding="ascii").splitlines()
    except FileNotFoundError:
        raise UserError(f"{path.parent}: has no {path.name}: want a snapshot folder of Whisper") from None
    except (OSError, ValueError) as error:
        raise UserError(f"{path}: cannot be read: {error}") from error


def _texts(folder: Path) -> list[Path]:
    """The files with registers, from hart 0."""
    numbered = [folder / f"{REGISTERS}{number}" for number in range(MAX_HARTS + 1)]
    texts = [path for path in numbered if path.is_file()]
    if texts != numbered[: len(texts)] or len(texts) > MAX_HARTS:
        raise UserError(f"{folder}: {REGISTERS}N of some harts are missing, or of more than {MAX_HARTS}: copy it again")
    return texts or [folder / REGISTERS]


def _number(word: str) -> int:
    """A number without sign, hexadecimal or decimal; ValueError if it is none or has more than 64 bits."""
    if not re.fullmatch(r"0[xX][0-9a-fA-F]{1,16}|\d{1,20}", word) or int(word, 0) >> 64:
        raise ValueError(f"{word!r} is no number of 64 bits")
    return int(word, 0)


def _value(path: Path) -> int:
    """The number in the first line of a file."""
    try:
        return _number((_lines(path) or [""])[0].strip())
    except ValueError as error:
        raise UserError(f"{path}: {error}") from error


def _compare(path: Path, harts: int) -> list[int]:
    """The mtimecmp of each hart."""
    try:
        values = [_number(line.strip()) for line in _lines(path)]
    except ValueError as error:
        raise UserError(f"{path}: {error}") from error
    if len(values) != harts:
        raise UserError(f"{path}: has {len(values)} lines for {harts} harts: copy the snapshot again")
    return values


def _blocks(path: Path) -> list[tuple[int, int]]:
    """Address and length of each part of memory in use, in order, in bytes."""
    blocks: list[tuple[int, int]] = []
    for line in _lines(path):
        words = line.split()
        if len(words) != 2 or not all(re.fullmatch(r"\d{1,20}", word) for word in words):
            raise UserError(f"{path}: {line!r} is not the address and the length of a block")
        address, size = int(words[0]), int(words[1])
        if blocks and address < sum(blocks[-1]):
            raise UserError(f"{path}: the block at {address:#x} overlaps the one before it")
        if address + size > BASE + elf_image.LONGEST:
            raise UserError(f"{path}: the block at {address:#x} is too far away for one image")
        blocks.append((address, size))
    return blocks


def _pieces(path: Path, blocks: Sequence[tuple[int, int]]) -> Iterator[tuple[int, bytes]]:
    """Address and bytes of the memory in use, in pieces within a block; UserError if the file does not match."""
    with containers.opened(path) as file:
        if file.read(len(_LZ4)) == _LZ4:
            raise UserError(f"{path}: in lz4: write the snapshot with --snapcomptype gzip")
    content, rest = streams.chunks(path), b""
    for start, size in blocks:
        address = start
        while address < start + size:
            rest = rest or next(content, b"")
            if not rest:
                raise UserError(f"{path}: ends before the block at {start:#x} does: copy the snapshot again")
            piece, rest = rest[: start + size - address], rest[start + size - address :]
            yield address, piece
            address += len(piece)
    if rest or next(content, b""):
        raise UserError(f"{path}: has more bytes than the blocks of {BLOCKS}: copy the snapshot again")


def _used_below(path: Path, blocks: Sequence[tuple[int, int]]) -> list[tuple[int, int]]:
    """The blocks that start before an image and are not all zero there."""
    below = [(start, min(size, BASE - start)) for start, size in blocks if start < BASE and start not in _CLINT]
    used = {
        start
        for address, piece in (_pieces(path, blocks) if below else ())
        for start, size in below
        if start <= address < start + size and any(piece[: start + size - address])
    }
    return [block for block in below if block[0] in used]


def _image(path: Path, blocks: Sequence[tuple[int, int]]) -> Iterator[bytes]:
    """The image of memory, in chunks."""
    at = BASE
    for address, piece in _pieces(path, blocks):
        data, start = piece[max(0, BASE - address) :], max(address, BASE)
        while at < start:
            hole = min(PIECE, start - at)
            yield ZEROS[:hole]
            at += hole
        if data:
            yield data
            at += len(data)


def _decode(number: int, lines: Sequence[str], count: int) -> tuple[HartState, list[str]]:
    """Read the text of a hart: its state and what a restore loses; ValueError if it is something else."""
    state, lost = HartState(pc=0, mode=mstatus.MACHINE, count=count), []
    single: dict[str, int] = {}
    vectors: dict[int, bytes] = {}
    for line in lines:
        tag, *words = line.split() or [""]
        if tag in ("x", "f", "c", "v") and len(words) == 2:
            at = _number(words[0])
            if at >= (CSR_COUNT if tag == "c" else 32):
                raise ValueError(f"{line!r} has no register's number")
            if tag == "v":
                vectors[at] = _vector(words[1])
            elif tag == "c":
                lost += _set_csr(state, at, _number(words[1]))
            else:
                (state.x if tag == "x" else state.f)[at] = _number(words[1])
        elif tag in ("pm", "vm", "pc", "elp", *_IGNORED) and len(words) == 1:
            single[tag] = _number(words[0])
        else:
            raise ValueError(f"unknown line {line!r}")
    if "pc" not in single or single.get("pm") not in (mstatus.USER, mstatus.SUPERVISOR, mstatus.MACHINE):
        raise ValueError("it has no pc, or no pm that is 0, 1 or 3")
    state.pc, state.mode, state.x[0] = single["pc"], single["pm"], 0
    _set_vectors(number, state, vectors)
    allow_without_pmp(state)
    lost += prepare(state, bool(single.get("vm")))
    if single.get("elp"):
        if state.mode == mstatus.MACHINE:
            lost.append(f"{_ELP} is lost: the hart is in M mode")
        else:
            state.set("mstatus", state.get("mstatus") | mstatus.MPELP)
    return state, lost


def _set_csr(state: HartState, number: int, value: int) -> list[str]:
    """Set a CSR unless it shows another one; a line if no restorer writes it."""
    csr = BY_NUMBER.get(number)
    if csr and csr.when is not When.ALIAS:
        state.csr[number] = value
    read_only = number >> 10 == 3
    return [f"CSR {number:#x} is {value:#x}: no restorer writes it"] if value and not csr and not read_only else []


def _vector(word: str) -> bytes:
    if not re.fullmatch(r"0[xX]([0-9a-fA-F]{2})+", word):
        raise ValueError(f"{word!r} is no vector register")
    return bytes.fromhex(word[2:])[::-1]


def _set_vectors(number: int, state: HartState, vectors: dict[int, bytes]) -> None:
    """Set vlenb and the vector registers; ValueError if they differ in size or some are missing."""
    state.set("vlenb", 0)
    if not vectors:
        return
    sizes = {len(data) for data in vectors.values()}
    if len(vectors) != 32 or len(sizes) != 1:
        raise ValueError("its vector registers are not 32 of one size")
    state.set("vlenb", checked_vlenb(number, sizes.pop()))
    state.v = [vectors[at] for at in range(32)]
