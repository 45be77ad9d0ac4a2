"""Stop a QEMU virt machine at a chosen moment and read it: a machine started here, or a running one."""

import os
import time
from collections.abc import Callable, Generator, Iterator, Sequence
from contextlib import ExitStack, contextmanager, nullcontext
from dataclasses import dataclass, replace
from pathlib import Path
from typing import NamedTuple

from gcpt.checkpoint import output, streams
from gcpt.checkpoint.layouts import MIB
from gcpt.checkpoint.reader import Reader
from gcpt.checkpoint.state import HartState
from gcpt.errors import UserError
from gcpt.isa import mstatus
from gcpt.machines import booting, extended_reading, markers, qemu, replay, stops
from gcpt.machines.arrival import run_to_first
from gcpt.machines.booting import Arrangement
from gcpt.machines.gdb import Gdb, GdbTimeoutError
from gcpt.machines.hart_reading import read_hart, read_hart_in_place
from gcpt.machines.markers import Marker
from gcpt.machines.qmp import Qmp, address, for_qemu
from gcpt.restorer import platforms, software
from gcpt.restorer.platforms import CLINT_MTIME

VIRT = platforms.BY_NAME["qemu-virt"]
_MIN_MEMORY = 128 * MIB
#: Seconds that no instruction takes: a hart whose step takes longer sleeps in a wfi.
_STEP_TIMEOUT = 5.0
#: Bytes of memory that QEMU writes to a file at once.
_CHUNK = 64 * MIB


class GuestError(UserError):
    """The hart of a replay is in a guest, where only executed instructions make QEMU show all of its state."""


class Load(NamedTuple):
    """A file to load into memory.

    Attributes:
        file: The file.
        address: Physical address of its first byte.
        option: The option that names the file, for messages.
        anything: Accept any content; by default only code and device trees.
    """

    file: Path
    address: int
    option: str = "--load"
    anything: bool = False


@dataclass(frozen=True)
class MachineSetup:
    """A machine to start, and the software in its memory.

    Attributes:
        loads: Files to load into memory; the first one has the code to start.
        start: Physical address at which the harts start; None: that of the first file.
        harts: Number of harts.
        memory: Memory in bytes; at least 128 MiB is used.
        vlen: VLEN in bits.
        options: Further command-line arguments of QEMU.
        boot: Where a kernel lies that the first file boots; None: there is none.
    """

    loads: Sequence[Load]
    start: int | None = None
    harts: int = 1
    memory: int = 0
    vlen: int = 128
    options: tuple[str, ...] = ()
    boot: Arrangement | None = None

    @property
    def entry(self) -> int:
        """Physical address at which the harts start."""
        return self.loads[0].address if self.start is None else self.start

    @property
    def size(self) -> int:
        """Memory in bytes."""
        return max(self.memory or (self.boot.memory if self.boot else 0), _MIN_MEMORY)

    @property
    def start_code(self) -> bytes:
        """The code at the start of memory that starts the software, which is no part of a checkpoint."""
        if self.boot:
            return self.boot.start(VIRT.dram, self.entry)
        return qemu.jump(VIRT.dram, self.entry) if self.entry != VIRT.dram else b""

    def machine(self, folder: Path) -> qemu.Machine:
        """Return the machine.

        Args:
            folder: Folder for its device tree, if it boots a kernel.

        Returns:
            The machine.

        Raises:
            UserError: QEMU refuses its options.
        """
        machine = qemu.Machine(self.harts, self.size, qemu.cpu(self.vlen), extra=self.options)
        return booting.with_tree(machine, self.boot, folder) if self.boot else machine


@dataclass(frozen=True)
class Moment:
    """When to take a checkpoint: after all console steps, then at a pc, then some instructions later.

    Attributes:
        steps: Pairs of a regular expression to wait for on the console and the text to type then.
        at: The pc to run to, by any hart or by ``hart``; None: nowhere.
        hart: The hart that ``at`` and ``after`` apply to; None: any hart for ``at``, hart 0 for ``after``.
        after: Instructions then, of hart 0 or ``hart``.
        timeout: Seconds for each of these.
        marker: The marker to reach after ``at``, in a recording; None: none.
    """

    steps: tuple[tuple[str, str], ...] = ()
    at: int | None = None
    hart: int | None = None
    after: int | None = None
    timeout: float = 60.0
    marker: Marker | None = None


