"""Images as ELF files, for loaders that accept nothing else: one segment for each run of bytes that is not zero.

The files are 64-bit little-endian RISC-V; virtual addresses equal physical addresses; the entry point is the image's
first byte.
"""

import os
import struct
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import BinaryIO

from gcpt.checkpoint.containers import MAGICS, opened, read_exactly
from gcpt.errors import UserError
from gcpt.isa.paging import PAGE_SIZE

#: ELF64: the file header and a program header (System V ABI, chapters 4 and 5).
_EHDR, _PHDR = struct.Struct("<16sHHIQQQIHHHHHH"), struct.Struct("<IIQQQQQQ")
_IDENT = MAGICS["elf"] + bytes((2, 1, 1)) + bytes(9)
_EXECUTABLE, _RISCV, _LOAD, _READ_WRITE_EXECUTE = 2, 243, 1, 7
#: ELF64: a section header and a symbol (System V ABI, chapter 4).
_SHDR, _SYMBOL = struct.Struct("<IIQQQQIIQQ"), struct.Struct("<IBBHQQ")
_PROGRAM, _SYMBOL_TABLE, _STRING_TABLE, _GLOBAL_OBJECT, _ABSOLUTE = 1, 2, 3, 0x11, 0xFFF1
#: sh_flags: writable, occupies memory, executable.
_LOADED = 7
#: Size of a symbol in bytes: HTIF's are doublewords.
_SYMBOL_SIZE = 8
#: e_flags: RVC and the double-precision ABI (RISC-V ELF psABI), as in the workloads' own files.
_FLAGS = 0x5
#: The shortest run of zeros, in bytes, that separates two segments; a shorter run becomes a hole in the file.
_GAP = 1 << 20
#: A file has fewer than 0xff00 sections (gABI: e_shnum); each segment has one, and there are four others.
_MOST_SEGMENTS = 0xFF00 - 1 - 4
#: The longest span from the first to the last segment that is read, in bytes (41 bits of address).
LONGEST = 1 << 41


@dataclass
class _Segment:
    """A segment: its physical address, its size in the file in bytes, and its offset ``at`` in the file."""

    address: int
    size: int
    at: int


