"""A checkpoint of a stopped QEMU: every hart's state through its gdb stub, in the form that generators give it.

Below M mode the stub shows neither V nor, while V = 1, the state of HS mode. So each hart is led out by an ecall that
goes to M mode, read there, and put back: whoever owns the machine may let it go on.
"""

import os
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from gcpt.checkpoint import blocks, image
from gcpt.checkpoint.convert import check_pair
from gcpt.checkpoint.files import with_state, write_checkpoint
from gcpt.checkpoint.image import Watch
from gcpt.checkpoint.layouts import MIB, RESERVED_SIZE
from gcpt.checkpoint.places import SINGLE_CORE, Checkpoint, Place, place_for
from gcpt.checkpoint.reading import Reader
from gcpt.checkpoint.state import HartState
from gcpt.errors import UserError
from gcpt.isa import mstatus
from gcpt.isa.csrs import BY_NAME, INVENTORY, When
from gcpt.machines import qemu
from gcpt.machines.arrival import run_to_first
from gcpt.machines.gdb import Gdb, GdbTimeoutError
from gcpt.machines.observation import TRAP_CSRS, lead_out
from gcpt.machines.qmp import Qmp, address, for_qemu
from gcpt.restorer import platforms
from gcpt.restorer.platforms import CLINT_MSIP, CLINT_MTIME, CLINT_MTIMECMP

_SAVED = (When.EARLY, When.TIMER, When.LOCK, When.LAST, When.ALIAS, When.VECTOR)
#: Read-only, and yet part of a checkpoint: they tell what the hart is.
_FACTS = ("vlenb", "misa", "mhartid", "mvendorid", "marchid", "mimpid")
_MRET = bytes.fromhex("73002030")
_CODE_SIZE = 4
_MSIE = 1 << 3
VIRT = platforms.BY_NAME["qemu-virt"]
_LEAST_MEMORY = 128 * MIB
#: Seconds that no instruction takes.
_SLEEPS = 5.0
#: Bytes of memory that QEMU writes to a file at once.
_PART = 64 * MIB


def _registers(gdb: Gdb, hart: int) -> HartState:
    state = HartState(pc=gdb.read_int(hart, "pc"), mode=gdb.read_int(hart, "priv") & 3)
    state.x = [0, *(gdb.read_int(hart, number) for number in range(1, 32))]
    if "ft0" in gdb.numbers:
        state.f = [gdb.read_int(hart, gdb.numbers["ft0"] + number) for number in range(32)]
    if "v0" in gdb.numbers:
        state.v = [gdb.read(hart, f"v{number}") for number in range(32)]
    return state


def _csrs(gdb: Gdb, hart: int, state: HartState) -> None:
    for csr in INVENTORY:
        if csr.when in _SAVED or csr.name in _FACTS:
            state.csr[csr.number] = gdb.read_csr(hart, csr.number) or 0
    if state.v and not state.get("vlenb"):
        state.set("vlenb", len(state.v[0]))


def _prepared(state: HartState, virtual: bool) -> None:
    """What a generator does below M mode, so that an mret resumes the hart (docs/formats.md)."""
    value = state.get("mstatus")
    kept = value & ~(mstatus.MIE | mstatus.MPIE | mstatus.MPP | mstatus.MPV | mstatus.MPRV)
    kept |= state.mode << 11 | (mstatus.MPIE if value & mstatus.MIE else 0) | (mstatus.MPV if virtual else 0)
    state.set("mstatus", kept)
    state.set("mepc", state.pc)


def read_hart(gdb: Gdb, hart: int, clint: int, mtime: int) -> HartState:
    """The state of a hart of a stopped machine, which is as it was afterwards. clint: the CLINT's address.

    mtime: the time at which the machine stopped: it runs on by a moment whenever a hart is led out.

    GdbError when the hart cannot be led into M mode and back.
    """
    state = _registers(gdb, hart)
    state.mtime = mtime
    state.mtimecmp = int.from_bytes(gdb.read_memory(clint + CLINT_MTIMECMP + 8 * hart, 8), "little")
    if state.mode == mstatus.MACHINE:
        _csrs(gdb, hart, state)
        return state
    before = {name: gdb.read_csr(hart, BY_NAME[name].number) for name in (*TRAP_CSRS, "mie")}
    code = gdb.read_memory(state.pc, _CODE_SIZE, hart, physical=False)
    msip = clint + CLINT_MSIP + 4 * hart
    sent = gdb.read_memory(msip, 4)
    # One that sleeps in a wfi takes no step until there is something to wake it; no interrupt is taken in a step.
    gdb.write_csr(hart, BY_NAME["mie"].number, _MSIE)
    gdb.write_memory(msip, (1).to_bytes(4, "little"))
    virtual = lead_out(gdb, hart, state.pc)
    gdb.write_memory(msip, sent)
    try:
        _csrs(gdb, hart, state)
        # While V = 1 the supervisor's fields of mstatus were the guest's; a trap leaves them alone.
        now = state.get("mstatus") & mstatus.SSTATUS
        for name, value in before.items():
            state.set(name, value or 0)
        state.set("mstatus", (before["mstatus"] or 0) & ~(mstatus.SSTATUS | mstatus.SD) | now)
        _prepared(state, virtual)
    finally:
        _lead_back(gdb, hart, state, virtual, before)
        gdb.write_memory(state.pc, code, hart, physical=False)
    return state


