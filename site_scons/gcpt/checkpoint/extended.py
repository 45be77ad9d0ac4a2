"""The extended state of a hart: registers that neither its fields nor its array of CSRs hold (docs/extended.md).

A list of writes lies in misc_reserve of a hart's block: a header of 16 bytes, then entries of 24 bytes, little endian.
The order of the list is the order in which a restorer writes. This module and firmware/extended.S accept the same
lists, except that only the restorer knows its machine: ``gcpt validate`` compares the addresses with a platform.
"""

import struct
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from gcpt.checkpoint.layouts import EXTENDED_OFFSET, EXTENDED_SIZE
from gcpt.checkpoint.state import HartState
from gcpt.errors import UserError
from gcpt.isa import indirect

#: The first 8 bytes of a list.
MAGIC = int.from_bytes(b"extstate", "little")
VERSION = 1
#: Kinds of entries.
DEVICE, INDIRECT = 1, 2
#: Bytes of a device register.
WIDTHS = (1, 2, 4, 8)
#: Bytes of a register behind a selector.
INDIRECT_WIDTH = 8
#: The largest number of a guest's interrupt file: hstatus.VGEIN has 6 bits.
MAX_GUEST = 63

#: Magic, version, size of an entry, number of entries.
_HEADER = struct.Struct("<QHHI")
#: Kind, width, repetitions or CSR of the window, guest, address or index, value.
_ENTRY = struct.Struct("<BBHIQQ")
ENTRY_SIZE = _ENTRY.size
MAX_ENTRIES = (EXTENDED_SIZE - _HEADER.size) // ENTRY_SIZE

_FIELD = "misc_reserve"


class ExtendedError(UserError):
    """A list that a restorer refuses."""


@dataclass(frozen=True)
class DeviceWrite:
    """A write of a device register, or of several that follow each other and have the same value.

    Attributes:
        address: Physical address of the first one, a multiple of the width.
        width: Bytes of one, one of WIDTHS.
        value: The value, which fits the width.
        repeat: Number of further registers.
    """

    address: int
    width: int
    value: int
    repeat: int = 0

    @property
    def size(self) -> int:
        """Bytes of all registers."""
        return self.width * (self.repeat + 1)

    @property
    def name(self) -> str:
        """The register, for people."""
        count = f", {self.repeat + 1} registers" if self.repeat else ""
        return f"device {self.address:#x} ({self.width} byte{'s' * (self.width > 1)}{count})"


@dataclass(frozen=True)
class IndirectWrite:
    """A write of a register behind a selector, such as a register of an IMSIC's interrupt file or of a trigger.

    Attributes:
        csr: Number of the window through which it is written, one of ``indirect.WINDOWS``.
        index: The value of the selector.
        value: The 64-bit value.
        guest: For windows of VS level, hstatus.VGEIN: the guest's interrupt file, or 0.
    """

    csr: int
    index: int
    value: int
    guest: int = 0

    @property
    def name(self) -> str:
        """The register, for people."""
        file = f" of guest file {self.guest}" if self.guest else ""
        return f"{indirect.name(self.csr, self.index)}{file}"


Entry = DeviceWrite | IndirectWrite


def _fault(entry: Entry) -> str:
    """Why a restorer refuses an entry on every machine, or ""."""
    numbers = (entry.address,) if isinstance(entry, DeviceWrite) else (entry.index, entry.value)
    if not all(0 <= number < 1 << 64 for number in numbers):
        return f"{', '.join(map(hex, numbers))}: want 64 bits"
    if isinstance(entry, DeviceWrite):
        if entry.width not in WIDTHS:
            return f"a device register of {entry.width} bytes: want {', '.join(map(str, WIDTHS[:-1]))} or {WIDTHS[-1]}"
        if entry.address % entry.width:
            return f"address {entry.address:#x} is not a multiple of the width, {entry.width} bytes"
        if entry.value >> 8 * entry.width:
            return f"value {entry.value:#x} does not fit {entry.width} bytes"
        if not 0 <= entry.repeat < 1 << 16:
            return f"{entry.repeat} further registers: want 0 to 65535"
        return ""
    window = indirect.WINDOWS.get(entry.csr)
    if window is None:
        return f"CSR {entry.csr:#x} is not a window: want {', '.join(each.name for each in indirect.WINDOWS.values())}"
    if entry.guest > (MAX_GUEST if window.has_guest else 0):
        return f"guest file {entry.guest} of {window.name}: want 0" + (f" to {MAX_GUEST}" if window.has_guest else "")
    if indirect.counts_in_machine_mode(entry.csr, entry.value):
        return f"trigger {entry.index} with {entry.value:#x}: in M mode it could stop the restorer: want m of 0"
    return ""


def _error(number: int, fault: str) -> ExtendedError:
    return ExtendedError(f"entry {number} of the extended state: {fault}")


