"""The project's own workload, assembled by the toolchain of the build."""

import subprocess
from dataclasses import dataclass
from pathlib import Path

from elftools.elf.elffile import ELFFile

from gcpt.options import CROSS_COMPILE

ADDRESS = 0x8010_0000
_SOURCE = Path(__file__).parents[1] / "guests" / "worker.S"
_FLAGS = (
    "-march=rv64gcv",
    "-mabi=lp64d",
    "-nostdlib",
    "-static",
    f"-Wl,-Ttext={ADDRESS:#x}",
    "-Wl,--no-warn-rwx-segments",
)


@dataclass(frozen=True)
class Worker:
    """level: 0 U, 1 S, 3 M. sv: bits of virtual addresses, 0 for none."""

    level: int
    virtual: bool = False
    sv: int = 0

    def __str__(self) -> str:
        name = {0: "U", 1: "S", 3: "M"}[self.level]
        return f"{'V' if self.virtual else ''}{name}{f'-Sv{self.sv}' if self.sv else ''}"

    def build(self, folder: Path, interval: int = 50_000) -> tuple[Path, Path]:
        """The image, to be loaded at ADDRESS, and the ELF. interval: ticks (of 100 ns) of a round, at least."""
        elf, image = folder / f"{self}.elf", folder / f"{self}.bin"
        defines = [f"-DLEVEL={self.level}", f"-DVIRTUAL={self.virtual:d}", f"-DSV={self.sv}"]
        defines.append(f"-DINTERVAL={interval}")
        subprocess.run([f"{CROSS_COMPILE}gcc", *_FLAGS, *defines, _SOURCE, "-o", elf], check=True)
        subprocess.run([f"{CROSS_COMPILE}objcopy", "-O", "binary", elf, image], check=True)
        return image, elf


def symbol(elf: Path, name: str) -> int:
    with elf.open("rb") as file:
        table = ELFFile(file).get_section_by_name(".symtab")
        return int(table.get_symbol_by_name(name)[0]["st_value"])  # type: ignore[union-attr]
