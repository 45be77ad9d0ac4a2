"""Pages, page tables and address translation (privileged specification 12.3 to 12.6 and 18.5)."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from enum import Enum

from gcpt.isa import mstatus
from gcpt.isa.pmp import EXECUTE, READ, WRITE, Registers

#: Bytes of a page, and of a page table. ELF and hex images leave out zeros in units of it too.
PAGE_SIZE = 1 << 12
#: Bytes of the root page table that hgatp points to.
GUEST_ROOT_SIZE = 4 * PAGE_SIZE
#: Bytes of a page table entry.
ENTRY_SIZE = 8

#: A function that reads the page table entry at a physical address; None if no memory is known there.
Memory = Callable[[int], bytes | None]

#: Levels of page tables by the MODE of satp, vsatp and hgatp.
_LEVELS = {8: 3, 9: 4, 10: 5}
_PAGE_BITS, _INDEX_BITS = 12, 9
#: Further bits of a guest physical address that hgatp's root table translates.
_ROOT_BITS = 2
_V, _R, _W, _X, _U, _A, _D = (1 << bit for bit in (0, 1, 2, 3, 4, 6, 7))
_PPN = (1 << 44) - 1
_RESERVED, _PBMT, _N = 0x7F << 54, 3 << 61, 1 << 63
#: The low bits of the PPN of a 64 KiB page (Svnapot).
_NAPOT_MASK, _NAPOT_64K = 0xF, 0x8
_PBMTE = 1 << 62


class Fault(Enum):
    """Why an address is not translated.

    Attributes:
        ADDRESS: It has bits that the mode does not translate.
        ABSENT: An entry is not valid.
        FORBIDDEN: The page does not permit the access.
        ENTRY: An entry has a reserved encoding, or its superpage is misaligned.
        OUTSIDE: An entry is where no memory is known.
    """

    ADDRESS = "the mode does not translate such an address"
    ABSENT = "the entry is not valid"
    FORBIDDEN = "the page does not permit the access"
    ENTRY = "the entry is reserved or misaligned"
    OUTSIDE = "the entry is outside the image"


@dataclass(frozen=True)
class Translation:
    """The result of a walk of page tables.

    Attributes:
        address: The physical address; after a fault, the address that ``register`` did not translate.
        fault: The fault; None if there is none.
        register: The CSR whose page tables caused the fault.
        entries: Physical addresses of the entries that the walk read, in order.
        fresh: Whether the A bit of a page is clear, or its D bit for a write: software may have to set it.
    """

    address: int
    fault: Fault | None = None
    register: str = ""
    entries: tuple[int, ...] = ()
    fresh: bool = False


class _FaultError(Exception):
    """A fault at an address of one stage."""

    def __init__(self, fault: Fault, register: str, address: int) -> None:
        super().__init__(fault)
        self.fault, self.register, self.address = fault, register, address


class _Walker:
    """Walks the page tables of one hart, and records the entries it read and whether A or D was clear."""

    def __init__(self, state: Registers, memory: Memory) -> None:
        self._state, self._memory = state, memory
        self.entries: list[int] = []
        self.fresh = False

    def stage(self, register: str, address: int, access: int, mode: int) -> int:
        """Translate an address with the page tables of one CSR."""
        value = self._state.get(register)
        if not value >> 60:
            return address
        levels = _LEVELS[value >> 60]
        width = _PAGE_BITS + _INDEX_BITS * levels
        upper = address >> width + _ROOT_BITS if register == "hgatp" else _sign_excess(address, width)
        if upper:
            raise _FaultError(Fault.ADDRESS, register, address)
        table = (value & _PPN) << _PAGE_BITS
        if register == "hgatp":
            table &= ~(GUEST_ROOT_SIZE - 1)
        for level in reversed(range(levels)):
            index = address >> _PAGE_BITS + _INDEX_BITS * level
            if level < levels - 1 or register != "hgatp":
                index &= (1 << _INDEX_BITS) - 1
            entry = self._entry(register, table + ENTRY_SIZE * index, address)
            if not entry & _V:
                raise _FaultError(Fault.ABSENT, register, address)
            if entry & _RESERVED or entry & (_R | _W) == _W:
                raise _FaultError(Fault.ENTRY, register, address)
            if entry & (_R | _X):
                return self._leaf(register, address, entry, level, access, mode)
            if not level or entry & (_U | _A | _D | _PBMT | _N):
                raise _FaultError(Fault.ENTRY, register, address)
            table = (entry >> 10 & _PPN) << _PAGE_BITS
        raise AssertionError("the last level returns or raises")

    def _entry(self, register: str, at: int, address: int) -> int:
        """Read an entry; vsatp's tables have guest physical addresses."""
        at = self.stage("hgatp", at, READ, mstatus.USER) if register == "vsatp" else at
        self.entries.append(at)
        data = self._memory(at)
        if data is None:
            raise _FaultError(Fault.OUTSIDE, register, address)
        return int.from_bytes(data, "little")

    def _leaf(self, register: str, address: int, entry: int, level: int, access: int, mode: int) -> int:
        page = entry >> 10 & _PPN
        within = (1 << _INDEX_BITS * level) - 1
        if entry & _N:
            if level or page & _NAPOT_MASK != _NAPOT_64K:
                raise _FaultError(Fault.ENTRY, register, address)
            within = _NAPOT_MASK
            page &= ~within
        if page & within or entry & _PBMT == _PBMT or (entry & _PBMT and not self._has_pbmt(register)):
            raise _FaultError(Fault.ENTRY, register, address)
        needed = (_R if access & READ else 0) | (_W if access & WRITE else 0) | (_X if access & EXECUTE else 0)
        if entry & needed != needed or not self._permits(register, bool(entry & _U), access, mode):
            raise _FaultError(Fault.FORBIDDEN, register, address)
        self.fresh |= not entry & _A or bool(access & WRITE and not entry & _D)
        return (page | address >> _PAGE_BITS & within) << _PAGE_BITS | address & PAGE_SIZE - 1

    def _permits(self, register: str, user_page: bool, access: int, mode: int) -> bool:
        """Whether the privilege level may access a user page, or another page; all of hgatp's are user pages."""
        if mode == mstatus.USER or register == "hgatp":
            return user_page
        status = "vsstatus" if register == "vsatp" else "mstatus"
        return not user_page or (access != EXECUTE and bool(self._state.get(status) & mstatus.SUM))

    def _has_pbmt(self, register: str) -> bool:
        names = ("menvcfg", "henvcfg") if register == "vsatp" else ("menvcfg",)
        return all(self._state.get(name) & _PBMTE for name in names)


