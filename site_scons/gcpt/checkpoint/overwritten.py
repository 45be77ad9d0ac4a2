"""The rest of an embedded restorer whose head a protobuf header overwrote.

NEMU with protobuf writes its header to the start of memory, also of an image that carries a restorer, which can then
no longer start.
"""

import struct
from dataclasses import dataclass

from gcpt.checkpoint import header, stamp
from gcpt.checkpoint.layouts import COMPLETE_FLAG, DEFAULT, HEADER_WINDOW, NEMU_PROTOBUF_OFFSET
from gcpt.checkpoint.stamp import Stamp
from gcpt.errors import UserError

_FLAG = struct.pack("<Q", COMPLETE_FLAG)
#: jal zero, the first instruction of a restorer.
_JUMP = 0x6F
#: Image offset at which the state begins behind such a header.
_STATE = NEMU_PROTOBUF_OFFSET + DEFAULT.magic_number


@dataclass(frozen=True)
class Rest:
    """The rest of a restorer.

    Attributes:
        start: Image offset of its first byte, behind the header.
        end: Image offset of its end, which is its size in bytes.
        stamp: Its stamp; None without one.
    """

    start: int
    end: int
    stamp: Stamp | None


def find(head: bytes) -> Rest | None:
    """Find the rest of a restorer behind a protobuf header at the start of an image.

    It ends with the completeness flag, and has a stamp, or only zeros lie between the flag and the state.

    Args:
        head: The image's first MiB.

    Returns:
        The rest; None if there is no header at the start, or no restorer behind it.
    """
    if not header.present(head):
        return None
    try:
        start = header.decode(head[: header.MAX_SIZE])[1]
    except UserError:
        return None
    used = len(head[:_STATE].rstrip(b"\0"))
    at = head.find(_FLAG, start, _STATE)
    while at >= 0:
        end = at + len(_FLAG)
        if at % 8 == 0:
            restorer = struct.pack("<II", _JUMP, end) + head[HEADER_WINDOW:end]
            if (build := stamp.find(restorer)) or used <= end:
                return Rest(start, end, build)
        at = head.find(_FLAG, at + 1, _STATE)
    return None


def removed(head: bytes) -> bytes:
    """Remove the rest of a restorer.

    Args:
        head: The image's first MiB.

    Returns:
        The first MiB with zeros in its place.
    """
    rest = find(head)
    return head[: rest.start] + bytes(rest.end - rest.start) + head[rest.end :] if rest else head
