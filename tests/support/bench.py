"""A test's bench: it builds restorers and images, runs them on QEMU and compares the result."""

import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

from restorer import Restorer

from gcpt.checkpoint import output, places
from gcpt.checkpoint.layouts import MIB, MULTI_CORE, MULTI_CORE_OFFSET, Layout
from gcpt.checkpoint.places import Checkpoint, Place, PlaceKind
from gcpt.checkpoint.state import HartState, block_size
from gcpt.dev import firmware_coverage
from gcpt.machines import qemu, synthetic
from gcpt.machines.comparison import Comparison, compare_machine
from gcpt.machines.gdb import TIMEOUT
from gcpt.machines.qemu import Machine, Qemu
from gcpt.restorer import codes, packing

DRAM = synthetic.DRAM
CODES = {code.name: code.number for code in codes.CODES}
#: The large files that a bench writes.
IMAGES = ("memory", "flash", "trace.log")
#: Bytes of QEMU's first pflash, and ram= for a restorer in it.
FLASH_SIZE, RAM = 32 * MIB, DRAM + 0x4_0000
#: mie without timer interrupts: QEMU's mtimecmp is 0 at reset, so MTIP is pending.
BUT_TIMER = 0x22A


@dataclass(frozen=True)
class End:
    """How a machine ended: QEMU's exit status and the console's output."""

    status: int
    console: str

    def error(self) -> tuple[int, int, str]:
        """The code, hart and rest of the only line that the restorer printed."""
        lines = re.findall(r"^gcpt: error (\d+) hart (\d+)(.*)$", self.console, re.MULTILINE)
        assert len(lines) == 1, self.console
        code, hart, text = lines[0]
        return int(code), int(hart), text


class Bench:
    """A bench.

    folder: the test's files, including logs. build: builds a restorer of options.
    """

    def __init__(self, folder: Path, build: Callable[..., Restorer]) -> None:
        self.folder = folder
        self._build = build
        self._built: list[Path] = []

    def build(self, mode: str, **options: str) -> Restorer:
        restorer = self._build(mode=mode, **{"platform": "qemu-virt", **firmware_coverage.build_options(), **options})
        self._built.append(restorer.folder / "gcpt.elf")
        return restorer

    def image(self, pieces: Iterable[tuple[int, bytes]], memory: int = 128 * MIB) -> Path:
        """A memory image that holds ``pieces`` (physical address, bytes)."""
        path = self.folder / "memory"
        output.write_pieces(path, [(address - DRAM, data) for address, data in pieces], memory)
        return path

    def synthetic_image(self, checkpoint: synthetic.Synthetic, place: Place) -> Path:
        """The memory image of a synthetic checkpoint, without a restorer."""
        # Blocks first: NEMU's protobuf block is longer than its state and overlaps the workload's memory.
        pieces = [*synthetic.blocks(Checkpoint(place, checkpoint.harts)), *checkpoint.memory]
        return self.image(pieces, memory_of(checkpoint))

    def unpacked(self, path: Path, memory: int = 128 * MIB, name: str = "memory") -> Path:
        out = self.folder / name
        output.unpack(path, out, memory)
        return out

    def restored(self, checkpoint: synthetic.Synthetic, place: Place, restorer: Restorer) -> Path:
        """The memory image of a synthetic checkpoint with a restorer over its start."""
        memory = self.synthetic_image(checkpoint, place)
        packing.place(memory, restorer.image)
        return memory

    def flash(self, restorer: Restorer, blocks: Iterable[tuple[int, bytes]] = ()) -> Path:
        """An image of QEMU's flash: a restorer, and blocks whose addresses are as if it were DRAM."""
        path = self.folder / "flash"
        output.write_pieces(path, [(address - DRAM, data) for address, data in blocks], FLASH_SIZE)
        packing.place(path, restorer.image)
        return path

    def run(self, memory: Path, machine: Machine, paused: bool = False) -> Qemu:
        return Qemu(memory, firmware_coverage.traced(machine, self._built), self.folder, paused)

    def end(self, memory: Path, machine: Machine | None = None) -> End:
        """Run until the machine ends by itself."""
        with self.run(memory, machine or Machine()) as running:
            return End(running.wait_exit(), running.output())

    def compare(
        self,
        memory: Path,
        restorer: Restorer,
        harts: Mapping[int, HartState],
        machine: Machine,
        timeout: float = TIMEOUT,
    ) -> Comparison:
        """Restore the checkpoint in ``memory``, which has a restorer, and compare with ``harts``."""
        with self.run(memory, machine, paused=True) as running:
            return compare_machine(running, harts, restorer.csr_groups, restorer.config.platform.clint, timeout)

    def exact(self, recipe: synthetic.Recipe, place: Place, restorer: Restorer, **machine: object) -> Comparison:
        """Restore a synthetic checkpoint on a machine that fits it; fail unless everything is exact."""
        checkpoint = synthetic.make(recipe)
        memory = self.restored(checkpoint, place, restorer)
        fitting = {"harts": recipe.harts, "cpu": qemu.cpu(recipe.vlen), "memory": memory_of(checkpoint), **machine}
        report = self.compare(memory, restorer, dict(enumerate(checkpoint.harts)), Machine(**fitting))  # type: ignore[arg-type]
        assert_exact(report)
        return report


def memory_of(checkpoint: synthetic.Synthetic) -> int:
    """Bytes of memory for a machine: QEMU writes its device tree to the last 2 MiB."""
    return 128 * MIB if checkpoint.end <= DRAM + 126 * MIB else 256 * MIB


def assert_exact(report: Comparison) -> None:
    assert not report.unexplained, "\n".join(map(str, report.unexplained[:20]))


def jump(source: int, target: int) -> tuple[int, bytes]:
    """A piece of memory at ``source`` that jumps to ``target`` and keeps a0 and a1."""
    return source, qemu.jump(source, target)


def behind_header(layout: Layout = MULTI_CORE, harts: int = 1) -> Place:
    """Contiguous blocks after a header that is where the blocks of dual_core would begin."""
    return Place(PlaceKind.PROTOBUF, MULTI_CORE_OFFSET + 168, block_size(layout, harts), layout, MULTI_CORE_OFFSET)


def of_place(mode: str) -> Place:
    """The place of the blocks in checkpoints of ``mode=``."""
    return {"single_core": places.SINGLE_CORE, "dual_core": places.DUAL_CORE}[mode]
