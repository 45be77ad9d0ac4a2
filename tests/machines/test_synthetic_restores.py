"""Synthetic checkpoints are legal: a fresh hart of QEMU reads back what gdb writes."""

import pytest
from abilities import holds_guests
from bench import Bench

from gcpt.isa import mstatus
from gcpt.isa.csrs import INVENTORY, When
from gcpt.machines import qemu, synthetic
from gcpt.machines.expectation import VS_INTERRUPTS
from gcpt.machines.qemu import Machine
from gcpt.machines.synthetic import Mode, Recipe

_GROUPS = ("base", "envcfg", "f", "v", "h", "sstc", "vstimer", "pmp16", "hpm3", "hpm")
#: Only vsetvl writes vl and vtype; mip has bits that follow external signals; PMP could lock the machine's memory away.
_WRITTEN = [
    entry
    for entry in INVENTORY
    if entry.group in _GROUPS
    and entry.when in (When.EARLY, When.TIMER, When.LOCK, When.LAST)
    and entry.name != "mip"
    and not entry.name.startswith("pmpcfg")
]


@pytest.mark.parametrize("vlen", [128, 1024])
@pytest.mark.parametrize("mode", tuple(Mode), ids=lambda mode: mode.value)
def test_values_can_be_held(bench: Bench, mode: Mode, vlen: int) -> None:
    for seed in range(1, 9):
        state = synthetic.make(Recipe((mode,), seed=seed, vlen=vlen)).harts[0]
        with bench.run(bench.image([]), Machine(cpu=qemu.cpu(vlen)), paused=True) as running, running.gdb() as gdb:
            for entry in _WRITTEN:
                gdb.write_csr(0, entry.number, state.get(entry.name))
            held = {entry.name: gdb.read_csr(0, entry.number) for entry in _WRITTEN}
        # QEMU 7.2 computes SD for mstatus alone; QEMU 10 shows MTIP, which is pending at reset, in hvip.
        held["vsstatus"] = (held["vsstatus"] or 0) | state.get("vsstatus") & 1 << 63
        held["hvip"] = (held["hvip"] or 0) & VS_INTERRUPTS
        if not holds_guests():
            held["mstatus"] = (held["mstatus"] or 0) | state.get("mstatus") & (mstatus.MPV | mstatus.GVA)
        assert held == {entry.name: state.get(entry.name) for entry in _WRITTEN}
