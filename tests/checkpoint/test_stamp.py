"""The stamp of a restorer: it survives a round trip, and other bytes are not a stamp."""

import hashlib
import struct
import zlib

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


def image(before: bytes, follows: bytes = b"", length: int = 400) -> bytes:
    """A restorer of ``length`` bytes of code that ends with ``before`` and the flag, and the bytes that follow it."""
    code = bytes(length)
    size = 8 + len(code) + len(before) + len(_FLAG)
    return struct.pack("<II", 0x6F, size) + code + before + _FLAG + follows


@given(_STAMPS, st.binary(max_size=40), st.sampled_from([0, 1, 400]))
def test_find_undoes_encode(value: Stamp, follows: bytes, length: int) -> None:
    """Also without any code, where the stamp begins as soon as it can."""
    data = stamp.encode(value)
    assert len(data) % 8 == 0
    assert stamp.find(image(data, follows, length)) == value
    if value.commit:  # otherwise the stamp begins with zeros
        assert stamp.find(image(data.lstrip(b"\0"), follows, length)) == value


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


def _body(text: bytes) -> bytes:
    """The body of a stamp with any text."""
    deflate = zlib.compressobj(9, zlib.DEFLATED, -15, zdict=stamp.DICTIONARY)
    return bytes(4) + deflate.compress(text) + deflate.flush()


@pytest.mark.parametrize(
    ("body", "valid"),
    [
        (_body(b"0.1.0 mode=auto"), True),
        (_body(b"0.1.0  mode=auto"), False),
        (_body(b"0.1.0\tmode=auto"), False),
        (_body(b"0.1.0 mode"), False),
        (_body(b"mode=auto"), False),
        (_body(b""), False),
        (_body(b"0.1.0 mode=\xff"), False),
        (_body(b"0.1.0 mode=auto") + b"x", False),
        (_body(b"0.1.0 mode=auto")[:-1], False),
        (_body(b"0.1.0 mode=auto")[:4], False),
    ],
)
def test_only_a_whole_text_is_a_stamp(body: bytes, valid: bool) -> None:
    """Although its length and its check are right."""
    assert bool(stamp.find(image(body + bytes((stamp._check(body), len(body)))))) == valid


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
