"""QEMU's record and replay: run a machine of one hart at full speed, then stop it again at exact instruction counts.

In a recording QEMU counts instructions (-icount) and writes everything that comes from outside to a log. A replay
repeats the run instruction by instruction, and QMP's replay-break stops it after a count (docs/snapshot.md).
"""

import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Protocol

from gcpt.errors import UserError
from gcpt.machines.gdb import Gdb, GdbClosedError, GdbTimeoutError
from gcpt.machines.qemu import Machine, Qemu, escaped
from gcpt.machines.qmp import Qmp
from gcpt.scratch import removal_of, short_folder

#: Words in QEMU's options that connect a machine to what a replay does not repeat, or that set -icount or -smp.
_UNRECORDED = (
    *("icount", "accel", "enable-kvm", "smp", "loadvm", "drive", "blockdev", "hda", "hdb", "hdc", "hdd", "cdrom", "sd"),
    *("mtdblock", "pflash", "netdev", "nic", "net", "device", "fsdev", "virtfs", "chardev", "audiodev", "usbdevice"),
)
#: Virtual microseconds between two timers without a purpose: QEMU's main loop waits for the next timer of a recorded
#: machine, which is 2^31 instructions away if the guest has none.
_TICK = 1000
#: Instructions from one of them to the next, at most.
_TICK_INSTRUCTIONS = 1000 * _TICK
#: Seconds between two reads of the count, which cannot be waited for.
_POLL = 0.02
#: Reads of the same count after which the hart sleeps.
_ASLEEP = 50
_SOCKET = "qmp"


def unrecorded(options: Sequence[str]) -> str | None:
    """Return the first of QEMU's options that record and replay cannot repeat.

    Args:
        options: Arguments of QEMU.

    Returns:
        The option; None if all can be repeated.
    """
    return next((word for word in options if word.startswith("-") and word.lstrip("-") in _UNRECORDED), None)


class EndedError(UserError):
    """A replay ended before the instruction to stop at."""


@dataclass(frozen=True)
class Recording:
    """A run of a machine of one hart that QEMU records and replays.

    Attributes:
        machine: The machine.
        memory: Raw image that is the machine's memory.
        fill: Writes the initial memory to ``memory``.
        folder: Folder for the log of the recording and QEMU's logs.
        sleep: Whether a sleeping hart sleeps in real time; otherwise its time passes at once, and two recordings of a
            machine without input are equal.
    """

    machine: Machine
    memory: Path
    fill: Callable[[], None]
    folder: Path
    sleep: bool = False

    @contextmanager
    def start(self, mode: str, paused: bool = True, extra: Sequence[str] = ()) -> Iterator[tuple[Qemu, str]]:
        """Start the machine with its initial memory, to record it or to replay the recording.

        Args:
            mode: ``record`` or ``replay``.
            paused: Whether to wait at reset until gdb resumes the machine.
            extra: Further command-line arguments of QEMU.

        Yields:
            The machine and the path of its QMP socket.
        """
        self.fill()
        with removal_of(short_folder(_SOCKET)) as sockets:
            socket, log = sockets / _SOCKET, self.folder / "recording"
            options = (*_arguments(mode, log, socket, self.sleep), *self.machine.extra, *extra)
            with Qemu(self.memory, replace(self.machine, extra=options), self.folder, paused) as running:
                yield running, str(socket)


def _arguments(mode: str, log: Path, socket: Path, sleep: bool) -> tuple[str, ...]:
    """Return QEMU's arguments for a recording or its replay. One instruction takes 1 ns."""
    return (
        *("-icount", f"shift=0,sleep={'on' if sleep else 'off'},rr={mode},rrfile={escaped(log)}"),
        *("-qmp", f"unix:{escaped(socket)},server=on,wait=off"),
        *("-seed", "0"),  # of the device tree's rng-seed
        *("-netdev", "hubport,id=tick,hubid=0", "-object", f"filter-buffer,id=ticks,netdev=tick,interval={_TICK}"),
    )


def count(monitor: Qmp) -> int:
    """Return the number of instructions that a recorded or replayed machine has executed since reset.

    Args:
        monitor: The machine.

    Returns:
        Instructions.

    Raises:
        UserError: QMP refused, or the machine ended.
    """
    return int(monitor.execute("query-replay")["icount"])


