"""Edits of an image, as a stream of chunks: bytes are replaced, cleared, or checked to be zero."""

from collections.abc import Callable, Iterable, Iterator, Sequence

from gcpt.checkpoint.streams import PIECE, ZEROS
from gcpt.errors import UserError

#: Offsets in an image: the first byte, and the byte after the last.
Range = tuple[int, int]


def _at_least(content: Iterable[bytes], size: int) -> Iterator[bytes]:
    """``content``, padded with zeros to ``size`` bytes."""
    at = 0
    for chunk in content:
        yield chunk
        at += len(chunk)
    for start in range(at, size, PIECE):
        yield ZEROS[: min(PIECE, size - start)]


def patched(content: Iterable[bytes], pieces: Iterable[tuple[int, bytes]]) -> Iterator[bytes]:
    """Overwrite parts of an image.

    Args:
        content: The image, in chunks.
        pieces: Offset and bytes of each part. Where parts overlap, the later one wins.

    Yields:
        The changed image, in chunks, padded with zeros to the end of the last part.
    """
    parts = [(offset, data) for offset, data in pieces if data]
    begin = min((offset for offset, _ in parts), default=0)
    finish = max((offset + len(data) for offset, data in parts), default=0)
    at = 0
    for chunk in _at_least(content, finish):
        end = at + len(chunk)
        if end <= begin or finish <= at:
            yield chunk
            at = end
            continue
        touched = [(offset, data) for offset, data in parts if offset < end and at < offset + len(data)]
        changed = bytearray(chunk) if touched else chunk
        for offset, data in touched:
            first, last = max(offset, at), min(offset + len(data), end)
            changed[first - at : last - at] = data[first - offset : last - offset]  # type: ignore[index]
        yield bytes(changed)
        at = end


def cleared(content: Iterable[bytes], ranges: Iterable[Range]) -> Iterator[bytes]:
    """Clear parts of an image.

    Args:
        content: The image, in chunks.
        ranges: The parts.

    Returns:
        The image with zeros in ``ranges``, in chunks.
    """
    return patched(content, [(begin, bytes(end - begin)) for begin, end in ranges])


def free_in(content: Iterable[bytes], ranges: Sequence[Range], refusal: Callable[[int], UserError]) -> Iterator[bytes]:
    """Check that parts of an image are zero.

    Args:
        content: The image, in chunks.
        ranges: The parts.
        refusal: Makes the exception to raise from the offset of a byte that is not zero.

    Yields:
        The chunks of ``content``, unchanged.

    Raises:
        UserError: The exception that ``refusal`` makes.
    """
    first, last = min((begin for begin, _ in ranges), default=0), max((end for _, end in ranges), default=0)
    at = 0
    for chunk in content:
        if first < at + len(chunk) and at < last:
            for begin, end in ranges:
                begin = max(begin, at)
                part = chunk[begin - at : max(0, end - at)]
                if used := part.lstrip(b"\0"):
                    raise refusal(begin + len(part) - len(used))
        yield chunk
        at += len(chunk)
