"""A thin adapter for Spike: an ELF file of the memory, its command line, and what its debugger shows of a hart.

Spike is deterministic, so each hart is read in a run of its own, at the moment it arrives.
"""

import re
import shlex
import shutil
import subprocess
import time
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from elftools.elf.elffile import ELFFile
from elftools.elf.sections import SymbolTableSection

from gcpt.checkpoint import elf_image, output, streams
from gcpt.checkpoint.layouts import MIB
from gcpt.errors import SimulatorError
from gcpt.installing import remedy
from gcpt.machines import spike_tree
from gcpt.machines.children import child

#: Symbols through which Spike's HTIF works.
HTIF_SYMBOLS = ("tohost", "fromhost")
#: Names of the logs: Spike's command line and debugger, and the console's output.
LOGS = ("spike.log", "console.log")
#: Seconds between two looks at a running Spike.
_POLL = 0.02
_VALUE = re.compile(r"0x([0-9a-f]+)$")
_VECTOR = re.compile(r"v(\d+) *:(.*)$")
_X_NAMES = (
    *("zero", "ra", "sp", "gp", "tp", "t0", "t1", "t2", "s0", "s1"),
    *(f"a{i}" for i in range(8)),
    *(f"s{i}" for i in range(2, 12)),
    *(f"t{i}" for i in range(3, 7)),
)
_F_NAMES = (
    *(f"ft{i}" for i in range(8)),
    *("fs0", "fs1"),
    *(f"fa{i}" for i in range(8)),
    *(f"fs{i}" for i in range(2, 12)),
    *(f"ft{i}" for i in range(8, 12)),
)
#: An ISA string's base and extensions of one letter, without C.
_WITHOUT_C = re.compile("rv64[abdefghimqv]+")
_PRIVILEGES = {"U": (0, False), "S": (1, False), "M": (3, False), "VU": (0, True), "VS": (1, True)}


def isa(vlen: int = 128) -> str:
    """Return Spike's --isa for a hart with everything that a restorer handles by default.

    Args:
        vlen: VLEN in bits.

    Returns:
        The argument of --isa.
    """
    return f"rv64gcvh_zvl{vlen}b_zicntr_zihpm_zicbom_zicboz_svpbmt_sstc_sscofpmf"


def has_compressed(isa: str) -> bool:
    """Return whether a hart has the 2-byte instructions of restorers.

    Args:
        isa: The argument of --isa.

    Returns:
        True if it has C, or Zca alone, and for what is no ISA string: Spike refuses it.
    """
    letters, *words = isa.lower().split("_")
    return not _WITHOUT_C.fullmatch(letters) or "zca" in words


@dataclass(frozen=True)
class Spike:
    """A configuration of Spike.

    Attributes:
        program: The program.
        isa: The argument of --isa.
        harts: Number of harts.
        memory: Memory in bytes, a multiple of 4 KiB.
        base: Physical address of the memory.
        options: Further command-line arguments.
    """

    program: str
    isa: str
    harts: int = 1
    memory: int = 128 * MIB
    base: int = 0x8000_0000
    options: tuple[str, ...] = ()

    def command(self, elf: Path, first: Sequence[str] = (), htif: Sequence[str] = ()) -> list[str]:
        """Return the command that runs an ELF file.

        Where Spike cannot compile its device tree, for want of dtc, it gets one, in a file beside the ELF file; options
        of the user's may want another.

        Args:
            elf: The file.
            first: Further options.
            htif: Further options of HTIF, which begin with ``+``.

        Returns:
            The program and its arguments.
        """
        options = [*first, f"--isa={self.isa}", f"-p{self.harts}", f"-m{self.base:#x}:{self.memory:#x}", *self.options]
        if not self.options and not shutil.which("dtc"):
            tree = elf.with_suffix(".dtb")
            tree.write_bytes(spike_tree.blob(self.isa, self.harts, self.base, self.memory))
            options.append(f"--dtb={tree}")
        return [self.program, *options, *htif, str(elf)]


def symbols(elf: Path | None) -> dict[str, int]:
    """Read the addresses of HTIF's symbols in a restorer.

    Args:
        elf: The restorer's ELF file; None if there is none.

    Returns:
        The addresses by name; empty if the restorer does not use HTIF.
    """
    if elf is None:
        return {}
    with elf.open("rb") as file:
        table = ELFFile(file).get_section_by_name(".symtab")
        if not isinstance(table, SymbolTableSection):
            return {}
        return {symbol.name: symbol["st_value"] for symbol in table.iter_symbols() if symbol.name in HTIF_SYMBOLS}


def write_elf(path: Path, memory: Path, base: int, htif: Mapping[str, int]) -> None:
    """Write the ELF file that Spike loads: the pages of a raw image that are not zero.

    Args:
        path: The ELF file.
        memory: The raw image.
        base: Physical address of its first byte.
        htif: Addresses of HTIF's symbols.
    """
    with output.replacing(path) as file:
        elf_image.write(file, streams.pages(streams.raw_chunks(memory)), base, htif)


