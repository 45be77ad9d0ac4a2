"""Count the instructions of each phase of a restore: a synthetic checkpoint, traced on stock QEMU's virt machine."""

from bisect import bisect_right
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

from elftools.elf.elffile import ELFFile

from gcpt.machines.builds import BuiltRestorer, build
from gcpt.machines.restores import Case, Restores
from gcpt.machines.synthetic import Recipe
from gcpt.restorer.config import BuildConfig
from gcpt.restorer.linked import Linked
from gcpt.restorer.sizes import Piece, pieces

#: The platform of the measurement, and the options that it replaces: for other machines, or not part of a restore.
_PLATFORM = "qemu-virt"
_REPLACED_OPTIONS = (
    "platform",
    "clint",
    "uart",
    "flash",
    "ram",
    "header_addr",
    "gcpt_payload",
    "gcpt_payload_position",
    "gcpt_dtb",
)
#: Build folder, in the variant's, of a restorer for QEMU that is measured instead of one for another platform.
_FOLDER = "measured"


@dataclass(frozen=True)
class Steps:
    """The instructions of one restore.

    Attributes:
        counts: Instructions by hart and phase; harts that executed none are missing.
        harts: Harts of the checkpoint.
        same: Whether the restorer itself was measured, not a build of its options for QEMU.
    """

    counts: dict[int, dict[str, int]]
    harts: int
    same: bool

    @property
    def totals(self) -> dict[int, int]:
        """Instructions by hart."""
        return {hart: sum(phases.values()) for hart, phases in self.counts.items()}


def by_phase(visited: Mapping[int, int], parts: Sequence[Piece]) -> dict[str, int]:
    """Sum instructions by phase.

    Args:
        visited: Executions by address; those outside ``parts`` are in a trampoline and count as "leave".
        parts: The pieces of the restorer's code by ascending address.

    Returns:
        Instructions by phase.
    """
    starts = [piece.start for piece in parts]
    counts: Counter[str] = Counter()
    for address, times in visited.items():
        inside = starts[0] <= address < parts[-1].end
        counts[parts[bisect_right(starts, address) - 1].phase if inside else "leave"] += times
    return dict(counts)


def _recipe(config: BuildConfig) -> Recipe:
    """Two harts if the restorer serves several, more if stop_cpu= has both; S mode, no locked PMP entries."""
    harts = min(2, config.harts)
    while set(range(harts)) <= set(config.stop_cpu):
        harts += 1
    return Recipe(harts=harts, locks=False)


def measure(config: BuildConfig, folder: Path, root: Path) -> Steps:
    """Trace one restore on QEMU.

    Args:
        config: Build options of the restorer.
        folder: Folder of its outputs.
        root: The project, which builds the restorer for QEMU if ``config`` is for another platform.

    Returns:
        The instructions of each hart and phase.

    Raises:
        QemuError: A hart did not arrive.
        CalledProcessError: The build failed.
    """
    options = {name: value for name, value in config.options.items() if name not in (*_REPLACED_OPTIONS, "build_dir")}
    options["platform"] = _PLATFORM
    same = {**config.options, "build_dir": ""} == {**options, "build_dir": ""}
    with TemporaryDirectory(prefix="gcpt-report-") as scratch:
        built = BuiltRestorer(folder, config) if same else build(root, config.variant_dir / _FOLDER, options)
        with built.elf.open("rb") as file:
            parts = pieces(Linked(ELFFile(file), built.config))
        mode = "normal" if config.mode == "auto" else config.mode
        recipe = _recipe(config)
        visits = Restores(Case("report", mode, recipe), built, Path(scratch)).visits()
    return Steps({hart: by_phase(visited, parts) for hart, visited in sorted(visits.items())}, recipe.harts, same)
