"""How a machine with a checkpoint ends: with a line and a code, or with harts that left the restorer."""

import re
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from bench import CODES, Bench
from elftools.elf.elffile import ELFFile
from restorer import Restorer

from gcpt.checkpoint import header
from gcpt.checkpoint.layouts import CHECKPOINT_MAGIC, DEFAULT, MIB, MULTI_CORE_OFFSET, NEMU_PROTOBUF_OFFSET
from gcpt.checkpoint.places import DUAL_CORE, SINGLE_CORE, Place, PlaceKind
from gcpt.errors import UserError
from gcpt.isa.csrs import BY_NAME
from gcpt.machines.gdb import TIMEOUT, Gdb, GdbClosedError, GdbTimeoutError
from gcpt.machines.qemu import Machine, Qemu, cpu
from gcpt.machines.synthetic import DRAM

_WORD = 1 << 64
#: NEMU's blocks without their header.
NEMU = Place(PlaceKind.PROTOBUF, NEMU_PROTOBUF_OFFSET)
#: QEMU writes its device tree to the last bytes of memory.
_DEVICE_TREE = 2 * MIB
_TRAMPOLINE = 16
_WFI = bytes.fromhex("73005010")
#: Number of interrupt causes with their own vector.
_CAUSES = 16
#: QEMU's reset code.
_RESET = range(0x1000, 0x1100)
#: QEMU aborts if a guest of the restored workload uses a mode of vsatp or hgatp that does not exist, and if a
#: trigger has an unknown type.
_QEMU_ABORTED = re.compile(r"Bail out! ERROR:(\.\./)*target/riscv/(cpu_helper|debug)\.c")
#: With mseccfg.
_CPU = cpu(smepmp=True)
#: Seconds after which a machine that has not stopped is examined; a restore takes a hundredth of a second.
_POLL = 0.5


class BrokenError(AssertionError):
    """The restorer did something that it must not do."""


@dataclass(frozen=True)
class Ending:
    """An allowed end. code: of the printed line; 0 if restored without one, 14 (M_MODE_LOSS) if restored with loss."""

    code: int
    restored: bool


class _Memory:
    def __init__(self, path: Path) -> None:
        self.data = path.read_bytes()

    def word(self, address: int) -> int:
        at = (address - DRAM) % _WORD
        return int.from_bytes(self.data[at : at + 8], "little") if at < len(self.data) else 0


def _places(memory: _Memory) -> Iterator[tuple[Place, int]]:
    """The places where a restorer of some mode may find blocks, and the number of harts."""
    start = memory.data[MULTI_CORE_OFFSET : MULTI_CORE_OFFSET + header.MAX_SIZE]
    if header.present(start):
        try:
            value, _ = header.decode(start)
        except UserError:
            return
        base = MULTI_CORE_OFFSET + value.cpt_offset
        yield Place(PlaceKind.PROTOBUF, base, value.single_core_size, value.layout, MULTI_CORE_OFFSET), value.cpu_num
    count = memory.word(DRAM + MULTI_CORE_OFFSET + DEFAULT.csr_reserve)
    if count == 2:
        while memory.word(DRAM + DUAL_CORE.block(count) + DEFAULT.magic_number) == CHECKPOINT_MAGIC:
            count += 1
    yield DUAL_CORE, count or 1
    yield SINGLE_CORE, 1
    yield NEMU, 1


def _expected(memory: _Memory, mode: str) -> tuple[Place, int] | None:
    """The place and number of harts that a restorer of ``mode`` finds."""
    kinds = {
        "single_core": (SINGLE_CORE,),
        "dual_core": (DUAL_CORE,),
        "normal": (PlaceKind.PROTOBUF,),
        "auto": (PlaceKind.PROTOBUF, DUAL_CORE, SINGLE_CORE),
    }[mode]
    for place, count in _places(memory):
        magic = memory.word(DRAM + place.block(0) + DEFAULT.magic_number)
        is_marked = place.header_at >= 0 or magic == CHECKPOINT_MAGIC
        if is_marked and (place in kinds or place.kind in kinds):
            return place, count
    return None


def _locks_out_writes(memory: _Memory, place: Place, harts: int) -> bool:
    """Whether a locked PMP entry may forbid M mode to write to the console and to the device that ends a run."""
    pmp = [place.layout.csr(BY_NAME[name].number) for name in ("pmpcfg0", "pmpcfg2")]
    words = [memory.word(DRAM + place.block(hart) + offset) for hart in range(harts) for offset in pmp]
    return any(config & 0x82 == 0x80 for word in words for config in word.to_bytes(8, "little"))


def _exits(memory: _Memory, place: Place, hart: int) -> set[int]:
    """The addresses that a hart can leave the restorer to: its pc, or the handler of an interrupt or trap."""
    block, layout = DRAM + place.block(hart), place.layout
    pc = memory.word(block + layout.pc)
    # 0 is the reset value of a trap vector: a hart may ignore an illegal one.
    exits = {0, pc, pc & ~1, memory.word(block + layout.csr(BY_NAME["mepc"].number)) & ~1}
    for name in ("mtvec", "stvec", "vstvec"):
        base = memory.word(block + layout.csr(BY_NAME[name].number))
        exits |= {(base & ~3) + 4 * cause for cause in range(_CAUSES if base & 1 else 1)}
    return {address % _WORD for address in exits}