def _lead_back(gdb: Gdb, hart: int, state: HartState, virtual: bool, before: dict[str, int | None]) -> None:
    """From the trap vector back to where the hart was, by an mret that stands there for a moment."""
    at = gdb.read_int(hart, "pc")
    code = gdb.read_memory(at, _CODE_SIZE)
    now = gdb.read_csr(hart, BY_NAME["mstatus"].number) or 0
    back = now & ~(mstatus.MPP | mstatus.MPV) | state.mode << 11 | (mstatus.MPV if virtual else 0)
    gdb.write_csr(hart, BY_NAME["mstatus"].number, back)
    gdb.write_csr(hart, BY_NAME["mepc"].number, state.pc)
    gdb.write_memory(at, _MRET)
    gdb.step_away(hart)
    gdb.write_memory(at, code)
    for name, value in before.items():
        if value is not None and name != "mip":
            gdb.write_csr(hart, BY_NAME[name].number, value)


@dataclass(frozen=True)
class Moment:
    """When a checkpoint is taken: when each pattern of ``steps`` has come and its text was typed, then at the pc
    ``at``, then ``after`` instructions of a hart later. timeout: seconds for each.
    """

    steps: tuple[tuple[str, str], ...] = ()
    at: int | None = None
    hart: int | None = None
    after: int | None = None
    timeout: float = 60.0


@dataclass(frozen=True)
class StoppedMachine:
    """A stopped machine that was read. size: of its memory, in bytes; content: that, once; read: parts of it."""

    harts: list[HartState]
    dram: int
    size: int
    content: Callable[[], Iterator[bytes]]
    read: Reader


def _ranges(checkpoint: Checkpoint) -> list[tuple[int, int]]:
    """The bytes of the image (begin, end) that a checkpoint takes: the restorer's MiB, and the state beyond it."""
    state = blocks.ranges(checkpoint)
    return [(0, RESERVED_SIZE), *((max(begin, RESERVED_SIZE), end) for begin, end in state if end > RESERVED_SIZE)]


def check_free(taken: StoppedMachine, place: Place, force: bool = False) -> None:
    """UserError unless all that the checkpoint writes over is zero: what lies there is the workload's.

    force: what lies in the restorer's MiB is not needed any more.
    """
    for begin, end in _ranges(Checkpoint(place, taken.harts))[int(force) :]:
        for start in range(begin, end, MIB):
            piece = taken.read(start, min(MIB, end - start))
            if piece.strip(b"\0"):
                used = taken.dram + start + len(piece) - len(piece.lstrip(b"\0"))
                what = "the restorer's MiB" if begin == 0 else f"the place of the state ({place.kind.value})"
                raise UserError(
                    f"memory at {used:#x} is in use, in {what}: load the software elsewhere (firmware at "
                    f"{taken.dram + MIB:#x}), or choose another --layout"
                    + (", or --force if it is not needed any more" if begin == 0 else "")
                )


def write(
    taken: StoppedMachine,
    out: Path,
    container: str,
    layout: str = "auto",
    flash_out: Path | None = None,
    force: bool = False,
    watch: Watch = iter,
) -> int:
    """Write the checkpoint to ``out``, and of layout flash the state to ``flash_out``: both, or nothing.

    layout: one of LAYOUTS, or auto. force: what lies in the restorer's MiB is not needed any more. Returns the length
    of the memory image in bytes. UserError where the layout cannot hold the state, or memory is in use there.
    """
    if layout == "flash":
        check_pair(len(taken.harts), flash_out)
        assert flash_out is not None
        state = with_state([bytes(RESERVED_SIZE)], taken.harts, SINGLE_CORE)
        files = [(flash_out, state, image.container_for(flash_out, "raw"))]
        return image.write_all([*files, (out, watch(taken.content()), container)])[-1]
    place = place_for(layout, len(taken.harts))
    check_free(taken, place, force)
    free = image.cleared(taken.content(), blocks.ranges(Checkpoint(place, taken.harts)))
    return write_checkpoint(out, taken.harts, watch(free), place, container)


def _go_to(gdb: Gdb, at: int, hart: int | None, timeout: float) -> None:
    """From a stop to the pc ``at`` of a hart, or of this one."""
    who, deadline = "no hart" if hart is None else f"hart {hart} never", time.monotonic() + timeout
    gdb.set_breakpoint(at)
    stopped = None
    while stopped is None or hart not in (None, stopped):
        if stopped is not None:
            gdb.step(stopped)
        gdb.resume()
        try:
            stopped = gdb.wait_stop(max(deadline - time.monotonic(), 0))
        except GdbTimeoutError as error:
            gdb.interrupt()
            raise UserError(f"{who} came to pc {at:#x} within {timeout:g} s: --timeout") from error
    gdb.clear_breakpoint(at)


