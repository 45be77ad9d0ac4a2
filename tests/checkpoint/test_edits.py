"""Edits of a stream of image bytes."""

from hypothesis import given
from hypothesis import strategies as st

from gcpt.checkpoint import edits


@given(
    st.lists(st.binary(max_size=9), max_size=6),
    st.lists(st.tuples(st.integers(0, 60), st.binary(max_size=20)), max_size=5),
)
def test_patched(content: list[bytes], pieces: list[tuple[int, bytes]]) -> None:
    expected = bytearray(b"".join(content))
    for offset, data in pieces:
        if data:
            expected += bytes(max(0, offset + len(data) - len(expected)))
            expected[offset : offset + len(data)] = data
    assert b"".join(edits.patched(content, pieces)) == expected
