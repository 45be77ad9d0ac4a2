"""The restorer's decoder, compiled for the host, and the tools' (header.py, plan.py) agree on any header.

plan.py checks the values with Python's integers, which do not wrap.
"""

import ctypes
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gcpt.build.render import PLAN_FIELDS
from gcpt.checkpoint import header, search
from gcpt.checkpoint.header import MAX_SIZE, Header
from gcpt.checkpoint.layouts import (
    CSR_COUNT,
    DEFAULT,
    HEADER_MAGIC,
    HEADER_VERSIONS,
    LARGEST_OFFSET,
    MAX_HARTS,
    MIB,
    MULTI_CORE,
    Layout,
)
from gcpt.checkpoint.search import Location
from gcpt.errors import UserError
from gcpt.restorer import codes, plan
from gcpt.restorer.platforms import BY_NAME

CODES = {code.name: code.number for code in codes.CODES}
ACCEPTED, NO_HEADER = 0, -1
PLATFORM = BY_NAME["qemu-virt"]
IMAGE_SIZE = 0x5_0000
#: Bytes of the fields that a restore needs.
SIZES = {
    **dict.fromkeys(("pc", "mode", "mtime", "misc_reserve", "csr_reserve"), 8),
    **dict.fromkeys(("int_reg", "float_reg"), 32 * 8),
    "csr_reg": 8 * CSR_COUNT,
    "vector_reg": 32 * 16,
}
_WORD = 1 << 64
#: (address of the header, address of the restorer).
_PLACES = [(PLATFORM.dram + 3 * MIB, PLATFORM.dram), (PLATFORM.dram, PLATFORM.dram), (PLATFORM.flash, PLATFORM.flash)]


class Plan(ctypes.Structure):
    """struct gcpt_plan."""

    _fields_ = [(name, ctypes.c_uint64) for name in (*PLAN_FIELDS, *DEFAULT.items())]


class HostPlace(ctypes.Structure):
    """struct place."""

    _fields_ = [(name, ctypes.c_uint64) for name in ("origin", "image", "image_end")]


@pytest.fixture(scope="module")
def decoder(host_program) -> ctypes.CDLL:  # type: ignore[no-untyped-def]
    return ctypes.CDLL(str(host_program("host.so", ["host.c"], "-shared", "-fPIC")))


def _fits(value: Header, size: int, origin: int, image: int) -> bool:
    if search.header_fault(value, origin):
        return False
    found = Location(search.header_target(value, origin - image, origin - image), value.cpu_num, value)
    if search.header_overlap(value, found.place, size):
        return False
    return not plan.misplacement(found, PLATFORM, image, image + IMAGE_SIZE)


def _expected(data: bytes, base: int, image: int) -> int | Header:
    """Code, NO_HEADER or the header itself."""
    if not header.present(data):
        return NO_HEADER
    try:
        value, size = header.decode(data)
    except UserError:
        return CODES["DECODE"]
    if value.version not in HEADER_VERSIONS:
        return CODES["VERSION"]
    return value if _fits(value, size, base, image) else CODES["BAD_HEADER"]


def _agree(decoder: ctypes.CDLL, data: bytes) -> None:
    data = data[:MAX_SIZE].ljust(MAX_SIZE, b"\0")
    for origin, image in _PLACES:
        decoded = Plan()
        code = decoder.host_decode(
            ctypes.byref(decoded), data, ctypes.byref(HostPlace(origin, image, image + IMAGE_SIZE))
        )
        expected = _expected(data, origin, image)
        if not isinstance(expected, Header):
            assert code == expected
            continue
        assert code == ACCEPTED
        assert decoded.base == (origin + expected.cpt_offset) % _WORD
        assert (decoded.block_size, decoded.harts) == (expected.single_core_size, expected.cpu_num)
        assert {name: getattr(decoded, name) for name in DEFAULT.items()} == expected.layout.items()


_NUMBERS = st.one_of(st.integers(0, _WORD - 1), st.integers(0, 1 << 22).map(lambda n: 8 * n), st.integers(0, 200))
_OFFSETS = st.one_of(_NUMBERS, st.sampled_from([160, 168, _WORD - 3 * MIB, _WORD - 3 * MIB + IMAGE_SIZE]))


@st.composite
def _headers(draw: st.DrawFn) -> Header:
    """Mostly valid headers; some fields are not."""
    layout = draw(st.sampled_from([DEFAULT, MULTI_CORE])).items()
    for name in draw(st.lists(st.sampled_from(sorted(layout)), max_size=2)):
        layout[name] = draw(_NUMBERS)
    return Header(
        cpt_offset=draw(_OFFSETS),
        cpu_num=draw(st.one_of(st.integers(0, MAX_HARTS + 1), _NUMBERS)),
        single_core_size=draw(st.one_of(st.sampled_from([MIB, 0x14000, LARGEST_OFFSET]), _NUMBERS)),
        version=draw(st.sampled_from([*HEADER_VERSIONS, *HEADER_VERSIONS, 0])),
        magic_number=draw(st.sampled_from([HEADER_MAGIC] * 7 + [0])),
        layout=Layout(**layout),
    )


def _long(value: int, size: int) -> bytes:
    """A varint of at least ``size`` bytes."""
    out = bytearray()
    while value >= 0x80 or len(out) + 1 < size:
        out.append(value & 0x7F | 0x80)
        value >>= 7
    return bytes([*out, value])


