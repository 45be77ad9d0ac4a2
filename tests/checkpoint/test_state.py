"""The state of a hart in a block, and the search for blocks in an image."""

from collections.abc import Callable
from pathlib import Path

import pytest

from gcpt.checkpoint import files, header, output, registers, search, state, streams
from gcpt.checkpoint.layouts import DEFAULT, MAX_HARTS, MULTI_CORE, MULTI_CORE_OFFSET, NEMU_PROTOBUF_OFFSET, Layout
from gcpt.checkpoint.places import DUAL_CORE, SINGLE_CORE, Checkpoint, Place, PlaceKind
from gcpt.checkpoint.state import block_size
from gcpt.errors import UserError
from gcpt.isa.csrs import INVENTORY
from gcpt.machines import synthetic
from gcpt.machines.synthetic import Mode, Recipe

NEMU = Place(PlaceKind.PROTOBUF, NEMU_PROTOBUF_OFFSET)
QEMU = Place(PlaceKind.PROTOBUF, MULTI_CORE_OFFSET + 160, block_size(MULTI_CORE), MULTI_CORE, MULTI_CORE_OFFSET)


def _file(tmp_path: Path, place: Place, harts: int = 1, vlen: int = 128) -> tuple[Path, Checkpoint]:
    checkpoint = Checkpoint(place, synthetic.make(Recipe(tuple(Mode), harts=harts, vlen=vlen)).harts)
    path = tmp_path / "checkpoint"
    pieces = [(address - synthetic.DRAM, data) for address, data in synthetic.blocks(checkpoint)]
    output.write_pieces(path, pieces, 16 << 20)
    return path, checkpoint


def _words(block: bytearray) -> Callable[[int], int]:
    """A function that reads the 64-bit word at an offset of ``block``."""
    return lambda at: int.from_bytes(block[at : at + 8], "little")


@pytest.mark.parametrize("layout", [DEFAULT, MULTI_CORE])
@pytest.mark.parametrize("vlen", [128, 1024, 2048])
@pytest.mark.parametrize("hart", [0, 1, 127])
def test_read_undoes_write(layout: Layout, vlen: int, hart: int) -> None:
    expected = synthetic.make(Recipe((Mode.VS,), vlen=vlen)).harts[0]
    block = bytearray(block_size(layout))
    state.write_hart(block, layout, hart, expected, 128)
    actual = state.read_hart(block, layout, hart)
    assert actual == expected
    assert actual.count == (128 if layout.csr_reserve else 0)  # not part of the equality


def test_offsets_of_the_default_layout() -> None:
    """The offsets are literals: read and write with the same wrong offset would pass a round trip."""
    hart = synthetic.make(Recipe((Mode.S,))).harts[0]
    block = bytearray(block_size(DEFAULT))
    state.write_hart(block, DEFAULT, 3, hart, 4)
    assert len(block) == 1 << 20
    word = _words(block)

    assert word(0xECDB0) == 0xBEEF
    assert word(0xECDB8) == hart.pc
    assert word(0xECDC0) == 1
    assert word(0xECDC8) == hart.mtime
    assert word(0xECDD0 + 8 * 3) == hart.mtimecmp
    assert word(0xEDDE0 + 8 * 31) == hart.x[31]
    assert word(0xEDEE8 + 8 * 31) == hart.f[31]
    assert word(0xEDFF0 + 8 * 0x180) == hart.get("satp")
    assert word(0xF5FF8) == 4
    assert bytes(block[0xFDFF8 + 16 * 31 : 0xFDFF8 + 16 * 32]) == hart.v[31]


def test_offsets_of_the_multi_core_layout() -> None:
    """The offsets are literals here too."""
    hart = synthetic.make(Recipe((Mode.S,))).harts[0]
    block = bytearray(block_size(MULTI_CORE))
    state.write_hart(block, MULTI_CORE, 3, hart, 4)
    word = _words(block)

    assert (word(0x0), word(0x8), word(0x10), word(0x18)) == (0xBEEF, hart.pc, 1, hart.mtime)
    assert word(0x20 + 8 * 3) == hart.mtimecmp
    assert word(0x1000 + 8 * 31) == hart.x[31]
    assert word(0x1130 + 8 * 31) == hart.f[31]
    assert word(0x1238 + 8 * 0x180) == hart.get("satp")
    assert word(0x9240) == 4
    assert bytes(block[0x11240 + 16 * 31 : 0x11240 + 16 * 32]) == hart.v[31]


