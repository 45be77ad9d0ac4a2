"""HTIF's words in a restorer: where its code writes ``tohost``.

A loader such as Spike's finds the words by symbols of an ELF file. A gcpt.bin has no symbols, but its last instructions
have the address: firmware/fail.S, gcpt_end.
"""

import struct

#: Alignment in bytes of tohost and fromhost, which have one cache line each, in this order. In a planned restorer they
#: have a page without code: QEMU makes it a device's, and QEMU 7.2 aborts at an instruction that reaches into it.
HTIF_ALIGNMENT = 64
#: slli t1, a6, 1; ori t1, t1, 1; sd t1, (t0)
_WRITE = struct.pack("<3I", 0x0018_1313, 0x0013_6313, 0x0062_B023)
#: auipc t0, HIGH and addi t0, t0, LOW, which precede them: opcodes and registers.
_AUIPC, _AUIPC_MASK, _ADDI, _ADDI_MASK = 0x297, 0xFFF, 0x0002_8293, 0x000F_FFFF


def words(restorer: bytes) -> dict[str, int]:
    """Find HTIF's words in a restorer.

    Args:
        restorer: The restorer, from its first byte.

    Returns:
        Offsets of ``tohost`` and ``fromhost`` in bytes from the restorer's start; empty for a restorer without HTIF.
    """
    at = restorer.find(_WRITE) - 8
    if at < 0:
        return {}
    auipc, addi = struct.unpack_from("<2I", restorer, at)
    if auipc & _AUIPC_MASK != _AUIPC or addi & _ADDI_MASK != _ADDI:
        return {}
    low = (addi >> 20 ^ 0x800) - 0x800
    tohost = at + (auipc & ~0xFFF) + low
    return {"tohost": tohost, "fromhost": tohost + HTIF_ALIGNMENT}
