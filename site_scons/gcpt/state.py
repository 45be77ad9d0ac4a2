"""The state model: one hart's registers, read from and written into a block, and where an image keeps the blocks."""

import struct
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from enum import Enum
from pathlib import Path

from gcpt import header, image, stamp
from gcpt.csrs import BY_NAME
from gcpt.errors import UserError
from gcpt.layouts import (
    BLOCK_SIZE,
    CHECKPOINT_MAGIC,
    CSR_COUNT,
    DEFAULT,
    DEFAULT_VLEN,
    FREE_FIELDS,
    HEADER_WINDOW,
    MAX_HARTS,
    MAX_VLEN,
    MIB,
    MULTI_CORE,
    MULTI_CORE_OFFSET,
    NEMU_PROTOBUF_OFFSET,
    RESERVED_SIZE,
    Layout,
)

_VLENB = BY_NAME["vlenb"].number
#: What tools follow in a header: blocks of up to so many bytes, so far from each other, up to here in the image.
_LARGEST_BLOCK, _LARGEST_STRIDE, _FARTHEST = 16 * MIB, 1 << 30, 1 << 40
#: Bytes from the start of a compressed image that a reader keeps: what says where the state is, and most state.
_KEPT = 8 * MIB


class NoCheckpointError(UserError):
    """An image in which there is no checkpoint at any known place."""


@dataclass
class HartState:
    """The state of one hart.

    Attributes:
        pc: The address of the next instruction.
        mode: 0 U, 1 S, 3 M.
        mtime: CLINT ticks.
        mtimecmp: CLINT ticks.
        x: 32 values of 64 bits.
        f: 32 values of 64 bits.
        csr: 4096 values of 64 bits, by the CSR's number.
        v: 32 registers of vlenb bytes each.
        free: What is not zero in the fields that no restore reads and behind the vector registers, by the field's
            name, without zeros at its end.
        count: The number of harts that the generator wrote.
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
        """The value of the CSR that the inventory calls ``name``; KeyError where there is none."""
        return self.csr[BY_NAME[name].number]

    def set(self, name: str, value: int) -> None:
        """Give the CSR that the inventory calls ``name`` this value; KeyError where there is none."""
        self.csr[BY_NAME[name].number] = value


class Kind(Enum):
    """Where a checkpoint keeps its blocks, as ``mode=`` names it."""

    SINGLE_CORE = "single_core"
    DUAL_CORE = "dual_core"
    PROTOBUF = "protobuf"


@dataclass(frozen=True)
class Place:
    """Where the blocks are: hart h's at byte ``base + h * stride`` of the image.

    Attributes:
        kind: How a restorer finds them.
        base: Hart 0's block, in bytes from the image's start.
        stride: Bytes from one block to the next.
        layout: The offsets of the fields in a block.
        header_at: The protobuf header, in bytes from the image's start, or -1.
        marked: The blocks have the magic number, which one variant of QEMU leaves out where there is a header.
    """

    kind: Kind
    base: int
    stride: int = BLOCK_SIZE
    layout: Layout = DEFAULT
    header_at: int = -1
    marked: bool = True

    def block(self, hart: int) -> int:
        """Where the block of ``hart`` begins, in bytes from the image's start."""
        return self.base + hart * self.stride


SINGLE_CORE = Place(Kind.SINGLE_CORE, 0)
DUAL_CORE = Place(Kind.DUAL_CORE, MULTI_CORE_OFFSET)
#: A protobuf header where QEMU writes it, the blocks behind it as its generator packs them.
PROTOBUF = Place(
    Kind.PROTOBUF,
    MULTI_CORE_OFFSET + NEMU_PROTOBUF_OFFSET,
    MULTI_CORE.vector_reg_done + 8,
    MULTI_CORE,
    MULTI_CORE_OFFSET,
)
#: NEMU's protobuf header, at the very start of the image.
NEMU = Place(Kind.PROTOBUF, NEMU_PROTOBUF_OFFSET, header_at=0)

#: The places to write to, by the names that commands have for them.
PLACES: dict[str, Place] = {"single_core": SINGLE_CORE, "dual_core": DUAL_CORE, "protobuf": PROTOBUF, "nemu": NEMU}


def place_for(layout: str, harts: int) -> Place:
    """The place that holds a number of harts in a layout.

    Args:
        layout: A key of ``PLACES``, or ``"auto"``: single_core for one hart, else dual_core.
        harts: How many there are.

    Raises:
        UserError: The layout cannot hold so many.
    """
    name = layout if layout != "auto" else "single_core" if harts == 1 else "dual_core"
    if name in ("single_core", "nemu") and harts > 1:
        raise UserError(f"layout {name} holds one hart, and there are {harts}: use dual_core or protobuf")
    return PLACES[name]


@dataclass(frozen=True)
class Checkpoint:
    """All harts of a checkpoint and where their blocks are."""

    place: Place
    harts: list[HartState]


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


def own_size(place: Place, hart: int, vlenb: int) -> int:
    """The bytes of a hart's block, from its begin, that are the state's.

    Of a block in the restorer's MiB, only registers are beyond that: NEMU's ends among the workload's first bytes.
    """
    whole, room = block_size(place.layout, hart + 1), RESERVED_SIZE - place.block(hart)
    if not 0 < room < whole:
        return whole
    return max(room, *(end for _, end in register_ranges(place.layout, hart, vlenb).values()))


