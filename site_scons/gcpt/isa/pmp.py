"""What the PMP of a checkpoint allows (privileged specification 3.7), and whether it locks the restorer out."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Protocol

READ, WRITE, EXECUTE = 1, 2, 4
_TOR, _NA4, _NAPOT = 1, 2, 3
_ADDRESS = (1 << 54) - 1


class Registers(Protocol):
    """A hart's CSRs, by name."""

    def get(self, name: str) -> int: ...


@dataclass(frozen=True)
class Entry:
    """An entry that is on. start, end: physical addresses, end not included. access: READ, WRITE, EXECUTE together."""

    number: int
    start: int
    end: int
    access: int
    locked: bool
    tor: bool = False


def entries(state: Registers, count: int = 64) -> Iterator[Entry]:
    """Those of the first ``count`` entries that are on, in the order in which they decide."""
    for number in range(count):
        config = state.get(f"pmpcfg{number // 8 * 2}") >> 8 * (number % 8) & 0xFF
        how, address = config >> 3 & 3, state.get(f"pmpaddr{number}") & _ADDRESS
        start, end = address, address + 1
        if how == _TOR:
            start, end = state.get(f"pmpaddr{number - 1}") & _ADDRESS if number else 0, address
        elif how == _NAPOT:
            start, end = address & address + 1, (address | address + 1) + 1
        if how:
            yield Entry(number, start << 2, end << 2, config & 7, bool(config & 0x80), how == _TOR)


def allows(state: Registers, address: int, size: int, access: int, machine: bool = False) -> bool:
    """Whether a hart may access ``size`` bytes (READ, WRITE or EXECUTE): the first entry with one of them decides."""
    for entry in entries(state):
        if entry.start < address + size and address < entry.end:
            if machine and not entry.locked:
                return True
            return entry.start <= address and address + size <= entry.end and bool(entry.access & access)
    return machine


def locking_out(state: Registers, areas: Iterable[range], count: int) -> Entry | None:
    """The first locked entry for which the restorer refuses: one of ``areas`` is not read and executed.

    As firmware/restore.S looks at it: entries before it do not count, and one of kind TOR up to 0 has no end.
    """
    needed = list(areas)
    for entry in entries(state, count):
        if not entry.locked or entry.access & (READ | EXECUTE) == READ | EXECUTE:
            continue
        endless = entry.tor and entry.end == 0
        if any(entry.start < area.stop and (area.start < entry.end or endless) for area in needed):
            return entry
    return None
