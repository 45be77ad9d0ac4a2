"""The extended state of a hart: what is written is read, in any layout, and a hostile list is refused by name."""

import re
import struct

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gcpt.checkpoint import extended, state
from gcpt.checkpoint.extended import DeviceWrite, Entry, ExtendedError, IndirectWrite
from gcpt.checkpoint.layouts import DEFAULT, EXTENDED_OFFSET, MAX_HARTS, MULTI_CORE, Layout
from gcpt.isa import indirect
from gcpt.machines import synthetic
from gcpt.machines.synthetic import Mode, Recipe

_WORD = st.integers(0, (1 << 64) - 1)


@st.composite
def _device_writes(draw: st.DrawFn) -> DeviceWrite:
    width = draw(st.sampled_from(extended.WIDTHS))
    address = draw(st.integers(0, (1 << 64) // width - 1)) * width
    return DeviceWrite(address, width, draw(st.integers(0, (1 << 8 * width) - 1)), draw(st.integers(0, 65535)))


@st.composite
def _indirect_writes(draw: st.DrawFn) -> IndirectWrite:
    csr = draw(st.sampled_from(sorted(indirect.WINDOWS)))
    guest = draw(st.integers(0, extended.MAX_GUEST)) if indirect.WINDOWS[csr].has_guest else 0
    value = draw(_WORD.filter(lambda value: not indirect.counts_in_machine_mode(csr, value)))
    return IndirectWrite(csr, draw(_WORD), value, guest)


_LISTS = st.lists(_device_writes() | _indirect_writes(), max_size=extended.MAX_ENTRIES)
_ENTRIES: list[Entry] = [
    DeviceWrite(0xC00_0028, 4, 1, 2),
    IndirectWrite(0x151, 0x70, 1),
    IndirectWrite(0x251, 0x72, 5, 3),
]


def _changed(offset: int, *values: int, form: str = "B") -> bytes:
    """The bytes of _ENTRIES with other values at an offset."""
    data = bytearray(extended.serialise(_ENTRIES))
    struct.pack_into(f"<{len(values)}{form}", data, offset, *values)
    return bytes(data)


def test_bytes_of_a_list() -> None:
    """The bytes are literals: writing and reading the same wrong offset would pass a round trip."""
    data = extended.serialise(_ENTRIES)
    assert data[:16] == b"extstate" + bytes.fromhex("0100 1800 03000000")
    assert data[16:40] == bytes.fromhex("01 04 0200 00000000 2800000c00000000 0100000000000000")
    assert data[40:64] == bytes.fromhex("02 08 5101 00000000 7000000000000000 0100000000000000")
    assert data[64:] == bytes.fromhex("02 08 5102 03000000 7200000000000000 0500000000000000")


@given(_LISTS)
def test_parse_undoes_serialise(entries: list[Entry]) -> None:
    data = extended.serialise(entries)
    assert extended.parse(data) == tuple(entries)
    assert extended.parse(data.rstrip(b"\0")) == tuple(entries)
    assert extended.parse(data + b"behind it") == tuple(entries)


@given(entries=_LISTS, position=st.integers(0, 80), value=st.integers(0, 255))
def test_any_changed_byte_is_read_or_refused(entries: list[Entry], position: int, value: int) -> None:
    """A list that is accepted is written back byte for byte: no bit of an entry is ignored."""
    data = bytearray(extended.serialise(entries).ljust(extended.MAX_ENTRIES * 24 + 16, b"\0"))
    data[position] = value
    try:
        again = extended.parse(bytes(data))
    except ExtendedError:
        return
    if again is None:
        assert position < 8
    else:
        assert bytes(data).startswith(extended.serialise(again))


@given(st.binary(max_size=200))
def test_random_bytes(data: bytes) -> None:
    assert data.startswith(b"extstate") or extended.parse(data) is None
    try:
        extended.parse(b"extstate" + data)
    except ExtendedError as error:
        assert "extended state" in str(error)


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (_changed(8, 2), "has version 2 and entries of 24 bytes: this gcpt knows version 1, with 24"),
        (_changed(10, 16), "has version 1 and entries of 16 bytes: this gcpt knows version 1, with 24"),
        (_changed(12, 126), "has 126 entries: there is room for 125"),
        (_changed(12, 0xFFFF_FFFF, form="I"), "has 4294967295 entries: there is room for 125"),
        (_changed(12, 4), "entry 3 of the extended state: kind 0: this gcpt knows 1 (device) and 2 (indirect)"),
        (_changed(16, 3), "entry 0 of the extended state: kind 3"),
        (_changed(17, 3), "entry 0 of the extended state: a device register of 3 bytes: want 1, 2, 4 or 8"),
        (_changed(17, 0), "entry 0 of the extended state: a device register of 0 bytes"),
        (_changed(17, 16), "entry 0 of the extended state: a device register of 16 bytes"),
        (_changed(20, 1), "entry 0 of the extended state: a device register with guest file 1: want 0"),
        (_changed(24, 0x2A), "entry 0 of the extended state: address 0xc00002a is not a multiple of the width, 4"),
        (_changed(36, 1), "entry 0 of the extended state: value 0x100000001 does not fit 4 bytes"),
        (_changed(41, 4), "entry 1 of the extended state: a register behind a selector with a width of 4 bytes"),
        (_changed(42, 0x50), "entry 1 of the extended state: CSR 0x150 is not a window: want mireg, mireg2, mireg3,"),
        (_changed(43, 3), ""),
        (_changed(42, 0, 3), "entry 1 of the extended state: CSR 0x300 is not a window"),
        (_changed(44, 1), "entry 1 of the extended state: guest file 1 of sireg: want 0"),
        (_changed(42, 0xA0, 7), "entry 1 of the extended state: CSR 0x7a0 is not a window"),
        (
            _changed(42, 0xA1, 7, 0, 0, 0, 0, *bytes(8), 0x40, *bytes(6), 0x20),
            "entry 1 of the extended state: trigger 0 with 0x2000000000000040: in M mode it could stop the restorer",
        ),
        (_changed(68, 64), "entry 2 of the extended state: guest file 64 of vsireg: want 0 to 63"),
    ],
)
def test_hostile_lists(data: bytes, message: str) -> None:
    if not message:
        assert extended.parse(data) is not None
        return
    with pytest.raises(ExtendedError, match=re.escape(message)):
        extended.parse(data)


