"""What the bytes of a linked restorer are for: symbol by symbol, and CSR by CSR of the code that writes them."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise

from gcpt.checkpoint import stamp
from gcpt.isa.csrs import BY_NUMBER
from gcpt.restorer import phases
from gcpt.restorer.linked import Linked

#: Bytes of the completeness flag.
_FLAG = 8
#: Where the code that writes CSRs begins and ends.
_WRITES = ("gcpt_skip_begin", "integer_registers")
_C_SIZED = ("STT_FUNC", "STT_OBJECT")


@dataclass(frozen=True)
class Piece:
    """A run of loaded bytes: the symbol that it begins with, and the phase of a restore that it belongs to."""

    name: str
    start: int
    end: int
    phase: str

    @property
    def size(self) -> int:
        return self.end - self.start


@dataclass(frozen=True)
class _Mark:
    """An address at which symbols stand. size: of the C function or object there, else 0."""

    names: tuple[str, ...]
    size: int
    function: bool


def _marks(linked: Linked, section: int) -> dict[int, _Mark]:
    """The addresses of a section's symbols, but for those that assemblers and compilers make for themselves."""
    found: dict[int, list[tuple[bool, bool, str, int, str]]] = {}
    for symbol in linked.symbols:
        kind = symbol["st_info"]["type"]
        if (
            symbol["st_shndx"] == section
            and kind in ("STT_NOTYPE", *_C_SIZED)
            and symbol.name[:1] not in ("", ".", "$")
        ):
            sized, known = kind in _C_SIZED, bool(phases.beginning([symbol.name]))
            here = found.setdefault(symbol["st_value"], [])
            here.append((not known, not sized, symbol.name, symbol["st_size"] if sized else 0, kind))
    marks = {}
    for address, here in found.items():
        here.sort()
        size = max(size for *_, size, _ in here)
        marks[address] = _Mark(tuple(name for *_, name, _, _ in here), size, any(k == "STT_FUNC" for *_, k in here))
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
    """All bytes of the restorer in their order, each in one piece; a payload is none of them."""
    numbers = [number for number, section in enumerate(linked.sections) if section in linked.loaded]
    every = [piece for number in numbers for piece in _of_section(linked, number) if piece.start < linked.end]
    every.sort(key=lambda piece: piece.start)
    every += [_unnamed(one.end, after.start) for one, after in pairwise(every) if one.end < after.start]
    every.sort(key=lambda piece: piece.start)
    flag = linked.end - _FLAG
    found = stamp.find(linked.read_all())
    stamped = flag - (len(stamp.encode(found)) if found else 0)
    tail = [Piece("stamp", stamped, flag, "stamp"), Piece("gcpt_complete_flag", flag, linked.end, "stamp")]
    body = [Piece(one.name, one.start, min(one.end, stamped), one.phase) for one in every if one.start < stamped]
    return [*body, *(piece for piece in tail if piece.size)]


@dataclass
class Written:
    """What writing the CSRs of a group costs. bytes: of the writes and of the loads that fetch the values."""

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
        """The register that an 8-byte load fills: ld, c.ld, c.ldsp; None of any other instruction."""
        word = self.word
        if self.size == 4:
            return word >> 7 & 31 if word & 0x707F == 0x3003 else None
        if word & 0xE003 == 0x6000:
            return 8 + (word >> 2 & 7)
        return word >> 7 & 31 if word & 0xE003 == 0x6002 else None

    @property
    def writes(self) -> list[tuple[int, int]]:
        """The CSRs that it writes from a register and reads not, each with that register; vsetvl: vl and vtype."""
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
    """By group of the inventory: the CSRs that the restore's code writes."""
    addresses = {symbol.name: int(symbol["st_value"]) for symbol in linked.symbols if symbol.name in _WRITES}
    start, end = (addresses[name] for name in _WRITES)
    return written(list(_instructions(linked.read(start, end - start))))


def written(code: Sequence[_Instruction]) -> dict[str, Written]:
    """By group: what ``code`` writes, each CSR counted once. A load counts for the first write that takes its value."""
    groups: dict[str, Written] = {}
    loaded: dict[int, int] = {}
    seen: set[int] = set()
    for one in code:
        if (register := one.loads) is not None:
            loaded[register] = one.size
        for place, (number, source) in enumerate(one.writes):
            if number not in BY_NUMBER:
                continue
            group = groups.setdefault(BY_NUMBER[number].group, Written())
            own = 0 if place else one.size
            fetched = loaded.pop(source, 0)
            group.bytes += own + fetched
            group.instructions += bool(own) + bool(fetched)
            group.csrs += number not in seen
            seen.add(number)
    return groups
