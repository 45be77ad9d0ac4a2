"""Which lines of the firmware's C were executed: what QEMU translated, by the line tables of the restorers that ran.

QEMU translates what it is about to execute, up to the next jump. An instruction after one that trapped counts, too.
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

#: The environment variable with the folder in which each machine leaves a log, and the restorers that it may run.
VARIABLE = "GCPT_FIRMWARE_COVERAGE"
_FOLDER = "firmware"
#: An instruction in a log: address, and its bits.
_INSTRUCTION = re.compile(rb"^0x([0-9a-f]{16}):  ([0-9a-f]{4}|[0-9a-f]{8}) ", re.MULTILINE)
#: Of each file: its lines of which there is code, and those of them that were executed.
Lines = dict[str, tuple[set[int], set[int]]]


def build_options() -> dict[str, str]:
    """What restorers have to be built with to have line tables, where coverage is measured."""
    return {"debug": "1"} if os.environ.get(VARIABLE) else {}


def traced(machine: Machine, restorers: Sequence[Path]) -> Machine:
    """``machine`` with a log of what it translates, where coverage is measured. restorers: ELF files."""
    folder = os.environ.get(VARIABLE)
    if not folder or "-d" in machine.extra:
        return machine
    log = Path(folder, f"{uuid.uuid4()}.log")
    log.with_suffix(".elves").write_text("".join(f"{path}\n" for path in restorers))
    places = ",".join(f"{_entry(path):#x}+{RESERVED_SIZE:#x}" for path in restorers)
    only = ("-dfilter", places) if places else ()
    return replace(machine, extra=(*machine.extra, "-d", "in_asm", "-D", str(log), *only))


def _entry(elf: Path) -> int:
    """The address at which a restorer begins: all of it is in the MiB from there."""
    with elf.open("rb") as file:
        return int(ELFFile(file).header["e_entry"])


def measured(folder: Path) -> Lines:
    """What the logs of ``folder`` say together."""
    logs: dict[str, set[tuple[int, int]]] = defaultdict(set)
    for log in folder.glob("*.log"):
        executed = {(int(address, 16), int(bits, 16)) for address, bits in _INSTRUCTION.findall(log.read_bytes())}
        for elf in log.with_suffix(".elves").read_text().splitlines():
            logs[elf] |= executed
    found: Lines = {}
    for elf, executed in logs.items():
        with Path(elf).open("rb") as file:
            _add(found, ELFFile(file), executed)
    return found


def _add(found: Lines, elf: ELFFile, executed: set[tuple[int, int]]) -> None:
    """Add what of ``elf`` was executed, as far as its bits are those at its addresses."""
    segments = [(each["p_vaddr"], each.data()) for each in elf.iter_segments("PT_LOAD")]
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
        lines, hit = found.setdefault(name, (set(), set()))
        lines.add(line)
        if any(address in own for address in range(start, end, 2)):
            hit.add(line)


def _rows(elf: ELFFile) -> Iterator[tuple[str, int, int, int]]:
    """File, line, and the addresses [start, end) of its code, of each row of the firmware's own line tables."""
    for unit in elf.get_dwarf_info(relocate_dwarf_sections=False).iter_CUs() if elf.has_dwarf_info() else ():
        name = unit.get_top_DIE().attributes["DW_AT_name"].value.decode()
        program = unit.dwarfinfo.line_program_for_CU(unit)
        if Path(name).parent.name != _FOLDER or not name.endswith(".c") or program is None:
            continue
        files = program["file_entry"]
        first = 0 if program["version"] >= 5 else 1  # what the number of the first file is
        states = [entry.state for entry in program.get_entries() if entry.state]
        for state, after in pairwise(states):
            own = files[state.file - first].name.decode() == Path(name).name
            if own and state.line and state.address and not state.end_sequence and state.address < after.address:
                yield name, state.line, state.address, after.address


def report(lines: Lines, sources: Iterable[Path]) -> tuple[str, float]:
    """A table of all ``sources``, and how many percent of the lines were executed, of those that restorers had."""
    rows: list[tuple[str, ...]] = []
    for name, (code, executed) in sorted(lines.items()):
        rows.append((*_counts(name, len(code), len(executed)), ", ".join(map(str, sorted(code - executed)))))
    known = {Path(name).name for name in lines}
    unknown = [path.name for path in sorted(sources) if path.name not in known]
    rows += [(name, "-", "-", "-", "no line in any restorer that ran") for name in unknown]
    total, hits = (sum(len(one[part]) for one in lines.values()) for part in (0, 1))
    rows.append((*_counts("TOTAL", total, hits), ""))
    return format_table(("in QEMU", "lines", "missed", "covered", "lines missed"), rows), _percent(hits, total)


def _counts(name: str, lines: int, executed: int) -> tuple[str, str, str, str]:
    return name, str(lines), str(lines - executed), f"{_percent(executed, lines):.1f}%"


def _percent(part: int, whole: int) -> float:
    return 100.0 * part / whole if whole else 0.0
