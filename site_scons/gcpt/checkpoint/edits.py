"""Changes of an image on its way, as a stream of chunks: bytes replaced, cleared, or checked to be free."""

from collections.abc import Callable, Iterable, Iterator, Sequence

from gcpt.checkpoint.streams import PIECE, ZEROS
from gcpt.errors import UserError

#: Begin and end of a part of an image, in bytes.
Range = tuple[int, int]


def _at_least(content: Iterable[bytes], size: int) -> Iterator[bytes]:
    """``content``, with zeros after it up to ``size`` bytes."""
    at = 0
    for chunk in content:
        yield chunk
        at += len(chunk)
    for start in range(at, size, PIECE):
        yield ZEROS[: min(PIECE, size - start)]


def patched(content: Iterable[bytes], pieces: Iterable[tuple[int, bytes]]) -> Iterator[bytes]:
    """``content`` with ``pieces`` (offset, bytes) over it, a later one over an earlier; zeros where it is too short."""
    over = [(offset, data) for offset, data in pieces if data]
    begin = min((offset for offset, _ in over), default=0)
    finish = max((offset + len(data) for offset, data in over), default=0)
    at = 0
    for chunk in _at_least(content, finish):
        end = at + len(chunk)
        if end <= begin or finish <= at:
            yield chunk
            at = end
            continue
        mine = [(offset, data) for offset, data in over if offset < end and at < offset + len(data)]
        changed = bytearray(chunk) if mine else chunk
        for offset, data in mine:
            first, last = max(offset, at), min(offset + len(data), end)
            changed[first - at : last - at] = data[first - offset : last - offset]  # type: ignore[index]
        yield bytes(changed)
        at = end


def cleared(content: Iterable[bytes], ranges: Iterable[Range]) -> Iterator[bytes]:
    """``content`` with zeros in ``ranges``."""
    return patched(content, [(begin, bytes(end - begin)) for begin, end in ranges])


def free_in(content: Iterable[bytes], ranges: Sequence[Range], refusal: Callable[[int], UserError]) -> Iterator[bytes]:
    """``content`` as it is; raises what ``refusal`` makes of the first byte in ``ranges`` that is not zero."""
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
