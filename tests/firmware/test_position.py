"""A restorer runs at any load address; the places of checkpoints do not move."""

import pytest
from bench import DRAM, Bench, assert_exact, jump

from gcpt.checkpoint.layouts import MULTI_CORE, MULTI_CORE_OFFSET
from gcpt.checkpoint.places import DUAL_CORE, Place, PlaceKind
from gcpt.checkpoint.state import block_size
from gcpt.machines import synthetic
from gcpt.machines.qemu import Machine
from gcpt.machines.synthetic import Mode, Recipe
from gcpt.restorer import packing

PROTOBUF = Place(PlaceKind.PROTOBUF, MULTI_CORE_OFFSET + 168, block_size(MULTI_CORE), MULTI_CORE, MULTI_CORE_OFFSET)


@pytest.mark.parametrize("offset", [0x1000, 0x8_0000, 0x8_0010])
@pytest.mark.parametrize(
    ("mode", "place"),
    [("dual_core", DUAL_CORE), ("normal", PROTOBUF), ("auto", DUAL_CORE), ("auto", PROTOBUF)],
    ids=["dual_core", "normal", "auto dual_core", "auto protobuf"],
)
def test_loaded_elsewhere(bench: Bench, mode: str, place: Place, offset: int) -> None:
    """Loaded at another address, and started by a jump as from a boot ROM."""
    checkpoint = synthetic.make(Recipe((Mode.S, Mode.M, Mode.VU), harts=3))
    restorer = bench.build(mode)
    memory = bench.synthetic_image(checkpoint, place)
    packing.place(memory, restorer.image, offset)
    where, code = jump(DRAM, DRAM + offset)
    with memory.open("r+b") as file:
        file.seek(where - DRAM)
        file.write(code)
    assert_exact(bench.compare(memory, restorer, dict(enumerate(checkpoint.harts)), Machine(harts=3)))
