"""The default restorer on harts that have more or less than RVA22's state: it finds out and restores what there is."""

import pytest
from bench import Bench, assert_exact, of_place

from gcpt.isa.csrs import BY_NAME
from gcpt.machines import synthetic
from gcpt.machines.arrival import run_to_first
from gcpt.machines.qemu import Machine
from gcpt.machines.synthetic import Mode, Recipe

AIA = "rv64,v=true,vlen=128,h=true,sstc=true,x-smaia=true,x-ssaia=true"
#: CSRs of AIA with values that QEMU 7.2 holds: the selectors point at iprio registers.
MORE = {
    "miselect": 0x30,
    "mireg": 0x0200_0400_0600_0800,
    "siselect": 0x30,
    "hvictl": 0x4003_0005,
    "hviprio1": 0xA00,
    "hviprio2": 0xB00,
}


@pytest.mark.parametrize("mode", ["single_core", "dual_core"])
@pytest.mark.parametrize("level", [Mode.S, Mode.M], ids=lambda level: level.value)
def test_more_state_than_rva22(bench: Bench, mode: str, level: Mode) -> None:
    checkpoint = synthetic.make(Recipe((level,), locks=False))
    state = checkpoint.harts[0]
    for name, value in MORE.items():
        state.set(name, value)
    restorer = bench.build(mode)
    memory = bench.restored(checkpoint, of_place(mode), restorer)
    assert_exact(bench.compare(memory, restorer, {0: state}, Machine(cpu=AIA)))
    with bench.run(memory, Machine(cpu=AIA), paused=True) as running, running.gdb() as gdb:
        run_to_first(gdb, {0: state.pc})
        assert {name: gdb.read_csr(0, BY_NAME[name].number) for name in MORE} == MORE


@pytest.mark.parametrize("mode", ["single_core", "dual_core"])
def test_floating_point_without_d(bench: Bench, mode: str) -> None:
    """A hart with F alone has registers of 4 bytes, and traps at loads of 8."""
    checkpoint = synthetic.make(Recipe((Mode.S,), vector=False, hypervisor=False, vs=0))
    state = checkpoint.harts[0]
    memory = bench.restored(checkpoint, of_place(mode), bench.build(mode))
    cpu = "rv64,v=false,h=false,d=false"
    with bench.run(memory, Machine(cpu=cpu), paused=True) as running, running.gdb() as gdb:
        run_to_first(gdb, {0: state.pc})
        low = [gdb.read_int(0, gdb.numbers["ft0"] + n) & 0xFFFF_FFFF for n in range(32)]
        assert low == [value & 0xFFFF_FFFF for value in state.f]
        assert gdb.read_csr(0, BY_NAME["fcsr"].number) == state.get("fcsr")
