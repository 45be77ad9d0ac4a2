"""Rocket's RTL under Verilator: build the simulator once, run it, and show what a hart holds at its first instruction.

The Verilog is that of the Python package pythondata-cpu-rocket; memory, HTIF and probes are in rtl/.
"""

import fcntl
import hashlib
import importlib.util
import os
import re
import subprocess
import tempfile
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

from gcpt.checkout import cache_folder
from gcpt.errors import SimulatorError
from gcpt.machines.children import child

#: The Python package that has Rocket's Verilog.
PACKAGE = "pythondata_cpu_rocket"
#: Names of the logs: the simulator's command line and the registers that it shows, and the console's output.
LOGS = ("rocket.log", "console.log")
#: The most memory in bytes: that of Rocket's memory map.
MOST_MEMORY = 0x8000_0000
#: Cycles from a request to the first beat of its answer, as memory behind a last-level cache has.
LATENCY = 30
_SOURCES = Path(__file__).with_name("rtl")
#: The configurations by their number of harts: the name, and Verilog macros for rtl/.
_CONFIGURATIONS = {1: ("LitexFullDConfig", ()), 4: ("LitexFull4DConfig", ("FOUR_HARTS",))}
#: The most harts of a configuration.
MOST_HARTS = max(_CONFIGURATIONS)
_VERILOG = ("EICG_wrapper.v", "AsyncResetReg.v", "plusarg_reader.v")
#: SYNTHESIS leaves out assertions and Verilog's own random values; Verilator's reach every register.
_VERILATOR = (
    *("--cc", "--exe", "--top-module", "harness", "-Wno-fatal", "-Wno-lint", "-Wno-style"),
    *("-DSYNTHESIS", "--x-assign", "unique", "--x-initial", "unique"),
)
_MAKE = ("OPT_FAST=-O1", "OPT_GLOBAL=-O1", "OPT_SLOW=-O0")
#: Each register has a random value at reset; a seed among the judge's options takes precedence.
_RANDOM_RESET = ("+verilator+rand+reset+2",)
_SEED = "+verilator+seed+"
#: Exit status: the guest ended the run.
_GUEST_ENDED = 3
_LINE = re.compile(r"^(\d+) (\w+) ([0-9a-f]+)$", re.MULTILINE)


def verilog() -> Path | None:
    """Return the folder of Rocket's Verilog; None if the package is not installed."""
    spec = importlib.util.find_spec(PACKAGE)
    return Path(spec.origin).parent / "verilog" if spec and spec.origin else None


