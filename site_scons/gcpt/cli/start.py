"""What a machine starts with, as the options of all subcommands that start software give it."""

import re
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from gcpt.cli.output import check_code_address
from gcpt.errors import UserError

if TYPE_CHECKING:
    from gcpt.machines.booting import Arrangement
    from gcpt.machines.snapshot import Load, MachineSetup

#: Files with their addresses.
Loads = tuple[tuple[Path, int], ...]


@dataclass(frozen=True)
class Start:
    """The values of the options.

    Attributes:
        firmware: ``--firmware``.
        kernel: ``--kernel``.
        initrd: ``--initrd``.
        append: ``--append``.
        loads: ``--load``.
        data: ``--data``.
        start: ``--start``.
        harts: ``--harts``.
        vlen: ``--vlen``.
        memory: ``--memory``.
        qemu: Further arguments of QEMU.
    """

    firmware: Path | None = None
    kernel: Path | None = None
    initrd: Path | None = None
    append: str | None = None
    loads: Loads = ()
    data: Loads = ()
    start: int | None = None
    harts: int = 1
    vlen: int = 128
    memory: int = 0
    qemu: tuple[str, ...] = ()

    @property
    def files(self) -> dict[str, Path]:
        """The files that go into memory, by their options."""
        named = {"--firmware": self.firmware, "--kernel": self.kernel, "--initrd": self.initrd}
        files = {f"{option} {file}": file for option, file in named.items() if file}
        files |= {f"--load {file}": file for file, _ in self.loads}
        return files | {f"--data {file}": file for file, _ in self.data}

    @property
    def inputs(self) -> dict[str, Path]:
        """All files that the machine may read, by their options."""
        words = re.split("[,=]", ",".join(self.qemu))
        return self.files | {f"a file in QEMU's options, {word}": Path(word) for word in words if word}

    @property
    def workload(self) -> Path | None:
        """The file that gives the workload its name; None without software."""
        return self.kernel or self.firmware or next((file for file, _ in self.loads), None)

    def setup(self) -> "MachineSetup":
        """Return the machine.

        Returns:
            The machine.

        Raises:
            UserError: There is no software, an address is odd, VLEN is no power of two, a kernel lacks something, or a
                file cannot be read.
        """
        from gcpt.machines.snapshot import Load, MachineSetup

        if not self.workload:
            raise UserError("nothing to run: give --firmware FILE, or --load FILE@ADDR")
        if self.start is not None:
            check_code_address("--start", self.start)
        elif self.loads:
            check_code_address(f"--load {self.loads[0][0]}", self.loads[0][1])
        if self.vlen & (self.vlen - 1):
            raise UserError(f"--vlen {self.vlen}: want a power of two, such as 128 or 256")
        booted, arrangement = self._arranged()
        content = [*booted, *(Load(*load) for load in self.loads), *(Load(*load, "--data", True) for load in self.data)]
        return MachineSetup(content, self.start, self.harts, self.memory, self.vlen, self.qemu, arrangement)

    def _arranged(self) -> "tuple[list[Load], Arrangement | None]":
        """Choose where firmware, kernel and initramfs lie; there is no arrangement without a kernel."""
        from gcpt.machines.booting import FIRMWARE, JUMP, arrange, image_head
        from gcpt.machines.snapshot import Load

        if self.kernel and not self.firmware:
            raise UserError(
                f"--kernel {self.kernel}: it needs firmware: give --firmware, such as OpenSBI's fw_jump.bin"
            )
        for option, value in (("--initrd", self.initrd), ("--append", self.append)):
            if value is not None and not self.kernel:
                raise UserError(f"{option} {value}: it is for a kernel: give --kernel")
        if not self.firmware:
            return [], None
        loads = [Load(self.firmware, FIRMWARE, "--firmware")]
        if not self.kernel:
            return loads, None
        if (size := _size(self.firmware)) > JUMP - FIRMWARE:
            raise UserError(
                f"--firmware {self.firmware}: {size:,} bytes reach the kernel at {JUMP:#x}: give firmware without a "
                "payload, such as OpenSBI's fw_jump.bin"
            )
        initrd_size = _size(self.initrd) if self.initrd else None
        head = image_head(self.kernel)
        arrangement = arrange(head, _size(self.kernel), initrd_size, self.append, self.harts)
        assert arrangement.kernel is not None
        loads.append(Load(self.kernel, arrangement.kernel, "--kernel"))
        if self.initrd and arrangement.initrd:
            loads.append(Load(self.initrd, arrangement.initrd[0], "--initrd", True))
        return loads, arrangement


def _size(file: Path) -> int:
    try:
        return file.stat().st_size
    except OSError as error:
        raise UserError(f"{file}: {error.strerror}") from error
