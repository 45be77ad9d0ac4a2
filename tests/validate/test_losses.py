"""What software does without a group of CSRs, on QEMU 7.2: what the table of groups and ``gcpt validate`` promise."""

import re
from collections.abc import Mapping
from dataclasses import dataclass

import pytest
from bench import Bench, jump
from faults import LOOP, TRAP, sound

from gcpt.checkpoint.places import DUAL_CORE, SINGLE_CORE
from gcpt.isa.csrs import BY_NAME, GROUPS, INVENTORY, Loss, When
from gcpt.machines import qemu
from gcpt.machines.arrival import run_to_first
from gcpt.machines.gdb import Gdb
from gcpt.machines.qemu import Machine
from gcpt.machines.synthetic import Mode, Recipe, Synthetic
from gcpt.validate.findings import BY_CODE, Severity
from gcpt.validate.verdict import validate

#: The software under test.
CODE = TRAP + 0x1000
#: A cause that no trap has.
NO_TRAP = 24
MCAUSE = BY_NAME["mcause"].number
CPU = qemu.cpu(smepmp=True, smaia=True, ssaia=True)
#: Groups that a restorer of the default groups leaves out.
MORE = ("hpm", "counters", "sdtrig")
A0, ZERO = 10, 0


def _read(name: str) -> int:
    """``csrr a0, name``"""
    return BY_NAME[name].number << 20 | 2 << 12 | A0 << 7 | 0x73


def _write(name: str, register: int) -> int:
    """``csrw name, register``"""
    return BY_NAME[name].number << 20 | register << 15 | 1 << 12 | 0x73


ROUND = 0x61 << 25 | A0 << 15 | 7 << 12 | A0 << 7 | 0x53  # fcvt.w.d a0, fa0, dyn
LOCKED = 0x9F << 20 | A0 << 7 | 0x13  # li a0, L | NAPOT | X | W | R
UNLOCK = (LOCKED, _write("pmpcfg0", A0), _write("pmpcfg0", ZERO), _read("pmpcfg0"))
ADD = 11 << 20 | A0 << 15 | A0 << 7 | 0x33  # add a0, a0, a1


@dataclass(frozen=True)
class Case:
    """Software whose result depends on a group.

    code: its instructions, which leave the result in a0. registers: CSRs of the checkpoint that it needs. result: the
    right one; None if it does not matter. cause: mcause of the trap without the group. mode: the mode it runs in.
    """

    code: tuple[int, ...]
    registers: Mapping[str, int]
    result: int | None = None
    cause: int = NO_TRAP
    mode: Mode = Mode.S


_SET = 0x1234_5678_9ABC
CASES = {
    "envcfg": Case((_read("stimecmp"),), {}, cause=2),
    "f": Case((ROUND,), {"fcsr": 1 << 5, "frm": 1, "fflags": 0}, 1),  # 1.5 towards zero
    "v": Case((_read("vl"),), {"vl": 3, "vtype": 0}, 3),
    "h": Case((_read("vsscratch"),), {"vsscratch": _SET}, _SET),
    "sstc": Case((_read("stimecmp"),), {"stimecmp": _SET << 12}, _SET << 12),
    "vstimer": Case((_read("vstimecmp"),), {"vstimecmp": _SET << 12}, _SET << 12),
    "pmp16": Case((ADD,), {}, cause=2),  # of the mret; the privileged specification has 1 at the first fetch
    "smepmp": Case(UNLOCK, {"mseccfg": 4}, 0, mode=Mode.M),  # RLB: locked entries can be edited
    "aia": Case((_read("siselect"),), {"siselect": 0x30}, 0x30),
    "hpm3": Case((ADD,), {"mhpmevent3": 0x10019}),
    "hpm": Case((ADD,), {"mhpmevent9": 0x10019}),
    "counters": Case((ADD,), {"mcycle": 1 << 62, "mcountinhibit": 1}),
    "sdtrig": Case((ADD,), {"tdata1": 2 << 60, "tdata2": _SET}),
}


def _checkpoint(case: Case) -> Synthetic:
    checkpoint = sound(Recipe((case.mode,), paging=False, locks=False))
    state = checkpoint.harts[0]
    state.pc = CODE
    if case.mode is not Mode.M:
        state.set("mepc", CODE)
    state.set("mcause", NO_TRAP)
    state.f[10] = 0x3FF8 << 48  # 1.5
    for name, value in case.registers.items():
        state.set(name, value)
    code = b"".join(word.to_bytes(4, "little") for word in case.code) + LOOP
    handler = jump(TRAP, CODE + 4 * len(case.code))
    return Synthetic(checkpoint.harts, [*checkpoint.memory, (CODE, code), handler])