@pytest.mark.parametrize(
    "entry",
    [
        DeviceWrite(0xC00_0028, 3, 0),
        DeviceWrite(0xC00_002A, 4, 0),
        DeviceWrite(-4, 4, 0),
        DeviceWrite(1 << 64, 4, 0),
        DeviceWrite(0, 4, -1),
        DeviceWrite(0, 1, 256),
        DeviceWrite(0, 1, 1, repeat=-1),
        DeviceWrite(0, 1, 1, repeat=1 << 16),
        IndirectWrite(0x350, 0x70, 1),
        IndirectWrite(0x351, -1, 1),
        IndirectWrite(0x351, 0x70, 1 << 64),
        IndirectWrite(0x351, 0x70, 1, guest=1),
        IndirectWrite(0x251, 0x70, 1, guest=64),
        IndirectWrite(0x7A2, 0, 1, guest=1),
        IndirectWrite(0x7A1, 0, 6 << 60 | 1 << 6),
        IndirectWrite(0x7A1, 0, 3 << 60 | 1 << 9),
    ],
)
def test_no_hostile_entry_is_written(entry: Entry) -> None:
    with pytest.raises(ExtendedError, match="entry 1 of the extended state: "):
        extended.serialise([_ENTRIES[0], entry])


def test_too_many_entries_are_not_written() -> None:
    extended.serialise([_ENTRIES[0]] * 125)
    with pytest.raises(ExtendedError, match="has 126 entries: there is room for 125"):
        extended.serialise([_ENTRIES[0]] * 126)


@pytest.mark.parametrize("layout", [DEFAULT, MULTI_CORE])
@pytest.mark.parametrize("hart", [0, MAX_HARTS - 1])
@pytest.mark.parametrize("count", [1, extended.MAX_ENTRIES])
def test_a_block_holds_any_list(layout: Layout, hart: int, count: int) -> None:
    """The longest list of the last hart: its mtimecmp is in misc_reserve too, and the next field follows."""
    hart_state = synthetic.make(Recipe((Mode.S,))).harts[0]
    hart_state.free["misc_reserve"] = (7).to_bytes(8, "little")
    entries = [DeviceWrite(1 << 40, 8, (1 << 64) - 1)] * count
    extended.put(hart_state, entries)
    block = bytearray(state.block_size(layout))
    state.write_hart(block, layout, hart, hart_state, MAX_HARTS)
    assert block[layout.misc_reserve + EXTENDED_OFFSET :].startswith(b"extstate")
    again = state.read_hart(block, layout, hart)
    assert again == hart_state
    assert extended.of(again) == tuple(entries)
    extended.put(again, ())
    assert again.free == {"misc_reserve": (7).to_bytes(1, "little")}
    assert extended.of(again) is None
    assert not extended.present(again)


def test_names() -> None:
    twice = [DeviceWrite(0x1000_0003, 1, 0x83), DeviceWrite(0x1000_0003, 1, 3), *_ENTRIES]
    assert extended.by_name(twice) == {
        "device 0x10000003 (1 byte)": 0x83,
        "device 0x10000003 (1 byte), write 2": 3,
        "device 0xc000028 (4 bytes, 3 registers)": 1,
        "sireg[0x70] (eidelivery)": 1,
        "vsireg[0x72] (eithreshold) of guest file 3": 5,
    }
    own = {0x30: "iprio0", 0x3E: "iprio14", 0x80: "eip0", 0xBE: "eip62", 0xC0: "eie0", 0xFF: "eie63"}
    assert {index: indirect.name(0x351, index) for index in own} == {i: f"mireg[{i:#x}] ({n})" for i, n in own.items()}
    assert indirect.name(0x152, 0x70) == "sireg2[0x70]"
    assert indirect.name(0x351, 0x200) == "mireg[0x200]"
    assert indirect.name(0x151, 0x200) == "sireg[0x200] (ctrsource0)"
    assert indirect.name(0x153, 0x2FF) == "sireg3[0x2ff] (ctrdata255)"
