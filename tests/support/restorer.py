"""A restorer that the build produced."""

import subprocess
from dataclasses import dataclass

from gcpt.machines.builds import Built


@dataclass(frozen=True)
class Restorer(Built):
    """A build of a restorer, with properties for tests."""

    @property
    def csr_groups(self) -> tuple[str, ...]:
        """The CSR groups that it restores."""
        return self.config.csr_groups

    def listing(self) -> str:
        """The disassembly, always by a disassembler that knows all extensions, whatever the toolchain."""
        command = ["llvm-objdump-19", "-d", "-j", ".text", "--mattr=+a,+c,+d,+v,+h", str(self.folder / "gcpt.elf")]
        return subprocess.run(command, capture_output=True, text=True, check=True).stdout

    @property
    def size(self) -> int:
        """Bytes for a loader to copy, from the head of the image."""
        return int.from_bytes(self.image.read_bytes()[4:8], "little")
