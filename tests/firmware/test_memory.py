"""A restore does not change the workload's memory, nor the reserved MiB outside the restorer."""

import pytest
from bench import DRAM, Bench

from gcpt.checkpoint.layouts import MIB
from gcpt.checkpoint.places import DUAL_CORE, SINGLE_CORE, Place
from gcpt.machines import synthetic
from gcpt.machines.arrival import run_to_first
from gcpt.machines.qemu import Machine
from gcpt.machines.synthetic import Mode, Recipe

_PAGE = 1 << 12
#: QEMU writes its device tree here.
_DEVICE_TREE = 126 * MIB
#: The trampolines of M-mode harts are in the last bytes of the reserved MiB.
_TRAMPOLINES = MIB - _PAGE


def _changed(bench: Bench, checkpoint: synthetic.Synthetic, place: Place, mode: str) -> set[int]:
    """Offsets of the pages that a restore changes, without the device tree and the restorer's own image."""
    restorer = bench.build(mode)
    memory = bench.restored(checkpoint, place, restorer)
    before = memory.read_bytes()
    pcs = {hart: state.pc for hart, state in enumerate(checkpoint.harts)}
    with bench.run(memory, Machine(harts=len(pcs)), paused=True) as qemu, qemu.gdb() as gdb:
        run_to_first(gdb, pcs)
    after = memory.read_bytes()
    pages = range(0, _DEVICE_TREE, _PAGE)
    return {page for page in pages if before[page : page + _PAGE] != after[page : page + _PAGE]}


@pytest.mark.parametrize("mode", [Mode.S, Mode.U, Mode.VS, Mode.M_NEMU], ids=lambda mode: mode.value)
def test_single_core_writes_no_memory(bench: Bench, mode: Mode) -> None:
    assert _changed(bench, synthetic.make(Recipe((mode,))), SINGLE_CORE, "single_core") == set()


def test_single_core_writes_a_trampoline_in_m_mode(bench: Bench) -> None:
    assert _changed(bench, synthetic.make(Recipe((Mode.M,))), SINGLE_CORE, "single_core") == {_TRAMPOLINES}


@pytest.mark.parametrize("mode", ["dual_core", "auto"])
def test_harts_write_to_the_reserved_mib_only(bench: Bench, mode: str) -> None:
    changed = _changed(bench, synthetic.make(Recipe(tuple(Mode), harts=6)), DUAL_CORE, mode)
    assert max(changed) < MIB
    assert _TRAMPOLINES in changed
    # Below the block of a single_core checkpoint (0xECDB0); the rest of the MiB stays free for it.
    assert max(changed - {_TRAMPOLINES}) < 0xEC000


def test_dram_base_is_what_the_tests_say() -> None:
    assert DRAM == 0x8000_0000
