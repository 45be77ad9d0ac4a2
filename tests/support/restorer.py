"""A built restorer, as tests use it."""

import subprocess
from dataclasses import dataclass

from gcpt.machines.builds import BuiltRestorer


@dataclass(frozen=True)
class Restorer(BuiltRestorer):
    """What the tests ask about it."""

    @property
    def csr_groups(self) -> tuple[str, ...]:
        """The CSR groups that it writes."""
        return self.config.csr_groups

    def listing(self) -> str:
        """Its disassembly by a fixed disassembler that supports all extensions."""
        command = ["llvm-objdump-19", "-d", "-j", ".text", "--mattr=+a,+c,+d,+v,+h", str(self.folder / "gcpt.elf")]
        return subprocess.run(command, capture_output=True, text=True, check=True).stdout

    @property
    def size(self) -> int:
        """The size word: bytes that a loader copies."""
        return int.from_bytes(self.image.read_bytes()[4:8], "little")
