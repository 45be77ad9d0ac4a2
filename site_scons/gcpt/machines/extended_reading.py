"""Read the extended state of a stopped QEMU virt machine, and change nothing (docs/extended.md has the table).

Registers that are 0, or as after reset, are left out: a restorer runs on a machine that comes out of reset.
"""

from collections.abc import Iterable, Mapping
from dataclasses import replace

from gcpt.checkpoint import extended
from gcpt.checkpoint.extended import DeviceWrite, Entry, IndirectWrite
from gcpt.checkpoint.state import HartState
from gcpt.isa import indirect
from gcpt.isa.csrs import BY_NAME
from gcpt.machines.comparison import Comparison, Mismatch
from gcpt.machines.expectation import SEIP
from gcpt.machines.gdb import Gdb
from gcpt.restorer import platforms

_VIRT = platforms.BY_NAME["qemu-virt"]
_UART = _VIRT.uart.address
#: The PLIC, or the APLIC's domains of M and S mode.
_PLIC = _APLIC_M = next(device.address for device in _VIRT.controllers if device.name != "aplic")
_APLIC_S = next(device.address for device in _VIRT.controllers if device.name == "aplic")

#: Registers of a 16550 (its data sheet; also Linux, include/uapi/linux/serial_reg.h), and their values after reset.
_DLL, _IER, _FCR, _LCR, _MCR, _SCR = 0, 1, 2, 3, 4, 7
_DLAB, _THRI, _FIFO_ENABLED, _ENABLE_FIFO = 0x80, 0x02, 0xC0, 0x01
_UART_RESET = {_IER: 0, _LCR: 0, _MCR: 8, _SCR: 0}
_UART_RESET_DIVISOR = 12
#: A PLIC (RISC-V PLIC specification, "Memory Map"): offsets, and bytes of a context. virt: contexts of M and S mode.
_PENDING, _ENABLE, _ENABLE_SIZE, _CONTEXT, _CONTEXT_SIZE, _CONTEXTS = 0x1000, 0x2000, 0x80, 0x20_0000, 0x1000, 2
_SOURCES = 1024
#: An APLIC's domain (AIA 4.5): offsets. domaincfg reads 0x80 in its highest byte.
_DOMAINCFG, _SOURCECFG, _MSI_ADDRESSES, _SETIE, _TARGET, _IDC = 0, 4, 0x1BC0, 0x1E00, 0x3004, 0x4000
_DELEGATED, _SOURCE_MODE = 1 << 10, 7
_APLIC_MARK, _MSI_MODE, _BITMAP_SIZE, _IDC_SIZE, _IDC_TOPI = 0x80, 1 << 2, 0x80, 32, 0x18
#: The numbers of an IMSIC's guest files.
_GUESTS = range(1, extended.MAX_GUEST + 1)
_VGEIN = extended.MAX_GUEST << 12
#: Entries of Smctr where sctrdepth is 0.
_LEAST_DEPTH = 16
#: tdata1 without type and dmode.
_TRIGGER_SETTINGS = (1 << 59) - 1


def read_selected(gdb: Gdb, hart: int) -> list[Entry]:
    """Read the registers behind selectors of a hart in M mode: triggers, interrupt priorities and all IMSIC files.

    The selectors and hstatus get their values back.

    Args:
        gdb: The stopped machine.
        hart: The hart.

    Returns:
        The writes that restore them; Smctr's entries last, those that a list has room for.

    Raises:
        GdbError: The stub refused.
    """
    return _fitting([*_read_others(gdb, hart), *_read_records(gdb, hart)])


def _read_others(gdb: Gdb, hart: int) -> list[Entry]:
    """Read all but Smctr's entries."""
    entries: list[Entry] = [*_read_triggers(gdb, hart)]
    for level in ("m", "s"):
        entries += _read_level(gdb, hart, level, 0)
    number = BY_NAME["hstatus"].number
    if (hstatus := gdb.read_csr(hart, number)) is None:
        return entries
    for guest in _GUESTS:
        gdb.write_csr(hart, number, hstatus & ~_VGEIN | guest << 12)
        if not (file := _read_level(gdb, hart, "vs", guest)):
            break
        entries += file
    gdb.write_csr(hart, number, hstatus)
    return entries