def write(
    file: BinaryIO, pages: Iterable[tuple[int, bytes]], base: int, symbols: Mapping[str, int] | None = None
) -> int:
    """Write an image as an ELF file.

    Args:
        file: The file, open for writing, empty.
        pages: Offset and bytes of the pages that are not zero, and of the last page.
        base: Physical load address, a multiple of 4 KiB.
        symbols: Addresses of doublewords by name, such as ``tohost``: the file then has sections, which loaders such
            as Spike's require. None: the file has no sections.

    Returns:
        The length of the image in bytes.

    Raises:
        UserError: The image needs more segments than an ELF file can hold.
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
        raise UserError(
            f"the image needs {len(segments):,} segments, but an ELF file holds at most {_MOST_SEGMENTS:,}: "
            "write another format"
        )
    table = file.seek(max(file.seek(0, os.SEEK_END), _EHDR.size))  # an empty image wrote nothing
    for segment in segments:
        addresses, sizes = (segment.address, segment.address), (segment.size, segment.size)
        file.write(_PHDR.pack(_LOAD, _READ_WRITE_EXECUTE, segment.at, *addresses, *sizes, PAGE_SIZE))
    sections, section_table = (0, 0, 0), 0
    if symbols is not None:
        content, headers = _sections(symbols, segments, file.tell())
        file.write(content)
        section_table = file.tell()
        file.write(b"".join(headers))
        sections = (_SHDR.size, len(headers), len(headers) - 1)
    file.seek(0)
    counts = (_EHDR.size, _PHDR.size, len(segments), *sections)
    file.write(_EHDR.pack(_IDENT, _EXECUTABLE, _RISCV, 1, base, table, section_table, _FLAGS, *counts))
    return segments[-1].address + segments[-1].size - base if segments else 0


def _sections(symbols: Mapping[str, int], segments: list[_Segment], at: int) -> tuple[bytes, list[bytes]]:
    """Return .symtab, .strtab and .shstrtab for offset ``at`` of a file, and the section headers, .shstrtab's last.

    Each segment is a section too, because gdb loads sections.
    """
    names, table = b"\0", _SYMBOL.pack(0, 0, 0, 0, 0, 0)
    for name, address in symbols.items():
        table += _SYMBOL.pack(len(names), _GLOBAL_OBJECT, 0, _ABSOLUTE, address, _SYMBOL_SIZE)
        names += name.encode() + b"\0"
    section_names = b"\0.symtab\0.strtab\0.shstrtab\0.memory\0"
    contents = (
        (b".symtab", _SYMBOL_TABLE, table, 2, _SYMBOL.size),
        (b".strtab", _STRING_TABLE, names, 0, 0),
        (b".shstrtab", _STRING_TABLE, section_names, 0, 0),
    )
    data, headers = b"", [bytes(_SHDR.size)]
    for section, kind, content, link, entry in contents:
        start = section_names.index(b"\0" + section) + 1
        headers.append(_SHDR.pack(start, kind, 0, 0, at + len(data), len(content), link, bool(link), 1, entry))
        data += content
    memory = section_names.index(b"\0.memory") + 1
    headers[3:3] = [
        _SHDR.pack(memory, _PROGRAM, _LOADED, segment.address, segment.at, segment.size, 0, 0, PAGE_SIZE, 0)
        for segment in segments
    ]
    return data, headers


def _segments(file: BinaryIO) -> list[_Segment]:
    """The loadable segments, by address; UserError when the file is not a RISC-V ELF file or is truncated."""
    truncated = UserError(f"{file.name}: the ELF file is truncated: copy it again")
    size = os.fstat(file.fileno()).st_size
    data = read_exactly(file, min(_EHDR.size, size), 0)
    if len(data) < _EHDR.size or data[: len(_IDENT) - 9] != _IDENT[:-9]:
        raise UserError(f"{file.name}: not a 64-bit little-endian ELF file")
    _, _, machine, _, _, table, _, _, _, entry, count, *_ = _EHDR.unpack(data)
    if machine != _RISCV or entry != _PHDR.size:
        raise UserError(f"{file.name}: not a RISC-V ELF file")
    if table + count * _PHDR.size > size:
        raise truncated
    data = read_exactly(file, count * _PHDR.size, table)
    segments = [
        _Segment(address, length, at)
        for kind, _, at, _, address, length, _, _ in _PHDR.iter_unpack(data)
        if kind == _LOAD and length
    ]
    segments.sort(key=lambda segment: segment.address)
    if any(segment.at + segment.size > size for segment in segments):
        raise truncated
    if any(lower.address + lower.size > upper.address for lower, upper in pairwise(segments)):
        raise UserError(f"{file.name}: its segments overlap")
    if segments and segments[-1].address + segments[-1].size - segments[0].address > LONGEST:
        raise UserError(f"{file.name}: its segments are too far apart for one image")
    return segments


def base_of(path: Path) -> int:
    """Read the load address of an ELF file.

    Args:
        path: The file.

    Returns:
        The physical address of the first byte of the first segment; 0 if there is no segment.

    Raises:
        UserError: The file cannot be read, is not a RISC-V ELF file, or is damaged.
    """
    with opened(path) as file:
        return next((segment.address for segment in _segments(file)), 0)


def chunks(file: BinaryIO, piece: int) -> Iterator[bytes]:
    """Read the image that an ELF file loads.

    Args:
        file: The file, open for reading.
        piece: The largest chunk in bytes.

    Yields:
        Memory from the first segment's first byte to the last segment's last byte, in chunks.

    Raises:
        UserError: The file is not a RISC-V ELF file, or is damaged.
    """
    at, zeros = None, bytes(piece)
    for segment in _segments(file):
        for start in range(at if at is not None else segment.address, segment.address, piece):
            yield zeros[: min(piece, segment.address - start)]
        for start in range(0, segment.size, piece):
            yield read_exactly(file, min(piece, segment.size - start), segment.at + start)
        at = segment.address + segment.size
