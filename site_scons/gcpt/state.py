"""The state model: one hart's registers, read from and written into a block, and where an image keeps the blocks."""

import struct
from collections.abc import Callable
from dataclasses import dataclass, field
from enum import Enum
from pathlib import Path

from gcpt import header, image
from gcpt.csrs import BY_NAME
from gcpt.errors import UserError
from gcpt.layouts import (
    BLOCK_SIZE,
    CHECKPOINT_MAGIC,
    CSR_COUNT,
    DEFAULT,
    DEFAULT_VLEN,
    MAX_HARTS,
    MAX_VLEN,
    MULTI_CORE,
    MULTI_CORE_OFFSET,
    NEMU_PROTOBUF_OFFSET,
    VECTOR_WINDOW,
    Layout,
)

_VLENB = BY_NAME["vlenb"].number


@dataclass
class HartState:
    """The state of one hart.

    mode: 0 U, 1 S, 3 M. mtime, mtimecmp: CLINT ticks. x, f: 32 64-bit values each. csr: indexed by CSR number. v: 32
    registers of vlenb bytes each.
    """

    pc: int
    mode: int
    mtime: int = 0
    mtimecmp: int = 0
    x: list[int] = field(default_factory=lambda: [0] * 32)
    f: list[int] = field(default_factory=lambda: [0] * 32)
    csr: list[int] = field(default_factory=lambda: [0] * CSR_COUNT)
    v: list[bytes] = field(default_factory=lambda: [bytes(DEFAULT_VLEN // 8)] * 32)

    def get(self, name: str) -> int:
        """The CSR called ``name`` in the inventory."""
        return self.csr[BY_NAME[name].number]

    def set(self, name: str, value: int) -> None:
        self.csr[BY_NAME[name].number] = value


class Kind(Enum):
    """Where a checkpoint keeps its blocks, as ``mode=`` names it."""

    SINGLE_CORE = "single_core"
    DUAL_CORE = "dual_core"
    PROTOBUF = "protobuf"


@dataclass(frozen=True)
class Place:
    """Where the blocks are: hart h's at byte ``base + h * stride`` of the image. header_at: a header's, or -1."""

    kind: Kind
    base: int
    stride: int = BLOCK_SIZE
    layout: Layout = DEFAULT
    header_at: int = -1

    def block(self, hart: int) -> int:
        return self.base + hart * self.stride


SINGLE_CORE = Place(Kind.SINGLE_CORE, 0)
DUAL_CORE = Place(Kind.DUAL_CORE, MULTI_CORE_OFFSET)
#: A protobuf header where QEMU writes it, the blocks behind it as its generator packs them.
PROTOBUF = Place(
    Kind.PROTOBUF,
    MULTI_CORE_OFFSET + NEMU_PROTOBUF_OFFSET,
    max(MULTI_CORE.vector_reg_done, MULTI_CORE.vector_reg + VECTOR_WINDOW) + 8,
    MULTI_CORE,
    MULTI_CORE_OFFSET,
)


@dataclass(frozen=True)
class Checkpoint:
    """All harts of a checkpoint and where their blocks are."""

    place: Place
    harts: list[HartState]


def _words(block: bytes | bytearray, offset: int, count: int) -> list[int]:
    return list(struct.unpack_from(f"<{count}Q", block, offset))


def block_size(layout: Layout) -> int:
    """The bytes that a block of ``layout`` takes, for vector registers of any length."""
    return max(*layout.items().values(), layout.vector_reg + VECTOR_WINDOW) + 8


def read_hart(block: bytes | bytearray, layout: Layout, hart: int) -> HartState:
    """The state in ``block``; UserError when the block is cut short or its vlenb cannot be."""
    if len(block) < layout.vector_reg + VECTOR_WINDOW:
        raise UserError(f"hart {hart}: the image ends within its block")
    csr = _words(block, layout.csr_reg, CSR_COUNT)
    vlenb = csr[_VLENB] or DEFAULT_VLEN // 8
    if vlenb * 8 > MAX_VLEN or vlenb % 8:
        raise UserError(f"hart {hart}: vlenb is {vlenb:#x}: this is no block of this layout")
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
    )


def write_hart(block: bytearray, layout: Layout, hart: int, state: HartState, harts: int) -> None:
    """Write ``state`` into ``block``, as the generator of a checkpoint of ``harts`` harts does."""
    struct.pack_into("<32Q", block, layout.int_reg, *state.x)
    struct.pack_into("<32Q", block, layout.float_reg, *state.f)
    struct.pack_into(f"<{CSR_COUNT}Q", block, layout.csr_reg, *state.csr)
    vector = b"".join(state.v)
    block[layout.vector_reg : layout.vector_reg + len(vector)] = vector
    for offset, value in (
        (layout.magic_number, CHECKPOINT_MAGIC),
        (layout.pc, state.pc),
        (layout.mode, state.mode),
        (layout.mtime, state.mtime),
        (layout.mtime_cmp + 8 * hart, state.mtimecmp),
        (layout.csr_reserve, harts),
    ):
        struct.pack_into("<Q", block, offset, value)


#: Reads a number of bytes at an offset of an image; fewer where the image ends.
Reader = Callable[[int, int], bytes]


def _word(read: Reader, offset: int) -> int:
    return int.from_bytes(read(offset, 8), "little")


def _marked(read: Reader, place: Place, hart: int) -> bool:
    return _word(read, place.block(hart) + place.layout.magic_number) == CHECKPOINT_MAGIC


def _of_header(read: Reader, at: int) -> Place | None:
    data = read(at, header.MAX_SIZE)
    if not header.present(data):
        return None
    found, _ = header.decode(data)
    return Place(Kind.PROTOBUF, at + found.cpt_offset, found.single_core_size, found.layout, at)


def locate(read: Reader) -> Place:
    """Where an image keeps its blocks, in the order in which a restorer looks for them; UserError when nowhere."""
    for at in (MULTI_CORE_OFFSET, 0):
        if place := _of_header(read, at):
            return place
    nemu = Place(Kind.PROTOBUF, NEMU_PROTOBUF_OFFSET)
    for place in (DUAL_CORE, SINGLE_CORE, nemu):
        if _marked(read, place, 0):
            return place
    raise UserError("no checkpoint: neither a protobuf header nor the magic number 0xbeef at any known place")


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
    size = block_size(place.layout)
    harts = range(max(1, count_harts(read, place)))
    return Checkpoint(place, [read_hart(read(place.block(hart), size), place.layout, hart) for hart in harts])


class Prefix:
    """A Reader of a checkpoint file, of any container, that decompresses no more of it than is asked for."""

    def __init__(self, path: Path) -> None:
        self._chunks = image.chunks(path)
        self._data = bytearray()

    def __call__(self, offset: int, size: int) -> bytes:
        while len(self._data) < offset + size:
            chunk = next(self._chunks, b"")
            if not chunk:
                break
            self._data += chunk
        return bytes(self._data[offset : offset + size])


def load(path: Path, place: Place | None = None) -> Checkpoint:
    """The checkpoint in the file ``path``; UserError names the file."""
    try:
        return read_checkpoint(Prefix(path), place)
    except UserError as error:
        raise UserError(f"{path}: {error}") from error
