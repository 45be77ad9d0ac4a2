"""How many instructions a restore takes: a trace of QEMU, one line for each instruction, counted for each hart."""

import re
import subprocess
from collections import Counter, defaultdict
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

from gcpt.checkpoint.layouts import RESERVED_SIZE
from gcpt.machines.arrival import run_to_first
from gcpt.machines.gdb import GdbError
from gcpt.machines.qemu import PROGRAM, Machine, Qemu
from gcpt.machines.synthetic import DRAM

#: The first QEMU that knows one-insn-per-tb.
_ONE_INSN = (8, 1)
_LINE = re.compile(rb"^Trace (\d+): \S+ \[[0-9a-f]+/([0-9a-f]+)/", re.MULTILINE)


def version() -> tuple[int, int]:
    """The major and minor version of the QEMU that is installed."""
    text = subprocess.run([PROGRAM, "--version"], capture_output=True, text=True, check=True).stdout
    found = re.search(r"version (\d+)\.(\d+)", text)
    return (int(found[1]), int(found[2])) if found else (0, 0)


def trace_options(qemu: tuple[int, int], trace: Path) -> tuple[str, ...]:
    """The arguments that make QEMU of version ``qemu`` write one line to ``trace`` for each executed instruction."""
    single = ("-accel", "tcg,one-insn-per-tb=on") if qemu >= _ONE_INSN else ("-singlestep",)
    return (*single, "-d", "nochain,exec", "-D", str(trace))


def visits(trace: bytes, start: int, end: int) -> dict[int, Counter[int]]:
    """How often each hart executed each address in [start, end): what was before (ROM) and after is not counted."""
    found: dict[int, Counter[int]] = defaultdict(Counter)
    for line in _LINE.finditer(trace):
        if start <= (pc := int(line[2], 16)) < end:
            found[int(line[1])][pc] += 1
    return dict(found)


def count_lines(trace: bytes, start: int, end: int) -> dict[int, int]:
    """Instructions of each hart in a trace whose address is in [start, end)."""
    return {hart: addresses.total() for hart, addresses in visits(trace, start, end).items()}


def trace(
    image: Path, machine: Machine, pcs: Mapping[int, int], folder: Path, *, timeout: float = 60.0
) -> dict[int, Counter[int]]:
    """How often each hart executes each address of the reserved memory, from reset until each of ``pcs`` is at its pc.

    That is the restorer and its trampolines; ``image`` is changed. QemuError when a hart does not arrive.
    """
    lines = folder / "trace.log"
    traced = replace(machine, extra=(*machine.extra, *trace_options(version(), lines)))
    with Qemu(image, traced, folder) as qemu, qemu.gdb() as gdb:
        try:
            run_to_first(gdb, pcs, timeout)
        except GdbError as error:
            raise qemu.failure(str(error)) from error
    return visits(lines.read_bytes(), DRAM, DRAM + RESERVED_SIZE)


def count(
    image: Path, machine: Machine, pcs: Mapping[int, int], folder: Path, *, timeout: float = 60.0
) -> dict[int, int]:
    """Instructions that each hart executes where ``trace`` looks."""
    return {hart: addresses.total() for hart, addresses in trace(image, machine, pcs, folder, timeout=timeout).items()}
