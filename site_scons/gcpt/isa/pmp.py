"""Which accesses a checkpoint's PMP allows (privileged specification 3.7), and whether it locks out the restorer."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Protocol

READ, WRITE, EXECUTE = 1, 2, 4
_TOR, _NA4, _NAPOT = 1, 2, 3
_ADDRESS = (1 << 54) - 1


class Registers(Protocol):
    """A hart's CSRs, by name."""

    def get(self, name: str) -> int:
        """Get the value of a CSR.

        Args:
            name: Its name in the inventory.

        Returns:
            Its 64-bit value.
        """
        ...


@dataclass(frozen=True)
class Entry:
    """A PMP entry that is not OFF.

    Attributes:
        number: 0 to 63.
        start: Physical address of its first byte.
        end: Physical address after its last byte.
        access: READ, WRITE and EXECUTE, combined.
        locked: Whether it applies to M mode too (L).
        tor: Whether its mode is TOR.
    """

    number: int
    start: int
    end: int
    access: int
    locked: bool
    tor: bool = False


def entries(state: Registers, count: int = 64) -> Iterator[Entry]:
    """Decode PMP entries.

    Args:
        state: The hart's CSRs.
        count: How many entries the hart implements.

    Yields:
        The entries that are not OFF, highest priority first.
    """
    for number in range(count):
        config = state.get(f"pmpcfg{number // 8 * 2}") >> 8 * (number % 8) & 0xFF
        mode, address = config >> 3 & 3, state.get(f"pmpaddr{number}") & _ADDRESS
        start, end = address, address + 1
        if mode == _TOR:
            start, end = state.get(f"pmpaddr{number - 1}") & _ADDRESS if number else 0, address
        elif mode == _NAPOT:
            start, end = address & address + 1, (address | address + 1) + 1
        if mode:
            yield Entry(number, start << 2, end << 2, config & 7, bool(config & 0x80), mode == _TOR)


def allows(state: Registers, address: int, size: int, access: int, machine: bool = False, count: int = 64) -> bool:
    """Check whether PMP allows an access: the first entry that matches a byte of it decides.

    Args:
        state: The hart's CSRs.
        address: Physical address of the first byte.
        size: Bytes.
        access: READ, WRITE or EXECUTE.
        machine: Whether the hart is in M mode.
        count: How many entries are in force.

    Returns:
        Whether the access succeeds.
    """
    for entry in entries(state, count):
        if entry.start < address + size and address < entry.end:
            if machine and not entry.locked:
                return True
            return entry.start <= address and address + size <= entry.end and bool(entry.access & access)
    return machine


def locking_out(state: Registers, areas: Iterable[range], count: int) -> Entry | None:
    """Find the locked PMP entry for which the restorer refuses a checkpoint.

    The check is the one in firmware/restore.S: each locked entry is checked alone, without its priority, and a TOR
    entry whose address is 0 counts as one without end.

    Args:
        state: The hart's CSRs.
        areas: Physical addresses that the restorer reads and executes after it has written PMP.
        count: How many entries the restorer writes.

    Returns:
        The first locked entry that denies reading or executing a byte of an area; None if there is none.
    """
    needed = list(areas)
    for entry in entries(state, count):
        if not entry.locked or entry.access & (READ | EXECUTE) == READ | EXECUTE:
            continue
        endless = entry.tor and entry.end == 0
        if any(entry.start < area.stop and (area.start < entry.end or endless) for area in needed):
            return entry
    return None
