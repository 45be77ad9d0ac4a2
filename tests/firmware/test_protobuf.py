"""Protobuf checkpoints, and mode=auto, which finds all kinds."""

from dataclasses import replace

import pytest
from bench import DRAM, Bench, assert_exact, memory_of

from gcpt.checkpoint import header
from gcpt.checkpoint.layouts import DEFAULT, MULTI_CORE, MULTI_CORE_OFFSET, NEMU_PROTOBUF_OFFSET, Layout
from gcpt.checkpoint.places import DUAL_CORE, SINGLE_CORE, Place, PlaceKind
from gcpt.checkpoint.state import block_size
from gcpt.machines import qemu, synthetic
from gcpt.machines.qemu import Machine
from gcpt.machines.synthetic import Mode, Recipe

MODES = tuple(Mode)
NEMU = Place(PlaceKind.PROTOBUF, NEMU_PROTOBUF_OFFSET, header_at=0)


def _behind_header(cpt_offset: int, layout: Layout, stride: int = 0, at: int = MULTI_CORE_OFFSET) -> Place:
    return Place(PlaceKind.PROTOBUF, at + cpt_offset, stride or block_size(layout), layout, at)


@pytest.mark.parametrize("cpt_offset", [160, 168, 0x1000])
@pytest.mark.parametrize("harts", [1, 2, 8])
@pytest.mark.parametrize(
    ("layout", "stride"),
    [(DEFAULT, 1 << 20), (MULTI_CORE, 0), (MULTI_CORE, 1 << 20)],
    ids=["default", "multicore", "multicore 1 MiB"],
)
def test_header_in_memory(bench: Bench, layout: Layout, stride: int, harts: int, cpt_offset: int) -> None:
    place = _behind_header(cpt_offset, layout, stride)
    bench.exact(Recipe(MODES, harts=harts, seed=harts), place, bench.build("normal"))


def test_header_of_128_harts(bench: Bench) -> None:
    bench.exact(Recipe(MODES, harts=128), _behind_header(168, MULTI_CORE), bench.build("normal"))


def test_vlen_1024(bench: Bench) -> None:
    bench.exact(Recipe(MODES, harts=2, vlen=1024), _behind_header(168, MULTI_CORE), bench.build("normal"))


@pytest.mark.parametrize("mode", MODES, ids=lambda mode: mode.value)
def test_nemus_header_that_the_restorer_overwrites(bench: Bench, mode: Mode) -> None:
    """The restorer overwrites NEMU's header at DRAM base; the magic number of the block at + 168 identifies it."""
    bench.exact(Recipe((mode,)), NEMU, bench.build("normal"))


def test_header_in_the_window(bench: Bench) -> None:
    """A packing tool copies a header that the restorer would overwrite to the window at offset 8."""
    place = Place(PlaceKind.PROTOBUF, 0x80000, 0x20000, MULTI_CORE, 0)
    checkpoint = synthetic.make(Recipe((Mode.S, Mode.VS), harts=2))
    restorer = bench.build("normal")
    memory = bench.restored(checkpoint, place, restorer)
    with memory.open("r+b") as file:
        file.seek(8)
        file.write(header.encode(header.Header(0x80000, 2, 0x20000, layout=MULTI_CORE)))
    assert_exact(bench.compare(memory, restorer, dict(enumerate(checkpoint.harts)), Machine(harts=2)))


def test_header_at_the_address_given(bench: Bench) -> None:
    place = _behind_header(168, DEFAULT, at=0x70_0000)
    bench.exact(Recipe((Mode.U,)), place, bench.build("normal", header_addr=f"{DRAM + 0x70_0000:#x}"))


@pytest.mark.parametrize(
    ("place", "harts"),
    [
        pytest.param(SINGLE_CORE, 1, id="single_core"),
        pytest.param(DUAL_CORE, 1, id="dual_core 1"),
        pytest.param(DUAL_CORE, 5, id="dual_core 5"),
        pytest.param(_behind_header(160, DEFAULT, 1 << 20), 3, id="protobuf"),
        pytest.param(NEMU, 1, id="NEMU's protobuf"),
    ],
)
def test_auto(bench: Bench, place: Place, harts: int) -> None:
    bench.exact(Recipe(MODES, harts=harts, seed=7), place, bench.build("auto"))


@pytest.mark.parametrize("harts", [1, 3])
@pytest.mark.parametrize("magic_number", [DEFAULT.magic_number, 0])
def test_header_without_magic_in_the_block(bench: Bench, harts: int, magic_number: int) -> None:
    """One QEMU variant omits magic_number from the layout and from all blocks."""
    place = _behind_header(160, replace(DEFAULT, magic_number=magic_number), 1 << 20)
    checkpoint = synthetic.make(Recipe((Mode.S,), harts=harts))
    restorer = bench.build("normal")
    memory = bench.restored(checkpoint, place, restorer)
    with memory.open("r+b") as file:
        for hart in range(harts):
            file.seek(place.block(hart) + magic_number)
            file.write(bytes(8))
    fitting = Machine(cpu=qemu.cpu(), harts=harts, memory=memory_of(checkpoint))
    assert_exact(bench.compare(memory, restorer, dict(enumerate(checkpoint.harts)), fitting))
