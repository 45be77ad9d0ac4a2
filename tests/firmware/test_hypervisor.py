"""A checkpoint with a guest is refused where its translation would be lost: a hart without H, or csrs=-h."""

from pathlib import Path

import pytest
from bench import CODES, Bench, assert_exact, of_place

from gcpt.checkpoint.state import HartState
from gcpt.isa import mstatus
from gcpt.machines import qemu, synthetic
from gcpt.machines.qemu import Machine
from gcpt.machines.synthetic import Mode, Recipe, Synthetic
from gcpt.validate.verdict import validate

MODES = ("single_core", "dual_core")
WITHOUT_H = qemu.cpu().replace("h=true", "h=false")
#: A machine and a restorer's ``csrs=``, at least one of them without H.
WITHOUT = [
    pytest.param(WITHOUT_H, "", id="hart"),
    pytest.param(qemu.cpu(), "-h", id="restorer"),
    pytest.param(WITHOUT_H, "-h", id="both"),
]


def _plain(mode: Mode, **registers: int) -> Synthetic:
    """A checkpoint without a guest, except for ``registers``."""
    checkpoint = synthetic.make(Recipe((mode,), hypervisor=False))
    for name, value in registers.items():
        checkpoint.harts[0].set(name, value)
    return checkpoint


def _handler(mode: Mode) -> Synthetic:
    """M-mode software that handles a trap of a guest."""
    checkpoint = _plain(mode)
    state: HartState = checkpoint.harts[0]
    state.set("mstatus", state.get("mstatus") | mstatus.MPV)
    return checkpoint


GUESTS = {
    "VS": lambda: synthetic.make(Recipe((Mode.VS,))),
    "VS, bare": lambda: synthetic.make(Recipe((Mode.VS,), paging=False)),
    "VU": lambda: synthetic.make(Recipe((Mode.VU,))),
    "hgatp in S": lambda: _plain(Mode.S, hgatp=8 << 60 | 0x80400),
    "hgatp in U": lambda: _plain(Mode.U, hgatp=8 << 60 | 0x80400),
    "MPV in M": lambda: _handler(Mode.M),
    "MPV in M, by mret": lambda: _handler(Mode.M_NEMU),
}


def _memory(bench: Bench, checkpoint: Synthetic, mode: str, csrs: str) -> Path:
    return bench.restored(checkpoint, of_place(mode), bench.build(mode, **({"csrs": csrs} if csrs else {})))


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize(("cpu", "csrs"), WITHOUT)
@pytest.mark.parametrize("guest", GUESTS)
def test_refused(bench: Bench, mode: str, cpu: str, csrs: str, guest: str) -> None:
    """PMP entries may be locked, and restrict M mode once they are written: the line is printed before."""
    memory = _memory(bench, GUESTS[guest](), mode, csrs)
    codes = [(finding.kind.code, finding.signal) for finding in validate(memory).findings]
    assert (("no-hypervisor", CODES["NO_HYPERVISOR"]) in codes) == bool(csrs)
    end = bench.end(memory, Machine(cpu=cpu))
    assert (end.status, end.error()[0]) == (CODES["NO_HYPERVISOR"],) * 2


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize(("cpu", "csrs"), WITHOUT)
@pytest.mark.parametrize("level", [Mode.U, Mode.S, Mode.M, Mode.M_NEMU], ids=lambda level: level.value)
def test_restored_without_a_guest(bench: Bench, mode: str, cpu: str, csrs: str, level: Mode) -> None:
    """What a hart with H has after reset shows no guest."""
    checkpoint = _plain(level, hstatus=2 << 32, vsstatus=2 << 32 | 1 << 13, henvcfg=0xF0, vstimecmp=(1 << 64) - 1)
    restorer = bench.build(mode, **({"csrs": csrs} if csrs else {}))
    memory = bench.restored(checkpoint, of_place(mode), restorer)
    assert "no-hypervisor" not in [finding.kind.code for finding in validate(memory).findings]
    assert_exact(bench.compare(memory, restorer, {0: checkpoint.harts[0]}, Machine(cpu=cpu)))


#: csrs mstatus, s11; csrr a0, mstatus; and what a hart whose MPV stays clear reads.
_SET, _READ, _CLEAR = (bytes.fromhex(word) for word in ("73a00d30", "73250030", "13050000"))


@pytest.mark.parametrize("csrs", ["", "rva22"])
@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("guest", ["VS", "VS, bare", "VU"])
def test_refused_where_mpv_stays_clear(bench: Bench, mode: str, csrs: str, guest: str) -> None:
    """No hart of QEMU 7.2 is like that: the restorer is made to read it."""
    memory = _memory(bench, GUESTS[guest](), mode, csrs)
    data = memory.read_bytes()[: 1 << 16]
    assert data.count(_SET + _READ) == 1
    with memory.open("r+b") as file:
        file.write(data.replace(_SET + _READ, _SET + _CLEAR))
    end = bench.end(memory, Machine())
    assert (end.status, end.error()[0]) == (CODES["NO_HYPERVISOR"],) * 2


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("level", [Mode.VS, Mode.VU, Mode.S, Mode.M], ids=lambda level: level.value)
def test_the_set_rva22_restores_guests(bench: Bench, mode: str, level: Mode) -> None:
    checkpoint = synthetic.make(Recipe((level,)))
    restorer = bench.build(mode, csrs="rva22")
    memory = bench.restored(checkpoint, of_place(mode), restorer)
    assert_exact(bench.compare(memory, restorer, {0: checkpoint.harts[0]}, Machine()))