def test_vlenb_0_means_128_bits() -> None:
    hart = synthetic.make(Recipe()).harts[0]
    hart.set("vlenb", 0)
    block = bytearray(block_size(DEFAULT))
    state.write_hart(block, DEFAULT, 0, hart, 1)
    assert state.read_hart(block, DEFAULT, 0).v == hart.v


@pytest.mark.parametrize(
    ("place", "harts"), [(SINGLE_CORE, 1), (DUAL_CORE, 1), (DUAL_CORE, 6), (NEMU, 1), (QEMU, 1), (QEMU, 4)]
)
def test_load_finds_the_checkpoint(tmp_path: Path, place: Place, harts: int) -> None:
    path, checkpoint = _file(tmp_path, place, harts)
    assert files.load(path) == checkpoint


def test_header_at_the_start(tmp_path: Path) -> None:
    place = Place(PlaceKind.PROTOBUF, 168, 1 << 20, header_at=0)
    path, checkpoint = _file(tmp_path, place)
    assert files.load(path) == checkpoint


def test_a_known_place_needs_no_magic_number(tmp_path: Path) -> None:
    path, checkpoint = _file(tmp_path, SINGLE_CORE)
    with path.open("r+b") as file:
        file.seek(DEFAULT.magic_number)
        file.write(bytes(8))
    assert files.load(path, SINGLE_CORE) == checkpoint


def test_the_number_of_marked_blocks_is_limited() -> None:
    assert len(search.marked_harts(lambda offset, size: (0xBEEF).to_bytes(8, "little"), DUAL_CORE, 1)) == MAX_HARTS


def test_no_checkpoint(tmp_path: Path) -> None:
    path = tmp_path / "empty"
    output.write_pieces(path, [], 8 << 20)
    with pytest.raises(UserError, match=r"empty: no checkpoint: neither"):
        files.load(path)


def test_image_that_ends_within_a_block(tmp_path: Path) -> None:
    path, _ = _file(tmp_path, SINGLE_CORE)
    with path.open("r+b") as file:
        file.truncate(0xF0000)
    with pytest.raises(UserError, match="hart 0: the image ends within its block"):
        files.load(path)


@pytest.mark.parametrize("vlenb", [1, 15, 257, 512, 1 << 63])
def test_impossible_vlenb(vlenb: int) -> None:
    hart = synthetic.make(Recipe()).harts[0]
    hart.set("vlenb", vlenb)
    block = bytearray(block_size(DEFAULT))
    state.write_hart(block, DEFAULT, 0, hart, 1)
    with pytest.raises(UserError, match="not a multiple of 8 up to 0x100: the block is damaged or has another layout"):
        state.read_hart(block, DEFAULT, 0)


def test_an_undecodable_header_is_reported(tmp_path: Path) -> None:
    path, _ = _file(tmp_path, QEMU)
    with path.open("r+b") as file:
        file.seek(MULTI_CORE_OFFSET + 6)
        file.write(b"\xff" * 600)
    with pytest.raises(UserError, match="no protobuf header"):
        files.load(path)
    assert header.present(streams.read_prefix(path, MULTI_CORE_OFFSET + 16)[MULTI_CORE_OFFSET:])


def test_names_of_registers() -> None:
    hart = synthetic.make(Recipe((Mode.M,))).harts[0]
    hart.pc, hart.csr, hart.csr[0x305], hart.csr[0x7C0] = 5, [0] * 4096, 6, 7
    hart.x, hart.f, hart.v = [0] * 31 + [8], [9] + [0] * 31, [bytes(16)] * 31 + [b"\1" + bytes(15)]
    some = {"pc": 5, "x31 (t6)": 8, "f0": 9, "mtvec": 6, "csr 0x7c0": 7, "v31": "0" * 31 + "1"}
    assert registers.registers(hart) == some
    everything = registers.registers(hart, everything=True)
    assert everything.items() >= some.items()
    assert set(everything) == {
        "pc",
        *(f"x{i} ({name})" for i, name in enumerate(registers.X_NAMES)),
        *(f"{kind}{i}" for kind in "fv" for i in range(32)),
        *(csr.name for csr in INVENTORY),
        "csr 0x7c0",
    }
