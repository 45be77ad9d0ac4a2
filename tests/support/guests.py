"""Software to take checkpoints of: the project's own workload, OpenSBI with U-Boot; and how to see that it lives."""

import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

from command import ENVIRONMENT, gcpt
from elftools.elf.elffile import ELFFile

from gcpt.restorer.options import CROSS_COMPILE

OPENSBI = Path("/usr/lib/riscv64-linux-gnu/opensbi/generic/fw_jump.bin")
U_BOOT = Path("/usr/lib/u-boot/qemu-riscv64_smode/u-boot.bin")
LOAD_U_BOOT = ("--load", f"{OPENSBI}@0x80100000", "--load", f"{U_BOOT}@0x80200000")
#: When U-Boot's prompt has come and ``setenv answer 42`` was typed.
AT_THE_PROMPT = tuple(
    word
    for pattern, text in (("stop autoboot", "\\n"), ("=> $", "setenv answer 42\\n"))
    for word in ("--on", pattern, "--type", text)
) + ("--on", "=> $")
ADDRESS = 0x8010_0000
#: How much higher the worker's U-mode code runs than it is linked.
USER_ALIAS = 0x1_0000_0000
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

    @property
    def satp_mode(self) -> int:
        """Of satp, or of vsatp below a hypervisor."""
        return {0: 0, 39: 8, 48: 9}[self.sv]

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


def exact(*checkpoint: str | Path) -> None:
    """Fails unless ``gcpt verify`` finds nothing unexplained."""
    run = gcpt("verify", *checkpoint)
    assert (run.returncode, ", 0 unexplained" in run.stdout) == (0, True), run.stdout + run.stderr


def answer(*checkpoint: str | Path) -> str:
    """What a restored U-Boot says when it is asked what was set before the checkpoint."""
    command = [sys.executable, "-m", "gcpt", "run", *map(str, checkpoint)]
    with subprocess.Popen(
        command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, env=ENVIRONMENT, text=True
    ) as running:
        assert running.stdin and running.stdout
        running.stdin.write("\nprintenv answer\n")
        running.stdin.flush()
        said = next((line for line in running.stdout if line.startswith("answer=")), "it ended")
        running.stdin.write("\x01x")
    return said.strip()