def serialise(entries: Sequence[Entry]) -> bytes:
    """Encode a list.

    Args:
        entries: The writes, in order.

    Returns:
        Its bytes.

    Raises:
        ExtendedError: An entry is not valid, or there are more than fit.
    """
    if len(entries) > MAX_ENTRIES:
        raise ExtendedError(f"the extended state of a hart has {len(entries)} entries: there is room for {MAX_ENTRIES}")
    data = bytearray(_HEADER.pack(MAGIC, VERSION, ENTRY_SIZE, len(entries)))
    for number, entry in enumerate(entries):
        if fault := _fault(entry):
            raise _error(number, fault)
        if isinstance(entry, DeviceWrite):
            data += _ENTRY.pack(DEVICE, entry.width, entry.repeat, 0, entry.address, entry.value)
        else:
            data += _ENTRY.pack(INDIRECT, INDIRECT_WIDTH, entry.csr, entry.guest, entry.index, entry.value)
    return bytes(data)


def parse(data: bytes) -> tuple[Entry, ...] | None:
    """Decode a list.

    Args:
        data: The bytes at its place; those that are missing at the end are zero.

    Returns:
        The writes, in order; None if there is no list.

    Raises:
        ExtendedError: A restorer refuses the list.
    """
    data = data[:EXTENDED_SIZE].ljust(EXTENDED_SIZE, b"\0")
    magic, version, entry_size, count = _HEADER.unpack_from(data)
    if magic != MAGIC:
        return None
    if (version, entry_size) != (VERSION, ENTRY_SIZE):
        raise ExtendedError(
            f"the extended state has version {version} and entries of {entry_size} bytes: "
            f"this gcpt knows version {VERSION}, with {ENTRY_SIZE}"
        )
    if count > MAX_ENTRIES:
        raise ExtendedError(f"the extended state has {count} entries: there is room for {MAX_ENTRIES}")
    return tuple(_decode(number, data) for number in range(count))


def _decode(number: int, data: bytes) -> Entry:
    kind, width, csr, guest, place, value = _ENTRY.unpack_from(data, _HEADER.size + number * ENTRY_SIZE)
    entry: Entry
    if kind == DEVICE:
        if guest:
            raise _error(number, f"a device register with guest file {guest}: want 0")
        entry = DeviceWrite(place, width, value, csr)
    elif kind == INDIRECT:
        if width != INDIRECT_WIDTH:
            raise _error(number, f"a register behind a selector with a width of {width} bytes: want {INDIRECT_WIDTH}")
        entry = IndirectWrite(csr, place, value, guest)
    else:
        raise _error(number, f"kind {kind}: this gcpt knows {DEVICE} (device) and {INDIRECT} (indirect)")
    if fault := _fault(entry):
        raise _error(number, fault)
    return entry


def present(state: HartState) -> bool:
    """Whether a hart has a list, valid or not.

    Args:
        state: The hart's state.

    Returns:
        True if it has.
    """
    return state.free.get(_FIELD, b"")[EXTENDED_OFFSET:].startswith(MAGIC.to_bytes(8, "little"))


def of(state: HartState) -> tuple[Entry, ...] | None:
    """Decode the list of a hart.

    Args:
        state: The hart's state.

    Returns:
        The writes, in order; None if it has no list.

    Raises:
        ExtendedError: A restorer refuses the list.
    """
    return parse(state.free.get(_FIELD, b"")[EXTENDED_OFFSET:])


def put(state: HartState, entries: Sequence[Entry]) -> None:
    """Replace the list of a hart.

    Args:
        state: The hart's state, which changes.
        entries: The writes, in order; none: the hart then has no list.

    Raises:
        ExtendedError: An entry is not valid, or there are more than fit.
    """
    before = state.free.get(_FIELD, b"")
    data = before[:EXTENDED_OFFSET].ljust(EXTENDED_OFFSET, b"\0")
    data += (serialise(entries) if entries else b"").ljust(EXTENDED_SIZE, b"\0")
    data = (data + before[EXTENDED_OFFSET + EXTENDED_SIZE :]).rstrip(b"\0")
    state.free = {**state.free, _FIELD: data} if data else {n: v for n, v in state.free.items() if n != _FIELD}


def by_name(entries: Iterable[Entry]) -> dict[str, int]:
    """List the values by the registers' names, for display and comparison.

    Args:
        entries: The writes, in order.

    Returns:
        The values in order; a register that is written again has the number of the write in its name.
    """
    values: dict[str, int] = {}
    counts: dict[str, int] = {}
    for entry in entries:
        counts[entry.name] = counts.get(entry.name, 0) + 1
        again = f", write {counts[entry.name]}" if counts[entry.name] > 1 else ""
        values[entry.name + again] = entry.value
    return values


def without(state: HartState) -> dict[str, bytes]:
    """List the free bytes of a block other than its list.

    Args:
        state: The hart's state, whose list is valid.

    Returns:
        The bytes by field name, as in ``HartState.free``.
    """
    rest = HartState(0, 0, free=dict(state.free))
    put(rest, ())
    return rest.free