@dataclass(frozen=True)
class StoppedMachine:
    """The state of a stopped machine.

    Attributes:
        harts: The harts' states.
        dram: Physical address of its memory.
        size: Size of its memory in bytes.
        content: Returns the memory from its start, in chunks.
        read: Reads bytes of the memory at an offset.
    """

    harts: list[HartState]
    dram: int
    size: int
    content: Callable[[], Iterator[bytes]]
    read: Reader


def counted(
    setup: MachineSetup,
    moment: Moment,
    points: Sequence[int],
    option: str,
    folder: Path,
    advance: Callable[[int], None],
) -> Generator[StoppedMachine, None, None]:
    """Start stock QEMU with files in memory, run to the moment, and stop it at points after it.

    Args:
        setup: The machine to start.
        moment: When to start counting; its ``after`` is not used.
        points: Ascending numbers of instructions after the moment that its hart starts.
        option: The option that names the points, for messages.
        folder: Folder for the machine's memory, a plugin and logs.
        advance: Called with the number of instructions executed.

    Yields:
        The stopped machine at each point, valid until the next one.

    Raises:
        UserError: A file cannot be read or loaded, or is no code, or the machine did not reach the moment or a point.
        QemuError: QEMU ended, or the console did not print a pattern in time.
        GdbError: The gdb stub refused.
    """
    raw, machine, hart = folder / "memory", setup.machine(folder), moment.hart or 0
    output.write_pieces(raw, initial_memory(setup), setup.size)
    with ExitStack() as stack:
        plugin = stack.enter_context(stops.plugin(hart, folder)) if points[-1] else None
        if plugin:
            machine = replace(machine, extra=(*machine.extra, *plugin.options))
        running = stack.enter_context(qemu.Qemu(raw, machine, folder, paused=not moment.steps))
        counter = stack.enter_context(stops.Counter(plugin.accept())) if plugin else None
        _take_steps(running, moment)
        gdb = stack.enter_context(running.gdb())
        if not moment.steps:  # leave the reset code, which is not in a checkpoint
            run_to_first(gdb, dict.fromkeys(range(setup.harts), setup.entry))
        _run_to_moment(gdb, moment)
        origin = counter.read() if counter else 0
        for point in points:
            if counter:
                stops.run_to(gdb, counter, hart, origin + point, moment.timeout, option, advance)
            states = _read_harts(gdb)
            _clear_start(gdb, setup, states)
            if counter:
                origin = counter.read() - point  # it read them by instructions, too
            with _from_file(states, raw, setup.size) as stopped:
                yield stopped


class Recorded(NamedTuple):
    """A recording from reset past a moment.

    Attributes:
        recording: The recording.
        origin: Instructions from reset to the moment.
        seconds: A time limit for a replay.
    """

    recording: replay.Recording
    origin: int
    seconds: float


def record(
    setup: MachineSetup,
    moment: Moment,
    instructions: int | None,
    option: str,
    folder: Path,
    advance: Callable[[int], None],
) -> Recorded:
    """Record stock QEMU with one hart.

    Args:
        setup: The machine to start: one hart, and options that can be recorded.
        moment: When to start counting; its ``after`` is not used.
        instructions: The least number of instructions after the moment; None: until the software ends the run.
        option: The option that asks for them, for messages.
        folder: Folder for the machine's memory, the recording and logs.
        advance: Called with the number of instructions recorded.

    Returns:
        The recording.

    Raises:
        UserError: A file cannot be read or loaded, or is no code, or the machine did not execute the instructions.
        QemuError: QEMU ended, or the console did not print a pattern in time, or the run did not end.
        GdbError: The gdb stub refused.
    """
    raw, content, begin = folder / "memory", initial_memory(setup), time.monotonic()

    def fill() -> None:
        output.write_pieces(raw, content, setup.size)

    recording = replay.Recording(setup.machine(folder), raw, fill, folder, sleep=bool(moment.steps))
    with markers.watching(moment.marker, folder) if moment.marker else nullcontext() as watch:
        extra = watch.options if watch else ()
        with recording.start("record", paused=not moment.steps, extra=extra) as (running, socket):
            _take_steps(running, moment)
            with running.gdb() as gdb, Qmp(socket) as monitor:
                if not moment.steps:
                    run_to_first(gdb, {0: setup.entry})
                _run_to_moment(gdb, moment)
                if watch:
                    watch.begin(running)
                timeout = moment.timeout
                origin = replay.record_on(running, gdb, monitor, instructions, timeout, option, advance, watch)
        if watch:
            origin = watch.find(recording, origin, time.monotonic() - begin + moment.timeout)
    return Recorded(recording, origin, time.monotonic() - begin + moment.timeout)


