"""The stamp of a restorer: it survives a round trip, and other bytes are not a stamp."""

import hashlib
import struct

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gcpt.checkpoint import layouts, stamp
from gcpt.checkpoint.stamp import Stamp
from gcpt.errors import UserError

_FLAG = struct.pack("<Q", layouts.COMPLETE_FLAG)
_STAMPS = st.builds(
    Stamp,
    version=st.from_regex(r"[0-9]\.[0-9]{1,3}(\.[0-9a-z]{1,4})?", fullmatch=True),
    commit=st.just("") | st.from_regex(r"[1-9a-f][0-9a-f]{7}", fullmatch=True),
    dirty=st.booleans(),
    options=st.dictionaries(st.from_regex(r"[a-z][a-z_]{0,9}", fullmatch=True), st.text(max_size=6), max_size=4),
)
ONE = Stamp("0.1.0", "12ab34cd", True, {"mode": "single_core", "platform": "qemu-virt"})


def image(before: bytes, follows: bytes = b"") -> bytes:
    """A restorer that ends with ``before`` and the flag, and the bytes that follow it."""
    code = bytes(400)
    size = 8 + len(code) + len(before) + len(_FLAG)
    return struct.pack("<II", 0x6F, size) + code + before + _FLAG + follows


@given(_STAMPS, st.binary(max_size=40))
def test_find_undoes_encode(value: Stamp, follows: bytes) -> None:
    data = stamp.encode(value)
    assert len(data) % 8 == 0
    assert stamp.find(image(data, follows)) == value


@given(st.binary(max_size=64))
def test_find_accepts_any_bytes(before: bytes) -> None:
    """No bytes raise. Bytes that end with 0, as in a restorer without a stamp, are not a stamp."""
    stamp.find(image(before))
    stamp.find(before)
    assert stamp.find(image(before + b"\0")) is None


def test_any_flipped_bit_invalidates_the_stamp() -> None:
    data = stamp.encode(ONE)
    for bit in range(8 * len(data.lstrip(b"\0"))):
        changed = bytearray(data)
        changed[-1 - bit // 8] ^= 1 << bit % 8
        assert stamp.find(image(bytes(changed))) is None, bit


def test_a_missing_or_truncated_restorer_has_no_stamp() -> None:
    data = image(stamp.encode(ONE))
    assert stamp.find(data) == ONE
    assert stamp.find(data[:-1]) is None
    assert stamp.find(b"\x13" + data[1:]) is None
    assert stamp.find(b"") is None


def test_a_typical_stamp_has_16_bytes() -> None:
    assert len(stamp.encode(ONE)) == 16


def test_the_dictionary_never_changes() -> None:
    """Published images need it."""
    assert hashlib.sha256(stamp.DICTIONARY).hexdigest()[:16] == "307407e6a6f7d287"


def test_options_too_long() -> None:
    noise = hashlib.sha512(b"").hexdigest() * 2 + hashlib.sha512(b"1").hexdigest() * 2
    other = "".join(hashlib.sha512(bytes([i])).hexdigest() for i in range(6))
    with pytest.raises(UserError, match="bytes too long for the image's stamp"):
        stamp.encode(Stamp("0.1.0", options={"csrs": noise + other}))
