"""Boot a checkpoint on Rocket's RTL and compare every register, CSR and timer with it."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

from gcpt.checkpoint import output
from gcpt.checkpoint.layouts import MIB
from gcpt.checkpoint.state import HartState
from gcpt.errors import UserError
from gcpt.isa import mstatus
from gcpt.isa.csrs import BY_NAME, When
from gcpt.machines import probe, rocket
from gcpt.machines.boot import BootSetup
from gcpt.machines.comparison import TIMEBASE, Comparison, Mismatch, compare_hart, timer_mismatches
from gcpt.machines.expectation import compared_csrs
from gcpt.machines.observation import Observation, comparable
from gcpt.machines.probe import Step
from gcpt.machines.rocket import Reading, Rocket
from gcpt.machines.verification import compare_left_out

#: CSRs of Rocket that are wired to zero.
ZERO = frozenset(
    (
        *("tselect", "tdata3", "pmpcfg2", *(f"pmpaddr{number}" for number in range(8, 16))),
        *(f"{name}{number}" for name in ("mhpmevent", "mhpmcounter") for number in range(3, 32)),
    )
)
_PROBE_MEMORY, _PROBE_TIMEOUT = 4 * MIB, 60.0


def machine(setup: BootSetup, announce: Callable[[str], None] = lambda text: None) -> Rocket:
    """Return the machine that boots a checkpoint; its simulator is built if it is the first.

    Args:
        setup: The checkpoint and the judge.
        announce: Called with a line before a build, which takes minutes.

    Returns:
        Rocket with as much memory as the image, and harts for the checkpoint.

    Raises:
        UserError: The checkpoint does not fit the machine.
        SimulatorError: The simulator cannot be built.
    """
    harts, memory = len(setup.checkpoint.harts), setup.memory.stat().st_size
    if harts > rocket.MOST_HARTS:
        raise UserError(
            f"{setup.checkpoint.path}: {harts} harts, the RTL has at most {rocket.MOST_HARTS}: give --on qemu"
        )
    if memory > rocket.MOST_MEMORY:
        raise UserError(f"{setup.checkpoint.path}: {memory:#x} bytes, the RTL has at most {rocket.MOST_MEMORY:#x}")
    tohost = setup.htif.get("tohost", 0)
    return Rocket(rocket.simulator(harts, announce), memory, tohost=tohost, options=setup.judge.options)


def verify(setup: BootSetup, running: Rocket, folder: Path, logs: Path, timeout: float) -> Comparison:
    """Boot a checkpoint on Rocket's RTL and compare each hart at its first restored instruction.

    Args:
        setup: The checkpoint.
        running: The machine.
        folder: Folder for files.
        logs: Folder for the logs.
        timeout: Seconds for all harts to arrive.

    Returns:
        The comparison of all harts and timers.

    Raises:
        SimulatorError: A hart did not arrive, or the restorer ended the run.
    """
    readings = rocket.read(running, setup.memory, starts(setup.harts), logs, timeout)
    return compare(setup.harts, readings, setup.config.csr_groups, running, folder)


def starts(harts: dict[int, HartState]) -> dict[int, tuple[int, int]]:
    """Return the pc and the privilege mode of the first restored instruction by hart.

    Args:
        harts: The states of the restored harts by number.
    """
    return {hart: (state.pc, state.mode) for hart, state in harts.items()}


def compare(
    harts: dict[int, HartState],
    readings: dict[int, Reading],
    groups: tuple[str, ...],
    running: Rocket,
    folder: Path,
) -> Comparison:
    """Compare harts that were read.

    Args:
        harts: The states of the restored harts by number.
        readings: What they hold.
        groups: The CSR groups that the restorer writes.
        running: The machine, for the reasons that a fresh hart proves.
        folder: Folder for files.

    Returns:
        The comparison of all harts and timers.

    Raises:
        SimulatorError: The program that finds the reasons did not end.
    """
    parts: list[Comparison] = []
    for hart, state in harts.items():
        numbers = readings[hart].numbers
        observation = observe(readings[hart])
        comparison = compare_hart(hart, state, observation, groups, qemu=False)
        explained = _explain(comparison.mismatches, state, running, folder)
        elapsed = numbers["cycles"] / TIMEBASE
        parts += [
            Comparison(comparison.items, explained),
            compare_left_out(observation.csr.get, hart, state, groups),
            timer_mismatches({hart: state}, {hart: numbers["mtimecmp"]}, numbers["mtime"], elapsed),
        ]
    return Comparison.joined(parts)


def observe(reading: Reading) -> Observation:
    """Convert a reading into what a comparison needs.

    Args:
        reading: What the simulator shows.

    Returns:
        The registers of the hart.
    """
    numbers = reading.numbers
    csr: dict[str, int | None] = {csr.name: 0 if csr.name in ZERO else numbers.get(csr.name) for csr in compared_csrs()}
    csr["sstatus"] = mstatus.with_sd(numbers["mstatus"]) & (mstatus.SSTATUS | mstatus.SD)
    x = [0, *(numbers[f"x{number}"] for number in range(1, 32))]
    f = [rocket.decode_float(numbers[f"f{number}"]) for number in range(32)]
    return Observation(numbers["pc"], numbers["privilege"], False, x, f, [], comparable(csr))


def _explain(mismatches: list[Mismatch], state: HartState, running: Rocket, folder: Path) -> list[Mismatch]:
    """Add the reasons: no vector registers, or WARL (a fresh hart holds the same when it is written)."""
    written = {
        mismatch.name
        for mismatch in mismatches
        if not mismatch.reason and mismatch.got != "none" and mismatch.name in BY_NAME
    }
    held = _held(sorted(written), state, running, folder) if written else {}
    explained = []
    for mismatch in mismatches:
        reason = mismatch.reason
        if not reason and mismatch.got == "none":
            reason = "the hart has no vector registers"
        elif mismatch.name in held and comparable(dict(held))[mismatch.name] == int(mismatch.got, 16):
            reason = "WARL: the hart cannot hold the whole value"
        explained.append(replace(mismatch, reason=reason))
    return explained


def _held(names: list[str], state: HartState, running: Rocket, folder: Path) -> dict[str, int | None]:
    """Write the values of CSRs to a hart after reset, and return what they hold then."""
    order = [name for name in names if BY_NAME[name].when is not When.ALIAS or name == "sstatus"]
    order.sort(key=lambda name: name in ("mtvec", "mstatus", "sstatus"))  # the program's traps need these
    steps: list[Step] = []
    for name in order:
        steps += probe.limits(state, name)
        value = state.get("mstatus" if name == "sstatus" else name)
        steps.append(Step(BY_NAME[name].number, value & ~probe.UNWRITTEN if name == "mstatus" else value))
    pieces = probe.program(steps)
    path = folder / "probe"
    output.write_pieces(path, pieces, _PROBE_MEMORY)
    end = 0x8000_0000 + len(pieces[0][1]) - 4
    alone = replace(running, memory=_PROBE_MEMORY, tohost=0)
    reading = rocket.read(alone, path, {0: (end, mstatus.MACHINE)}, folder, _PROBE_TIMEOUT)[0]
    held = {name: observe(reading).csr.get(name) for name in order}
    if "mstatus" in held:
        held["mstatus"] = (held["mstatus"] or 0) | state.get("mstatus") & probe.UNWRITTEN
    return held