def replayed(
    setup: MachineSetup,
    moment: Moment,
    points: Sequence[int],
    option: str,
    folder: Path,
    advance: Callable[[int], None],
) -> Generator[StoppedMachine, None, None]:
    """Record stock QEMU with one hart, then replay it and stop it at points after the moment.

    Args:
        setup: The machine to start: one hart, and options that can be recorded.
        moment: When to start counting; its ``after`` is not used.
        points: Ascending numbers of instructions after the moment.
        option: The option that names the points, for messages.
        folder: Folder for the machine's memory, the recording and logs.
        advance: Called with the number of instructions recorded.

    Yields:
        The stopped machine at each point, valid until the next one.

    Raises:
        GuestError: V is 1 at a point.
        UserError: A file cannot be read or loaded, or is no code, or the machine did not reach a point.
        QemuError: QEMU ended, or the console did not print a pattern in time.
        GdbError: The gdb stub refused.
    """
    recorded = record(setup, moment, points[-1], option, folder, advance)
    with recorded.recording.start("replay") as (running, socket), running.gdb() as gdb, Qmp(socket) as monitor:
        for point in points:
            replay.replay_to(gdb, monitor, recorded.origin + point, recorded.seconds, option)
            if replay.is_virtual(monitor):
                raise GuestError(
                    f"{point} instructions on, the hart is in a guest (V = 1), whose replay QEMU cannot show: "
                    "choose another point"
                )
            states = _read_harts(gdb, read_hart_in_place)
            _clear_start(gdb, setup, states)
            with _from_file(states, recorded.recording.memory, setup.size) as stopped:
                yield stopped


@contextmanager
def attach(
    gdb_address: str, qmp_address: str, moment: Moment, folder: Path, advance: Callable[[int], None]
) -> Iterator[StoppedMachine]:
    """Stop a running machine, run it to the moment, and read it; afterwards it continues if it ran before.

    Args:
        gdb_address: Address of its gdb stub.
        qmp_address: Address of its QMP socket.
        moment: When to stop.
        folder: Folder for chunks of its memory.
        advance: Called with the number of instructions stepped.

    Yields:
        The stopped machine.

    Raises:
        UserError: Nothing answers at an address, it is not a virt machine, or it did not reach the moment.
        GdbError: The gdb stub refused.
    """
    with Qmp(qmp_address) as monitor:
        kind = monitor.execute("qom-get", path="/machine", property="type")
        if kind != "virt-machine":
            raise UserError(f"--qmp {qmp_address}: this machine is a {kind.removesuffix('-machine')}: want virt")
        was_running = monitor.execute("query-status")["running"]
        size = monitor.execute("query-memory-size-summary")["base-memory"]
        parsed = address(gdb_address)
        try:
            gdb = Gdb.unix(Path(parsed)) if isinstance(parsed, str) else Gdb.tcp(*parsed)
        except OSError as error:
            start = f"start QEMU with -gdb {for_qemu(gdb_address)},server=on,wait=off"
            raise UserError(f"--gdb {gdb_address}: {error.strerror or error}: {start}") from error
        with gdb:
            try:
                _run_to_moment(gdb, moment)
                _step(gdb, moment, advance)

                def content() -> Iterator[bytes]:
                    chunk = folder / "chunk"
                    for offset in range(0, size, _CHUNK):
                        count = min(_CHUNK, size - offset)
                        monitor.execute("pmemsave", val=VIRT.dram + offset, size=count, filename=str(chunk))
                        yield from streams.raw_chunks(chunk)

                def read(offset: int, count: int) -> bytes:
                    return gdb.read_memory(VIRT.dram + offset, count)

                yield StoppedMachine(_read_harts(gdb), VIRT.dram, size, content, read)
            finally:
                if was_running:
                    gdb.detach()


