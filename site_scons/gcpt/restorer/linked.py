"""A linked restorer: its ELF file, read once, as sections, symbols, relocations and bytes.

Addresses are physical, in bytes; "the restorer" is all that is loaded except the payload.
"""

import struct
from dataclasses import dataclass
from functools import cached_property

from elftools.elf.constants import SH_FLAGS
from elftools.elf.elffile import ELFFile
from elftools.elf.relocation import RelocationSection
from elftools.elf.sections import Section, Symbol, SymbolTableSection

from gcpt.checkpoint import layouts
from gcpt.restorer.config import BuildConfig

#: Entries of a section of relocations and of a table of symbols in ELF64: a thousand of them one by one, each read into
#: a dictionary, would take longer than the linker. Of a symbol: its name's offset, info, other, section, value, size.
_RELA, _SYMBOL = struct.Struct("<QQq"), struct.Struct("<IBBHQQ")
_UNDEFINED = 0


@dataclass(frozen=True)
class Span:
    """Bytes from ``start`` to below ``end``, and what they are called."""

    name: str
    start: int
    end: int

    def __str__(self) -> str:
        return f"{self.name} ({self.start:#x} to {self.end:#x})"

    def overlaps(self, other: "Span") -> bool:
        return self.start < other.end and other.start < self.end


@dataclass(frozen=True)
class Relocation:
    """Where a relocation is, its type (R_RISCV_...), and the number of its symbol in the section's table."""

    offset: int
    type: int
    symbol: int


class Linked:
    """A linked restorer, read once."""

    def __init__(self, elf: ELFFile, config: BuildConfig) -> None:
        self.elf = elf
        self.config = config

    @cached_property
    def sections(self) -> list[Section]:
        return list(self.elf.iter_sections())

    @cached_property
    def symbols(self) -> list[Symbol]:
        tables = [section for section in self.sections if isinstance(section, SymbolTableSection)]
        return [symbol for table in tables for symbol in table.iter_symbols()]

    @cached_property
    def relocations(self) -> list[tuple[RelocationSection, list[Relocation]]]:
        """Each section of relocations, and what is in it."""
        found = [section for section in self.sections if isinstance(section, RelocationSection)]
        return [(section, [_relocation(*entry) for entry in _RELA.iter_unpack(section.data())]) for section in found]

    @cached_property
    def undefined(self) -> list[str]:
        """The names of the symbols that are defined nowhere."""
        return [
            table.stringtable.get_string(name)
            for table in self.sections
            if isinstance(table, SymbolTableSection)
            for name, _, _, section, _, _ in _SYMBOL.iter_unpack(table.data())
            if section == _UNDEFINED and name
        ]

    @cached_property
    def spans(self) -> list[Span]:
        """What is in memory, NOBITS included."""
        used = [s for s in self.sections if s["sh_flags"] & SH_FLAGS.SHF_ALLOC and s["sh_size"]]
        return [Span(s.name, s["sh_addr"], s["sh_addr"] + s["sh_size"]) for s in used]

    @cached_property
    def loaded(self) -> list[Section]:
        """The sections that gcpt.bin consists of, in the order of their addresses."""
        used = [s for s in self.sections if s["sh_flags"] & SH_FLAGS.SHF_ALLOC and s["sh_size"]]
        return sorted((s for s in used if s["sh_type"] != "SHT_NOBITS"), key=self.load_address)

    def load_address(self, section: Section) -> int:
        """Where a loader puts the section: elsewhere than it is linked to if the restorer itself moves it there."""
        start = int(section["sh_addr"])
        for segment in self.elf.iter_segments("PT_LOAD"):
            if segment["p_vaddr"] <= start < segment["p_vaddr"] + segment["p_filesz"]:
                return start - int(segment["p_vaddr"]) + int(segment["p_paddr"])
        return start

    @cached_property
    def base(self) -> int:
        """Where the restorer is linked to lie: the base of memory or of flash."""
        return self.config.load_address

    @cached_property
    def end(self) -> int:
        """The end of the restorer's loaded bytes: where gcpt.bin ends if there is no payload."""
        starts = {self.load_address(s): int(s["sh_size"]) for s in self.loaded}
        own = (start + size for start, size in starts.items() if start < self.base + layouts.RESERVED_SIZE)
        return max(own, default=self.base)

    def read(self, address: int, size: int) -> bytes:
        """Bytes as they are after loading; fewer where nothing is loaded."""
        for section in self.loaded:
            offset = address - self.load_address(section)
            if 0 <= offset < section["sh_size"]:
                return bytes(section.data()[offset : offset + size])
        return b""

    def read_all(self) -> bytes:
        """The restorer as it is after loading: gcpt.bin, if there is no payload."""
        whole = bytearray(max(self.end - self.base, 0))
        for section in self.loaded:
            offset = self.load_address(section) - self.base
            if 0 <= offset < len(whole):
                whole[offset : offset + section["sh_size"]] = section.data()
        return bytes(whole)

    def word(self, address: int, size: int) -> int | None:
        data = self.read(address, size)
        return int.from_bytes(data, "little") if len(data) == size else None


def _relocation(offset: int, info: int, _addend: int) -> Relocation:
    return Relocation(offset, info & 0xFFFF_FFFF, info >> 32)
