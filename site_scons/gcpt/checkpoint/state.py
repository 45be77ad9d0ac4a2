"""The state of a hart, and how a block stores it."""

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
from gcpt.isa import mstatus
from gcpt.isa.csrs import BY_NAME

_VLENB = BY_NAME["vlenb"].number


@dataclass
class HartState:
    """The state of one hart.

    Attributes:
        pc: The address of the next instruction.
        mode: The privilege level: 0 U, 1 S, 3 M.
        mtime: CLINT ticks.
        mtimecmp: CLINT ticks.
        x: 32 integer registers, 64 bits each.
        f: 32 floating-point registers, 64 bits each.
        csr: 4096 CSRs, indexed by number, 64 bits each.
        v: 32 vector registers of vlenb bytes each.
        free: Bytes that no restore reads and that are not all zero, by the name of the field that has them, without
            zeros at the end. "vector_reg" stands for the bytes behind the vector registers.
        count: The number of harts that the generator wrote into the block; None if nothing says it. In the only block
            of a checkpoint, 0 means NEMU and any other number QEMU.
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
    count: int | None = field(default=None, compare=False)

    @property
    def is_guest(self) -> bool:
        """Whether the hart was stopped in VS or VU mode."""
        return self.mode != mstatus.MACHINE and bool(self.get("mstatus") & mstatus.MPV)

    def get(self, name: str) -> int:
        """Get the value of a CSR.

        Args:
            name: Its name in the inventory.

        Returns:
            Its 64-bit value.
        """
        return self.csr[BY_NAME[name].number]

    def set(self, name: str, value: int) -> None:
        """Set a CSR.

        Args:
            name: Its name in the inventory.
            value: Its 64-bit value.
        """
        self.csr[BY_NAME[name].number] = value


def _words(block: bytes | bytearray, offset: int, count: int) -> list[int]:
    return list(struct.unpack_from(f"<{count}Q", block, offset))


def block_size(layout: Layout, harts: int = 1) -> int:
    """Compute the size of a block, with room for vector registers of any length.

    Args:
        layout: Offsets of its fields.
        harts: Number of harts in the checkpoint.

    Returns:
        The size in bytes.
    """
    return max(end for _, end in layout.extents(harts - 1).values())


def register_ranges(layout: Layout, hart: int, vlenb: int) -> dict[str, tuple[int, int]]:
    """List the parts of a block that hold registers, timers, the magic number and the count.

    Args:
        layout: Offsets of the fields.
        hart: The hart whose block it is.
        vlenb: Bytes of a vector register.

    Returns:
        Offsets in the block of the first byte and after the last byte, by field name.
    """
    extents = layout.extents(hart)
    ranges = {name: extent for name, extent in extents.items() if name not in FREE_FIELDS}
    ranges["vector_reg"] = (layout.vector_reg, layout.vector_reg + 32 * vlenb)
    if "csr_reserve" in extents:
        ranges["csr_reserve"] = (layout.csr_reserve, layout.csr_reserve + 8)
    return ranges


def _free_ranges(layout: Layout) -> dict[str, tuple[int, int]]:
    """The parts of a block in which ``HartState.free`` may have bytes, by field name."""
    return {name: extent for name, extent in layout.extents().items() if name in (*FREE_FIELDS, "vector_reg")}


def checked_vlenb(hart: int, vlenb: int) -> int:
    """Check the CSR vlenb of a checkpoint.

    Args:
        hart: The hart.
        vlenb: The value of the CSR.

    Returns:
        Bytes of a vector register: the value, or the default if it is 0.

    Raises:
        UserError: No vector register can have this size.
    """
    vlenb = vlenb or DEFAULT_VLEN // 8
    if vlenb * 8 > MAX_VLEN or vlenb % 8:
        raise UserError(
            f"hart {hart}: vlenb is {vlenb:#x}, not a multiple of 8 up to {MAX_VLEN // 8:#x}: "
            "the block is damaged or has another layout"
        )
    return vlenb


def read_hart(block: bytes | bytearray, layout: Layout, hart: int) -> HartState:
    """Read the state of a hart from its block.

    Args:
        block: The bytes of the block, or of its first part.
        layout: Offsets of the fields.
        hart: The hart whose block it is.

    Returns:
        The state.

    Raises:
        UserError: The block is too short, or its vlenb is invalid.
    """
    truncated = UserError(f"hart {hart}: the image ends within its block: copy it again, with memory for all blocks")
    if len(block) < layout.csr(CSR_COUNT):
        raise truncated
    csr = _words(block, layout.csr_reg, CSR_COUNT)
    vlenb = checked_vlenb(hart, csr[_VLENB])
    ranges = register_ranges(layout, hart, vlenb)
    if len(block) < max(end for _, end in ranges.values()):
        raise truncated
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
        free=_read_free(block, layout, ranges),
        count=_words(block, layout.csr_reserve, 1)[0] if layout.csr_reserve else None,
    )


def _read_free(block: bytes | bytearray, layout: Layout, registers: dict[str, tuple[int, int]]) -> dict[str, bytes]:
    rest = bytearray(block)
    for begin, end in registers.values():
        rest[begin:end] = bytes(end - begin)
    free = {name: bytes(rest[begin:end].rstrip(b"\0")) for name, (begin, end) in _free_ranges(layout).items()}
    return {name: data for name, data in free.items() if data}


def _write_free(block: bytearray, layout: Layout, hart: int, state: HartState) -> None:
    ranges = _free_ranges(layout)
    for name, data in state.free.items():
        begin, end = ranges.get(name, (0, 0))
        if begin + len(data) > min(end, len(block)):
            raise UserError(
                f"hart {hart}: no room for {len(data)} bytes that the generator left in {name}: choose another layout"
            )
        block[begin : begin + len(data)] = data
    for name, (begin, end) in register_ranges(layout, hart, len(state.v[0])).items():
        if any(block[begin:end]):
            raise UserError(
                f"hart {hart}: {name} would overlap bytes that the generator left in {', '.join(state.free)}: "
                "choose another layout"
            )


def write_hart(
    block: bytearray, layout: Layout, hart: int, state: HartState, harts: int, *, marked: bool = True
) -> None:
    """Write the state of a hart into its block.

    Args:
        block: The bytes of the block, all zero.
        layout: Offsets of the fields.
        hart: The hart whose block it is.
        state: Its state.
        harts: The count to write, if the layout has one.
        marked: Whether to write the magic number.

    Raises:
        UserError: The layout has no room for ``state.free``.
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