def initial_memory(setup: MachineSetup) -> list[tuple[int, bytes]]:
    """Return the parts of the initial memory.

    Args:
        setup: The machine.

    Returns:
        Offset and content of each part.

    Raises:
        UserError: A file cannot be read or loaded, or is no code.
    """
    entry, size = setup.entry, setup.size
    content = [(VIRT.dram, code)] if (code := setup.start_code) else []
    content += setup.boot.jumps.items() if setup.boot else ()
    for file, load_address, option, anything in setup.loads:
        try:
            data = file.read_bytes()
            if not anything:
                is_started = load_address <= entry < load_address + len(data)
                is_data = option == "--load" and not is_started
                hint = f"; or load it as it is with --data {file}@{load_address:#x}" if is_data else ""
                software.check(file, f"{option} {file}", is_data, hint)
        except OSError as error:
            raise UserError(f"{file}: {error.strerror}") from error
        if not VIRT.dram <= load_address <= VIRT.dram + size - len(data):
            memory_range = f"{VIRT.dram:#x} to {VIRT.dram + size:#x}"
            raise UserError(
                f"{file}: at {load_address:#x} it is outside memory, {memory_range}: "
                "load it elsewhere, or give more --memory"
            )
        content.append((load_address, data))
    return [(target - VIRT.dram, data) for target, data in content]


def _clear_start(gdb: Gdb, setup: MachineSetup, states: list[HartState]) -> None:
    """Clear the code that started the software: of the jumps to a kernel, the one in the place of several harts' state.

    A single hart has passed it as soon as it is in S mode.
    """
    if code := setup.start_code:
        gdb.write_memory(VIRT.dram, bytes(len(code)))
    passed = len(states) > 1 or states[0].mode != mstatus.MACHINE
    used = setup.boot.jumps.get(booting.OWN_JUMP) if setup.boot and passed else None
    if used and gdb.read_memory(booting.OWN_JUMP, len(used)) == used:
        gdb.write_memory(booting.OWN_JUMP, bytes(len(used)))


def _take_steps(running: qemu.Qemu, moment: Moment) -> None:
    for pattern, text in moment.steps:
        running.expect_next(pattern, moment.timeout)
        running.type(text)


@contextmanager
def _from_file(harts: list[HartState], raw: Path, size: int) -> Iterator[StoppedMachine]:
    """Yield a stopped machine whose memory is a file."""
    with raw.open("rb") as memory_file:

        def read(offset: int, count: int) -> bytes:
            return os.pread(memory_file.fileno(), count, offset)

        yield StoppedMachine(harts, VIRT.dram, size, lambda: streams.raw_chunks(raw), read)


def _run_to_moment(gdb: Gdb, moment: Moment) -> None:
    """Run a stopped machine to the moment's pc."""
    if moment.hart is not None and moment.hart >= len(gdb.threads):
        raise UserError(f"--hart {moment.hart}: the machine has harts 0 to {len(gdb.threads) - 1}")
    if moment.at is not None:
        _run_to_pc(gdb, moment.at, moment.hart, moment.timeout)


def _step(gdb: Gdb, moment: Moment, advance: Callable[[int], None]) -> None:
    """Step the moment's instructions of a machine that no plugin counts; ``advance`` is called for each."""
    hart, deadline = moment.hart or 0, time.monotonic() + moment.timeout
    for count in range(moment.after or 0):
        if time.monotonic() > deadline:
            progress = f"only {count} instructions within {moment.timeout:g} s"
            raise UserError(f"--after {moment.after}: {progress}: give a longer --timeout")
        try:
            gdb.step(hart, _STEP_TIMEOUT)
        except GdbTimeoutError as error:
            gdb.interrupt()
            raise UserError(
                f"--after: hart {hart} sleeps in a wfi and cannot be stepped: choose another --hart, or use --at"
            ) from error
        advance(1)


def _run_to_pc(gdb: Gdb, pc: int, hart: int | None, timeout: float) -> None:
    """Run a stopped machine until a hart, or any if it is None, is at ``pc``."""
    deadline = time.monotonic() + timeout
    gdb.set_breakpoint(pc)
    stopped = None
    while stopped is None or hart not in (None, stopped):
        if stopped is not None:
            gdb.step(stopped)
        gdb.resume()
        try:
            stopped = gdb.wait_stop(max(deadline - time.monotonic(), 0))
        except GdbTimeoutError as error:
            gdb.interrupt()
            subject = "no hart" if hart is None else f"hart {hart} never"
            raise UserError(f"{subject} reached pc {pc:#x} within {timeout:g} s: give a longer --timeout") from error
    gdb.clear_breakpoint(pc)


def _read_harts(gdb: Gdb, read: Callable[[Gdb, int, int, int], HartState] = read_hart) -> list[HartState]:
    mtime = int.from_bytes(gdb.read_memory(VIRT.clint + CLINT_MTIME, 8), "little")
    harts = [read(gdb, hart, VIRT.clint, mtime) for hart in range(len(gdb.threads))]
    extended_reading.complete(gdb, harts)
    return harts