def run(bench: Bench, restorer: Restorer, path: Path, mode: str, harts: int) -> Ending:
    """Run until the machine ends or its harts have left the restorer; BrokenError if the end is not allowed."""
    before = _Memory(path)
    place, count = _expected(before, mode) or (SINGLE_CORE, 0)
    count = min(harts, count)
    own, sleep = (_symbol(restorer, name) for name in ("gcpt_end_of_memory", "gcpt_sleep"))
    silent = _locks_out_writes(before, place, count)
    with bench.run(path, Machine(harts=harts, memory=len(before.data), cpu=_CPU), paused=True) as running:
        with running.gdb() as gdb:
            exits = {address for hart in range(count) for address in _exits(before, place, hart)}
            for address in exits - {*range(DRAM, own), *_RESET}:
                gdb.set_breakpoint(address)
            left = _leave(gdb, running, count, range(sleep, sleep + 12) if silent else range(0))
            if left:
                for hart in left:
                    _check_registers(gdb, _Memory(path), place, hart)
        status = 0 if left is not None else running.wait_exit()
        if _QEMU_ABORTED.search(running.output()):
            return Ending(0, True)
        codes = _lines(running.output())
    _compare(before.data, path.read_bytes(), own - DRAM, place, harts)
    if left is not None and len(left) < count:
        # A hart sleeps: it could not end the run, but may have printed why.
        return Ending(sum(codes[:1]), False)
    if left is not None:
        if codes not in ([], [CODES["M_MODE_LOSS"]]):
            raise BrokenError(f"restored in spite of codes {codes}")
        return Ending(sum(codes), True)
    # If the hart ignored the workload's mtvec, the run ends in the restorer's handler, after a note.
    if codes[-1:] != [status] and not (silent and not codes and status in CODES.values()):
        raise BrokenError(f"status {status} after lines of codes {codes}")
    if [code for code in codes[:-1] if code != CODES["M_MODE_LOSS"]]:
        raise BrokenError(f"more than one error: codes {codes}")
    return Ending(status, False)


def _symbol(restorer: Restorer, name: str) -> int:
    with (restorer.folder / "gcpt.elf").open("rb") as file:
        symbols = ELFFile(file).get_section_by_name(".symtab")
        value: int = symbols.get_symbol_by_name(name)[0]["st_value"]
    return value


def _leave(gdb: Gdb, running: Qemu, count: int, asleep: range) -> list[int] | None:
    """Wait for ``count`` harts to leave; stop early if one sleeps in ``asleep``; None if the machine ended."""
    waiting = list(range(len(gdb.threads)))
    left: list[int] = []
    deadline = time.monotonic() + TIMEOUT
    while len(left) < count or not count:
        gdb.resume(waiting)
        try:
            try:
                hart = gdb.wait_stop(_POLL)
            except GdbTimeoutError:
                gdb.interrupt()
                pcs = {hart: gdb.read_int(hart, "pc") for hart in waiting}
                if any(pc in asleep for pc in pcs.values()) and all(_sleeps(gdb, *item) for item in pcs.items()):
                    return left
                if time.monotonic() > deadline:
                    where = ", ".join(f"hart {hart} at {pc:#x}" for hart, pc in pcs.items())
                    raise BrokenError(f"neither restored nor ended: {where}\n{running.output()}") from None
                continue
        except GdbClosedError:
            return None
        if hart in waiting:  # otherwise it already left and is reported again
            waiting.remove(hart)
            left.append(hart)
    return left


def _sleeps(gdb: Gdb, hart: int, pc: int) -> bool:
    """Whether the hart is after a wfi of the restorer and no pending interrupt wakes it."""
    pending, enabled = (gdb.read_csr(hart, BY_NAME[name].number) or 0 for name in ("mip", "mie"))
    return DRAM < pc < DRAM + MIB and gdb.read_memory(pc - 4, 4) == _WFI and not pending & enabled


def _check_registers(gdb: Gdb, memory: _Memory, place: Place, hart: int) -> None:
    """Fail unless the hart left with all its registers."""
    start = DRAM + place.block(hart) + place.layout.int_reg
    wrong = [i for i in range(1, 32) if gdb.read_int(hart, i) != memory.word(start + 8 * i)]
    if wrong:
        raise BrokenError(f"hart {hart} left for {gdb.read_int(hart, 'pc'):#x} without its x{wrong}")


def _compare(before: bytes, after: bytes, own: int, place: Place, harts: int) -> None:
    """Fail if anything was written except the restorer's memory, its trampolines and misc_reserve."""
    end = len(before) - _DEVICE_TREE
    allowed = [(0, own), (MIB - _TRAMPOLINE * harts, MIB)]
    allowed += [(at, at + 8) for at in (place.block(hart) + place.layout.misc_reserve for hart in range(harts))]
    if before[own:end] == after[own:end]:
        return
    for page in range(own & ~0xFFF, end, 0x1000):
        if before[page : page + 0x1000] == after[page : page + 0x1000]:
            continue
        for at in range(page, page + 0x1000):
            if before[at] != after[at] and not any(low <= at % _WORD < high for low, high in allowed):
                raise BrokenError(f"the workload's memory was written at {DRAM + at:#x}")


def _lines(console: str) -> list[int]:
    """The codes of the lines on the console; fail if one has another form."""
    codes = []
    for line in console.splitlines():
        match = re.fullmatch(r"gcpt: error (\d+) hart \d+( mepc=0x\w+ mcause=0x\w+ mtval=0x\w+|: [\w ,-]+)?", line)
        if not match:
            raise BrokenError(f"not a clear line: {console!r}")
        codes.append(int(match[1]))
    return codes