def _sign_excess(address: int, width: int) -> bool:
    """Whether the bits of ``address`` from ``width`` on differ from the bit below them."""
    return address >> width - 1 not in (0, (1 << 64 - width + 1) - 1)


def stages(state: Registers, mode: int) -> Iterator[str]:
    """List the CSRs whose page tables translate a hart's fetches.

    Args:
        state: The hart's CSRs, with mstatus.MPV as a restore finds it.
        mode: Its privilege level.

    Yields:
        "satp", "vsatp" or "hgatp", where the mode is not Bare.
    """
    if mode == mstatus.MACHINE:
        return
    for name in ("vsatp", "hgatp") if state.get("mstatus") & mstatus.MPV else ("satp",):
        if state.get(name) >> 60:
            yield name


def translate(state: Registers, mode: int, address: int, access: int, memory: Memory) -> Translation:
    """Translate an address as a hart does for an access at its privilege level.

    The page tables that a guest's second stage translates are read as the specification says: with the permission to
    read. Supervisor access to user pages for loads and stores follows SUM of mstatus, or of vsstatus in a guest.
    Translation modes must exist.

    Args:
        state: The hart's CSRs, with mstatus.MPV as a restore finds it.
        mode: Its privilege level.
        address: The virtual address.
        access: READ, WRITE or EXECUTE, combined.
        memory: Reads the page table entries.

    Returns:
        The physical address, or the fault.
    """
    walker = _Walker(state, memory)
    try:
        for register in stages(state, mode):
            address = walker.stage(register, address, access, mode)
    except _FaultError as error:
        return Translation(error.address, error.fault, error.register, tuple(walker.entries), walker.fresh)
    return Translation(address, entries=tuple(walker.entries), fresh=walker.fresh)
