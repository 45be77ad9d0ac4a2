"""How many instructions each phase of a restore takes: a trace on stock QEMU's virt of a synthetic checkpoint."""

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

#: The machine that is measured on, and the options that are for other machines, or for what is no restore.
_PLATFORM = "qemu-virt"
_ELSEWHERE = (
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
#: Where the build goes that is measured in place of one for another machine, in the variant's folder.
_FOLDER = "measured"


@dataclass(frozen=True)
class Steps:
    """counts: by hart that executed anything, by phase. harts: of the checkpoint.

    same: measured was the very restorer asked about, not one for QEMU.
    """

    counts: dict[int, dict[str, int]]
    harts: int
    same: bool

    @property
    def totals(self) -> dict[int, int]:
        return {hart: sum(phases.values()) for hart, phases in self.counts.items()}


def by_phase(visited: Mapping[int, int], parts: Sequence[Piece]) -> dict[str, int]:
    """Instructions by phase. visited: how often each address was executed; beyond ``parts`` is the way out's jump."""
    starts = [piece.start for piece in parts]
    counts: Counter[str] = Counter()
    for address, times in visited.items():
        inside = starts[0] <= address < parts[-1].end
        counts[parts[bisect_right(starts, address) - 1].phase if inside else "leave"] += times
    return dict(counts)


def _recipe(config: BuildConfig) -> Recipe:
    """Two harts where the restorer is for several, more where none of them would be restored; S mode, quiet PMP."""
    harts = min(2, config.harts)
    while set(range(harts)) <= set(config.stop_cpu):
        harts += 1
    return Recipe(harts=harts, locks=False)


def measure(config: BuildConfig, folder: Path, root: Path) -> Steps:
    """Restore once. folder: the outputs of ``config``; root: the project, for a build for QEMU where that is not one.

    QemuError when a hart does not arrive, CalledProcessError when the build fails.
    """
    options = {name: value for name, value in config.given.items() if name not in (*_ELSEWHERE, "build_dir")}
    options["platform"] = _PLATFORM
    same = {**config.given, "build_dir": ""} == {**options, "build_dir": ""}
    with TemporaryDirectory(prefix="gcpt-report-") as scratch:
        built = BuiltRestorer(folder, config) if same else build(root, config.variant_dir / _FOLDER, options)
        with built.elf.open("rb") as file:
            parts = pieces(Linked(ELFFile(file), built.config))
        mode = "normal" if config.mode == "auto" else config.mode
        recipe = _recipe(config)
        visits = Restores(Case("report", mode, recipe), built, Path(scratch)).visits()
    return Steps({hart: by_phase(visited, parts) for hart, visited in sorted(visits.items())}, recipe.harts, same)