def simulator(harts: int, announce: Callable[[str], None] = lambda text: None) -> Path:
    """Return a simulator, and build it if there is none of the same sources.

    Args:
        harts: Number of harts: 1 to MOST_HARTS.
        announce: Called with a line before a build, which takes minutes.

    Returns:
        The program.

    Raises:
        SimulatorError: The package is not installed, or the build failed.
    """
    source = verilog()
    if source is None:
        raise SimulatorError(f"the Python package {PACKAGE} is not installed")
    size = min(number for number in _CONFIGURATIONS if number >= harts)
    folder = cache_folder("rocket")
    folder.mkdir(parents=True, exist_ok=True)
    name, macros = _CONFIGURATIONS[size]
    program = folder / f"{name}-{_digest(source, name)}"
    with (folder / f"{name}.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)  # the first to need it builds it
        if not program.exists():
            announce(f"building Rocket's RTL with {size} hart{'s' * (size > 1)}: once, for about {size} min")
            _build(source, name, macros, program)
    return program


def _inputs(source: Path, name: str) -> list[Path]:
    """List the source files of a simulator."""
    generated = source / "generated-src" / f"freechips.rocketchip.system.{name}"
    return [
        *(generated.with_name(generated.name + ending) for ending in (".v", ".behav_srams.v")),
        *(source / "vsrc" / file for file in _VERILOG),
        *sorted(_SOURCES.glob("*.sv")),
        *sorted(_SOURCES.glob("*.cpp")),
    ]


def _digest(source: Path, name: str) -> str:
    """Return a digest of everything that a simulator is made of."""
    version = subprocess.run(["verilator", "--version"], capture_output=True, text=True, check=True).stdout
    digest = hashlib.sha256(repr((version, _VERILATOR, _MAKE, _CONFIGURATIONS)).encode())
    for path in _inputs(source, name):
        digest.update(path.read_bytes())
    return digest.hexdigest()[:16]


def _build(source: Path, name: str, macros: Sequence[str], program: Path) -> None:
    """Build a simulator; its objects are removed."""
    with tempfile.TemporaryDirectory(prefix="build-", dir=program.parent) as folder:
        defines = [f"-D{macro}" for macro in macros]
        inputs = map(str, _inputs(source, name))
        for command in (
            ["verilator", *_VERILATOR, *defines, "-Mdir", folder, "-o", "rocket", *inputs],
            ["make", "-C", folder, "-f", "Vharness.mk", f"-j{os.cpu_count()}", *_MAKE, "rocket"],
        ):
            ended = subprocess.run(command, capture_output=True, text=True, check=False)
            if ended.returncode:
                last = (ended.stderr.strip() or ended.stdout.strip() or "no output").splitlines()[-1]
                raise SimulatorError(f"cannot build Rocket's RTL: {command[0]} ended with {ended.returncode}: {last}")
        Path(folder, "rocket").replace(program)


@dataclass(frozen=True)
class Rocket:
    """A machine with Rocket's RTL.

    Attributes:
        program: The simulator.
        memory: Memory in bytes, a multiple of 4 KiB.
        latency: Memory's latency in cycles.
        tohost: Physical address of HTIF's tohost; 0: there is no HTIF.
        options: Further command-line arguments of the simulator, such as +verilator+seed+N.
    """

    program: Path
    memory: int
    latency: int = LATENCY
    tohost: int = 0
    options: tuple[str, ...] = ()

    def command(self, image: Path, starts: Mapping[int, tuple[int, int]]) -> list[str]:
        """Return the command that runs an image.

        Args:
            image: A raw image, an ELF file, or hex (``.hex``) with words of 8 bytes.
            starts: The pc and the privilege mode of the first restored instruction by hart.

        Returns:
            The program and its arguments.
        """
        seed = () if any(option.startswith(_SEED) for option in self.options) else (f"{_SEED}1",)
        numbers = (f"{self.memory:#x}", str(self.latency), f"{self.tohost:#x}")
        harts = (f"{hart}:{pc:#x}:{mode}" for hart, (pc, mode) in starts.items())
        return [str(self.program), *_RANDOM_RESET, *seed, *self.options, str(image), *numbers, *harts]


@dataclass
class Reading:
    """A hart before its first restored instruction.

    Attributes:
        numbers: pc, privilege, x1.., f0.. (recoded), CSRs by name, mtime, mtimecmp; and cycles and instructions since
            the restorer's first.
    """

    numbers: dict[str, int] = field(default_factory=dict)


def read(
    rocket: Rocket, image: Path, starts: Mapping[int, tuple[int, int]], folder: Path, timeout: float
) -> dict[int, Reading]:
    """Run until each hart is at its first restored instruction.

    Args:
        rocket: The machine.
        image: The image to load.
        starts: The pc and the privilege mode there, by hart.
        folder: Folder for the logs.
        timeout: Seconds for all harts to arrive.

    Returns:
        The harts by number.

    Raises:
        SimulatorError: A hart did not arrive in time, or the guest ended the run.
    """
    command = rocket.command(image, starts)
    log, console = (folder / name for name in LOGS)
    with log.open("w") as registers, console.open("w") as text:
        streams = {"stdin": subprocess.DEVNULL, "stdout": registers, "stderr": text}
        with child(command, **streams, process_group=0) as running:
            with suppress(subprocess.TimeoutExpired):
                running.wait(timeout)
            status = running.poll()
    printed = console.read_text(errors="replace")
    readings: dict[int, Reading] = {}
    for hart, name, value in _LINE.findall(log.read_text()):
        readings.setdefault(int(hart), Reading()).numbers[name] = int(value, 16)
    if status is None:
        missing = next((hart for hart in starts if "x31" not in readings.get(hart, Reading()).numbers), 0)
        raise SimulatorError(f"hart {missing} did not arrive within {timeout:g} s", printed)
    if status == _GUEST_ENDED:
        raise SimulatorError("the restorer ended the run", printed)
    if status:
        last = (printed.strip() or "no message").splitlines()[-1]
        raise SimulatorError(f"the simulator ended with status {status}: {last}", printed)
    return readings


def decode_float(recoded: int) -> int:
    """Convert a floating-point register from Berkeley HardFloat's recoded form, in which Rocket holds it.

    Args:
        recoded: 65 bits: sign, exponent (12 bits, with a code for zero, infinity and NaN), fraction (52 bits). In a NaN
            that boxes a single, the low 33 bits hold the recoded single, some of them elsewhere (box in FPU.scala).

    Returns:
        The 64 bits of the double.
    """
    value = _decode(recoded, 11, 52)
    if recoded >> 61 & 7 != 7:
        return value
    single = (recoded >> 31 & 1) << 32 | (recoded >> 52 & 1) << 31 | recoded & 0x7FFF_FFFF
    return value & ~0xFFFF_FFFF | _decode(single, 8, 23)


def _decode(recoded: int, exponent_bits: int, fraction_bits: int) -> int:
    """Convert a number of one format from its recoded form, whose exponent has one bit more."""
    fraction = recoded & ((1 << fraction_bits) - 1)
    exponent = recoded >> fraction_bits & ((2 << exponent_bits) - 1)
    sign = recoded >> (fraction_bits + exponent_bits + 1) & 1
    kind = exponent >> (exponent_bits - 2)
    normal = (1 << (exponent_bits - 1)) + 2
    if kind == 0:
        biased, fraction = 0, 0
    elif kind >= 6:
        biased, fraction = (1 << exponent_bits) - 1, fraction if kind == 7 else 0
    elif exponent < normal:
        biased, fraction = 0, (1 << fraction_bits | fraction) >> (normal - exponent)
    else:
        biased = exponent - normal + 1
    return sign << (exponent_bits + fraction_bits) | biased << fraction_bits | fraction
