"""An image as an ELF file for loaders that take no other: a segment for each run of it that is not zero, and back.

64-bit, little endian, RISC-V; virtual addresses are physical ones; the entry is the image's first byte.
"""

import os
import struct
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import BinaryIO

from gcpt.errors import UserError
from gcpt.isa.paging import PAGE_SIZE

MAGIC = b"\x7fELF"
#: ELF64: the file header and a program header (System V ABI, chapters 4 and 5).
_EHDR, _PHDR = struct.Struct("<16sHHIQQQIHHHHHH"), struct.Struct("<IIQQQQQQ")
_IDENT = MAGIC + bytes((2, 1, 1)) + bytes(9)
_EXECUTABLE, _RISCV, _LOAD, _READ_WRITE_EXECUTE = 2, 243, 1, 7
#: RVC and the double-precision ABI (RISC-V ELF psABI), as the workloads' own files have it.
_FLAGS = 0x5
#: Zeros between two segments, at least: fewer stay in one, as a hole of the file.
_GAP = 1 << 20
_MOST_SEGMENTS = 0xFFFE
#: The longest piece of memory that an ELF file is read as: what an address of 41 bits reaches.
_LONGEST = 1 << 41


@dataclass
class _Segment:
    """Bytes of memory (address, size) and where the file has them; what lies behind ``size`` in memory is zero."""

    address: int
    size: int
    at: int


def write(file: BinaryIO, pages: Iterable[tuple[int, bytes]], base: int) -> int:
    """Write an image, of which ``pages`` are not zero, as an ELF file that is loaded at ``base``. Returns its length.

    base: a physical address, a multiple of 4 KiB. UserError where it is in too many pieces.
    """
    segments: list[_Segment] = []
    for offset, page in pages:
        end = segments[-1].address + segments[-1].size if segments else 0
        if not segments or base + offset - end >= _GAP:
            after = segments[-1].at + segments[-1].size if segments else _EHDR.size
            segments.append(_Segment(base + offset, 0, -(-after // PAGE_SIZE) * PAGE_SIZE))
        last = segments[-1]
        file.seek(last.at + base + offset - last.address)
        file.write(page)
        last.size = base + offset + len(page) - last.address
    if len(segments) > _MOST_SEGMENTS:
        raise UserError(f"the image is in {len(segments):,} pieces, and an ELF file has at most {_MOST_SEGMENTS:,}")
    table = file.seek(0, os.SEEK_END)
    for one in segments:
        values = (_LOAD, _READ_WRITE_EXECUTE, one.at, one.address, one.address, one.size, one.size, PAGE_SIZE)
        file.write(_PHDR.pack(*values))
    file.seek(0)
    sizes = (_EHDR.size, _PHDR.size, len(segments), 0, 0, 0)
    file.write(_EHDR.pack(_IDENT, _EXECUTABLE, _RISCV, 1, base, table, 0, _FLAGS, *sizes))
    return segments[-1].address + segments[-1].size - base if segments else 0


def _segments(file: BinaryIO) -> list[_Segment]:
    """What a loader puts into memory, by address; UserError when the file is no such ELF or cut short."""
    size = os.fstat(file.fileno()).st_size
    data = os.pread(file.fileno(), _EHDR.size, 0)
    if len(data) < _EHDR.size or data[: len(_IDENT) - 9] != _IDENT[:-9]:
        raise UserError(f"{file.name}: want a 64-bit little-endian ELF file")
    _, _, machine, _, _, table, _, _, _, entry, count, *_ = _EHDR.unpack(data)
    if machine != _RISCV or entry != _PHDR.size:
        raise UserError(f"{file.name}: this ELF file is not RISC-V's")
    data = os.pread(file.fileno(), count * _PHDR.size, table) if table < size else b""
    if len(data) < count * _PHDR.size:
        raise UserError(f"{file.name}: the ELF file is cut short")
    found = [
        _Segment(address, length, at)
        for kind, _, at, _, address, length, _, _ in _PHDR.iter_unpack(data)
        if kind == _LOAD and length
    ]
    found.sort(key=lambda one: one.address)
    if any(one.at + one.size > size for one in found):
        raise UserError(f"{file.name}: the ELF file is cut short")
    if any(one.address + one.size > other.address for one, other in pairwise(found)):
        raise UserError(f"{file.name}: its segments overlap")
    if found and found[-1].address + found[-1].size - found[0].address > _LONGEST:
        raise UserError(f"{file.name}: its segments are too far apart for one memory")
    return found


def base_of(path: Path) -> int:
    """The address of the first byte that an ELF file puts into memory, 0 where it puts none."""
    with path.open("rb") as file:
        return next((one.address for one in _segments(file)), 0)


def chunks(file: BinaryIO, piece: int) -> Iterator[bytes]:
    """The memory that an ELF file makes, from its first byte to its last, in pieces of at most ``piece`` bytes."""
    at, zeros = None, bytes(piece)
    for one in _segments(file):
        for start in range(at if at is not None else one.address, one.address, piece):
            yield zeros[: min(piece, one.address - start)]
        for start in range(0, one.size, piece):
            if not (data := os.pread(file.fileno(), min(piece, one.size - start), one.at + start)):
                return  # somebody cut the file meanwhile
            yield data
        at = one.address + one.size
