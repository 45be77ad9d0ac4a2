"""``gcpt debug``: a checkpoint in QEMU, stopped at its first restored instruction, with gdb attached."""

import os
import signal
import socket
import subprocess
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

import click

from gcpt.cli.output import memory_option, unpacking
from gcpt.errors import UserError

if TYPE_CHECKING:
    from gcpt.machines.prepared import Prepared

GDB = "gdb-multiarch"
#: Seconds that all harts have to arrive.
_PATIENCE = 60.0


@click.command()
@click.argument("checkpoint", type=click.Path(path_type=Path))
@click.option(
    "--restorer", type=click.Path(path_type=Path), help="A gcpt.bin; by default the image's own, or a built one."
)
@click.option("--flash", type=click.Path(path_type=Path), help="The flash image that holds the state, of a pair.")
@click.option("--symbols", multiple=True, metavar="ELF", help="Symbols of the workload; may be given several times.")
@click.option("--from-reset", is_flag=True, help="Stay at the restorer's first instruction.")
@click.option("-x", "--command", "commands", multiple=True, metavar="COMMAND", help="A gdb command to run after that.")
@click.option("--batch", is_flag=True, help="End after the commands.")
@click.option("--script", type=click.Path(path_type=Path), help="Keep the script with gdb's further commands there.")
@click.option(
    "--server",
    type=click.IntRange(0, 65535),
    metavar="PORT",
    help="No gdb: wait from reset for one at this port, with the console on the terminal.",
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
    """Debug CHECKPOINT in stock QEMU: stopped at the first restored instruction of each hart, with gdb attached.

    gdb knows four more commands: "harts" (where each is), "csrs [GROUP or NAME]" (the CSRs of the selected hart), and
    with --from-reset "break-restored" (a breakpoint at the restored pc of each hart) and "restored" (run until the
    selected hart is there). The console goes to a file that is named at the start.

    \b
    Example:
      gcpt debug uboot.zst
      gcpt debug linux.gz --symbols vmlinux -x "csrs satp" -x "bt"
      gcpt debug uboot.zst --server 1234 --script gcpt-gdb.py
    """
    from gcpt.machines import gdb_script
    from gcpt.machines.arrival import run_restored
    from gcpt.machines.gdb import GdbError
    from gcpt.machines.prepared import prepare
    from gcpt.machines.qemu import Qemu, QemuError

    if server is not None and (symbols or commands or batch):
        raise click.UsageError("--server starts no gdb, which --symbols, --command and --batch are for")
    if script and script.suffix != ".py":  # by which gdb knows Python; and no checkpoint is called that
        raise UserError(f"--script {script}: gdb wants a name that ends in .py")
    with tempfile.TemporaryDirectory(prefix="gcpt-") as temporary:
        folder = Path(temporary)
        with unpacking(checkpoint, flash) as watch:
            ready = prepare(checkpoint, folder, restorer, flash, memory, watch)
        script = script or folder / "gcpt-gdb.py"
        try:
            script.write_text(gdb_script.text({hart: state.pc for hart, state in ready.harts.items()}))
        except OSError as error:
            raise UserError(f"--script {script}: {error.strerror}") from error
        if server is not None:
            return _serve(ready, server, script)
        files = [*([str(ready.elf)] if ready.elf else []), *symbols]
        for file in files:
            if not Path(file).is_file():
                raise UserError(f"{file}: there is no such file")
        start = ["set confirm off", "set pagination off", "set architecture riscv:rv64"]
        start += [f"add-symbol-file {file}" for file in files]
        try:
            with Qemu(ready.memory, ready.machine, folder) as running:
                if from_reset:
                    running.wait_ready().close()
                else:
                    with running.gdb() as first:
                        run_restored(first, ready.harts, _PATIENCE, ready.leave)
                start += [f"target remote {running.gdb_path}", f"source {script}"]
                start += ["harts"]
                arguments = [word for one in [*start, *commands] for word in ("-ex", one)]
                print(f"gcpt: the console is in {running.console_log}", flush=True)
                before = signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is gdb's
                try:
                    gdb = [GDB, "-q", "-nx", *(["-batch"] if batch else []), *arguments]
                    return subprocess.run(gdb, check=False).returncode
                finally:
                    signal.signal(signal.SIGINT, before)
        except (GdbError, QemuError) as error:
            said = running.output().strip().splitlines()[-1:]
            raise UserError(
                f"{checkpoint}: {str(error).splitlines()[0]}{''.join(f' ({line})' for line in said)}"
            ) from error
        except FileNotFoundError as error:
            raise UserError(f"{error.filename}: not found: ./sconsw --setup-only installs it") from error


def _serve(ready: "Prepared", port: int, script: Path) -> int:
    """QEMU stopped at reset, and gdb waited for at ``port``; 0: any that is free. The machine's exit status.

    The socket is opened here, so that a port in use is told before anything starts, and gdb may connect at once.
    """
    from gcpt.machines.children import child
    from gcpt.machines.qemu import PROGRAM

    try:
        listening = socket.create_server(("localhost", port))
    except OSError as error:
        raise UserError(f"port {port}: {os.strerror(error.errno or 0)}: end who has it, or name another") from error
    with listening:
        qemu = [PROGRAM, *ready.machine.arguments(ready.memory), "-S", "-serial", "mon:stdio"]
        qemu += ["-chardev", f"socket,id=gdb,fd={listening.fileno()},server=on,wait=off", "-gdb", "chardev:gdb"]
        there = f"localhost:{listening.getsockname()[1]}"
        line = f"gcpt: stopped at reset, gdb may come: target remote {there}, source {script}"
        try:
            with child(qemu, pass_fds=[listening.fileno()]) as running:
                print(line, flush=True)
                return running.wait()
        except FileNotFoundError as error:
            raise UserError(f"{PROGRAM}: not found: ./sconsw --setup-only installs QEMU") from error
