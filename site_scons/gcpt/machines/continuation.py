"""Continue a restored checkpoint for an exact number of instructions, and compare it with a later one of the same run.

The hart of a restored machine executes what the original executed, unless time comes in: an interrupt arrives some
instructions earlier or later, and each read of time differs by the ticks that the restore took. A second run, whose
mtime is some ticks ahead, shows the first instruction that depends on time.
"""

from collections.abc import Callable, Generator, Iterator, Sequence
from contextlib import closing
from dataclasses import dataclass, replace
from pathlib import Path
from typing import NamedTuple

from gcpt.checkpoint import blocks, edits, output, streams
from gcpt.checkpoint.difference import Memory, compare_memory
from gcpt.checkpoint.files import CheckpointFile
from gcpt.checkpoint.layouts import RESERVED_SIZE
from gcpt.checkpoint.state import HartState
from gcpt.errors import UserError
from gcpt.isa.csrs import BY_NAME, GROUPS, Loss
from gcpt.machines import replay
from gcpt.machines.arrival import run_restored
from gcpt.machines.boot import BootSetup
from gcpt.machines.comparison import TIMEBASE, Comparison, Mismatch, compare_hart
from gcpt.machines.expectation import expected_csrs
from gcpt.machines.gdb import Gdb
from gcpt.machines.hart_reading import read_hart_in_place
from gcpt.machines.observation import Observation
from gcpt.machines.qmp import Qmp
from gcpt.machines.verification import left_out

#: The groups of CSRs that are compared; counters also count the restorer's instructions.
_GROUPS = tuple(name for name in GROUPS if name != "counters")
#: CSRs that change while no instruction writes them.
_PENDING = ("mip", "sip", "hip", "hvip", "vsip")
#: Instructions of a tick of mtime, as one takes 1 ns.
_TICK = 1_000_000_000 // TIMEBASE
#: Stops of one replay in the search for the first instruction that depends on time.
_STOPS = 32


@dataclass(frozen=True)
class TimeUse:
    """The first instruction after the restore that depends on time.

    Attributes:
        instructions: Instructions executed before it.
        pc: Its address; for an interrupt, that of the instruction before.
        interrupt: Whether an interrupt arrives; otherwise the instruction reads time.
    """

    instructions: int
    pc: int
    interrupt: bool


@dataclass(frozen=True)
class Result:
    """A comparison of a continued machine with a later checkpoint.

    Attributes:
        registers: The registers, CSRs and mtimecmp.
        memory: The pages that differ, but for the reserved MiB and the state of both checkpoints.
        time: The first instruction that depends on time; None if nothing differs, or none of them does.
    """

    registers: Comparison
    memory: Memory
    time: TimeUse | None

    @property
    def differs(self) -> bool:
        """Whether the machine differs from the checkpoint."""
        return bool(self.registers.unexplained or self.memory.size)


def check(setup: BootSetup, later: CheckpointFile) -> None:
    """Check that a checkpoint can be continued by record and replay.

    Args:
        setup: The checkpoint and the judge.
        later: The later checkpoint.

    Raises:
        UserError: QEMU cannot replay its machine, or the later checkpoint has another number of harts.
    """
    for path, harts in ((setup.checkpoint.path, len(setup.checkpoint.harts)), (later.path, len(later.harts))):
        if harts > 1:
            raise UserError(f"--continue: {path} has {harts} harts, and QEMU replays only one: leave --continue out")
    if setup.checkpoint.flash:
        raise UserError("--continue: QEMU cannot replay a flash pair: gcpt convert it to one image")
    if option := replay.unrecorded(setup.judge.options):
        raise UserError(f"--continue: QEMU cannot replay {option}: leave it out")


