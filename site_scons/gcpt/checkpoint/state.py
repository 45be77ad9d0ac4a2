"""The state of a hart: its registers, read from and written into a block."""

import struct
from dataclasses import dataclass, field

from gcpt.checkpoint.layouts import (
    CHECKPOINT_MAGIC,
    CSR_COUNT,
    DEFAULT_VLEN,
    FREE_FIELDS,
    MAX_VLEN,
    Layout,
)
from gcpt.errors import UserError
from gcpt.isa.csrs import BY_NAME

_VLENB = BY_NAME["vlenb"].number


@dataclass
class HartState:
    """The state of one hart.

    mode: 0 U, 1 S, 3 M. mtime, mtimecmp: CLINT ticks. x, f: 32 64-bit values each. csr: indexed by CSR number. v: 32
    registers of vlenb bytes each. free: what is not zero in the fields that no restore reads and behind the vector
    registers, by the field's name, without zeros at its end. count: the number of harts that the generator wrote.
    """

    pc: int
    mode: int
    mtime: int = 0
    mtimecmp: int = 0
    x: list[int] = field(default_factory=lambda: [0] * 32)
    f: list[int] = field(default_factory=lambda: [0] * 32)
    csr: list[int] = field(default_factory=lambda: [0] * CSR_COUNT)
    v: list[bytes] = field(default_factory=lambda: [bytes(DEFAULT_VLEN // 8)] * 32)
    free: dict[str, bytes] = field(default_factory=dict)
    count: int = field(default=0, compare=False)

    def get(self, name: str) -> int:
        """The CSR called ``name`` in the inventory."""
        return self.csr[BY_NAME[name].number]

    def set(self, name: str, value: int) -> None:
        self.csr[BY_NAME[name].number] = value


def _words(block: bytes | bytearray, offset: int, count: int) -> list[int]:
    return list(struct.unpack_from(f"<{count}Q", block, offset))


def block_size(layout: Layout, harts: int = 1) -> int:
    """The bytes that a block of ``layout`` takes, for vector registers of any length, in a checkpoint of ``harts``."""
    return max(end for _, end in layout.extents(harts - 1).values())


def register_ranges(layout: Layout, hart: int, vlenb: int) -> dict[str, tuple[int, int]]:
    """Begin and end of what a HartState has names for, in its block."""
    extents = layout.extents(hart)
    held = {name: extent for name, extent in extents.items() if name not in FREE_FIELDS}
    held["vector_reg"] = (layout.vector_reg, layout.vector_reg + 32 * vlenb)
    if "csr_reserve" in extents:
        held["csr_reserve"] = (layout.csr_reserve, layout.csr_reserve + 8)
    return held


def _free(layout: Layout) -> dict[str, tuple[int, int]]:
    """Begin and end of the fields that no restore reads; of the vector registers, for what is behind them."""
    return {name: extent for name, extent in layout.extents().items() if name in (*FREE_FIELDS, "vector_reg")}


def checked_vlenb(hart: int, vlenb: int) -> int:
    """Bytes of a vector register, from the CSR; UserError when that cannot be."""
    vlenb = vlenb or DEFAULT_VLEN // 8
    if vlenb * 8 > MAX_VLEN or vlenb % 8:
        raise UserError(f"hart {hart}: vlenb is {vlenb:#x}: this is no block of this layout")
    return vlenb


def read_hart(block: bytes | bytearray, layout: Layout, hart: int) -> HartState:
    """The state in ``block``; UserError when the block is cut short or its vlenb cannot be."""
    cut_short = UserError(f"hart {hart}: the image ends within its block")
    if len(block) < layout.csr(CSR_COUNT):
        raise cut_short
    csr = _words(block, layout.csr_reg, CSR_COUNT)
    vlenb = checked_vlenb(hart, csr[_VLENB])
    held = register_ranges(layout, hart, vlenb)
    if len(block) < max(end for _, end in held.values()):
        raise cut_short
    registers = range(layout.vector_reg, layout.vector_reg + 32 * vlenb, vlenb)
    return HartState(
        pc=_words(block, layout.pc, 1)[0],
        mode=_words(block, layout.mode, 1)[0],
        mtime=_words(block, layout.mtime, 1)[0],
        mtimecmp=_words(block, layout.mtime_cmp + 8 * hart, 1)[0],
        x=_words(block, layout.int_reg, 32),
        f=_words(block, layout.float_reg, 32),
        csr=csr,
        v=[bytes(block[start : start + vlenb]) for start in registers],
        free=_read_free(block, layout, held),
        count=_words(block, layout.csr_reserve, 1)[0] if layout.csr_reserve else 0,
    )


def _read_free(block: bytes | bytearray, layout: Layout, held: dict[str, tuple[int, int]]) -> dict[str, bytes]:
    rest = bytearray(block)
    for begin, end in held.values():
        rest[begin:end] = bytes(end - begin)
    found = {name: bytes(rest[begin:end].rstrip(b"\0")) for name, (begin, end) in _free(layout).items()}
    return {name: data for name, data in found.items() if data}


def _write_free(block: bytearray, layout: Layout, hart: int, state: HartState) -> None:
    room = _free(layout)
    for name, data in state.free.items():
        begin, end = room.get(name, (0, 0))
        if begin + len(data) > min(end, len(block)):
            raise UserError(f"hart {hart}: there is no room for what its generator left in {name} ({len(data)} bytes)")
        block[begin : begin + len(data)] = data
    for name, (begin, end) in register_ranges(layout, hart, len(state.v[0])).items():
        if any(block[begin:end]):
            raise UserError(f"hart {hart}: {name} and what its generator left in {', '.join(state.free)} overlap here")


def write_hart(
    block: bytearray, layout: Layout, hart: int, state: HartState, harts: int, *, marked: bool = True
) -> None:
    """Write ``state`` into ``block``, which is zero, as the generator of a checkpoint of ``harts`` harts does.

    marked: with the magic number. UserError when this layout has no room for what is in ``state.free``.
    """
    if state.free:
        _write_free(block, layout, hart, state)
    if marked:
        struct.pack_into("<Q", block, layout.magic_number, CHECKPOINT_MAGIC)
    struct.pack_into("<32Q", block, layout.int_reg, *state.x)
    struct.pack_into("<32Q", block, layout.float_reg, *state.f)
    struct.pack_into(f"<{CSR_COUNT}Q", block, layout.csr_reg, *state.csr)
    vector = b"".join(state.v)
    block[layout.vector_reg : layout.vector_reg + len(vector)] = vector
    for offset, value in (
        (layout.pc, state.pc),
        (layout.mode, state.mode),
        (layout.mtime, state.mtime),
        (layout.mtime_cmp + 8 * hart, state.mtimecmp),
    ):
        struct.pack_into("<Q", block, offset, value)
    if layout.csr_reserve:
        struct.pack_into("<Q", block, layout.csr_reserve, harts)