@dataclass(frozen=True)
class Outcome:
    """What software did: its result, the cause of a trap, and the CSRs of its case at its end."""

    result: int
    cause: int
    registers: Mapping[str, int | None]


def _outcome(bench: Bench, case: Case, options: str) -> tuple[Outcome, list[tuple[str, str]]]:
    """Run software to its end; also return what validate finds."""
    checkpoint = _checkpoint(case)
    memory = bench.restored(checkpoint, SINGLE_CORE, bench.build("single_core", csrs=options))
    findings = [(finding.kind.code, finding.what) for finding in validate(memory).findings]
    with bench.run(memory, Machine(cpu=CPU), paused=True) as running, running.gdb() as gdb:
        run_to_first(gdb, {0: CODE + 4 * len(case.code)})
        return Outcome(gdb.read_int(0, A0), gdb.read_csr(0, MCAUSE), _registers(gdb, case)), findings


def _registers(gdb: Gdb, case: Case) -> Mapping[str, int | None]:
    return {name: gdb.read_csr(0, BY_NAME[name].number) for name in case.registers}


@pytest.mark.parametrize("group", CASES)
def test_loss(bench: Bench, group: str) -> None:
    case, loss = CASES[group], GROUPS[group].loss
    exact, none = _outcome(bench, case, ",".join(f"+{name}" for name in MORE))
    lost, findings = _outcome(bench, case, "" if group in MORE else f"-{group}")
    assert not [what for code, what in none if code.startswith("csrs-left-out")]
    code = "csrs-left-out-minor" if loss is Loss.COUNTS else "csrs-left-out"
    assert [what for found, what in findings if found == code and f"+{group}; without it, {loss.value}" in what]
    assert exact.cause == NO_TRAP
    assert case.result in (None, exact.result)
    assert lost.cause == case.cause
    assert (lost.cause != NO_TRAP) == (loss is Loss.TRAPS)
    assert (lost.result != exact.result) == (loss is Loss.COMPUTES) or loss is Loss.TRAPS
    if loss is Loss.COUNTS:
        assert all(exact.registers[name] == value for name, value in case.registers.items())
        assert lost.registers != exact.registers


@pytest.mark.parametrize("value", [1, 2, 3, 7])
def test_mml_and_mmwp_are_lost(bench: Bench, value: int) -> None:
    """The restorer reports nothing, but M mode may do again what it may not: an error of validate, without advice."""
    lost, findings = _outcome(bench, Case((_read("mseccfg"),), {"mseccfg": value}, mode=Mode.M), "rva22")
    assert (lost.cause, lost.result) == (NO_TRAP, 0)
    assert findings == [("mseccfg-left-out", f"mseccfg is {value:#x}")]
    assert BY_CODE["mseccfg-left-out"].severity is Severity.ERROR
    assert "csrs=" not in BY_CODE["mseccfg-left-out"].remedy + BY_CODE["mseccfg"].remedy


def test_each_loss_and_each_group_of_qemu_is_seen() -> None:
    assert {name for name, group in GROUPS.items() if group.on_qemu} == set(CASES)
    assert {GROUPS[name].loss for name in CASES} == set(Loss)
    assert all(group.why for group in GROUPS.values())


def test_qemu_lacks_the_other_groups(bench: Bench) -> None:
    """With log=info the restorer names each CSR that the hart lacks."""
    others = [name for name, group in GROUPS.items() if not group.on_qemu and name != "base"]
    checkpoint = sound(Recipe((Mode.M,), locks=False))
    restorer = bench.build("dual_core", log="info", csrs=",".join(f"+{name}" for name in others))
    memory = bench.restored(checkpoint, DUAL_CORE, restorer)
    with bench.run(memory, Machine(cpu=CPU), paused=True) as running, running.gdb() as gdb:
        run_to_first(gdb, {0: checkpoint.harts[0].pc})
        missing = re.findall(r"has no CSR \S+ (\w+), skipped", running.output())
    written = [csr.name for csr in INVENTORY if csr.group in others and csr.when not in (When.ALIAS, When.NEVER)]
    assert sorted(missing) == sorted(written)
