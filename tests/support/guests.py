"""Software to take checkpoints of (the project's worker, OpenSBI with U-Boot), and checks that its restore works."""

import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import abilities
import pytest
from command import ENVIRONMENT, gcpt
from elftools.elf.elffile import ELFFile

from gcpt.restorer.options import CROSS_COMPILE

OPENSBI = Path("/usr/lib/riscv64-linux-gnu/opensbi/generic/fw_jump.bin")
U_BOOT = Path("/usr/lib/u-boot/qemu-riscv64_smode/u-boot.bin")
LOAD_U_BOOT = ("--firmware", str(OPENSBI), "--kernel", str(U_BOOT), "--memory", "128M")
#: Options of gcpt snapshot: stop at U-Boot's prompt after ``setenv answer 42``.
AT_THE_PROMPT = tuple(
    word
    for pattern, text in (("stop autoboot", "\\n"), ("=> $", "setenv answer 42\\n"))
    for word in ("--on", pattern, "--type", text)
) + ("--on", "=> $")
ADDRESS = 0x8010_0000
#: Offset of the worker's U-mode addresses from its link addresses.
USER_ALIAS = 0x1_0000_0000
#: lui a1, 25; 1: addi a1, a1, -1; bnez a1, 1b; lui a1, 25; 2: addi a2, a2, 1; addi a1, a1, -1; bnez a1, 2b, and then
#: a store of 0x5555 to the finisher: two phases of 204,801 and 307,201 instructions.
TWO_PHASES = bytes.fromhex(
    "b7950100 9385f5ff e39e05fe b7950100 13061600 9385f5ff e39c05fe b7021000 37530000 13035355 23a06200"
)
#: The least ticks (100 ns) per round of a worker.
_INTERVAL = 50_000
_SOURCES = Path(__file__).parents[1] / "guests"
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
    """A build of the worker. level: 0 (U), 1 (S) or 3 (M). sv: bits of virtual addresses; 0: no translation."""

    level: int
    virtual: bool = False
    sv: int = 0

    def __str__(self) -> str:
        name = {0: "U", 1: "S", 3: "M"}[self.level]
        return f"{'V' if self.virtual else ''}{name}{f'-Sv{self.sv}' if self.sv else ''}"

    @property
    def satp_mode(self) -> int:
        """MODE of satp, or of vsatp in a guest."""
        return {0: 0, 39: 8, 48: 9}[self.sv]

    def build(self, folder: Path, endless: bool = False) -> tuple[Path, Path]:
        """Build the image, to load at ADDRESS, and the ELF. endless: it starts over until something was typed.

        A test of a guest ends here, as an expected failure, on a QEMU that holds none.
        """
        if self.virtual and not abilities.holds_guests():
            pytest.xfail(abilities.NO_GUESTS)
        defines = [f"-DLEVEL={self.level}", f"-DVIRTUAL={self.virtual:d}", f"-DSV={self.sv}"]
        defines += [f"-DINTERVAL={_INTERVAL}", f"-DENDLESS={endless:d}"]
        return assemble(folder, "worker", str(self), *defines)


def assemble(folder: Path, source: str, name: str, *defines: str) -> tuple[Path, Path]:
    """Build a guest of the tests: the image, to load at ADDRESS, and the ELF."""
    elf, image = folder / f"{name}.elf", folder / f"{name}.bin"
    subprocess.run([f"{CROSS_COMPILE}gcc", *_FLAGS, *defines, _SOURCES / f"{source}.S", "-o", elf], check=True)
    subprocess.run([f"{CROSS_COMPILE}objcopy", "-O", "binary", elf, image], check=True)
    return image, elf


def build_kernel(folder: Path) -> Path:
    """Build the kernel of the tests, a Linux Image."""
    elf, image = folder / "kernel.elf", folder / "Image"
    flags = (
        "-march=rv64imac",
        "-mabi=lp64",
        "-mcmodel=medany",
        "-mno-relax",
        "-Os",
        "-ffreestanding",
        "-nostdlib",
        "-static",
        "-fno-pic",
    )
    link = ("-Wl,--section-start=.head=0x80200000", "-Wl,-Ttext=0x80201000", "-Wl,--no-warn-rwx-segments")
    subprocess.run([f"{CROSS_COMPILE}gcc", *flags, *link, _SOURCES / "kernel.c", "-o", elf], check=True)
    subprocess.run([f"{CROSS_COMPILE}objcopy", "-O", "binary", elf, image], check=True)
    return image


def kernel_result(initrd: bytes) -> int:
    """What the kernel of the tests computes with an initramfs."""
    value, mask = 0xCBF29CE484222325, (1 << 64) - 1
    for byte in initrd * 60:
        value = (value ^ byte) * 0x100000001B3 & mask
    for _ in range(200_000):
        value ^= value << 13 & mask
        value ^= value >> 7
        value ^= value << 17 & mask
    return value


def symbol(elf: Path, name: str) -> int:
    with elf.open("rb") as file:
        table = ELFFile(file).get_section_by_name(".symtab")
        return int(table.get_symbol_by_name(name)[0]["st_value"])  # type: ignore[union-attr]


def exact(*checkpoint: str | Path) -> None:
    """Fail unless ``gcpt verify`` explains every mismatch."""
    run = gcpt("verify", *checkpoint)
    assert (run.returncode, ", 0 unexplained" in run.stdout) == (0, True), run.stdout + run.stderr


def answer(*checkpoint: str | Path) -> str:
    """The variable that was set before the checkpoint, printed by the restored U-Boot."""
    command = [sys.executable, "-m", "gcpt", "run", *map(str, checkpoint)]
    with subprocess.Popen(
        command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, env=ENVIRONMENT, text=True
    ) as running:
        assert running.stdin and running.stdout
        running.stdin.write("\nprintenv answer\n")
        running.stdin.flush()
        line = next((text for text in running.stdout if text.startswith("answer=")), "it ended")
        running.stdin.write("\x01x")
    return line.strip()
