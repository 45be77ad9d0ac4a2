"""Differences between two checkpoints, of any layouts and containers: registers, and pages of memory."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from itertools import zip_longest

from gcpt.checkpoint import edits, extended, streams
from gcpt.checkpoint.extended import ExtendedError
from gcpt.checkpoint.files import CheckpointFile
from gcpt.checkpoint.layouts import MIB, RESERVED_SIZE
from gcpt.checkpoint.registers import registers
from gcpt.checkpoint.state import HartState
from gcpt.checkpoint.streams import Watch
from gcpt.isa import fields
from gcpt.isa.csrs import BY_NAME
from gcpt.isa.paging import PAGE_SIZE

#: The most ranges of pages that are listed; further ones are only counted.
_MOST_RANGES = 10_000
#: Images are compared in pieces of this many bytes.
_PIECE = MIB
_ZEROS = bytes(_PIECE)


@dataclass(frozen=True)
class Register:
    """A register that differs.

    Attributes:
        hart: The hart.
        name: The register's name.
        values: Its value in each checkpoint.
        fields: The fields of a CSR that differ: name, text of the value in each checkpoint.
    """

    hart: int
    name: str
    values: tuple[int | str, int | str]
    fields: list[tuple[str, str, str]]


@dataclass
class Memory:
    """Pages of an image that differ.

    Attributes:
        only_in: "a" or "b" if only this checkpoint has the image, which is then compared with zeros; else None.
        ranges: Image offsets of the first byte and after the last byte of each range of pages, up to a limit.
        count: Number of all ranges.
        size: Bytes in all ranges.
    """

    only_in: str | None = None
    ranges: list[edits.Range] = field(default_factory=list)
    count: int = 0
    size: int = 0
    _end: int = -1

    def add(self, begin: int, end: int) -> None:
        """Add a page.

        Args:
            begin: Image offset of its first byte, not below the end of the page before.
            end: Image offset after its last byte.
        """
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
    """All differences between two checkpoints. It is true if there are any.

    Attributes:
        harts: Number of harts in each.
        registers: The registers that differ.
        memory: The pages that differ, by image: "memory" or "flash".
    """

    harts: tuple[int, int]
    registers: list[Register]
    memory: dict[str, Memory]

    def __bool__(self) -> bool:
        return (
            self.harts[0] != self.harts[1] or bool(self.registers) or any(image.size for image in self.memory.values())
        )


def _by_name(state: HartState) -> dict[str, int | str]:
    values = registers(state, True)
    first = {"pc": values.pop("pc"), "mode": state.mode, "mtime": state.mtime, "mtimecmp": state.mtimecmp}
    try:
        writes, free = extended.by_name(extended.of(state) or ()), extended.without(state)
    except ExtendedError:
        writes, free = {}, state.free
    return {**first, **values, **writes, **{f"{name} (free)": data.hex() for name, data in free.items()}}


def _fields(name: str, first: int, second: int) -> list[tuple[str, str, str]]:
    if name not in BY_NAME:
        return []
    both = [{decoded.name: str(decoded) for decoded in fields.decode(name, value)} for value in (first, second)]
    names = dict.fromkeys([*both[0], *both[1]])
    rows = [(field, both[0].get(field, "-"), both[1].get(field, "-")) for field in names]
    return [row for row in rows if row[1] != row[2]]


def compare_registers(hart: int, first: HartState, second: HartState) -> list[Register]:
    """Compare the registers, CSRs and timers of a hart.

    Args:
        hart: The hart.
        first: Its state in one checkpoint.
        second: Its state in the other.

    Returns:
        The registers that differ.
    """
    values = _by_name(first), _by_name(second)
    differences = []
    for name in dict.fromkeys([*values[0], *values[1]]):
        a, b = values[0].get(name, 0), values[1].get(name, 0)
        if a != b:
            rows = _fields(name, a, b) if isinstance(a, int) and isinstance(b, int) else []
            differences.append(Register(hart, name, (a, b), rows))
    return differences


def _pieces(content: Iterable[bytes]) -> Iterator[bytes]:
    """``content`` in pieces of _PIECE bytes, the last one padded with zeros."""
    buffer = bytearray()
    for chunk in content:
        if not buffer and len(chunk) == _PIECE:
            yield chunk
            continue
        buffer += chunk
        while len(buffer) >= _PIECE:
            yield bytes(buffer[:_PIECE])
            del buffer[:_PIECE]
    if buffer:
        yield bytes(buffer).ljust(_PIECE, b"\0")


def compare_memory(first: Iterable[bytes], second: Iterable[bytes], begin: int = 0) -> Memory:
    """Compare two images page by page. The shorter one counts as padded with zeros.

    Args:
        first: One image, in chunks.
        second: The other.
        begin: Image offset to start at, a multiple of 1 MiB.

    Returns:
        The pages that differ.
    """
    memory = Memory()
    for number, (a, b) in enumerate(zip_longest(_pieces(first), _pieces(second), fillvalue=_ZEROS)):
        at = number * _PIECE
        if at >= begin and a != b:
            for start in range(0, _PIECE, PAGE_SIZE):
                if a[start : start + PAGE_SIZE] != b[start : start + PAGE_SIZE]:
                    memory.add(at + start, at + start + PAGE_SIZE)
    return memory


def compare(first: CheckpointFile, second: CheckpointFile, everything: bool = False, watch: Watch = iter) -> Difference:
    """Compare two checkpoints. A flash image that only one of them has is compared with zeros.

    Args:
        first: One checkpoint.
        second: The other.
        everything: Compare the whole images. By default, skip the restorer's MiB and the state of each.
        watch: Gets the chunks of the images of ``first`` on their way, for a progress bar.

    Returns:
        The differences.

    Raises:
        UserError: A file cannot be read or is damaged.
    """
    harts = zip(first.harts, second.harts, strict=False)
    rows = [row for hart, states in enumerate(harts) for row in compare_registers(hart, *states)]
    if everything:
        memory = {"memory": compare_memory(watch(streams.chunks(first.path)), streams.chunks(second.path))}
    else:
        memory = {"memory": compare_memory(watch(first.memory()), second.memory(), RESERVED_SIZE)}
    if first.flash or second.flash:
        if everything:
            images = [streams.chunks(each.flash) if each.flash else iter(()) for each in (first, second)]
            memory["flash"] = compare_memory(watch(images[0]), images[1])
        else:
            memory["flash"] = compare_memory(watch(first.flash_rest()), second.flash_rest(), RESERVED_SIZE)
        if not (first.flash and second.flash):
            memory["flash"].only_in = "a" if first.flash else "b"
    return Difference((len(first.harts), len(second.harts)), rows, memory)
