"""What a bench measures of restorers, on stock QEMU with synthetic checkpoints: instructions, exactness, seconds."""

import time
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from statistics import median

from gcpt.checkpoint import image
from gcpt.checkpoint.layouts import MIB
from gcpt.checkpoint.places import DUAL_CORE, PROTOBUF, SINGLE_CORE, Checkpoint
from gcpt.machines import synthetic
from gcpt.machines.arrival import run_to_first
from gcpt.machines.builds import BuiltRestorer
from gcpt.machines.comparison import compare_machine
from gcpt.machines.count import trace
from gcpt.machines.gdb import GdbError
from gcpt.machines.qemu import Machine, Qemu
from gcpt.machines.synthetic import DRAM, Mode, Recipe
from gcpt.restorer import packing
from gcpt.restorer.config import BuildConfig

#: Seconds that 128 harts have, on a machine that others use too.
_TIMEOUT = 60.0
#: Harts that take turns run nearly the same way each time, but when each is woken is chance, which only adds: the least
#: of some tries counts, and of more while that least is over its budget.
_TRIES, _MOST_TRIES = 3, 12
_TURNS = ("-accel", "tcg,thread=single")
#: The trace is of the reserved memory only.
_FILTER = ("-dfilter", f"{DRAM:#x}+{MIB:#x}")
PLACES = {"single_core": SINGLE_CORE, "dual_core": DUAL_CORE, "normal": PROTOBUF}


@dataclass(frozen=True)
class Case:
    """One restore: the restorer's mode and the checkpoint."""

    name: str
    mode: str
    recipe: Recipe


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
    *(_several("dual_core", harts) for harts in (1, 2, 8, 32, 128)),
    *(_several("normal", harts) for harts in (1, 128)),
)
CROWD = next(case for case in CASES if case.name == "dual_core, 128 harts")


def one_hart(image: Path, config: BuildConfig, folder: Path) -> int:
    """Instructions of a restorer for QEMU's virt machine with one hart in S mode, up to the workload's first."""
    mode = config.mode if config.mode in PLACES else "normal"
    case = Case("one hart", mode, Recipe((Mode.S,), locks=False))
    return Restores(case, BuiltRestorer(image.parent, config), folder).instructions({})[""]


class Restores:
    """One case set up in ``folder``: restores it as often as is asked for."""

    def __init__(self, case: Case, built: BuiltRestorer, folder: Path) -> None:
        self._built, self._folder = built, folder
        self._made = synthetic.make(case.recipe)
        self._place = PLACES[case.mode]
        memory = 128 * MIB if self._made.end <= DRAM + 126 * MIB else 256 * MIB
        self._machine = Machine(harts=case.recipe.harts, memory=memory)
        stopped = built.config.stop_cpu
        self._pcs = {hart: state.pc for hart, state in enumerate(self._made.harts) if hart not in stopped}

    def _memory(self) -> Path:
        path = self._folder / "memory"
        pieces = [*synthetic.blocks(Checkpoint(self._place, self._made.harts)), *self._made.memory]
        image.write_pieces(path, [(address - DRAM, data) for address, data in pieces], self._machine.memory)
        packing.place(path, self._built.image)
        return path

    def visits(self) -> dict[int, Counter[int]]:
        """How often each hart executes each address of the reserved MiB, from reset to its first instruction."""
        machine = Machine(self._machine.harts, self._machine.memory, extra=(*_TURNS, *_FILTER))
        return trace(self._memory(), machine, self._pcs, self._folder, timeout=_TIMEOUT)

    def _count(self) -> dict[str, int]:
        *others, planner = sorted(addresses.total() for addresses in self.visits().values())
        if not others:
            return {"": planner}
        return {
            ", planner": planner,
            ", others' least": others[0],
            ", others' median": others[len(others) // 2],
            ", others' most": others[-1],
        }

    def instructions(self, limits: Mapping[str, float]) -> dict[str, int]:
        """By part of the harts (one hart: ""), the fewest of some tries: of more while that is over its limit."""
        fewest = self._count()
        for tried in range(1, 1 if len(self._pcs) == 1 else _MOST_TRIES):
            if tried >= _TRIES and all(number <= limits.get(part, number) for part, number in fewest.items()):
                break
            again = self._count()
            fewest = {part: min(number, again[part]) for part, number in fewest.items()}
        return fewest

    def exact(self) -> tuple[int, int]:
        """How many values are exact, and how many were compared."""
        harts = dict(enumerate(self._made.harts))
        config = self._built.config
        with Qemu(self._memory(), self._machine, self._folder) as running:
            report = compare_machine(running, harts, config.csr_groups, config.platform.clint, _TIMEOUT)
        return report.items - len(report.mismatches), report.items

    def seconds(self) -> float:
        """From reset to every hart at its first instruction, all harts at once: the median of three."""
        return median(self._seconds() for _ in range(3))

    def _seconds(self) -> float:
        with Qemu(self._memory(), self._machine, self._folder) as running, running.gdb() as gdb:
            start = time.monotonic()
            try:
                run_to_first(gdb, self._pcs, _TIMEOUT)
            except GdbError as error:
                raise running.failure(str(error)) from error
            return time.monotonic() - start
