"""``gcpt verify --continue``: let a restored hart go on, and report how it differs from a later checkpoint."""

from pathlib import Path
from typing import Any

from gcpt.checkpoint.files import CheckpointFile, open_checkpoint
from gcpt.checkpoint.layouts import RESERVED_SIZE
from gcpt.cli.output import progress
from gcpt.console import print_table
from gcpt.errors import SimulatorError, UserError
from gcpt.machines import continuation
from gcpt.machines.boot import BootSetup
from gcpt.machines.continuation import Result
from gcpt.machines.gdb import GdbError
from gcpt.machines.judges import Judge
from gcpt.machines.qemu import QemuError

#: The most ranges of pages that are printed.
_MAX_RANGES = 8


def open_later(instructions: int | None, against: Path | None, judge: Judge) -> CheckpointFile | None:
    """Open the checkpoint to compare with.

    Args:
        instructions: The value of ``--continue``.
        against: The value of ``--against``.
        judge: The judge.

    Returns:
        The checkpoint; None without ``--continue``.

    Raises:
        UserError: Only one of the options is given, or QEMU is not the judge, or the file cannot be read.
    """
    if bool(instructions) != bool(against):
        raise UserError("--continue and --against must be given together: how far to go, and what to find there")
    if against and judge.name != "qemu":
        raise UserError(f"--continue: it counts by QEMU's replay, which {judge.title} does not have: give --on qemu")
    return open_checkpoint(against) if against else None


def continue_restored(
    setup: BootSetup, later: CheckpointFile, instructions: int, folder: Path, timeout: float
) -> Result:
    """Continue a restored checkpoint and compare it with a later one.

    Args:
        setup: The checkpoint and the judge.
        later: The later checkpoint.
        instructions: Instructions between them.
        folder: Folder for the machines.
        timeout: Seconds for the restore, and for the instructions.

    Returns:
        The comparison.

    Raises:
        SimulatorError: QEMU ended or a hart did not arrive.
        UserError: The machine did not execute the instructions.
    """
    try:
        with progress("continuing", instructions, "instructions") as advance:
            return continuation.compare(setup, later, instructions, folder, timeout, advance)
    except (GdbError, QemuError) as error:
        raise SimulatorError(str(error).splitlines()[0]) from error


def describe(instructions: int, result: Result) -> dict[str, Any]:
    """Return the result for JSON.

    Args:
        instructions: Instructions that the hart executed.
        result: The comparison.

    Returns:
        The values of ``continued``.
    """
    time = result.time
    return {
        "instructions": instructions,
        "compared": result.registers.items,
        "differences": [
            {"name": row.name, "wanted": row.wanted, "got": row.got, "reason": row.reason or "UNEXPLAINED"}
            for row in result.registers.mismatches
        ],
        "memory": {
            "bytes": result.memory.size,
            "ranges": result.memory.count,
            "first": [{"begin": begin, "end": end} for begin, end in result.memory.ranges],
        },
        "time": {"instructions": time.instructions, "pc": time.pc, "interrupt": time.interrupt} if time else None,
    }


def print_result(instructions: int, later: Path, result: Result) -> None:
    """Print the result.

    Args:
        instructions: Instructions that the hart executed.
        later: The later checkpoint.
        result: The comparison.
    """
    rows = result.registers.mismatches
    if rows:
        table = [(row.name, row.wanted, row.got, row.reason or "UNEXPLAINED") for row in rows]
        print_table(("register", later.name, "machine", "why"), table)
    if size := result.memory.size:
        first = ", ".join(f"{begin:#x} to {end:#x}" for begin, end in result.memory.ranges[:_MAX_RANGES])
        more = ", ..." if result.memory.count > _MAX_RANGES else ""
        print(f"memory: {size:,} bytes of pages differ, from {RESERVED_SIZE:#x} on: {first}{more}")
    if result.time:
        what = "an interrupt arrives after" if result.time.interrupt else "time is read at"
        print(f"time comes in {result.time.instructions} instructions on: {what} pc {result.time.pc:#x}")
    equal = result.registers.items - len(result.registers.unexplained)
    print(f"{instructions} instructions on: {equal} of {result.registers.items} registers as in {later}", end="")
    print(", memory differs" if result.memory.size else ", memory equal")