@st.composite
def _fields(draw: st.DrawFn) -> bytes:
    """A field of any number, wire type and length."""
    number, wire = draw(st.one_of(st.integers(0, 30), st.integers(0, (1 << 32) - 1))), draw(st.integers(0, 7))
    payload = {1: 8, 2: 3, 5: 4}.get(wire, 0)
    data = _long(draw(_NUMBERS), draw(st.integers(1, 11))) if wire == 0 else draw(st.binary(max_size=payload))
    if wire == 2:
        data = _long(draw(st.sampled_from([len(data), 0, 600, (1 << 32) - 1])), draw(st.integers(1, 11))) + data
    return _long(number << 3 | wire, draw(st.sampled_from([1, 1, 1, 2, 5, 6, 10, 11]))) + data


@st.composite
def _mutated(draw: st.DrawFn) -> bytes:
    """An encoded header with bytes changed, removed or inserted, and extra fields before or in it."""
    data = bytearray(header.encode(draw(_headers())))
    for _ in range(draw(st.integers(0, 3))):
        at = draw(st.integers(0, len(data)))
        data[at : at + draw(st.integers(0, 2))] = draw(st.one_of(st.binary(max_size=2), _fields()))
    at = draw(st.sampled_from([0, 6, data.find(0), data.find(0) + 1]))
    data[at:at] = b"".join(draw(st.lists(_fields(), max_size=2)))
    return bytes(data)


@given(_headers())
@settings(max_examples=400, deadline=None, derandomize=True)
def test_values(decoder: ctypes.CDLL, value: Header) -> None:
    _agree(decoder, header.encode(value))


@given(st.one_of(_mutated(), st.binary(max_size=MAX_SIZE), st.lists(_fields()).map(b"".join)))
@settings(max_examples=1500, deadline=None, derandomize=True)
def test_encodings(decoder: ctypes.CDLL, data: bytes) -> None:
    _agree(decoder, data)


@pytest.mark.parametrize("last", [*SIZES, "mtime_cmp"])
@pytest.mark.parametrize("short", [0, 8])
def test_blocks_that_just_do_not_overlap(decoder: ctypes.CDLL, last: str, short: int) -> None:
    """Any field ends the block; blocks that just touch, and blocks 8 bytes closer."""
    harts = 3
    sizes = {**SIZES, "mtime_cmp": 8 * harts}
    offsets = {name: value for name, value in MULTI_CORE.items().items() if name in sizes and name != last}
    begin = max(value + sizes[name] for name, value in offsets.items())
    layout = replace(MULTI_CORE, **{last: begin})
    mark = [layout.magic_number] if layout.has_mark else []
    low, size = min([*mark, *offsets.values()]), sizes[last]
    packed = Header(168, harts, begin + size - low - short, layout=layout)
    assert _fits(packed, len(header.encode(packed)), *_PLACES[0]) == (not short)
    _agree(decoder, header.encode(packed))


def _at(begin: int, harts: int = 1) -> Header:
    """A header at the first of _PLACES for adjacent blocks that begin at the address ``begin``."""
    low, high = MULTI_CORE.span(harts)
    return Header((begin - low - _PLACES[0][0]) % _WORD, harts, high - low, layout=MULTI_CORE)


_LOW, _HIGH = MULTI_CORE.span(1)
_FIRST_FREE = PLATFORM.dram + IMAGE_SIZE
#: The first address after a header that a block can begin at, and that of a header that follows a block.
_BEHIND = _PLACES[0][0] + 80
_BEFORE = _PLACES[0][0] - (_HIGH - _LOW)
_LAST = PLATFORM.dram + PLATFORM.dram_size - (_HIGH - _LOW)


@pytest.mark.parametrize(("edge", "step"), [(_FIRST_FREE, -8), (_LAST, 8), (_BEHIND, -8), (_BEFORE, 8)])
def test_blocks_at_an_edge(decoder: ctypes.CDLL, edge: int, step: int) -> None:
    """Blocks may touch the restorer's end, the end of memory and their header, but not cross them."""
    for begin, fits in ((edge, True), (edge + step, False)):
        assert _fits(_at(begin), len(header.encode(_at(begin))), *_PLACES[0]) == fits
        _agree(decoder, header.encode(_at(begin)))


def test_no_harts(decoder: ctypes.CDLL) -> None:
    """0 harts are refused although their blocks would take no memory."""
    assert not _fits(_at(PLATFORM.dram + 16 * MIB, harts=0), 80, *_PLACES[0])
    _agree(decoder, header.encode(_at(PLATFORM.dram + 16 * MIB, harts=0)))


@pytest.mark.parametrize("size", [MAX_SIZE - 1, MAX_SIZE, MAX_SIZE + 1])
def test_longest(decoder: ctypes.CDLL, size: int) -> None:
    data = header.encode(Header(168, 1, MIB))
    unknown = size - len(data) - 4
    _agree(decoder, data[:6] + b"\xba\x03" + _long(unknown, 2) + bytes(unknown) + data[6:])


@pytest.mark.parametrize("path", sorted((Path(__file__).parent / "corpus" / "header").iterdir()), ids=lambda p: p.name)
def test_corpus(decoder: ctypes.CDLL, path: Path) -> None:
    _agree(decoder, path.read_bytes())
