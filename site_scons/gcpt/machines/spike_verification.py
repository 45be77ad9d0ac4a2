"""Boot a checkpoint on Spike and compare every register, CSR and timer with it."""

import time
from dataclasses import replace
from pathlib import Path

from gcpt.checkpoint.state import HartState
from gcpt.errors import SimulatorError, UserError
from gcpt.isa import mstatus
from gcpt.isa.csrs import BY_NAME, When
from gcpt.machines import probe, spike
from gcpt.machines.boot import BootSetup
from gcpt.machines.comparison import Comparison, Mismatch, compare_hart, timer_mismatches
from gcpt.machines.expectation import OPTIONAL_VIEWS, STIP, VSTIP, compared_csrs
from gcpt.machines.observation import Observation, comparable
from gcpt.machines.spike import Reading, Spike
from gcpt.machines.verification import compare_left_out

#: CSRs of HS mode, in whose place Spike shows the guest's while V = 1 (privileged specification 18.2).
HIDDEN = (
    *("sie", "sip", "stvec", "sscratch", "sepc", "scause", "stval", "satp", "stimecmp", "senvcfg", "sctrctl"),
    *("siselect", "sireg", "sireg2", "sireg3", "sireg4", "sireg5", "sireg6"),
)
_WORD = (1 << 64) - 1


def machine(setup: BootSetup) -> Spike:
    """Return the machine that boots a checkpoint.

    Args:
        setup: The checkpoint and the judge.

    Returns:
        Spike with the judge's --isa and options, or one that fits the checkpoint.

    Raises:
        UserError: The hart has no C, and the restorer has 2-byte instructions.
    """
    judge, memory = setup.judge, setup.memory.stat().st_size
    isa = judge.isa or spike.isa(setup.vlen)
    if not (spike.has_compressed(isa) or setup.config.without_c):
        raise UserError(
            f"--isa={isa}: this hart has no C, and the restorer has 2-byte instructions: build one with without_c=1, "
            "and name it with --restorer"
        )
    return Spike(judge.program, isa, len(setup.checkpoint.harts), memory, setup.config.platform.dram, judge.options)


def write_elf(setup: BootSetup, folder: Path) -> Path:
    """Write the ELF file that Spike loads.

    Args:
        setup: The checkpoint.
        folder: Folder for the file.

    Returns:
        The file.
    """
    path = folder / "memory.elf"
    spike.write_elf(path, setup.memory, setup.config.platform.dram, setup.htif)
    return path


def verify(setup: BootSetup, folder: Path, logs: Path, timeout: float) -> Comparison:
    """Boot a checkpoint on Spike and compare each hart at its first restored instruction.

    Args:
        setup: The checkpoint and the judge.
        folder: Folder for the ELF files.
        logs: Folder for the logs.
        timeout: Seconds for each hart to arrive.

    Returns:
        The comparison of all harts and timers.

    Raises:
        SimulatorError: A hart did not arrive, or Spike ended.
    """
    running, elf, groups = machine(setup), write_elf(setup, folder), setup.config.csr_groups
    names = [csr.name for csr in compared_csrs()]
    parts: list[Comparison] = []
    for hart, state in setup.harts.items():
        if state.is_guest and setup.leave is None:
            raise SimulatorError("the restorer's mret is not known, and without it Spike does not show HS mode's CSRs")
        start = time.monotonic()
        reading = spike.read(
            running, elf, hart, state.pc, names, logs, timeout, setup.leave if state.is_guest else None
        )
        elapsed = time.monotonic() - start
        observation = observe(reading)
        comparison = compare_hart(hart, state, observation, groups, qemu=False)
        compare, now = (reading.numbers[name] or 0 for name in ("mtimecmp", "mtime"))
        explained = [
            _explain(mismatch, state, observation.csr, now, running, folder) for mismatch in comparison.mismatches
        ]
        parts += [
            Comparison(comparison.items, explained),
            compare_left_out(observation.csr.get, hart, state, groups),
            timer_mismatches({hart: state}, {hart: compare}, now, elapsed),
        ]
    return Comparison.joined(parts)


def observe(reading: Reading) -> Observation:
    """Convert a reading into what a comparison needs.

    Args:
        reading: What the debugger shows.

    Returns:
        The registers of the hart.
    """
    numbers = reading.numbers
    csr = {csr.name: numbers[csr.name] for csr in compared_csrs()}
    if reading.virtual:
        csr |= {name: reading.higher[name] for name in HIDDEN}
    if (value := csr["mstatus"]) is not None:
        csr["sstatus"] = mstatus.with_sd(value) & (mstatus.SSTATUS | mstatus.SD)
    x = [0, *(numbers[f"x{number}"] or 0 for number in range(1, 32))]
    f = [(numbers[f"f{number}"] or 0) & _WORD for number in range(32)]
    return Observation(numbers["pc"] or 0, reading.privilege, reading.virtual, x, f, reading.v, comparable(csr))


def _explain(
    mismatch: Mismatch, state: HartState, csr: dict[str, int | None], mtime: int, running: Spike, folder: Path
) -> Mismatch:
    """Add a reason if there is one: a timer that came due, or WARL (a fresh hart holds the same when written)."""
    entry = BY_NAME.get(mismatch.name)
    if mismatch.reason or entry is None or mismatch.got == "none":
        return mismatch
    wanted, got = int(mismatch.wanted, 16), int(mismatch.got, 16)
    if _came_due(mismatch.name, wanted, got, csr, mtime):
        return replace(mismatch, reason="the compare value came due since then")
    if entry.when == When.VECTOR or (entry.when == When.ALIAS and entry.name not in ("sstatus", *OPTIONAL_VIEWS)):
        return mismatch
    held = probe.held(running, entry.number, wanted, probe.limits(state, entry.name), folder)
    if held is None or comparable({entry.name: held})[entry.name] != got:
        return mismatch
    return replace(mismatch, reason="WARL: the hart cannot hold the whole value")


def _came_due(name: str, wanted: int, got: int, csr: dict[str, int | None], mtime: int) -> bool:
    """Return whether the mismatch is a timer interrupt that became pending as time passed after mtime was written."""
    bits = wanted ^ got
    if name not in ("mip", "sip", "hip", "hvip") or bits & ~(STIP | VSTIP) or bits & wanted:
        return False
    guest_time = (mtime + (csr["htimedelta"] or 0)) % (1 << 64)
    return (not bits & STIP or (csr["stimecmp"] or 0) <= mtime) and (
        not bits & VSTIP or (csr["vstimecmp"] or 0) <= guest_time
    )
