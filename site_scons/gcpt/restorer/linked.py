"""A linked restorer: the sections, symbols, relocations and bytes of its ELF file.

Addresses are physical, in bytes. "The restorer" is everything that is loaded except the payload.
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

#: ELF64 entries of relocation sections (offset, info, addend) and of symbol tables (name, info, other, section, value,
#: size). pyelftools makes a dictionary of each entry, which takes longer than the linker for a thousand of them.
_RELA, _SYMBOL = struct.Struct("<QQq"), struct.Struct("<IBBHQQ")
_UNDEFINED = 0


@dataclass(frozen=True)
class Span:
    """A named address range, from ``start`` to before ``end``."""

    name: str
    start: int
    end: int

    def __str__(self) -> str:
        return f"{self.name} ({self.start:#x} to {self.end:#x})"

    def overlaps(self, other: "Span") -> bool:
        """Whether two ranges have an address in common.

        Args:
            other: Another range.

        Returns:
            True if they overlap.
        """
        return self.start < other.end and other.start < self.end


@dataclass(frozen=True)
class Relocation:
    """A relocation.

    Attributes:
        offset: Address of the relocated bytes.
        type: Number of the R_RISCV_ type.
        symbol: Index of the symbol in the section's symbol table.
    """

    offset: int
    type: int
    symbol: int


class Linked:
    """A linked restorer; each part of the ELF file is read once.

    Attributes:
        elf: The open ELF file.
        config: The configuration that the file was linked for.
    """

    def __init__(self, elf: ELFFile, config: BuildConfig) -> None:
        self.elf = elf
        self.config = config

    @cached_property
    def sections(self) -> list[Section]:
        """All sections, in file order."""
        return list(self.elf.iter_sections())

    @cached_property
    def symbols(self) -> list[Symbol]:
        """All symbols of all symbol tables."""
        tables = [section for section in self.sections if isinstance(section, SymbolTableSection)]
        return [symbol for table in tables for symbol in table.iter_symbols()]

    @cached_property
    def relocations(self) -> list[tuple[RelocationSection, list[Relocation]]]:
        """Each relocation section with its relocations."""
        tables = [section for section in self.sections if isinstance(section, RelocationSection)]
        return [(table, [_relocation(*entry) for entry in _RELA.iter_unpack(table.data())]) for table in tables]

    @cached_property
    def undefined(self) -> list[str]:
        """The names of undefined symbols."""
        return [
            table.stringtable.get_string(name)
            for table in self.sections
            if isinstance(table, SymbolTableSection)
            for name, _, _, section, _, _ in _SYMBOL.iter_unpack(table.data())
            if section == _UNDEFINED and name
        ]

    @cached_property
    def spans(self) -> list[Span]:
        """The address ranges of all sections in memory, including NOBITS sections."""
        used = [s for s in self.sections if s["sh_flags"] & SH_FLAGS.SHF_ALLOC and s["sh_size"]]
        return [Span(s.name, s["sh_addr"], s["sh_addr"] + s["sh_size"]) for s in used]

    @cached_property
    def loaded(self) -> list[Section]:
        """The sections of gcpt.bin, in the order of their load addresses."""
        used = [s for s in self.sections if s["sh_flags"] & SH_FLAGS.SHF_ALLOC and s["sh_size"]]
        return sorted((s for s in used if s["sh_type"] != "SHT_NOBITS"), key=self.load_address)

    def load_address(self, section: Section) -> int:
        """The load address of a section.

        Args:
            section: A section in memory.

        Returns:
            The physical address; it differs from the link address if the restorer moves the section to memory.
        """
        start = int(section["sh_addr"])
        for segment in self.elf.iter_segments("PT_LOAD"):
            if segment["p_vaddr"] <= start < segment["p_vaddr"] + segment["p_filesz"]:
                return start - int(segment["p_vaddr"]) + int(segment["p_paddr"])
        return start

    @cached_property
    def base(self) -> int:
        """The restorer's link address: the base of memory or of flash."""
        return self.config.load_address

    @cached_property
    def end(self) -> int:
        """The end address of the restorer's loaded bytes: the end of gcpt.bin without a payload."""
        starts = {self.load_address(s): int(s["sh_size"]) for s in self.loaded}
        own = (start + size for start, size in starts.items() if start < self.base + layouts.RESERVED_SIZE)
        return max(own, default=self.base)

    def read(self, address: int, size: int) -> bytes:
        """Read loaded bytes of one section.

        Args:
            address: Load address of the first byte.
            size: Number of bytes.

        Returns:
            The bytes; fewer if the section ends before, none if no section has the address.
        """
        for section in self.loaded:
            offset = address - self.load_address(section)
            if 0 <= offset < section["sh_size"]:
                return bytes(section.data()[offset : offset + size])
        return b""

    def read_all(self) -> bytes:
        """Read the restorer as it is loaded: gcpt.bin without a payload."""
        whole = bytearray(max(self.end - self.base, 0))
        for section in self.loaded:
            offset = self.load_address(section) - self.base
            if 0 <= offset < len(whole):
                whole[offset : offset + section["sh_size"]] = section.data()
        return bytes(whole)

    def word(self, address: int, size: int) -> int | None:
        """Read a little-endian number.

        Args:
            address: Load address of the number.
            size: Bytes of the number.

        Returns:
            The number, or None if it is not loaded.
        """
        data = self.read(address, size)
        return int.from_bytes(data, "little") if len(data) == size else None


def _relocation(offset: int, info: int, _addend: int) -> Relocation:
    return Relocation(offset, info & 0xFFFF_FFFF, info >> 32)
