"""How many instructions a restore takes: a trace of QEMU, one line for each instruction, counted for each hart."""

import re
import subprocess
from collections import Counter
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

from gcpt.compare import run_to_first
from gcpt.gdb import GdbError
from gcpt.qemu import PROGRAM, Machine, Qemu

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


def count_lines(trace: bytes, start: int, end: int) -> dict[int, int]:
    """Instructions of each hart in a trace whose address is in [start, end): what was before (ROM) and after is not."""
    found = ((int(line[1]), int(line[2], 16)) for line in _LINE.finditer(trace))
    return dict(Counter(hart for hart, pc in found if start <= pc < end))


def count(
    image: Path,
    machine: Machine,
    pcs: Mapping[int, int],
    folder: Path,
    *,
    start: int = 0x8000_0000,
    end: int = 0x8010_0000,
    timeout: float = 60.0,
) -> dict[int, int]:
    """Instructions that each hart executes in [start, end), from reset until each hart of ``pcs`` stands at its pc.

    The default range is the memory that is reserved for the restorer, its trampolines included; ``image`` is changed.
    QemuError when a hart does not arrive.
    """
    trace = folder / "trace.log"
    traced = replace(machine, extra=(*machine.extra, *trace_options(version(), trace)))
    with Qemu(image, traced, folder) as qemu, qemu.gdb() as gdb:
        try:
            run_to_first(gdb, pcs, timeout)
        except GdbError as error:
            raise qemu.failure(str(error)) from error
    return count_lines(trace.read_bytes(), start, end)
