"""The options that boot firmware with a kernel, for all subcommands that start software."""

from collections.abc import Callable
from dataclasses import dataclass
from functools import wraps
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from gcpt.cli.output import InputPath
from gcpt.errors import UserError

if TYPE_CHECKING:
    from gcpt.machines.booting import Arrangement
    from gcpt.machines.snapshot import Load


@dataclass(frozen=True)
class Boot:
    """The values of the options.

    Attributes:
        firmware: ``--firmware``.
        kernel: ``--kernel``.
        initrd: ``--initrd``.
        arguments: ``--append``.
    """

    firmware: Path | None = None
    kernel: Path | None = None
    initrd: Path | None = None
    arguments: str | None = None

    @property
    def files(self) -> dict[str, Path]:
        """The files by their options."""
        named = {"--firmware": self.firmware, "--kernel": self.kernel, "--initrd": self.initrd}
        return {f"{option} {file}": file for option, file in named.items() if file}

    @property
    def workload(self) -> Path | None:
        """The file that gives the workload its name."""
        return self.kernel or self.firmware

    def check(self) -> None:
        """Check that the options are complete.

        Raises:
            UserError: A kernel has no firmware, or an option for a kernel has none.
        """
        if self.kernel and not self.firmware:
            raise UserError(
                f"--kernel {self.kernel}: it needs firmware: give --firmware, such as OpenSBI's fw_jump.bin"
            )
        for option, value in (("--initrd", self.initrd), ("--append", self.arguments)):
            if value is not None and not self.kernel:
                raise UserError(f"{option} {value}: it is for a kernel: give --kernel")

    def arrange(self, harts: int) -> "tuple[list[Load], Arrangement | None]":
        """Choose where the files lie.

        Args:
            harts: Number of harts.

        Returns:
            The files with their addresses, the firmware first, and their arrangement; None without a kernel.

        Raises:
            UserError: A file cannot be read, or the firmware is too large.
        """
        from gcpt.machines.booting import FIRMWARE, JUMP, arrange, image_head
        from gcpt.machines.snapshot import Load

        self.check()
        if not self.firmware:
            return [], None
        loads = [Load(self.firmware, FIRMWARE, "--firmware")]
        if not self.kernel:
            return loads, None
        sizes = {file: _size(file) for file in (self.firmware, self.kernel, self.initrd) if file}
        if sizes[self.firmware] > JUMP - FIRMWARE:
            raise UserError(
                f"--firmware {self.firmware}: {sizes[self.firmware]:,} bytes reach the kernel at {JUMP:#x}: give "
                "firmware without a payload, such as OpenSBI's fw_jump.bin"
            )
        initrd_size = sizes[self.initrd] if self.initrd else None
        arrangement = arrange(image_head(self.kernel), sizes[self.kernel], initrd_size, self.arguments, harts)
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


def boot_options(function: Callable[..., Any]) -> Callable[..., Any]:
    """Add the options to a command, which gets them as ``boot``."""

    @wraps(function)
    def with_boot(
        *arguments: Any,
        firmware: Path | None,
        kernel: Path | None,
        initrd: Path | None,
        append: str | None,
        **others: Any,
    ) -> Any:
        return function(*arguments, boot=Boot(firmware, kernel, initrd, append), **others)

    for decorate in (
        click.option("--append", metavar="TEXT", help="The kernel's command line, such as console=ttyS0."),
        click.option("--initrd", type=InputPath(), help="The kernel's initramfs."),
        click.option(
            "--kernel",
            type=InputPath(),
            help="Boot this from the firmware: a Linux Image, or U-Boot. It gets a device tree that keeps it out of "
            "the restorer's memory.",
        ),
        click.option(
            "--firmware", type=InputPath(), help="Start this, such as OpenSBI's fw_jump.bin or fw_dynamic.bin."
        ),
    ):
        with_boot = decorate(with_boot)
    return with_boot
