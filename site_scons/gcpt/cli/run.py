"""``gcpt run``: boots a checkpoint in QEMU, with its console on the terminal."""

import tempfile
from pathlib import Path

import click

from gcpt.cli.output import memory_option, unpacking
from gcpt.errors import UserError


@click.command()
@click.argument("checkpoint", type=click.Path(path_type=Path))
@click.option(
    "--restorer", type=click.Path(path_type=Path), help="A gcpt.bin; by default the image's own, or a built one."
)
@click.option("--flash", type=click.Path(path_type=Path), help="The flash image that holds the state, of a pair.")
@memory_option
def command(checkpoint: Path, restorer: Path | None, flash: Path | None, memory: int) -> int:
    """Go on from CHECKPOINT in stock QEMU (virt), with the console on this terminal.

    The checkpoint itself is not written to. Exit status: what the guest ends the run with. Ctrl-A X ends it by hand.

    \b
    Example:
      gcpt run uboot.zst
    """
    from gcpt.machines.children import child
    from gcpt.machines.prepared import prepare
    from gcpt.machines.qemu import PROGRAM

    with tempfile.TemporaryDirectory(prefix="gcpt-") as folder:
        with unpacking(checkpoint, flash) as watch:
            ready = prepare(checkpoint, Path(folder), restorer, flash, memory, watch)
        qemu = [PROGRAM, *ready.machine.arguments(ready.memory), "-serial", "mon:stdio"]
        try:
            with child(qemu) as running:
                return running.wait()
        except FileNotFoundError as error:
            raise UserError(f"{PROGRAM}: not found: ./sconsw --setup-only installs QEMU") from error