def compare(
    setup: BootSetup,
    later: CheckpointFile,
    instructions: int,
    folder: Path,
    timeout: float,
    advance: Callable[[int], None],
) -> Result:
    """Restore a checkpoint, continue it, and compare it with a later one of the same run.

    Args:
        setup: The checkpoint, which ``check`` accepts, and the judge.
        later: The later checkpoint.
        instructions: Instructions from one checkpoint to the other.
        folder: Folder for the machines' memory, the recordings and logs.
        timeout: Seconds for the restore, and for the instructions.
        advance: Called with the number of instructions recorded.

    Returns:
        What differs.

    Raises:
        UserError: The machine did not execute the instructions, or the hart is in a guest (V = 1) after them.
        QemuError: QEMU ended.
        GdbError: The hart did not arrive at its first restored instruction.
    """
    run = _Run(setup, folder / "run", timeout, instructions)
    run.record(advance)
    for gdb, monitor in run.stops([instructions]):
        if replay.is_virtual(monitor):
            raise UserError(
                f"--continue {instructions}: the hart is then in a guest (V = 1), whose replay QEMU cannot show: "
                "choose another checkpoint for --against"
            )
        registers = _compare_registers(gdb, setup, later.harts[0])
        behind = (setup.image, max(setup.image, setup.machine.memory))
        taken = [*setup.checkpoint.state_ranges, *later.state_ranges, behind]
        memory = compare_memory(run.content(taken), edits.cleared(later.memory(), taken), RESERVED_SIZE)
    result = Result(registers, memory, None)
    return replace(result, time=_first_time_use(run, folder / "ahead", advance)) if result.differs else result


def _compare_registers(gdb: Gdb, setup: BootSetup, later: HartState) -> Comparison:
    """Compare the hart, as a snapshot reads it, with the later checkpoint: both as a restore would show them."""
    clint = setup.config.platform.clint
    state = read_hart_in_place(gdb, 0, clint, later.mtime)
    csrs: dict[str, int | None] = {**expected_csrs(state, _GROUPS)}
    observation = Observation(state.pc, state.mode, False, state.x, state.f, state.v, csrs)
    compared = compare_hart(0, later, observation, _GROUPS)
    mismatches = [_explain(mismatch, setup.config.csr_groups) for mismatch in compared.mismatches]
    if state.mtimecmp != later.mtimecmp:
        mismatches.append(Mismatch(0, "mtimecmp", f"{later.mtimecmp:#x}", f"{state.mtimecmp:#x}"))
    return Comparison(compared.items + 1, mismatches)


def _explain(mismatch: Mismatch, groups: tuple[str, ...]) -> Mismatch:
    """Add a reason if the restorer leaves the CSR out and software computes the same without it."""
    group = BY_NAME[mismatch.name].group if mismatch.name in BY_NAME else ""
    if mismatch.reason or not group or group in groups or GROUPS[group].loss is not Loss.COUNTS:
        return mismatch
    return replace(mismatch, reason=left_out(group))


