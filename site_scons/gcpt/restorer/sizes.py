"""The use of a linked restorer's bytes, by symbol, and by CSR group for the code that writes CSRs."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import pairwise

from gcpt.checkpoint import stamp
from gcpt.isa.csrs import BY_NUMBER
from gcpt.restorer import phases
from gcpt.restorer.linked import Linked

#: Bytes of the completeness flag.
_FLAG = 8
#: Symbols at the start and the end of the code that writes CSRs: of what every hart executes, and of the rest.
_WRITES = (("gcpt_skip_begin", "integer_registers"), ("gcpt_apart_begin", "gcpt_apart_end"))
_C_SIZED = ("STT_FUNC", "STT_OBJECT")


@dataclass(frozen=True)
class Piece:
    """A range of loaded bytes.

    Attributes:
        name: The symbol at its start.
        start: Load address of the first byte.
        end: Load address after the last byte.
        phase: Key of its phase.
    """

    name: str
    start: int
    end: int
    phase: str

    @property
    def size(self) -> int:
        """Number of bytes."""
        return self.end - self.start


@dataclass(frozen=True)
class _Mark:
    """The symbols at an address. size: bytes of the C function or object there, else 0."""

    names: tuple[str, ...]
    size: int
    function: bool


def _marks(linked: Linked, section: int) -> dict[int, _Mark]:
    """The symbols of a section by address, without local labels of assemblers and compilers."""
    by_address: dict[int, list[tuple[bool, bool, str, int, str]]] = {}
    for symbol in linked.symbols:
        kind = symbol["st_info"]["type"]
        if (
            symbol["st_shndx"] == section
            and kind in ("STT_NOTYPE", *_C_SIZED)
            and symbol.name[:1] not in ("", ".", "$")
        ):
            sized, known = kind in _C_SIZED, bool(phases.beginning([symbol.name]))
            symbols = by_address.setdefault(symbol["st_value"], [])
            symbols.append((not known, not sized, symbol.name, symbol["st_size"] if sized else 0, kind))
    marks = {}
    for address, symbols in by_address.items():
        symbols.sort()
        size = max(size for *_, size, _ in symbols)
        function = any(kind == "STT_FUNC" for *_, kind in symbols)
        marks[address] = _Mark(tuple(name for *_, name, _, _ in symbols), size, function)
    return marks


def _of_section(linked: Linked, number: int) -> Iterator[Piece]:
    section = linked.elf.get_section(number)
    start, end = int(section["sh_addr"]), int(section["sh_addr"] + section["sh_size"])
    moved = linked.load_address(section) - start
    marks = {address: mark for address, mark in _marks(linked, number).items() if start <= address < end}
    edges = [*sorted({start, *marks}), end]
    phase = "constants"
    for at, after in pairwise(edges):
        mark = marks.get(at, _Mark((section.name,), 0, False))
        begun = phases.beginning(mark.names)
        if begun or mark.size:
            phase = begun or ("plan" if mark.function else "constants")
        sized = min(at + mark.size, after) if mark.size else after
        yield Piece(mark.names[0], at + moved, sized + moved, phase)
        if sized < after:
            yield _unnamed(sized + moved, after + moved)


def _unnamed(start: int, end: int) -> Piece:
    return Piece("(constants, padding)", start, end, "constants")


def pieces(linked: Linked) -> list[Piece]:
    """Divide the bytes of a restorer into pieces.

    Args:
        linked: The restorer.

    Returns:
        Adjacent pieces in address order, which cover the restorer without its payload.
    """
    numbers = [number for number, section in enumerate(linked.sections) if section in linked.loaded]
    parts = [piece for number in numbers for piece in _of_section(linked, number) if piece.start < linked.end]
    parts.sort(key=lambda piece: piece.start)
    parts += [_unnamed(piece.end, after.start) for piece, after in pairwise(parts) if piece.end < after.start]
    parts.sort(key=lambda piece: piece.start)
    flag = linked.end - _FLAG
    image_stamp = stamp.find(linked.read_all())
    body_end = flag - (len(stamp.encode(image_stamp)) if image_stamp else 0)
    tail = [Piece("stamp", body_end, flag, "stamp"), Piece("gcpt_complete_flag", flag, linked.end, "stamp")]
    body = [replace(piece, end=min(piece.end, body_end)) for piece in parts if piece.start < body_end]
    return [*body, *(piece for piece in tail if piece.size)]


@dataclass
class Written:
    """The cost of writing the CSRs of a group.

    Attributes:
        csrs: Number of different CSRs.
        bytes: Bytes of the writes and of the loads of their values.
        instructions: Number of these instructions.
    """

    csrs: int = 0
    bytes: int = 0
    instructions: int = 0


@dataclass(frozen=True)
class _Instruction:
    at: int
    size: int
    word: int

    @property
    def loads(self) -> int | None:
        """The destination register of ld, c.ld or c.ldsp; None for any other instruction."""
        word = self.word
        if self.size == 4:
            return word >> 7 & 31 if word & 0x707F == 0x3003 else None
        if word & 0xE003 == 0x6000:
            return 8 + (word >> 2 & 7)
        return word >> 7 & 31 if word & 0xE003 == 0x6002 else None

    @property
    def writes(self) -> list[tuple[int, int]]:
        """The CSRs that it writes from a register without reading them, as (CSR, register); vsetvl: vl and vtype."""
        word, source = self.word, self.word >> 15 & 31
        if self.size == 4 and word & 0xF80 == 0 and word & 0x7F == 0x73 and word >> 12 & 7 in (1, 2) and source:
            return [(word >> 20, source)]
        if self.size == 4 and word & 0xFE00707F == 0x80007057:
            return [(0xC20, source), (0xC21, word >> 20 & 31)]
        return []


def _instructions(code: bytes) -> Iterator[_Instruction]:
    at = 0
    while at < len(code):
        size = 4 if code[at] & 3 == 3 else 2
        yield _Instruction(at, size, int.from_bytes(code[at : at + size], "little"))
        at += size


def csr_groups(linked: Linked) -> dict[str, Written]:
    """Measure the code of a restore that writes CSRs.

    Args:
        linked: The restorer.

    Returns:
        The cost by CSR group.
    """
    addresses = {symbol.name: int(symbol["st_value"]) for symbol in linked.symbols}
    ranges = [(addresses[start], addresses[end]) for start, end in _WRITES]
    return written([code for start, end in ranges for code in _instructions(linked.read(start, end - start))])


def written(code: Sequence[_Instruction]) -> dict[str, Written]:
    """Measure the CSR writes of instructions. A load counts for the first write of its value.

    Args:
        code: Instructions in address order.

    Returns:
        The cost by CSR group.
    """
    groups: dict[str, Written] = {}
    load_sizes: dict[int, int] = {}
    seen: set[int] = set()
    for instruction in code:
        if (register := instruction.loads) is not None:
            load_sizes[register] = instruction.size
        for index, (number, source) in enumerate(instruction.writes):
            if number not in BY_NUMBER:
                continue
            group = groups.setdefault(BY_NUMBER[number].group, Written())
            write_size = 0 if index else instruction.size
            load_size = load_sizes.pop(source, 0)
            group.bytes += write_size + load_size
            group.instructions += bool(write_size) + bool(load_size)
            group.csrs += number not in seen
            seen.add(number)
    return groups
