"""The default restorer on harts that have more or less than RVA22's state: it finds out and restores what there is."""

import re
from collections import Counter

import pytest
from bench import Bench, assert_exact, of_place

from gcpt.isa.csrs import BY_NAME
from gcpt.machines import synthetic
from gcpt.machines.arrival import run_to_first
from gcpt.machines.qemu import Machine, cpu
from gcpt.machines.synthetic import Mode, Recipe

AIA = cpu(smaia=True, ssaia=True)
#: CSRs of AIA with values that QEMU 7.2 holds: the selectors point at iprio registers.
MORE = {
    "miselect": 0x30,
    "mireg": 0x0200_0400_0600_0800,
    "siselect": 0x30,
    "hvictl": 0x4003_0005,
    "hviprio1": 0xA00,
    "hviprio2": 0xB00,
}
#: The numbers of pmpcfg and pmpaddr.
_PMP = {f"{0x3A0 + number:#x}" for number in range(0x50)}


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
def test_a_trap_behind_a_probe_loses_one_register(bench: Bench, mode: str) -> None:
    """With an odd selector, access to mireg traps on a hart that has miselect: what follows is restored."""
    checkpoint = synthetic.make(Recipe((Mode.S,), locks=False))
    state = checkpoint.harts[0]
    values = {**MORE, "miselect": 0x31}
    for name, value in values.items():
        state.set(name, value)
    memory = bench.restored(checkpoint, of_place(mode), bench.build(mode))
    with bench.run(memory, Machine(cpu=AIA), paused=True) as running, running.gdb() as gdb:
        run_to_first(gdb, {0: state.pc})
        held = {name: gdb.read_csr(0, BY_NAME[name].number) for name in values if name != "mireg"}
    del values["mireg"]
    assert held == values


@pytest.mark.parametrize("mode", ["single_core", "dual_core"])
def test_floating_point_without_d(bench: Bench, mode: str) -> None:
    """A hart with F alone has registers of 4 bytes, and traps at loads of 8."""
    checkpoint = synthetic.make(Recipe((Mode.S,), vector=False, hypervisor=False, vs=0))
    state = checkpoint.harts[0]
    memory = bench.restored(checkpoint, of_place(mode), bench.build(mode))
    machine = Machine(cpu=cpu(v=False, h=False, d=False))
    with bench.run(memory, machine, paused=True) as running, running.gdb() as gdb:
        run_to_first(gdb, {0: state.pc})
        low = [gdb.read_int(0, gdb.numbers["ft0"] + n) & 0xFFFF_FFFF for n in range(32)]
        assert low == [value & 0xFFFF_FFFF for value in state.f]
        assert gdb.read_csr(0, BY_NAME["fcsr"].number) == state.get("fcsr")


def _traps(bench: Bench, mode: str, cpu: str) -> Counter[str]:
    """The traps of a restore in S mode, by the trapping instruction's CSR in hexadecimal."""
    checkpoint = synthetic.make(Recipe((Mode.S,), vector=False, hypervisor=False, vs=0, locks=False))
    state, restorer = checkpoint.harts[0], bench.build(mode)
    memory = bench.restored(checkpoint, of_place(mode), restorer)
    log = ("-d", "int,nochain", "-D", str(bench.folder / "traps"))
    with bench.run(memory, Machine(cpu=cpu, extra=log), paused=True) as running, running.gdb() as gdb:
        run_to_first(gdb, {0: state.pc})
    lines = (bench.folder / "traps").read_text().splitlines()
    words = [re.search(r"tval:0x([0-9a-f]+), desc=illegal_instruction", line) for line in lines]
    return Counter(f"{int(word[1], 16) >> 20:#x}" for word in words if word)


@pytest.mark.parametrize("mode", ["single_core", "dual_core"])
def test_at_most_one_trap_for_pmp(bench: Bench, mode: str) -> None:
    traps = _traps(bench, mode, "rv64,v=false,h=false,pmp=false")
    assert {csr: count for csr, count in traps.items() if csr in _PMP} == {"0x3b0": 1}


@pytest.mark.parametrize("mode", ["single_core", "dual_core"])
def test_traps_of_an_old_hart(bench: Bench, mode: str) -> None:
    """Without menvcfg, none of what is newer is tried."""
    traps = _traps(bench, mode, "rv64,v=false,h=false,priv_spec=v1.11.0")
    assert traps["0x30a"] == 1
    assert not traps.keys() & {"0x10a", "0x14d", "0x321", "0x30c", "0x350", "0x308"}
