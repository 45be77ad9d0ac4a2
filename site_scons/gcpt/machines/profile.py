"""Profile a run: count the instructions of each basic block in intervals of exact length, for SimPoint.

The run is recorded as for checkpoints at exact points (docs/snapshot.md). A plugin in the replay counts; the replay
stops after each interval, and the plugin sends its counts.
"""

from collections.abc import Callable, Generator
from pathlib import Path

from gcpt.machines import replay
from gcpt.machines.plugins import compiled_plugin
from gcpt.machines.qmp import Qmp
from gcpt.machines.snapshot import MachineSetup, Moment, record


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
    with compiled_plugin("blocks", folder) as plugin:
        recorded = record(setup, moment, last, f"--last {last}", folder, advance)
        with (
            recorded.recording.start("replay", extra=plugin.options) as (running, monitor_socket),
            running.gdb() as gdb,
            Qmp(monitor_socket) as monitor,
            plugin.accept() as connection,
            connection.makefile("r", encoding="ascii") as lines,
        ):
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
