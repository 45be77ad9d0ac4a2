"""Measure restorers with synthetic checkpoints: instructions, exact values and seconds on QEMU, cycles on Rocket.

QEMU 7.2 lacks much of RVA23: instructions on a hart that has it all are counted by Spike.
"""

import time
from collections import Counter
from dataclasses import dataclass
from pathlib import Path
from statistics import median

from gcpt.checkpoint import output
from gcpt.checkpoint.layouts import MIB
from gcpt.checkpoint.places import DUAL_CORE, PROTOBUF, SINGLE_CORE, Checkpoint
from gcpt.machines import judges, rocket, spike, synthetic
from gcpt.machines.arrival import run_to_first
from gcpt.machines.builds import BuiltRestorer
from gcpt.machines.comparison import compare_machine
from gcpt.machines.count import trace
from gcpt.machines.gdb import GdbError
from gcpt.machines.qemu import Machine, Qemu
from gcpt.machines.rocket import Rocket
from gcpt.machines.spike import Spike
from gcpt.machines.synthetic import DRAM, Mode, Recipe
from gcpt.restorer import packing
from gcpt.restorer.config import BuildConfig

#: Memory in bytes of a measured Rocket, and seconds for its hart to arrive.
_ROCKET_MEMORY, _ROCKET_TIMEOUT = 128 * MIB, 300.0
#: The same of a measured Spike, and the extensions with CSRs of the default set that ``spike.isa`` lacks.
_SPIKE_MEMORY, _SPIKE_TIMEOUT = 128 * MIB, 300.0
_RVA23 = "smstateen_smcntrpmf_smaia_ssaia_smrnmi_smepmp_zicfiss"
#: Trace only the reserved MiB.
_FILTER = ("-dfilter", f"{DRAM:#x}+{MIB:#x}")
PLACES = {"single_core": SINGLE_CORE, "dual_core": DUAL_CORE, "normal": PROTOBUF}


@dataclass(frozen=True)
class Case:
    """One restore to measure.

    Attributes:
        name: Its name in results.
        mode: ``mode=`` of the restorer.
        csrs: ``csrs=`` of the restorer.
        recipe: The synthetic checkpoint.
    """

    name: str
    mode: str
    recipe: Recipe
    csrs: str = ""

    @property
    def restorer(self) -> str:
        """The name of the restorer in the bench."""
        return self.mode + (f", csrs={self.csrs}" if self.csrs else "")


_MODES = {
    "S": Mode.S,
    "U": Mode.U,
    "VS": Mode.VS,
    "VU": Mode.VU,
    "M": Mode.M,
    "M as NEMU leaves it": Mode.M_NEMU,
}


def _several(mode: str, harts: int) -> Case:
    return Case(f"{mode}, {harts} hart{'s' if harts > 1 else ''}", mode, Recipe(harts=harts, locks=False))


CASES: tuple[Case, ...] = (
    *(Case(f"single_core, {name}", "single_core", Recipe((mode,), locks=False)) for name, mode in _MODES.items()),
    Case("single_core, S, locked PMP entries", "single_core", Recipe()),
    *(
        Case(f"single_core, csrs=rva22, {name}", "single_core", Recipe((_MODES[name],), locks=False), "rva22")
        for name in ("S", "M")
    ),
    Case("single_core, csrs=rva22, S, locked PMP entries", "single_core", Recipe(), "rva22"),
    *(_several("dual_core", harts) for harts in (1, 2, 8, 32, 128)),
    *(_several("normal", harts) for harts in (1, 128)),
)
#: Latencies of Rocket's memory in cycles at which restores are measured.
LATENCIES = (0, 30, 100)
CROWD = next(case for case in CASES if case.name == "dual_core, 128 harts")


def one_hart(image: Path, config: BuildConfig, folder: Path) -> int:
    """Count the instructions of restoring one hart in S mode on QEMU's virt machine.

    Args:
        image: The restorer's gcpt.bin.
        config: Its build options.
        folder: Folder for the machine's memory and logs.

    Returns:
        Instructions from reset to the workload's first.

    Raises:
        QemuError: The hart did not arrive.
    """
    mode = config.mode if config.mode in PLACES else "normal"
    case = Case("one hart", mode, Recipe((Mode.S,), locks=False))
    return Restores(case, BuiltRestorer(image.parent, config), folder).instructions()[""]


def cycles(built: BuiltRestorer, folder: Path) -> dict[int, int]:
    """Count the cycles of restoring one hart in S mode on Rocket's RTL, with cold caches.

    Args:
        built: The restorer, for a platform with Rocket's memory map.
        folder: Folder for the machine's memory and logs.

    Returns:
        Cycles from the restorer's first instruction to the workload's first, by latency of the memory.

    Raises:
        SimulatorError: The simulator cannot be built, or the hart did not arrive.
    """
    made = synthetic.make(Recipe(vector=False, hypervisor=False, locks=False))
    memory, [state] = folder / "memory", made.harts
    pieces = [*synthetic.blocks(Checkpoint(SINGLE_CORE, made.harts)), *made.memory]
    output.write_pieces(memory, [(address - DRAM, data) for address, data in pieces], _ROCKET_MEMORY)
    packing.place(memory, built.image)
    start, program = {0: (state.pc, state.mode)}, rocket.simulator(1)

    def count(latency: int) -> int:
        machine = Rocket(program, _ROCKET_MEMORY, latency)
        return rocket.read(machine, memory, start, folder, _ROCKET_TIMEOUT)[0].numbers["cycles"]

    return {latency: count(latency) for latency in LATENCIES}