@dataclass
class _Run:
    """A recorded run of a restored machine.

    Attributes:
        setup: The checkpoint and the judge.
        folder: Folder for the machine's memory, the recording and logs.
        timeout: Seconds for the restore, and for the instructions.
        instructions: Instructions after the restore that are recorded.
        ahead: Ticks to add to mtime.
        origin: Instructions from reset to the first restored one.
    """

    setup: BootSetup
    folder: Path
    timeout: float
    instructions: int
    ahead: int = 0
    origin: int = 0

    @property
    def _memory(self) -> Path:
        return self.folder / "memory"

    @property
    def _recording(self) -> replay.Recording:
        return replay.Recording(self.setup.machine, self._memory, self._fill, self.folder)

    def _fill(self) -> None:
        checkpoint = self.setup.checkpoint.checkpoint
        state = replace(checkpoint.harts[0], mtime=checkpoint.harts[0].mtime + self.ahead)
        pieces = blocks.pieces(replace(checkpoint, harts=[state])) if self.ahead else []
        output.copy(edits.patched(streams.raw_chunks(self.setup.memory), pieces), self._memory)

    def record(self, advance: Callable[[int], None]) -> None:
        """Record the machine from reset past the last instruction.

        A stop lets time pass in a recording. So a first one finds the first restored instruction, and ends there.
        """
        self.folder.mkdir()
        with self._recording.start("record") as (running, socket), running.gdb() as gdb, Qmp(socket) as monitor:
            run_restored(gdb, self.setup.harts, self.timeout, self.setup.leave)
            self.origin = replay.count(monitor)
        total = self.origin + self.instructions
        with self._recording.start("record") as (running, socket), running.gdb() as gdb, Qmp(socket) as monitor:
            replay.record_on(running, gdb, monitor, total, self.timeout, self._option, advance)

    @property
    def _option(self) -> str:
        return f"--continue {self.instructions}"

    def stops(self, counts: Sequence[int]) -> Generator[tuple[Gdb, Qmp], None, None]:
        """Replay the run and stop it after each of ascending numbers of instructions."""
        with self._recording.start("replay") as (running, socket), running.gdb() as gdb, Qmp(socket) as monitor:
            for count in counts:
                replay.replay_to(gdb, monitor, self.origin + count, 2 * self.timeout, self._option)
                yield gdb, monitor

    def content(self, without: Sequence[edits.Range]) -> Iterator[bytes]:
        """Return the machine's memory in chunks, with zeros in some parts."""
        return edits.cleared(streams.raw_chunks(self._memory), without)


def _first_time_use(run: _Run, folder: Path, advance: Callable[[int], None]) -> TimeUse | None:
    """Find the first instruction that depends on time, by a run whose mtime is ahead; None if there is none.

    Each round replays both runs, stops them at equal distances, and leaves the part where they begin to differ. mtime
    is ahead by more than the first distance: the runs differ at one stop at least between the times at which the same
    interrupt arrives in each, even if nothing tells them apart later.
    """
    low, high, first = 0, run.instructions, None
    ahead = replace(run, folder=folder, ahead=-(-high // _STOPS) // _TICK + 1)
    ahead.record(advance)
    while first is None or high - low > 1:
        step = -(-(high - low) // _STOPS)
        counts = [*range(low + step, high, step), high]
        found = _first_difference(run, ahead, counts)
        if found is None and first is None:
            return None
        if found is None:  # a stop where an interrupt arrives came after it before, and now comes before it
            low = high - 1
        else:
            first, low, high = found, [low, *counts][found.stop], counts[found.stop]
    if first.moved:
        low += ahead.ahead * _TICK
    if low >= run.instructions:
        return None
    # Where an interrupt arrives, a stop comes before or after it.
    [pc] = (gdb.read_int(0, "pc") for gdb, _ in run.stops([max(0, low - first.moved)]))
    return TimeUse(low, pc, first.moved)


class _Difference(NamedTuple):
    """A stop at which two runs differ: its index, and whether the pc differs, as after an interrupt."""

    stop: int
    moved: bool


def _first_difference(first: _Run, second: _Run, counts: Sequence[int]) -> _Difference | None:
    """Stop two runs after numbers of instructions; return the first stop at which they differ."""
    taken, clint = first.setup.checkpoint.state_ranges, first.setup.config.platform.clint
    with closing(first.stops(counts)) as stops, closing(second.stops(counts)) as others:
        for index, ((gdb, _), (other, _)) in enumerate(zip(stops, others, strict=True)):
            states = _state(gdb, clint), _state(other, clint)
            if states[0] != states[1]:
                return _Difference(index, states[0][0] != states[1][0])
            if compare_memory(first.content(taken), second.content(taken), RESERVED_SIZE).size:
                return _Difference(index, False)
    return None


def _state(gdb: Gdb, clint: int) -> tuple[object, ...]:
    """Return the pc, and everything else of the hart that instructions write."""
    state = read_hart_in_place(gdb, 0, clint, 0)
    csrs = {name: value for name, value in expected_csrs(state, _GROUPS).items() if name not in _PENDING}
    return state.pc, state.mode, state.x, state.f, state.v, state.mtimecmp, csrs
