"""Count the instructions of a restore: QEMU traces one line for each, by hart."""

import re
from collections import Counter, defaultdict
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

from gcpt.checkpoint.layouts import RESERVED_SIZE
from gcpt.machines.arrival import run_to_first
from gcpt.machines.gdb import GdbError
from gcpt.machines.qemu import Machine, Qemu, version
from gcpt.machines.synthetic import DRAM

#: The first version of QEMU with one-insn-per-tb.
_ONE_INSN = (8, 1)
_LINE = re.compile(rb"^Trace (\d+): \S+ \[[0-9a-f]+/([0-9a-f]+)/", re.MULTILINE)


def trace_options(qemu: tuple[int, int], trace: Path) -> tuple[str, ...]:
    """Return the arguments that make QEMU trace every executed instruction.

    With -icount, the turns of the harts and the time depend only on executed instructions: every run counts the same.

    Args:
        qemu: Major and minor version of QEMU.
        trace: The file that QEMU writes one line per instruction to.

    Returns:
        Command-line arguments.
    """
    single = ("-accel", "tcg,one-insn-per-tb=on") if qemu >= _ONE_INSN else ("-singlestep",)
    return (*single, "-icount", "shift=0", "-d", "nochain,exec", "-D", str(trace))


def visits(trace: bytes, start: int, end: int) -> dict[int, Counter[int]]:
    """Count how often each hart executed each address.

    With -icount, QEMU starts some instructions twice: accesses to devices, and those at which it stops. Repeated lines
    count once, because no instruction of a restorer jumps to itself.

    Args:
        trace: The content of QEMU's trace.
        start: First address that counts; the ROM before it does not.
        end: First address that no longer counts.

    Returns:
        Executions by hart and address.
    """
    counts: dict[int, Counter[int]] = defaultdict(Counter)
    previous: dict[int, int] = {}
    for line in _LINE.finditer(trace):
        hart, pc = int(line[1]), int(line[2], 16)
        if start <= pc < end and previous.get(hart) != pc:
            counts[hart][pc] += 1
        previous[hart] = pc
    return dict(counts)


def count_lines(trace: bytes, start: int, end: int) -> dict[int, int]:
    """Count the instructions of each hart.

    Args:
        trace: The content of QEMU's trace.
        start: First address that counts.
        end: First address that no longer counts.

    Returns:
        Executed instructions by hart.
    """
    return {hart: addresses.total() for hart, addresses in visits(trace, start, end).items()}


def trace(image: Path, machine: Machine, pcs: Mapping[int, int], folder: Path) -> dict[int, Counter[int]]:
    """Trace a restore from reset until each hart is at its pc.

    Args:
        image: The machine's memory; it is changed.
        machine: The machine.
        pcs: The pc to reach by hart.
        folder: Folder for the trace and QEMU's logs.

    Returns:
        Executions by hart and address, in the reserved MiB: the restorer and its trampolines.

    Raises:
        QemuError: A hart did not arrive.
    """
    lines = folder / "trace.log"
    traced = replace(machine, extra=(*machine.extra, *trace_options(version(machine.program), lines)))
    with Qemu(image, traced, folder) as qemu, qemu.gdb() as gdb:
        try:
            run_to_first(gdb, pcs)
        except GdbError as error:
            raise qemu.failure(str(error)) from error
    return visits(lines.read_bytes(), DRAM, DRAM + RESERVED_SIZE)


def count(image: Path, machine: Machine, pcs: Mapping[int, int], folder: Path) -> dict[int, int]:
    """Count the instructions of a restore from reset until each hart is at its pc.

    Args:
        image: The machine's memory; it is changed.
        machine: The machine.
        pcs: The pc to reach by hart.
        folder: Folder for the trace and QEMU's logs.

    Returns:
        Instructions in the reserved MiB by hart.

    Raises:
        QemuError: A hart did not arrive.
    """
    return {hart: addresses.total() for hart, addresses in trace(image, machine, pcs, folder).items()}
