"""Profile a run: count the instructions of each basic block in intervals of exact length, for SimPoint.

The run is recorded as for checkpoints at exact points (docs/snapshot.md). A plugin in the replay counts; the replay
stops after each interval, and the plugin sends its counts.
"""

import shutil
import socket
import subprocess
from collections.abc import Callable, Generator
from pathlib import Path

from gcpt.errors import UserError
from gcpt.machines import replay
from gcpt.machines.count import version
from gcpt.machines.qemu import escaped
from gcpt.machines.qmp import Qmp
from gcpt.machines.snapshot import MachineSetup, Moment, record
from gcpt.scratch import short_folder

_SOURCE = Path(__file__).parent / "plugin" / "blocks.c"
#: The first version of QEMU whose plugin API is version 2.
_SECOND_API = (9, 0)
_SOCKET = "blocks"
#: Seconds for the plugin to connect, or to send the counts of an interval, enough on a busy machine.
_TIMEOUT = 120


def compile_plugin(folder: Path) -> Path:
    """Compile the plugin for the installed QEMU.

    Args:
        folder: Folder for it.

    Returns:
        The plugin.

    Raises:
        UserError: There is no compiler, or it fails.
    """
    plugin = folder / "blocks.so"
    api = 1 if version() < _SECOND_API else 2
    flags = ("-shared", "-fPIC", "-O2", "-fvisibility=hidden", "-pthread", f"-DAPI_VERSION={api}")
    if (compiler := shutil.which("cc")) is None:
        raise UserError("cc: not found: install a C compiler, such as gcc, for QEMU's plugin")
    run = subprocess.run([compiler, *flags, "-o", plugin, _SOURCE], capture_output=True, text=True)
    if run.returncode:
        raise UserError(f"cc cannot compile QEMU's plugin: {(run.stderr.strip() or 'no message').splitlines()[-1]}")
    return plugin


def intervals(
    setup: MachineSetup,
    moment: Moment,
    interval: int,
    last: int | None,
    folder: Path,
    advance: Callable[[int], None],
) -> Generator[str, None, None]:
    """Record stock QEMU with one hart, then replay it and count.

    Args:
        setup: The machine to start: one hart, and options that can be recorded.
        moment: When to start; its ``after`` is not used.
        interval: Instructions of an interval.
        last: The most instructions to profile; None: until the software ends the run.
        folder: Folder for the machine's memory, the recording, the plugin and logs.
        advance: Called with the number of instructions recorded.

    Yields:
        A line of each complete interval, as SimPoint reads it: ``T:block:instructions :block:instructions ...``.

    Raises:
        UserError: A file cannot be read or loaded, or is no code, or the machine did not execute the instructions.
        QemuError: QEMU ended, or the console did not print a pattern in time, or the run did not end.
        GdbError: The gdb stub refused.
    """
    plugin = compile_plugin(folder)
    recorded = record(setup, moment, last, f"--last {last}", folder, advance)
    sockets = short_folder(_SOCKET)
    try:
        with socket.socket(socket.AF_UNIX) as listening:
            listening.settimeout(_TIMEOUT)
            listening.bind(str(sockets / _SOCKET))
            listening.listen()
            options = ("-plugin", f"file={escaped(plugin)},socket={escaped(sockets / _SOCKET)}")
            with (
                recorded.recording.start("replay", extra=options) as (running, monitor_socket),
                running.gdb() as gdb,
                Qmp(monitor_socket) as monitor,
                listening.accept()[0] as connection,
                connection.makefile("r", encoding="ascii") as lines,
            ):
                connection.settimeout(_TIMEOUT)
                done = 0
                while last is None or done <= last:
                    try:
                        replay.replay_to(gdb, monitor, recorded.origin + done, recorded.seconds, f"interval {done}")
                    except replay.EndedError:
                        return
                    connection.sendall(b"\n")
                    line = lines.readline()
                    if done:
                        yield line
                    done += interval
    finally:
        shutil.rmtree(sockets, ignore_errors=True)