def _go_on(gdb: Gdb, moment: Moment, stepped: Callable[[int], None]) -> None:
    """From a stop to the pc and over the instructions that ``moment`` names. stepped: told of these, one by one."""
    if moment.hart is not None and moment.hart >= len(gdb.threads):
        raise UserError(f"--hart {moment.hart}: the machine has harts 0 to {len(gdb.threads) - 1}")
    if moment.at is not None:
        _go_to(gdb, moment.at, moment.hart, moment.timeout)
    hart, deadline = moment.hart or 0, time.monotonic() + moment.timeout
    for number in range(moment.after or 0):
        if time.monotonic() > deadline:
            raise UserError(f"--after {moment.after}: it is at {number} after {moment.timeout:g} s: a longer --timeout")
        try:
            gdb.step(hart, _SLEEPS)
        except GdbTimeoutError as error:
            gdb.interrupt()
            raise UserError(f"--after: hart {hart} sleeps and takes no step: another --hart, or --at") from error
        stepped(1)


def _states(gdb: Gdb) -> list[HartState]:
    clint = VIRT.clint
    mtime = int.from_bytes(gdb.read_memory(clint + CLINT_MTIME, 8), "little")
    return [read_hart(gdb, hart, clint, mtime) for hart in range(len(gdb.threads))]


@contextmanager
def launch(
    loads: Sequence[tuple[Path, int]],
    start: int | None,
    harts: int,
    memory: int,
    vlen: int,
    options: Sequence[str],
    moment: Moment,
    folder: Path,
    stepped: Callable[[int], None],
) -> Iterator[StoppedMachine]:
    """Start stock QEMU with files in memory, wait for the moment, and read it. ``folder`` holds its memory and logs.

    stepped: told of the instructions of ``moment.after``, one by one.
    """
    size = max(memory, _LEAST_MEMORY)
    first = loads[0][1] if start is None else start
    content = [(VIRT.dram, qemu.jump(VIRT.dram, first))] if first != VIRT.dram else []
    for file, at in loads:
        try:
            data = file.read_bytes()
        except OSError as error:
            raise UserError(f"{file}: {error.strerror}") from error
        if not VIRT.dram <= at <= VIRT.dram + size - len(data):
            raise UserError(f"{file}: at {at:#x} it is outside memory, {VIRT.dram:#x} to {VIRT.dram + size:#x}")
        content.append((at, data))
    raw = folder / "memory"
    image.write_pieces(raw, [(place - VIRT.dram, data) for place, data in content], size)
    machine = qemu.Machine(harts, size, qemu.cpu(vlen), extra=tuple(options))
    with qemu.Qemu(raw, machine, folder, paused=not moment.steps) as running:
        for pattern, text in moment.steps:
            running.expect_next(pattern, moment.timeout)
            running.type(text)
        with running.gdb() as gdb:
            if not moment.steps:  # out of the reset code, which a checkpoint does not hold
                run_to_first(gdb, dict.fromkeys(range(harts), first), moment.timeout)
            _go_on(gdb, moment, stepped)
            states = _states(gdb)
            if first != VIRT.dram:
                gdb.write_memory(VIRT.dram, bytes(len(qemu.jump(VIRT.dram, first))))
            with raw.open("rb") as opened:

                def read(offset: int, count: int) -> bytes:
                    return os.pread(opened.fileno(), count, offset)

                yield StoppedMachine(states, VIRT.dram, size, lambda: image.raw_chunks(raw), read)


@contextmanager
def attach(
    gdb_address: str, qmp_address: str, moment: Moment, folder: Path, stepped: Callable[[int], None]
) -> Iterator[StoppedMachine]:
    """Stop a machine that runs, wait for the moment, and read it; afterwards it goes on, if it did before.

    stepped: told of the instructions of ``moment.after``, one by one.
    """
    with Qmp(qmp_address) as monitor:
        kind = monitor.execute("qom-get", path="/machine", property="type")
        if kind != "virt-machine":
            raise UserError(f"--qmp {qmp_address}: this machine is a {kind.removesuffix('-machine')}: want virt")
        ran = monitor.execute("query-status")["running"]
        size = monitor.execute("query-memory-size-summary")["base-memory"]
        where = address(gdb_address)
        try:
            gdb = Gdb.unix(Path(where)) if isinstance(where, str) else Gdb.tcp(*where)
        except OSError as error:
            start = f"start QEMU with -gdb {for_qemu(gdb_address)},server=on,wait=off"
            raise UserError(f"--gdb {gdb_address}: {error.strerror}: {start}") from error
        with gdb:
            try:
                _go_on(gdb, moment, stepped)

                def content() -> Iterator[bytes]:
                    part = folder / "part"
                    for offset in range(0, size, _PART):
                        count = min(_PART, size - offset)
                        monitor.execute("pmemsave", val=VIRT.dram + offset, size=count, filename=str(part))
                        yield from image.raw_chunks(part)

                yield StoppedMachine(
                    _states(gdb), VIRT.dram, size, content, lambda at, n: gdb.read_memory(VIRT.dram + at, n)
                )
            finally:
                if ran:
                    gdb.detach()
