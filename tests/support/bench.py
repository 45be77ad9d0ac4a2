"""One test's bench: images of checkpoints, a restorer on them, a machine that runs them, and the verdict."""

import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

from restorer import Restorer

from gcpt.checkpoint import image, places
from gcpt.checkpoint.layouts import MIB, MULTI_CORE, MULTI_CORE_OFFSET, Layout
from gcpt.checkpoint.places import Checkpoint, Place, PlaceKind
from gcpt.checkpoint.state import HartState, block_size
from gcpt.dev import firmware_coverage
from gcpt.machines import qemu, synthetic
from gcpt.machines.comparison import Comparison, compare_machine
from gcpt.machines.qemu import Machine, Qemu
from gcpt.restorer import codes, packing

DRAM = synthetic.DRAM
CODES = {code.name: code.number for code in codes.CODES}
#: The image files that a bench makes.
IMAGES = ("memory", "flash", "trace.log")
#: Bytes of QEMU's first pflash, and memory for a restorer there.
FLASH_SIZE, RAM = 32 * MIB, DRAM + 0x4_0000
#: Interrupts that stay away until somebody asks for them; QEMU's mtimecmp is 0 at reset.
BUT_TIMER = 0x22A
#: Seconds that any restore has; one takes a fraction of a second.
TIMEOUT = 30.0


@dataclass(frozen=True)
class End:
    """How a machine ended: QEMU's exit status and all that the console printed."""

    status: int
    console: str

    def error(self) -> tuple[int, int, str]:
        """Code, hart and words of the one line that the restorer prints."""
        found = re.findall(r"^gcpt: error (\d+) hart (\d+)(.*)$", self.console, re.MULTILINE)
        assert len(found) == 1, self.console
        return int(found[0][0]), int(found[0][1]), found[0][2]


class Bench:
    """folder: where this test's files are, logs included. build: makes a restorer of options."""

    def __init__(self, folder: Path, build: Callable[..., Restorer]) -> None:
        self.folder = folder
        self._build = build
        self._built: list[Path] = []

    def build(self, mode: str, **options: str) -> Restorer:
        restorer = self._build(mode=mode, **{"platform": "qemu-virt", **firmware_coverage.build_options(), **options})
        self._built.append(restorer.folder / "gcpt.elf")
        return restorer

    def image(self, pieces: Iterable[tuple[int, bytes]], memory: int = 128 * MIB) -> Path:
        """A machine's memory that holds ``pieces`` (physical address, bytes)."""
        path = self.folder / "memory"
        image.write_pieces(path, [(address - DRAM, data) for address, data in pieces], memory)
        return path

    def synthetic_image(self, made: synthetic.Synthetic, place: Place) -> Path:
        """The memory of a synthetic checkpoint, without a restorer."""
        # The blocks first: NEMU's protobuf block, longer than its state, reaches into the workload's memory.
        pieces = [*synthetic.blocks(Checkpoint(place, made.harts)), *made.memory]
        return self.image(pieces, memory_of(made))

    def unpacked(self, path: Path, memory: int = 128 * MIB, name: str = "memory") -> Path:
        out = self.folder / name
        image.unpack(path, out, memory)
        return out

    def restored(self, made: synthetic.Synthetic, place: Place, restorer: Restorer) -> Path:
        """The memory of a synthetic checkpoint with a restorer over its start."""
        memory = self.synthetic_image(made, place)
        packing.place(memory, restorer.image)
        return memory

    def flash(self, restorer: Restorer, blocks: Iterable[tuple[int, bytes]] = ()) -> Path:
        """An image of QEMU's flash: a restorer, and blocks that are given as if they were in DRAM."""
        path = self.folder / "flash"
        image.write_pieces(path, [(address - DRAM, data) for address, data in blocks], FLASH_SIZE)
        packing.place(path, restorer.image)
        return path

    def run(self, memory: Path, machine: Machine, paused: bool = False) -> Qemu:
        return Qemu(memory, firmware_coverage.traced(machine, self._built), self.folder, paused)

    def end(self, memory: Path, machine: Machine | None = None) -> End:
        """Run until the machine ends itself."""
        with self.run(memory, machine or Machine()) as running:
            return End(running.wait_exit(TIMEOUT), running.output())

    def compare(
        self,
        memory: Path,
        restorer: Restorer,
        harts: Mapping[int, HartState],
        machine: Machine,
        timeout: float = TIMEOUT,
    ) -> Comparison:
        """Restore what is in ``memory``, restorer included, and compare with ``harts``."""
        with self.run(memory, machine, paused=True) as running:
            return compare_machine(running, harts, restorer.csr_groups, restorer.config.platform.clint, timeout)

    def exact(self, recipe: synthetic.Recipe, place: Place, restorer: Restorer, **machine: object) -> Comparison:
        """Restore a synthetic checkpoint on a machine that fits it; fails unless all is exact."""
        made = synthetic.make(recipe)
        memory = self.restored(made, place, restorer)
        fitting = {"harts": recipe.harts, "cpu": qemu.cpu(recipe.vlen), "memory": memory_of(made), **machine}
        report = self.compare(memory, restorer, dict(enumerate(made.harts)), Machine(**fitting))  # type: ignore[arg-type]
        assert_exact(report)
        return report


def memory_of(made: synthetic.Synthetic) -> int:
    """Bytes of memory that a machine needs: QEMU writes its device tree into the last 2 MiB."""
    return 128 * MIB if made.end <= DRAM + 126 * MIB else 256 * MIB


def assert_exact(report: Comparison) -> None:
    assert not report.unexplained, "\n".join(map(str, report.unexplained[:20]))


def jump(source: int, target: int) -> tuple[int, bytes]:
    """The piece of memory at ``source`` that jumps to ``target``, anywhere: a0 and a1 stay as they are."""
    return source, qemu.jump(source, target)


def behind_header(layout: Layout = MULTI_CORE, harts: int = 1) -> Place:
    """Blocks that follow a header, which is where those of several harts would begin, one right behind the other."""
    return Place(PlaceKind.PROTOBUF, MULTI_CORE_OFFSET + 168, block_size(layout, harts), layout, MULTI_CORE_OFFSET)


def of_place(mode: str) -> Place:
    """Where the checkpoints of ``mode=`` keep their blocks."""
    return {"single_core": places.SINGLE_CORE, "dual_core": places.DUAL_CORE}[mode]
