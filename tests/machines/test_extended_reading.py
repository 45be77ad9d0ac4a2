"""What of a hart's registers behind selectors fits its list."""

from gcpt.checkpoint import extended
from gcpt.checkpoint.extended import DeviceWrite, Entry, IndirectWrite
from gcpt.isa import indirect
from gcpt.machines.extended_reading import _fitting


def _records(count: int) -> list[Entry]:
    return [IndirectWrite(csr, 0x200 + number, 1) for number in range(count) for csr in indirect.RECORD_PARTS]


def test_the_oldest_records_are_left_out() -> None:
    """Whole entries: no source without its target."""
    others: list[Entry] = [DeviceWrite(0xC00_0004, 4, 1)] * 4
    assert _fitting([*others, *_records(40)]) == [*others, *_records(40)]
    assert _fitting([*others, *_records(41)]) == [*others, *_records(40)]
    assert _fitting([*others, *_records(256)]) == [*others, *_records(40)]


def test_nothing_else_is_left_out() -> None:
    others: list[Entry] = [DeviceWrite(0xC00_0004, 4, 1)] * (extended.MAX_ENTRIES + 1)
    assert _fitting(others) == others
