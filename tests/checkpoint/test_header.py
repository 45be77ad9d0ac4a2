"""The protobuf header, checked against protoc, and reports of damage."""

import contextlib
import subprocess
import sys

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gcpt.checkpoint import header
from gcpt.checkpoint.header import Header
from gcpt.checkpoint.layouts import DEFAULT, MULTI_CORE, Layout
from gcpt.errors import UserError

_NUMBERS = st.integers(0, (1 << 64) - 1)
_LAYOUTS = st.builds(Layout, **dict.fromkeys(DEFAULT.items(), _NUMBERS))
_HEADERS = st.builds(Header, _NUMBERS, _NUMBERS, _NUMBERS, _NUMBERS, layout=_LAYOUTS)
NEMU = Header(168, 1, 1 << 20)


@given(_HEADERS, st.binary(max_size=20))
def test_decode_undoes_encode(value: Header, rest: bytes) -> None:
    encoded = header.encode(value)
    assert header.decode(encoded + rest) == (value, len(encoded))


@pytest.mark.parametrize("layout", [DEFAULT, MULTI_CORE])
def test_protoc_decodes_the_header(layout: Layout) -> None:
    """protoc, an independent decoder, prints both messages with the values of the layout."""
    encoded = header.encode(Header(168, 2, 1 << 20, layout=layout))
    stream = header._Stream(encoded)
    header._read(stream, "checkpoint_header", {})
    first, second = encoded[: stream.at - 1], encoded[stream.at : -1]
    texts = []
    for name, data in (("checkpoint_header", first), ("single_core_rvgc_rvv_rvh_memlayout", second)):
        protoc = [sys.executable, "-m", "grpc_tools.protoc", f"-I{header.PROTO.parent}", f"--decode={name}"]
        run = subprocess.run([*protoc, header.PROTO.name], input=data, capture_output=True, check=True)
        texts.append(dict(line.split(": ") for line in run.stdout.decode().splitlines()))
    assert texts[0] == {
        "magic_number": str(0xDEADBEEF),
        "cpt_offset": "168",
        "cpu_num": "2",
        "single_core_size": str(1 << 20),
        "version": str(0x20240205),
    }
    plain = {name.removesuffix("_cpt_addr"): int(value) for name, value in texts[1].items()}
    assert plain == {name: value for name, value in layout.items().items() if value}


def test_a_real_header() -> None:
    """The first bytes that NEMU writes: magic number, offset 168, one hart, 1 MiB, version."""
    assert header.encode(NEMU).startswith(bytes.fromhex("08effdb6f50d10a80118012880804030"))


def test_present() -> None:
    assert header.present(header.encode(NEMU))
    assert not header.present(bytes(16))
    assert not header.present(b"")


def test_absent_fields_are_zero() -> None:
    value, size = header.decode(b"\x08\xef\xfd\xb6\xf5\x0d\0\0")
    assert (value.cpt_offset, value.cpu_num, value.version, size) == (0, 0, 0, 8)
    assert set(value.layout.items().values()) == {0}


@pytest.mark.parametrize(
    "damaged", [b"", b"\x08", header.encode(NEMU)[:-1], b"\x0f\x01", b"\x08" + b"\xff" * 30 + b"\0"]
)
def test_undecodable(damaged: bytes) -> None:
    with pytest.raises(UserError, match="no protobuf header"):
        header.decode(damaged)


@given(st.binary(max_size=200))
def test_any_bytes_are_read_or_refused(data: bytes) -> None:
    with contextlib.suppress(UserError):
        header.decode(data)


def _varint(number: int, size: int = 1) -> bytes:
    """The encoding of a number, padded to at least ``size`` bytes."""
    groups = max(-(-number.bit_length() // 7), size)
    digits = [number >> 7 * group & 0x7F | 0x80 for group in range(groups)]
    return bytes([*digits[:-1], digits[-1] & 0x7F])


@given(st.integers(0, (1 << 70) - 1) | st.sampled_from([(1 << 64) - 1, 1 << 64]), st.integers(1, 10))
def test_numbers_of_64_bits(number: int, size: int) -> None:
    stream = header._Stream(_varint(number, size))
    if number < 1 << 64:
        assert (stream.varint(), stream.at) == (number, len(stream._data))
    else:
        with pytest.raises(header._UndecodableError):
            stream.varint()


@given(
    st.integers(0, (1 << 32) - 1) | st.sampled_from([(1 << 31) - 1, 1 << 31]), st.integers(1, 10), st.integers(32, 62)
)
def test_numbers_of_32_bits(number: int, size: int, bit: int) -> None:
    """Plain, with zeros above, or with the sign extended to 64 bits; nothing else."""
    encodings = [_varint(number, size), *([_varint(number | (1 << 64) - (1 << 32))] if number >> 31 else [])]
    for data in encodings:
        stream = header._Stream(data)
        assert (stream.varint32(), stream.at) == (number, len(data))
    with pytest.raises(header._UndecodableError):
        header._Stream(_varint(number | 1 << bit)).varint32()
    with pytest.raises(header._UndecodableError):
        header._Stream(_varint(number, 11)).varint32()