@dataclass(frozen=True)
class Reading:
    """What the debugger shows of a stopped hart.

    Attributes:
        numbers: pc, x1.., f0.., CSRs by name, mtime, mtimecmp; None: the hart has no such register.
        higher: CSRs by name that were read in M mode, just before the mret.
        v: 32 vector registers of vlenb bytes; empty if the hart has none.
        privilege: 0 (U), 1 (S) or 3 (M).
        virtual: Whether V is 1.
    """

    numbers: dict[str, int | None]
    higher: dict[str, int | None]
    v: list[bytes]
    privilege: int
    virtual: bool


def read(
    spike: Spike,
    elf: Path,
    hart: int,
    pc: int,
    csrs: Iterable[str],
    folder: Path,
    timeout: float,
    leave: int | None = None,
) -> Reading:
    """Run until a hart is at a pc, and read its registers.

    Args:
        spike: The machine.
        elf: The ELF file to load.
        hart: The hart.
        pc: The virtual address where it is read.
        csrs: Names of CSRs.
        folder: Folder for the logs.
        timeout: Seconds for the run.
        leave: Physical address of the restorer's mret, where CSRs are read too: while V = 1 the debugger shows the
            guest's in place of those of HS mode. None: they are not.

    Returns:
        The registers before the instruction at the pc.

    Raises:
        SimulatorError: The hart did not arrive in time, or Spike ended.
    """
    names = list(csrs)
    registers = [f"reg {hart} {name}" for name in names]
    before = [f"until pc {hart} {leave:x}", *registers] if leave is not None else []
    commands = [
        *(*before, f"until pc {hart} {pc:x}", f"pc {hart}", "mtime", f"mtimecmp {hart}"),
        *(f"reg {hart} {name}" for name in _X_NAMES[1:]),
        *(f"freg {hart} {name}" for name in _F_NAMES),
        *registers,
        *(f"priv {hart}", f"vreg {hart}", "quit"),
    ]
    lines = _debug(spike, elf, hart, commands, folder, timeout)
    keys = ["pc", "mtime", "mtimecmp", *(f"x{i}" for i in range(1, 32)), *(f"f{i}" for i in range(32)), *names]
    first = len(names) if leave is not None else 0
    if len(lines) <= first + len(keys) or lines[first + len(keys)] not in _PRIVILEGES:
        raise SimulatorError(
            f"hart {hart}: Spike's debugger gave {len(lines)} lines: want {first + len(keys)} and more"
        )
    privilege, virtual = _PRIVILEGES[lines[first + len(keys)]]
    vectors = [match for line in lines[first + len(keys) + 1 :] if (match := _VECTOR.match(line))]
    return Reading(
        dict(zip(keys, map(_value, lines[first:]), strict=False)),
        dict(zip(names, map(_value, lines[:first]), strict=True)) if first else {},
        [_vector(match[2]) for match in vectors],
        privilege,
        virtual,
    )


def _value(line: str) -> int | None:
    """Return a register's value; None if the hart has no such register."""
    match = _VALUE.match(line)
    return int(match[1], 16) if match else None


def _vector(text: str) -> bytes:
    """Return a vector register's bytes; the debugger prints its doublewords from the last to the first."""
    words = [int(word, 16) for word in re.findall(r": 0x([0-9a-f]+)", text)]
    return b"".join(word.to_bytes(8, "little") for word in reversed(words))


def _debug(spike: Spike, elf: Path, hart: int, commands: list[str], folder: Path, timeout: float) -> list[str]:
    """Run Spike with debugger commands, and return the lines that the debugger prints.

    A hart that does not arrive runs on until the timeout; a restorer that refuses prints its line before. One that
    prints a loss goes on, and its hart may arrive before the console is read, or before the line's end is printed.
    """
    script = folder / "spike.commands"
    script.write_text("\n".join(commands) + "\n")
    log, console = (folder / name for name in LOGS)
    command = spike.command(elf, ("-d", f"--debug-cmd={script}"))
    deadline = time.monotonic() + timeout
    with log.open("w") as errors, console.open("w") as text:
        errors.write(shlex.join(command) + "\n")
        errors.flush()
        streams_of = {"stdin": subprocess.DEVNULL, "stdout": text, "stderr": errors}
        with child(command, **streams_of, process_group=0) as running:
            while running.poll() is None:
                printed = console.read_text(errors="replace")
                if refusal := re.search(r"^gcpt: error .*\n", printed, re.MULTILINE):
                    raise SimulatorError(refusal[0].strip(), printed)
                if time.monotonic() > deadline:
                    raise SimulatorError(f"hart {hart} did not arrive within {timeout:g} s", printed)
                time.sleep(_POLL)
    lines = [line.strip() for line in log.read_text(errors="replace").splitlines()[1:]]
    printed = console.read_text(errors="replace")
    if refusal := re.search(r"^gcpt: error .*", printed, re.MULTILINE):
        raise SimulatorError(refusal[0].strip(), printed)
    if running.returncode:
        last = next((line for line in reversed(lines) if line), "no message")
        if "dtc" in last and not shutil.which("dtc"):
            last = f"it needs dtc, which is not found: {remedy('dtc')}"
        raise SimulatorError(f"Spike ended with status {running.returncode}: {last}", printed)
    return [line for line in lines if line and not line.startswith("warning:")]