def with_rva23(built: BuiltRestorer, folder: Path) -> dict[str, int]:
    """Count the instructions of restoring one hart on a Spike that has all groups of CSRs of the default set.

    Args:
        built: A restorer for Spike.
        folder: Folder for the machine's memory and logs.

    Returns:
        Instructions from the restorer's first to the workload's first, by mode.

    Raises:
        UserError: Spike is not installed.
        SimulatorError: The hart did not arrive.
    """
    machine = Spike(judges.choose("spike").program, f"{spike.isa()}_{_RVA23}", memory=_SPIKE_MEMORY)
    memory, elf = folder / "memory", folder / "memory.elf"

    def count(mode: Mode) -> int:
        made = synthetic.make(Recipe((mode,), locks=False))
        [state] = made.harts
        state.set("mcountinhibit", 0)
        pieces = [*synthetic.blocks(Checkpoint(SINGLE_CORE, made.harts)), *made.memory]
        output.write_pieces(memory, [(address - DRAM, data) for address, data in pieces], _SPIKE_MEMORY)
        packing.place(memory, built.image)
        spike.write_elf(elf, memory, DRAM, spike.symbols(built.elf))
        reading = spike.read(machine, elf, 0, state.pc, ["minstret"], folder, _SPIKE_TIMEOUT, leave=DRAM)
        return (reading.numbers["minstret"] or 0) - (reading.higher["minstret"] or 0)

    return {name: count(_MODES[name]) for name in ("S", "VS", "M")}


class Restores:
    """Restores one case as often as measurements need."""

    def __init__(self, case: Case, built: BuiltRestorer, folder: Path) -> None:
        """Prepare the checkpoint.

        Args:
            case: The restore.
            built: The restorer.
            folder: Folder for the machine's memory and logs.
        """
        self._built, self._folder = built, folder
        self._synthetic = synthetic.make(case.recipe)
        self._place = PLACES[case.mode]
        memory = 128 * MIB if self._synthetic.end <= DRAM + 126 * MIB else 256 * MIB
        self._machine = Machine(harts=case.recipe.harts, memory=memory)
        stopped = built.config.stop_cpu
        self._pcs = {hart: state.pc for hart, state in enumerate(self._synthetic.harts) if hart not in stopped}

    def _memory(self) -> Path:
        path = self._folder / "memory"
        pieces = [*synthetic.blocks(Checkpoint(self._place, self._synthetic.harts)), *self._synthetic.memory]
        output.write_pieces(path, [(address - DRAM, data) for address, data in pieces], self._machine.memory)
        packing.place(path, self._built.image)
        return path

    def visits(self) -> dict[int, Counter[int]]:
        """Trace one restore, from reset to each hart's first instruction.

        Returns:
            Executions by hart and address in the reserved MiB.

        Raises:
            QemuError: A hart did not arrive.
        """
        machine = Machine(self._machine.harts, self._machine.memory, extra=_FILTER)
        return trace(self._memory(), machine, self._pcs, self._folder)

    def instructions(self) -> dict[str, int]:
        """Count instructions.

        Returns:
            Instructions by group of harts; with one hart, its count is under "".

        Raises:
            QemuError: A hart did not arrive.
        """
        *waiting, planner = sorted(addresses.total() for addresses in self.visits().values())
        if not waiting:
            return {"": planner}
        return {
            ", planner": planner,
            ", others' least": waiting[0],
            ", others' median": waiting[len(waiting) // 2],
            ", others' most": waiting[-1],
        }

    def exact(self) -> tuple[int, int]:
        """Compare a restored machine with the checkpoint.

        Returns:
            How many values are exact, and how many were compared.

        Raises:
            QemuError: A hart did not arrive.
        """
        harts = dict(enumerate(self._synthetic.harts))
        config = self._built.config
        with Qemu(self._memory(), self._machine, self._folder) as running:
            report = compare_machine(running, harts, config.csr_groups, config.platform.clint)
        return report.items - len(report.mismatches), report.items

    def seconds(self) -> float:
        """Measure the time from reset until every hart is at its first instruction, all harts in parallel.

        Returns:
            Seconds, the median of three restores.

        Raises:
            QemuError: A hart did not arrive.
        """
        return median(self._seconds() for _ in range(3))

    def _seconds(self) -> float:
        with Qemu(self._memory(), self._machine, self._folder) as running, running.gdb() as gdb:
            start = time.monotonic()
            try:
                run_to_first(gdb, self._pcs)
            except GdbError as error:
                raise running.failure(str(error)) from error
            return time.monotonic() - start