class Watch(Protocol):
    """A watch for a marker from which instructions count."""

    @property
    def option(self) -> str:
        """The option that names the marker, for messages."""

    def is_new(self, instructions: int) -> bool:
        """Return whether the machine may have reached the marker since the last call, and now executed so many."""


def record_on(
    running: Qemu,
    gdb: Gdb,
    monitor: Qmp,
    instructions: int | None,
    timeout: float,
    option: str,
    advance: Callable[[int], None],
    watch: Watch | None = None,
) -> int:
    """Run a stopped machine that is recorded until it executed some more instructions, and end it.

    Args:
        running: The machine.
        gdb: Its gdb stub.
        monitor: Its QMP socket.
        instructions: The least number of instructions; None: until its software ends the run.
        timeout: Seconds for them, and for the marker.
        option: The option that asks for them, for messages.
        advance: Called with the number of instructions executed.
        watch: The watch for the marker at which they begin; None: they begin at once.

    Returns:
        Instructions from reset to where it was stopped.

    Raises:
        UserError: The machine did not execute them, or did not reach the marker, in time.
        QemuError: The machine does not end.
    """
    start = begin = count(monitor)
    done, same, is_waiting, deadline = 0, 0, watch is not None, time.monotonic() + timeout
    gdb.resume()
    while is_waiting or instructions is None or not _is_enough(done, same, instructions):
        time.sleep(_POLL)
        try:
            now = count(monitor)
        except UserError:  # the guest ended the run, perhaps after the last point
            running.wait_exit(timeout)
            return start
        if watch and watch.is_new(now):
            begin, done, is_waiting, deadline = now, 0, False, time.monotonic() + timeout
        before, done = done, now - begin
        same = same + 1 if done == before else 0
        if instructions and not is_waiting:
            advance(min(done, instructions) - min(before, instructions))
        if time.monotonic() <= deadline:
            continue
        if watch and is_waiting:
            last = running.last_line()
            raise UserError(f"{watch.option}: not reached within {timeout:g} s: give a longer --timeout; {last}")
        if instructions is None:
            raise running.failure(f"the machine did not end within {timeout:g} s")
        if done <= instructions:
            raise UserError(
                f"{option}: only {done} instructions within {timeout:g} s: give a longer --timeout "
                "(a hart that sleeps in a wfi executes none)"
            )
    monitor.execute("quit")
    running.wait_exit(timeout)
    return start


def _is_enough(done: int, same: int, instructions: int) -> bool:
    """Return whether a recording may end: after two more timers, or in the sleep of the hart.

    QEMU writes the end into the log after the last timer, however many instructions followed.
    """
    return done >= instructions + 2 * _TICK_INSTRUCTIONS or (done > instructions and same > _ASLEEP)


def replay_to(gdb: Gdb, monitor: Qmp, target: int, timeout: float, option: str) -> None:
    """Run a stopped replay until it has executed a number of instructions.

    Args:
        gdb: The machine.
        monitor: Its QMP socket.
        target: Instructions since reset, not fewer than it has executed.
        timeout: Seconds to wait.
        option: The option that asks for it, for messages.

    Raises:
        EndedError: The machine ended before.
        UserError: The replay did not stop there.
    """
    if count(monitor) < target:
        monitor.execute("replay-break", icount=target)
        gdb.resume()
        try:
            gdb.wait_stop(timeout)
        except GdbTimeoutError as error:
            raise UserError(f"the replay did not reach instruction {target} within {timeout:g} s") from error
        except GdbClosedError as error:
            raise EndedError(f"the machine ended before {option}: give fewer instructions") from error
    if (stopped := count(monitor)) != target:
        raise UserError(f"the replay is at instruction {stopped}, not {target}: it differs from the recording")


def is_virtual(monitor: Qmp) -> bool:
    """Return whether V is 1 on hart 0 of a stopped machine.

    Args:
        monitor: The machine.

    Returns:
        Whether V is 1.

    Raises:
        UserError: QMP refused.
    """
    registers = monitor.execute("human-monitor-command", **{"command-line": "info registers"})
    return any(line.split() == ["V", "=", "1"] for line in registers.splitlines())
