"""``gcpt run``: boot a checkpoint in QEMU, with its console on the terminal."""

from pathlib import Path

import click

from gcpt.cli.output import InputPath, memory_option, unpacking
from gcpt.errors import UserError
from gcpt.scratch import scratch_folder


@click.command()
@click.argument("checkpoint", type=InputPath())
@click.option(
    "--restorer",
    type=InputPath(),
    help="A gcpt.bin; by default the embedded one, or one built now.",
)
@click.option("--flash", type=InputPath(), help="The flash image of a flash pair (it holds the state).")
@memory_option
def command(checkpoint: Path, restorer: Path | None, flash: Path | None, memory: int) -> int:
    """Boot CHECKPOINT in stock QEMU (virt) and continue it, with the console on this terminal.

    The checkpoint file is not changed. Exit status: the guest's. Press Ctrl-A X to quit QEMU.

    \b
    Example:
      gcpt run uboot.zst
    """
    from gcpt.machines.boot import prepare
    from gcpt.machines.children import child
    from gcpt.machines.qemu import PROGRAM

    with scratch_folder() as folder:
        with unpacking(checkpoint, flash) as watch:
            setup = prepare(checkpoint, folder, restorer, flash, memory, watch)
        qemu = [PROGRAM, *setup.machine.arguments(setup.memory), "-serial", "mon:stdio"]
        try:
            with child(qemu) as running:
                return running.wait()
        except FileNotFoundError as error:
            raise UserError(f"{PROGRAM}: not found: ./sconsw --setup-only installs QEMU") from error