def _read_level(gdb: Gdb, hart: int, level: str, guest: int) -> list[Entry]:
    """Read the registers of one level, or of a guest's file; none if the hart has no such file."""
    selector, window = BY_NAME[f"{level}iselect"].number, BY_NAME[f"{level}ireg"].number
    selected = gdb.read_csr(hart, selector)
    if selected is None:
        return []

    def values(indices: Iterable[int]) -> dict[int, int]:
        """The registers that exist."""
        present = {}
        for index in indices:
            gdb.write_csr(hart, selector, index)
            if (value := gdb.read_csr(hart, window)) is None:
                break
            present[index] = value
        return present

    arrays = {} if guest else values(indirect.IPRIO[::2])
    settings = values((indirect.EITHRESHOLD, indirect.EIDELIVERY))
    if settings:
        arrays |= values(indirect.EIP[::2]) | values(indirect.EIE[::2])
    gdb.write_csr(hart, selector, selected)
    # Delivery last: before it, nothing that is pending is delivered.
    registers = {index: value for index, value in arrays.items() if value} | settings
    return [IndirectWrite(window, index, value, guest) for index, value in registers.items()]


def _read_triggers(gdb: Gdb, hart: int) -> list[IndirectWrite]:
    """Read the triggers that were set, but for those that count in M mode, which no restorer writes."""
    selector = BY_NAME["tselect"].number
    if (selected := gdb.read_csr(hart, selector)) is None:
        return []
    entries: list[IndirectWrite] = []
    for index in range(extended.MAX_ENTRIES // len(indirect.TRIGGER)):
        gdb.write_csr(hart, selector, index)
        if gdb.read_csr(hart, selector) != index:
            break
        values = [(csr, gdb.read_csr(hart, csr) or 0) for csr in indirect.TRIGGER]
        *operands, (csr, control) = values
        is_set = control & _TRIGGER_SETTINGS or any(value for _, value in operands)
        if is_set and not indirect.counts_in_machine_mode(csr, control):
            entries += [IndirectWrite(csr, index, value) for csr, value in values if value]
    gdb.write_csr(hart, selector, selected)
    return entries


def _read_records(gdb: Gdb, hart: int) -> list[IndirectWrite]:
    """Read Smctr's entries; none on a hart without it."""
    selector, depth = BY_NAME["siselect"].number, gdb.read_csr(hart, BY_NAME["sctrdepth"].number)
    selected = gdb.read_csr(hart, selector)
    if depth is None or selected is None:
        return []
    entries: list[IndirectWrite] = []
    for index in indirect.RECORDS[: _LEAST_DEPTH << depth]:
        gdb.write_csr(hart, selector, index)
        values = {csr: gdb.read_csr(hart, csr) for csr in indirect.RECORD_PARTS}
        entries += [IndirectWrite(csr, index, value) for csr, value in values.items() if value]
    gdb.write_csr(hart, selector, selected)
    return entries


def _word(gdb: Gdb, address: int) -> int:
    return int.from_bytes(gdb.read_memory(address, 4), "little")


def _words(gdb: Gdb, address: int, size: int) -> dict[int, int]:
    """The registers of 4 bytes in an area that are not 0, by address."""
    data = gdb.read_memory(address, size)
    values = (int.from_bytes(data[at : at + 4], "little") for at in range(0, size, 4))
    return {address + 4 * i: value for i, value in enumerate(values) if value}


def _writes(values: Mapping[int, int]) -> list[DeviceWrite]:
    """The writes of registers of 4 bytes; adjacent ones with the same value are one entry."""
    writes: list[DeviceWrite] = []
    for address, value in values.items():
        last = writes[-1] if writes else None
        if last and (last.address + last.size, last.value) == (address, value):
            writes[-1] = DeviceWrite(last.address, 4, value, last.repeat + 1)
        else:
            writes.append(DeviceWrite(address, 4, value))
    return writes


def _has_aplic(gdb: Gdb) -> bool:
    return _word(gdb, _APLIC_M) >> 24 == _APLIC_MARK


def _console(gdb: Gdb) -> list[DeviceWrite]:
    """The 16550. Reading IIR clears an interrupt if IER enables it (THRI): then the FIFOs count as enabled.

    Enabling them discards what was typed before, so they stay as after reset for software that polls.
    """

    def read(register: int) -> int:
        return gdb.read_memory(_UART + register, 1)[0]

    def write(register: int, value: int) -> None:
        gdb.write_memory(_UART + register, bytes([value]))

    line = read(_LCR)
    write(_LCR, line | _DLAB)
    divisor = read(_DLL), read(_DLL + 1)
    write(_LCR, line & ~_DLAB)
    enabled = read(_IER)
    write(_LCR, line)
    has_fifo = bool(enabled) and (bool(enabled & _THRI) or read(_FCR) & _FIFO_ENABLED == _FIFO_ENABLED)
    values = {_IER: enabled, _LCR: line, _MCR: read(_MCR), _SCR: read(_SCR)}
    if values == _UART_RESET and divisor == (_UART_RESET_DIVISOR, 0) and not has_fifo:
        return []
    # Interrupts last; behind a divisor latch that is open, IER cannot be written.
    steps = [(_IER, 0), (_LCR, _DLAB), (_DLL, divisor[0]), (_DLL + 1, divisor[1]), (_LCR, line & ~_DLAB)]
    steps += [(_FCR, _ENABLE_FIFO)] if has_fifo else []
    steps += [(register, values[register]) for register in (_MCR, _SCR, _IER)]
    steps += [(_LCR, line)] if line & _DLAB else []
    return [DeviceWrite(_UART + register, 1, value) for register, value in steps]


def _plic(gdb: Gdb, harts: int) -> list[list[Entry]]:
    lists: list[list[Entry]] = [[*_writes(_words(gdb, _PLIC, 4 * _SOURCES))]]
    lists += [[] for _ in range(harts - 1)]
    for hart, entries in enumerate(lists):
        for context in range(_CONTEXTS * hart, _CONTEXTS * (hart + 1)):
            threshold = _words(gdb, _PLIC + _CONTEXT + _CONTEXT_SIZE * context, 4)
            entries += _writes(threshold | _words(gdb, _PLIC + _ENABLE + _ENABLE_SIZE * context, _ENABLE_SIZE))
    return lists


def _aplic(gdb: Gdb, harts: int) -> list[Entry]:
    """Both domains: sources of the root domain, which delegates them, before those of the other; domaincfg last."""
    entries: list[Entry] = []
    configs: dict[int, int] = {}
    for domain in (_APLIC_M, _APLIC_S):
        configs |= {domain + _DOMAINCFG: _word(gdb, domain + _DOMAINCFG)}
        values = _words(gdb, domain + _MSI_ADDRESSES, 16)
        values |= _words(gdb, domain + _SOURCECFG, 4 * (_SOURCES - 1))
        values |= _words(gdb, domain + _TARGET, 4 * (_SOURCES - 1))
        enabled = {at: _enabled(gdb, at) for at in _words(gdb, domain + _SETIE, _BITMAP_SIZE)}
        values |= {at: value for at, value in enabled.items() if value}
        if not configs[domain + _DOMAINCFG] & _MSI_MODE:
            for hart in range(harts):
                values |= _words(gdb, domain + _IDC + _IDC_SIZE * hart, 12)  # idelivery, iforce, ithreshold
        entries += _writes(values)
    return entries + [*_writes(dict(reversed(configs.items())))] if entries else []


def _enabled(gdb: Gdb, address: int) -> int:
    """A setie register of an APLIC without its inactive and delegated sources, whose bits QEMU 7.2 does not reset."""
    domain = _APLIC_S if address >= _APLIC_S else _APLIC_M
    first, value = 8 * (address - domain - _SETIE), _word(gdb, address)
    for bit in range(32):
        if value >> bit & 1:
            config = _word(gdb, domain + _SOURCECFG + 4 * (first + bit - 1))
            if config & _DELEGATED or not config & _SOURCE_MODE:
                value &= ~(1 << bit)
    return value


def read_devices(gdb: Gdb, harts: int) -> list[list[Entry]]:
    """Read the console and the interrupt controller.

    Args:
        gdb: The stopped machine.
        harts: Number of harts.

    Returns:
        The writes that restore them, by hart: shared registers are hart 0's.

    Raises:
        GdbError: The stub refused.
    """
    lists = [_aplic(gdb, harts), *([] for _ in range(harts - 1))] if _has_aplic(gdb) else _plic(gdb, harts)
    return [[*_console(gdb), *lists[0]], *lists[1:]]


def complete(gdb: Gdb, harts: list[HartState]) -> None:
    """Add the console and the interrupt controller to states whose lists have the registers behind selectors.

    mip.SEIP shows the controller's signal, or a bit that software wrote. A restorer writes the latter, so it is cleared
    where the controller signals, which it does again when it is restored.

    Args:
        gdb: The stopped machine.
        harts: The states of all harts, which change.

    Raises:
        GdbError: The stub refused.
        ExtendedError: A hart's list is too long.
    """
    for hart, (state, devices) in enumerate(zip(harts, read_devices(gdb, len(harts)), strict=True)):
        selected = extended.of(state) or ()
        if state.get("mip") & SEIP and (_file_signals(selected) or _controller_signals(gdb, hart)):
            state.set("mip", state.get("mip") & ~SEIP)
        extended.put(state, _fitting([*devices, *selected]))


def _record(entry: Entry) -> int:
    """Return the number of an entry of Smctr's in which a write belongs; -1: it belongs in none."""
    if isinstance(entry, IndirectWrite) and entry.csr in indirect.RECORD_PARTS and entry.index in indirect.RECORDS:
        return entry.index - indirect.RECORDS.start
    return -1


def _fitting(entries: list[Entry]) -> list[Entry]:
    """Leave out the oldest of Smctr's entries, which are last, if a list has no room for all."""
    excess = entries[extended.MAX_ENTRIES :]
    if not excess or (oldest := _record(excess[0])) < 0:
        return entries
    return [entry for entry in entries if _record(entry) < oldest]


def _file_signals(entries: Iterable[Entry]) -> bool:
    """Whether an IMSIC's file of S level has an interrupt for its hart (AIA 3.8)."""
    window = BY_NAME["sireg"].number
    file = {entry.index: entry.value for entry in entries if isinstance(entry, IndirectWrite) and entry.csr == window}
    enabled = {
        index: file.get(index, 0) & file.get(indirect.EIE[index - indirect.EIP.start], 0) for index in indirect.EIP
    }
    word = next((index for index, bits in enabled.items() if bits), None)
    if file.get(indirect.EIDELIVERY) != 1 or word is None:
        return False
    identity = 32 * (word - indirect.EIP.start) + (enabled[word] & -enabled[word]).bit_length() - 1
    threshold = file.get(indirect.EITHRESHOLD, 0)
    return threshold == 0 or identity < threshold


def signals(gdb: Gdb, hart: int) -> bool:
    """Tell whether an interrupt controller signals S mode of a hart in M mode.

    Args:
        gdb: The stopped machine.
        hart: The hart.

    Returns:
        Whether it does, or the hart's interrupt file.

    Raises:
        GdbError: The stub refused.
    """
    return _file_signals(_read_level(gdb, hart, "s", 0)) or _controller_signals(gdb, hart)


def _controller_signals(gdb: Gdb, hart: int) -> bool:
    """Whether a PLIC or APLIC signals S mode. A PLIC's source that was claimed and not completed counts as pending."""
    if _has_aplic(gdb):
        return bool(_word(gdb, _APLIC_S + _IDC + _IDC_SIZE * hart + _IDC_TOPI))
    context = _CONTEXTS * hart + 1
    pending = _bits(gdb, _PLIC + _PENDING) & _bits(gdb, _PLIC + _ENABLE + _ENABLE_SIZE * context)
    threshold = _word(gdb, _PLIC + _CONTEXT + _CONTEXT_SIZE * context)
    return any(pending >> source & 1 and _word(gdb, _PLIC + 4 * source) > threshold for source in range(_SOURCES))


def _bits(gdb: Gdb, address: int) -> int:
    return int.from_bytes(gdb.read_memory(address, _SOURCES // 8), "little")


def _is_readable(address: int) -> bool:
    """Whether a device register reads as it was written, without a side effect."""
    return not _VIRT.devices[0].has(address, 1) or address - _UART in (_IER, _LCR, _MCR, _SCR)


def compare(gdb: Gdb, hart: int, state: HartState, is_restored: bool) -> Comparison:
    """Compare the extended state of a hart in M mode with the machine: what was written last to each register.

    Args:
        gdb: The stopped machine.
        hart: The hart.
        state: Its state in the checkpoint.
        is_restored: Whether the restorer writes the extended state.

    Returns:
        The mismatches with their reasons.

    Raises:
        GdbError: The stub refused.
        ExtendedError: The list is damaged.
    """
    wanted: dict[Entry, int] = {}
    for entry in extended.of(state) or ():
        if isinstance(entry, DeviceWrite):
            addresses = range(entry.address, entry.address + entry.size, entry.width)
            wanted |= {DeviceWrite(at, entry.width, 0): entry.value for at in addresses if _is_readable(at)}
        else:
            wanted[replace(entry, value=0)] = entry.value
    mismatches = []
    for entry, value in wanted.items():
        got = _read(gdb, hart, entry)
        if got != value:
            reason = "" if is_restored else "the restorer leaves the extended state out (extended=1)"
            if got is None:
                reason = "the hart has no such register"
            elif isinstance(entry, IndirectWrite) and entry.index in indirect.EIP and got & value == value:
                reason = "a device raised an interrupt"
            text = "none" if got is None else f"{got:#x}"
            mismatches.append(Mismatch(hart, entry.name, f"{value:#x}", text, reason))
    return Comparison(len(wanted), mismatches)


def _read(gdb: Gdb, hart: int, entry: Entry) -> int | None:
    """Read a register; the hart cannot continue afterwards."""
    if isinstance(entry, DeviceWrite):
        if _has_aplic(gdb) and entry.address & 0xFF_FFFF in range(_SETIE, _SETIE + _BITMAP_SIZE):
            return _enabled(gdb, entry.address)
        return int.from_bytes(gdb.read_memory(entry.address, entry.width), "little")
    if entry.guest:
        hstatus = BY_NAME["hstatus"].number
        gdb.write_csr(hart, hstatus, (gdb.read_csr(hart, hstatus) or 0) & ~_VGEIN | entry.guest << 12)
    gdb.write_csr(hart, indirect.WINDOWS[entry.csr].selector, entry.index)
    return gdb.read_csr(hart, entry.csr)
