"""``gcpt debug``: boot a checkpoint in QEMU, stopped at its first restored instruction, with gdb attached."""

import os
import signal
import socket
import subprocess
from pathlib import Path
from typing import TYPE_CHECKING

import click

from gcpt.cli.output import InputPath, OutputPath, unpacking
from gcpt.cli.quantities import memory_option
from gcpt.errors import UserError
from gcpt.installing import remedy
from gcpt.scratch import scratch_folder

if TYPE_CHECKING:
    from gcpt.machines.boot import BootSetup

GDB = "gdb-multiarch"
_NO_SYMBOLS = (
    "gcpt: no symbols: give the restorer's gcpt.elf, which is beside gcpt.bin and in the release's archive of "
    "restorers, and the workload's ELF file with --symbols"
)


@click.command()
@click.argument("checkpoint", type=InputPath())
@click.option(
    "--restorer",
    type=InputPath(),
    help="A gcpt.bin; by default the embedded one, or one built now.",
)
@click.option("--flash", type=InputPath(), help="The flash image of a flash pair (it holds the state).")
@click.option("--symbols", multiple=True, metavar="ELF", help="Symbols of the workload; may be repeated.")
@click.option("--from-reset", is_flag=True, help="Stop at reset, before the restorer's first instruction.")
@click.option(
    "-x", "--command", "commands", multiple=True, metavar="COMMAND", help="A gdb command to run then; may be repeated."
)
@click.option("--batch", is_flag=True, help="Quit after the commands.")
@click.option("--script", type=OutputPath(".py", exact=True), help="Keep the script that defines gcpt's gdb commands.")
@click.option(
    "--server",
    type=click.IntRange(0, 65535),
    metavar="PORT",
    help="Start no gdb: stop at reset and wait for one at this port, with the console on the terminal.",
)
@memory_option
def command(
    checkpoint: Path,
    restorer: Path | None,
    flash: Path | None,
    symbols: tuple[str, ...],
    from_reset: bool,
    commands: tuple[str, ...],
    batch: bool,
    script: Path | None,
    server: int | None,
    memory: int,
) -> int:
    """Debug CHECKPOINT in stock QEMU with gdb, each hart stopped at its first restored instruction.

    gdb gets four more commands: "harts" (where each hart is), "csrs [GROUP or NAME]" (the CSRs of the selected hart),
    and for --from-reset "break-restored" (a breakpoint at each hart's restored pc) and "restored" (run until the
    selected hart is there). The console goes to a file whose name is printed at the start.

    \b
    Example:
      gcpt debug uboot.zst
      gcpt debug linux.gz --symbols vmlinux -x "csrs satp" -x "bt"
      gcpt debug uboot.zst --server 1234 --script gcpt-gdb.py
    """
    from gcpt.checkpoint import apart, output
    from gcpt.machines import gdb_script
    from gcpt.machines.arrival import run_restored
    from gcpt.machines.boot import prepare
    from gcpt.machines.gdb import GdbError
    from gcpt.machines.qemu import Qemu, QemuError

    if server is not None and (symbols or commands or batch):
        raise click.UsageError("--server starts no gdb: --symbols, --command and --batch need one: leave them out")
    inputs = {"CHECKPOINT": checkpoint, "--flash": flash, "--restorer": restorer}
    apart.check("--script", script, inputs | {f"--symbols {file}": Path(file) for file in symbols})
    with scratch_folder() as folder:
        with unpacking(checkpoint, flash) as watch:
            setup = prepare(checkpoint, folder, restorer, flash, memory, watch)
        script = script or folder / "gcpt-gdb.py"
        with output.replacing(script) as written:
            written.write(gdb_script.text({hart: state.pc for hart, state in setup.harts.items()}).encode())
        if server is not None:
            return _serve(setup, server, script)
        files = [*([str(setup.elf)] if setup.elf else []), *symbols]
        for file in files:
            if not Path(file).is_file():
                raise UserError(f"{file}: no such file")
        start = ["set confirm off", "set pagination off", "set architecture riscv:rv64"]
        start += [f"add-symbol-file {_quoted(file)}" for file in files]
        try:
            with Qemu(setup.memory, setup.machine, folder) as running:
                if from_reset:
                    running.gdb().close()
                else:
                    with running.gdb() as client:
                        run_restored(client, setup.harts, leave=setup.leave)
                start += [f"target remote {running.gdb_path}"]
                # -x takes a name with any characters, "source" does not.
                steps = [("-ex", line) for line in start] + [("-x", os.path.abspath(script))]
                steps += [("-ex", line) for line in ["harts", *commands]]
                arguments = [word for step in steps for word in step]
                print(f"gcpt: console output: {running.console_log}", flush=True)
                if not files:
                    print(_NO_SYMBOLS, flush=True)
                before = signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C belongs to gdb
                try:
                    gdb = [GDB, "-q", "-nx", *(["-batch"] if batch else []), *arguments]
                    return subprocess.run(gdb, check=False).returncode
                finally:
                    signal.signal(signal.SIGINT, before)
        except (GdbError, QemuError) as error:
            last_line = running.output().strip().splitlines()[-1:]
            raise UserError(
                f"{checkpoint}: {str(error).splitlines()[0]}{''.join(f' ({line})' for line in last_line)}"
            ) from error
        except FileNotFoundError as error:
            name = GDB if error.filename == GDB else "QEMU"
            raise UserError(f"{error.filename}: not found: {remedy(name)}") from error


def _quoted(name: str) -> str:
    """Quote a file's name for gdb's add-symbol-file, in an absolute form: a name that starts with - is an option."""
    return "".join(f"\\{character}" if character in " \t\n\\'\"" else character for character in os.path.abspath(name))


def _serve(setup: "BootSetup", port: int, script: Path) -> int:
    """Start QEMU stopped at reset, with its gdb stub at ``port`` (0: any free one); return its exit status.

    The socket is opened here, so that a port in use is reported before anything starts and gdb can connect at once.
    """
    from gcpt.machines.children import child
    from gcpt.machines.qemu import PROGRAM

    try:
        listening = socket.create_server(("localhost", port))
    except OSError as error:
        reason = os.strerror(error.errno or 0)
        raise UserError(f"port {port}: {reason}: stop the process that uses it or choose another port") from error
    with listening:
        qemu = [PROGRAM, *setup.machine.arguments(setup.memory), "-S", "-serial", "mon:stdio"]
        qemu += ["-chardev", f"socket,id=gdb,fd={listening.fileno()},server=on,wait=off", "-gdb", "chardev:gdb"]
        address = f"localhost:{listening.getsockname()[1]}"
        line = f"gcpt: stopped at reset, waiting for gdb: target remote {address}, source {script}"
        try:
            with child(qemu, pass_fds=[listening.fileno()]) as running:
                print(line, flush=True)
                return running.wait()
        except FileNotFoundError as error:
            raise UserError(f"{PROGRAM}: not found: {remedy('QEMU')}") from error
