"""Recognises other projects' restorers, which have no stamp, by instructions of their entry."""

import struct

#: ld t1, (s0); li t2, 0xbeef: the check of a checkpoint's magic number, within the first bytes.
_ALPHA, _ALPHA_REACH = struct.pack("<3I", 0x0004_3303, 0x0000_C3B7, 0xEEF3_839B), 0x80
#: auipc t0, 0; li t1, 8; sub t0, t0, t1; ret: at byte 8.
_LIBCHECKPOINT, _LIBCHECKPOINT_AT = struct.pack("<4I", 0x297, 0x0080_0313, 0x4062_82B3, 0x0000_8067), 8


def project(restorer: bytes) -> str:
    """Name the project of a restorer.

    Args:
        restorer: The restorer, from its first byte.

    Returns:
        "LibCheckpoint", "LibCheckpointAlpha", or "" for an unknown one.
    """
    if restorer[_LIBCHECKPOINT_AT:].startswith(_LIBCHECKPOINT):
        return "LibCheckpoint"
    return "LibCheckpointAlpha" if _ALPHA in restorer[:_ALPHA_REACH] else ""