def own_ranges(place: Place, hart: int, vlenb: int) -> list[tuple[int, int]]:
    """The bytes of the image (begin, end) that the state of a hart takes, sorted; those that touch are one range."""
    base, size = place.block(hart), own_size(place, hart, vlenb)
    extents = place.layout.extents(hart)
    if not place.marked:
        del extents["magic_number"]
    ranges: list[tuple[int, int]] = []
    for begin, end in sorted((base + begin, base + min(end, size)) for begin, end in extents.values() if begin < size):
        if ranges and begin <= ranges[-1][1]:
            ranges[-1] = (ranges[-1][0], max(end, ranges[-1][1]))
        else:
            ranges.append((begin, end))
    return ranges


def _checked_vlenb(hart: int, vlenb: int) -> int:
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
    vlenb = _checked_vlenb(hart, csr[_VLENB])
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


#: Reads a number of bytes at an offset of an image; fewer where the image ends.
Reader = Callable[[int, int], bytes]


def _word(read: Reader, offset: int) -> int:
    return int.from_bytes(read(offset, 8), "little")


def _marked(read: Reader, place: Place, hart: int) -> bool:
    return _word(read, place.block(hart) + place.layout.magic_number) == CHECKPOINT_MAGIC


def _of_header(read: Reader, at: int, origin: int) -> Place | None:
    data = read(at, header.MAX_SIZE)
    if not header.present(data):
        return None
    found, _ = header.decode(data)
    base = (origin + found.cpt_offset) % (1 << 64)  # an offset below the header is one that wraps around
    _check_followed(found, base)
    place = Place(Kind.PROTOBUF, base, found.single_core_size, found.layout, at)
    return place if _marked(read, place, 0) else replace(place, marked=False)


def _check_followed(found: header.Header, base: int) -> None:
    """UserError when a header leads nowhere where a checkpoint could be."""
    if not 1 <= found.cpu_num <= MAX_HARTS:
        raise UserError(f"the protobuf header says {found.cpu_num} harts: want 1 to {MAX_HARTS}")
    _check_reach("cpt_offset", base, _FARTHEST)
    _check_reach("single_core_size", found.single_core_size, _LARGEST_STRIDE)
    check_block(found.layout, found.cpu_num)


def check_block(layout: Layout, harts: int) -> None:
    """UserError when a field of ``layout``, as a header has it, lies further away than any block is large."""
    _check_reach("an offset of a field", block_size(layout, harts), _LARGEST_BLOCK)


def _check_reach(name: str, value: int, most: int) -> None:
    if value > most:
        raise UserError(f"the protobuf header is damaged: {name} leads to byte {value:#x}")


def locate(read: Reader) -> Place:
    """Where an image keeps its blocks, in the order in which a restorer looks for them; UserError when nowhere."""
    carries = stamp.size(read(0, HEADER_WINDOW)) is not None
    for at, origin in ((HEADER_WINDOW, 0), (MULTI_CORE_OFFSET, MULTI_CORE_OFFSET), (0, 0)):
        if (at != HEADER_WINDOW or carries) and (place := _of_header(read, at, origin)):
            return place
    nemu = Place(Kind.PROTOBUF, NEMU_PROTOBUF_OFFSET)
    for place in (DUAL_CORE, SINGLE_CORE, nemu):
        if _marked(read, place, 0):
            return place
    raise NoCheckpointError("no checkpoint: neither a protobuf header nor the magic number 0xbeef at any known place")


def count_harts(read: Reader, place: Place) -> int:
    """How many harts have state: the header's count, else the blocks in a row that are marked.

    The count that generators write (csr_reserve) is 0 or 2 whatever the truth.
    """
    if place.header_at >= 0:
        return header.decode(read(place.header_at, header.MAX_SIZE))[0].cpu_num
    if place.kind is not Kind.DUAL_CORE:
        return 1
    return next((hart for hart in range(MAX_HARTS) if not _marked(read, place, hart)), MAX_HARTS)


def read_checkpoint(read: Reader, place: Place | None = None) -> Checkpoint:
    """The checkpoint in an image; ``place`` where it is known. UserError when there is none."""
    place = place or locate(read)
    harts = []
    for hart in range(count_harts(read, place)):
        vlenb = _checked_vlenb(hart, _word(read, place.block(hart) + place.layout.csr(_VLENB)))
        block = read(place.block(hart), own_size(place, hart, vlenb))
        harts.append(read_hart(block, place.layout, hart))
    return Checkpoint(place, harts)


class Prefix:
    """A Reader of a checkpoint file, of any container.

    Reads, and decompresses, no more of it than up to what is asked for, and holds no more than its start and the last
    piece that was asked for. Asked for one before that, it starts again.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._seekable = image.container_of(path) == "raw" and path.is_file()
        self._start = bytearray()
        self._rewind()

    def _rewind(self) -> None:
        self._chunks = image.chunks(self._path)
        self._window, self._at = bytearray(), 0

    def __call__(self, offset: int, size: int) -> bytes:
        if not 0 <= offset < _FARTHEST:
            return b""  # what a header says leads there
        if self._seekable:
            return image.read_at(self._path, offset, size)
        if offset + size <= len(self._start):
            return bytes(self._start[offset : offset + size])
        if offset < self._at:
            self._rewind()
        self._advance(offset, offset + size)
        return bytes(self._window[offset - self._at :][:size])

    def _advance(self, begin: int, end: int) -> None:
        """Read on until the window holds what is from ``begin`` to ``end``, as far as there is any."""
        while self._at + len(self._window) < end and (chunk := next(self._chunks, b"")):
            if self._at + len(self._window) == len(self._start) < _KEPT:
                self._start += chunk
            self._window += chunk
            passed = min(max(0, begin - self._at), len(self._window))
            del self._window[:passed]
            self._at += passed


def load(path: Path, place: Place | None = None) -> Checkpoint:
    """The checkpoint in the file ``path``; UserError names the file."""
    try:
        return read_checkpoint(Prefix(path), place)
    except UserError as error:
        raise UserError(f"{path}: {error}") from error
