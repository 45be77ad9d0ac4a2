"""``gcpt run``: boot a checkpoint on a simulator, with its console on the terminal."""

from pathlib import Path
from typing import TYPE_CHECKING

import click

from gcpt.cli.judge import judge_options
from gcpt.cli.output import InputPath, unpacking
from gcpt.cli.quantities import memory_option
from gcpt.errors import UserError
from gcpt.scratch import scratch_folder

if TYPE_CHECKING:
    from gcpt.machines.judges import Judge


@click.command()
@click.argument("checkpoint", type=InputPath())
@click.option(
    "--restorer",
    type=InputPath(),
    help="A gcpt.bin; by default the embedded one, or one built now.",
)
@click.option("--flash", type=InputPath(), help="The flash image of a flash pair (it holds the state).")
@memory_option
@judge_options("qemu", "spike")
def command(checkpoint: Path, restorer: Path | None, flash: Path | None, memory: int, judge: "Judge") -> int:
    """Boot CHECKPOINT in stock QEMU (virt) or Spike and continue it, with the console on this terminal.

    The checkpoint file is not changed. Exit status: the guest's. Press Ctrl-A X to quit QEMU, Ctrl-C twice
    to quit Spike.

    \b
    Example:
      gcpt run uboot.zst
      gcpt run --on spike uboot.zst
    """
    from gcpt.machines.boot import prepare
    from gcpt.machines.children import child
    from gcpt.machines.judges import installation
    from gcpt.machines.spike_verification import machine, write_elf

    with scratch_folder() as folder:
        with unpacking(checkpoint, flash) as watch:
            setup = prepare(checkpoint, folder, restorer, flash, memory, watch, judge)
        if judge.name == "spike":
            command = machine(setup).command(write_elf(setup, folder))
        else:
            command = [judge.program, *setup.machine.arguments(setup.memory), "-serial", "mon:stdio"]
        try:
            with child(command) as running:
                return running.wait()
        except FileNotFoundError as error:
            raise UserError(f"{judge.program}: not found: {installation(judge.name)}") from error
