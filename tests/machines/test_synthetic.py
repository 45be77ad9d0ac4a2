"""Synthetic checkpoints: values are distinct, and reproducible by recipe."""

import pytest

from gcpt.isa import mstatus
from gcpt.isa.csrs import INVENTORY, SETS, When
from gcpt.machines import synthetic
from gcpt.machines.synthetic import Aliases, Mode, Recipe

#: CSRs that are always 0, or small fields whose random value may be 0.
_MAY_BE_ZERO = {
    "vl",
    "vxsat",
    "hgeie",
    "htinst",
    "vtype",
    "mip",
    "hvip",
    "sie",
    "sip",
    "vsie",
    "vsip",
    "hie",
    "hip",
    "satp",
}
_SMALL = 1 << 16


@pytest.mark.parametrize("mode", tuple(Mode), ids=lambda mode: mode.value)
@pytest.mark.parametrize("seed", [1, 2, 3])
def test_every_register_is_distinct(mode: Mode, seed: int) -> None:
    state = synthetic.make(Recipe((mode,), seed=seed)).harts[0]
    registers = [*state.x[1:], *state.f, *(int.from_bytes(v, "little") for v in state.v)]
    groups = SETS["rva22"].groups  # what QEMU 7.2 holds
    written = (When.EARLY, When.TIMER, When.LAST)
    csrs = {c.name: state.get(c.name) for c in INVENTORY if c.group in groups and c.when in written}
    assert {name for name, value in csrs.items() if value == 0} <= _MAY_BE_ZERO
    large = [value for name, value in csrs.items() if value > _SMALL and (name, mode.level) != ("mepc", state.mode)]
    assert len(set(registers + large)) == len(registers + large)


@pytest.mark.parametrize("vlen", [128, 1024])
def test_values_are_legal(vlen: int) -> None:
    """Fields whose random values must not be reserved, with many seeds."""
    for seed in range(100):
        state = synthetic.make(Recipe(seed=seed, vlen=vlen)).harts[0]
        assert state.get("fflags") < 32 and state.get("frm") <= 4
        assert state.get("vxrm") < 4 and state.get("vxsat") < 2
        assert not state.get("hideleg") & ~0x444
        for name in ("menvcfg", "henvcfg", "senvcfg"):
            assert state.get(name) >> 4 & 3 != 2, name  # CBIE
        sew, lmul = state.get("vtype") >> 3 & 7, state.get("vtype") & 7
        assert sew < 4 and lmul < 4 and 0 < state.get("vl") <= (vlen << lmul) >> (sew + 3)
        assert 0 < state.get("vstart") < vlen
        configs = [state.get(f"pmpcfg{register}") >> 8 * byte & 0xFF for register in (0, 2) for byte in range(8)]
        assert all(not config & 0x60 and config & 3 != 2 for config in configs)  # reserved bits, W without R


def test_same_recipe_same_checkpoint() -> None:
    recipe = Recipe(tuple(Mode), harts=6, seed=9)
    assert synthetic.make(recipe) == synthetic.make(recipe)


def test_harts_differ() -> None:
    harts = synthetic.make(Recipe(harts=128)).harts
    assert len({hart.pc for hart in harts}) == 128
    assert len({hart.get("sscratch") for hart in harts}) == 128
    assert len({hart.mtime for hart in harts}) == 1


@pytest.mark.parametrize("mode", tuple(Mode), ids=lambda mode: mode.value)
def test_mstatus_is_as_generators_write_it(mode: Mode) -> None:
    state = synthetic.make(Recipe((mode,))).harts[0]
    value = state.get("mstatus")
    assert state.count == (mode is not Mode.M_NEMU)  # csr_reserve, which NEMU leaves 0
    assert mode is Mode.M or not value & mstatus.MIE
    assert (state.get("mepc") == state.pc) == (mode is not Mode.M)
    if mode is not Mode.M:
        assert mstatus.mpp(value) == state.mode
        assert bool(value & mstatus.MPV) == mode.virtual


def test_aliases() -> None:
    parts = synthetic.make(Recipe(aliases=Aliases.PARTS)).harts[0]
    whole = synthetic.make(Recipe(aliases=Aliases.WHOLE)).harts[0]
    assert parts.get("fcsr") == 0 == whole.get("frm")
    assert whole.get("fcsr") == parts.get("frm") << 5 | parts.get("fflags")


def test_each_pc_points_to_code() -> None:
    checkpoint = synthetic.make(Recipe((Mode.M,), harts=5))
    memory = dict(checkpoint.memory)
    assert [memory[hart.pc] for hart in checkpoint.harts] == [bytes.fromhex("6f000000")] * 5
