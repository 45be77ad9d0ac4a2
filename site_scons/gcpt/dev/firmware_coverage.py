"""Coverage of the firmware's C: the lines, by DWARF line tables, of the instructions that QEMU translated.

QEMU translates code up to the next jump just before it executes it. An instruction after a trapping instruction
therefore counts as executed.
"""

import os
import re
import uuid
from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace
from itertools import pairwise
from pathlib import Path

from elftools.elf.elffile import ELFFile

from gcpt.checkpoint.layouts import RESERVED_SIZE
from gcpt.console import format_table
from gcpt.machines.qemu import Machine

#: The environment variable with the folder for each machine's log and the list of its restorers.
VARIABLE = "GCPT_FIRMWARE_COVERAGE"
_FOLDER = "firmware"
#: An instruction in a log: address and encoding.
_INSTRUCTION = re.compile(rb"^0x([0-9a-f]{16}):  ([0-9a-f]{4}|[0-9a-f]{8}) ", re.MULTILINE)
#: For each source file: the lines with code, and the executed lines among them.
Lines = dict[str, tuple[set[int], set[int]]]


def build_options() -> dict[str, str]:
    """Choose build options for coverage.

    Returns:
        The options that add line tables, if coverage is measured; otherwise none.
    """
    return {"debug": "1"} if os.environ.get(VARIABLE) else {}


def traced(machine: Machine, restorers: Sequence[Path]) -> Machine:
    """Let a machine log the instructions that it translates, if coverage is measured.

    Args:
        machine: The machine.
        restorers: ELF files of the restorers that it may run.

    Returns:
        The machine with the log, or ``machine``.
    """
    folder = os.environ.get(VARIABLE)
    if not folder or "-d" in machine.extra:
        return machine
    log = Path(folder, f"{uuid.uuid4()}.log")
    log.with_suffix(".elves").write_text("".join(f"{path}\n" for path in restorers))
    ranges = ",".join(f"{_entry(path):#x}+{RESERVED_SIZE:#x}" for path in restorers)
    log_filter = ("-dfilter", ranges) if ranges else ()
    return replace(machine, extra=(*machine.extra, "-d", "in_asm", "-D", str(log), *log_filter))


def _entry(elf: Path) -> int:
    """The entry address of a restorer; its code is in the MiB from there."""
    with elf.open("rb") as file:
        return int(ELFFile(file).header["e_entry"])


def measured(folder: Path) -> Lines:
    """Read all logs.

    Args:
        folder: The folder with the logs.

    Returns:
        The lines of all restorers.
    """
    logs: dict[str, set[tuple[int, int]]] = defaultdict(set)
    for log in folder.glob("*.log"):
        executed = {(int(address, 16), int(bits, 16)) for address, bits in _INSTRUCTION.findall(log.read_bytes())}
        for elf in log.with_suffix(".elves").read_text().splitlines():
            logs[elf] |= executed
    lines: Lines = {}
    for elf, executed in logs.items():
        with Path(elf).open("rb") as file:
            _add(lines, ELFFile(file), executed)
    return lines


def _add(lines: Lines, elf: ELFFile, executed: set[tuple[int, int]]) -> None:
    """Add the lines of ``elf``; an instruction counts as its own if address and encoding match."""
    segments = [(segment["p_vaddr"], segment.data()) for segment in elf.iter_segments("PT_LOAD")]
    own = set()
    for address, bits in executed:
        for start, data in segments:
            width = 2 if bits & 3 != 3 else 4
            if (
                data[address - start : address - start + width] == bits.to_bytes(4, "little")[:width]
                and address >= start
            ):
                own.add(address)
    for name, line, start, end in _rows(elf):
        code, hit = lines.setdefault(name, (set(), set()))
        code.add(line)
        if any(address in own for address in range(start, end, 2)):
            hit.add(line)


def _rows(elf: ELFFile) -> Iterator[tuple[str, int, int, int]]:
    """File, line and address range [start, end) of each row in the line tables of the firmware's C files."""
    for unit in elf.get_dwarf_info(relocate_dwarf_sections=False).iter_CUs() if elf.has_dwarf_info() else ():
        name = unit.get_top_DIE().attributes["DW_AT_name"].value.decode()
        program = unit.dwarfinfo.line_program_for_CU(unit)
        if Path(name).parent.name != _FOLDER or not name.endswith(".c") or program is None:
            continue
        files = program["file_entry"]
        first = 0 if program["version"] >= 5 else 1  # the number of the first file
        states = [entry.state for entry in program.get_entries() if entry.state]
        for state, after in pairwise(states):
            own = files[state.file - first].name.decode() == Path(name).name
            if own and state.line and state.address and not state.end_sequence and state.address < after.address:
                yield name, state.line, state.address, after.address


def report(lines: Lines, sources: Iterable[Path]) -> tuple[str, float]:
    """Format the coverage of the firmware.

    Args:
        lines: The lines of all restorers.
        sources: All C files of the firmware.

    Returns:
        A table of all files, and the covered percentage of the lines with code in a restorer.
    """
    rows: list[tuple[str, ...]] = []
    for name, (code, executed) in sorted(lines.items()):
        rows.append((*_counts(name, len(code), len(executed)), ", ".join(map(str, sorted(code - executed)))))
    known = {Path(name).name for name in lines}
    unknown = [path.name for path in sorted(sources) if path.name not in known]
    rows += [(name, "-", "-", "-", "not in any restorer that ran") for name in unknown]
    total, hits = (sum(len(pair[part]) for pair in lines.values()) for part in (0, 1))
    rows.append((*_counts("TOTAL", total, hits), ""))
    return format_table(("in QEMU", "lines", "missed", "covered", "lines missed"), rows), _percent(hits, total)


def _counts(name: str, lines: int, executed: int) -> tuple[str, str, str, str]:
    return name, str(lines), str(lines - executed), f"{_percent(executed, lines):.1f}%"


def _percent(part: int, whole: int) -> float:
    return 100.0 * part / whole if whole else 0.0
