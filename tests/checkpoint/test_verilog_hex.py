"""Verilog hex: a small $readmemh reads back the image, at any width and base."""

import io

from hypothesis import given
from hypothesis import strategies as st

from gcpt.checkpoint import streams, verilog_hex
from gcpt.isa.paging import PAGE_SIZE


def _readmemh(text: str, width: int) -> dict[int, bytes]:
    """The words of a text, by address in words; IEEE 1364, 17.2.9: the first digit is the most significant."""
    words, at = {}, 0
    for token in text.split():
        if token.startswith("@"):
            at = int(token[1:], 16)
        else:
            assert len(token) == 2 * width
            words[at] = bytes.fromhex(token)[::-1]
            at += 1
    return words


@given(
    st.sets(st.integers(0, 6), max_size=4),
    st.binary(max_size=70),
    st.sampled_from(verilog_hex.WIDTHS),
    st.sampled_from([0, 1, 5]),
)
def test_a_reader_finds_the_image(places: set[int], tail: bytes, width: int, first: int) -> None:
    image = bytearray(7 * PAGE_SIZE)
    for place in places:
        image[place * PAGE_SIZE : (place + 1) * PAGE_SIZE] = bytes(range(1, 251)) * 16 + bytes(96)
    image += tail
    out = io.BytesIO()
    assert verilog_hex.write(out, streams.pages([bytes(image)]), width, first * width) == len(image)
    words = _readmemh(out.getvalue().decode(), width)
    assert max(words) == first + (len(image) - 1) // width
    assert min(words) >= first
    memory = b"".join(words.get(first + number, bytes(width)) for number in range(-(-len(image) // width)))
    assert memory == bytes(image).ljust(len(memory), b"\0")


def test_nothing() -> None:
    assert verilog_hex.write(io.BytesIO(), [], 8) == 0
