"""What differs between two checkpoints, whatever their layouts and containers: registers, and pages of memory."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from itertools import zip_longest

from gcpt.checkpoint import edits, streams
from gcpt.checkpoint.files import CheckpointFile
from gcpt.checkpoint.layouts import MIB, RESERVED_SIZE
from gcpt.checkpoint.registers import registers
from gcpt.checkpoint.state import HartState
from gcpt.checkpoint.streams import Watch
from gcpt.isa import fields
from gcpt.isa.csrs import BY_NAME
from gcpt.isa.paging import PAGE_SIZE

#: Ranges of pages that are kept; more are counted.
_MOST_RANGES = 10_000
#: What an image is compared by, in bytes.
_PIECE = MIB
_ZEROS = bytes(_PIECE)


@dataclass(frozen=True)
class Register:
    """A register that differs, by its name; ``fields``: those of a CSR that do, as text: name, in one, in the other."""

    hart: int
    name: str
    values: tuple[int | str, int | str]
    fields: list[tuple[str, str, str]]


@dataclass
class Memory:
    """Ranges of pages (begin, end) that differ, up to a number of them, and how many ranges and bytes there are."""

    ranges: list[edits.Range] = field(default_factory=list)
    count: int = 0
    size: int = 0
    _end: int = -1

    def add(self, begin: int, end: int) -> None:
        """One page more, behind all that were added."""
        self.size += end - begin
        if begin != self._end:
            self.count += 1
            if len(self.ranges) < _MOST_RANGES:
                self.ranges.append((begin, end))
        elif self.count == len(self.ranges):
            self.ranges[-1] = (self.ranges[-1][0], end)
        self._end = end


@dataclass(frozen=True)
class Difference:
    """harts: how many each has. memory: by the image, "memory" or "flash"."""

    harts: tuple[int, int]
    registers: list[Register]
    memory: dict[str, Memory]

    def __bool__(self) -> bool:
        return self.harts[0] != self.harts[1] or bool(self.registers) or any(one.size for one in self.memory.values())


def _named(state: HartState) -> dict[str, int | str]:
    named = registers(state, True)
    first = {"pc": named.pop("pc"), "mode": state.mode, "mtime": state.mtime, "mtimecmp": state.mtimecmp}
    return {**first, **named, **{f"{name} (free)": data.hex() for name, data in state.free.items()}}


def _fields(name: str, one: int, other: int) -> list[tuple[str, str, str]]:
    if name not in BY_NAME:
        return []
    both = [{decoded.name: str(decoded) for decoded in fields.decode(name, value)} for value in (one, other)]
    names = dict.fromkeys([*both[0], *both[1]])
    shown = [(field, both[0].get(field, "-"), both[1].get(field, "-")) for field in names]
    return [row for row in shown if row[1] != row[2]]


def compare_registers(hart: int, one: HartState, other: HartState) -> list[Register]:
    """The registers, CSRs and timers of a hart that differ."""
    first, second = _named(one), _named(other)
    found = []
    for name in dict.fromkeys([*first, *second]):
        a, b = first.get(name, 0), second.get(name, 0)
        if a != b:
            known = _fields(name, a, b) if isinstance(a, int) and isinstance(b, int) else []
            found.append(Register(hart, name, (a, b), known))
    return found


def _pieces(content: Iterable[bytes]) -> Iterator[bytes]:
    """``content`` in pieces of one size, with zeros behind its end."""
    rest = bytearray()
    for chunk in content:
        if not rest and len(chunk) == _PIECE:
            yield chunk
            continue
        rest += chunk
        while len(rest) >= _PIECE:
            yield bytes(rest[:_PIECE])
            del rest[:_PIECE]
    if rest:
        yield bytes(rest).ljust(_PIECE, b"\0")


def compare_memory(one: Iterable[bytes], other: Iterable[bytes], begin: int = 0) -> Memory:
    """The pages from ``begin`` (a multiple of 1 MiB) on that differ; an image that is shorter goes on with zeros."""
    found = Memory()
    for number, (a, b) in enumerate(zip_longest(_pieces(one), _pieces(other), fillvalue=_ZEROS)):
        at = number * _PIECE
        if at >= begin and a != b:
            for start in range(0, _PIECE, PAGE_SIZE):
                if a[start : start + PAGE_SIZE] != b[start : start + PAGE_SIZE]:
                    found.add(at + start, at + start + PAGE_SIZE)
    return found


def compare(one: CheckpointFile, other: CheckpointFile, everything: bool = False, watch: Watch = iter) -> Difference:
    """All that differs.

    Left out are the first MiB of an image, which is the restorer's, and where either has its own state; ``everything``
    compares the images as they are. watch: what the images of ``one`` go through.
    """
    harts = zip(one.harts, other.harts, strict=False)
    found = [row for hart, states in enumerate(harts) for row in compare_registers(hart, *states)]
    if everything:
        memory = {"memory": compare_memory(watch(streams.chunks(one.path)), streams.chunks(other.path))}
    else:
        memory = {"memory": compare_memory(watch(one.memory()), other.memory(), RESERVED_SIZE)}
    if one.flash and other.flash:
        if everything:
            memory["flash"] = compare_memory(watch(streams.chunks(one.flash)), streams.chunks(other.flash))
        else:
            memory["flash"] = compare_memory(watch(one.flash_rest()), other.flash_rest(), RESERVED_SIZE)
    return Difference((len(one.harts), len(other.harts)), found, memory)
