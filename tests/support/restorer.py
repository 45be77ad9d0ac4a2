"""A restorer that the build made."""

import subprocess
from dataclasses import dataclass

from gcpt.machines.builds import BuiltRestorer


@dataclass(frozen=True)
class Restorer(BuiltRestorer):
    """What the tests ask about it."""

    @property
    def csr_groups(self) -> tuple[str, ...]:
        """The groups of the inventory that it writes."""
        return self.config.csr_groups

    def listing(self) -> str:
        """Its code as one disassembler has it that knows every extension, whatever linked it."""
        command = ["llvm-objdump-19", "-d", "-j", ".text", "--mattr=+a,+c,+d,+v,+h", str(self.folder / "gcpt.elf")]
        return subprocess.run(command, capture_output=True, text=True, check=True).stdout

    @property
    def size(self) -> int:
        """The bytes that a loader is to copy."""
        return int.from_bytes(self.image.read_bytes()[4:8], "little")
