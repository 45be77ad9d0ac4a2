"""The walk of page tables agrees with QEMU on the fetches of harts with random page tables."""

import mmap
import struct
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from random import Random

import pytest

from gcpt.checkpoint.layouts import MIB
from gcpt.checkpoint.state import HartState
from gcpt.isa import mstatus
from gcpt.isa.csrs import BY_NAME
from gcpt.isa.paging import Fault, Translation, translate
from gcpt.isa.pmp import EXECUTE, WRITE
from gcpt.machines.gdb import Gdb
from gcpt.machines.qemu import Machine, Qemu

DRAM = 0x8000_0000
#: A loop for traps, and the instructions that lead to the fetch: hfence.gvma, sfence.vma, mret.
TRAP, LEAD = DRAM, DRAM + 0x100
LEAD_CODE = struct.pack("<III", 0x6200_0073, 0x1200_0073, 0x3020_0073)
#: Page tables, and the pages that they map.
POOL, POOL_SIZE = DRAM + 16 * MIB, MIB
CODE = DRAM + 32 * MIB
MEMORY = 128 * MIB
V, R, W, X, U, A, D = (1 << bit for bit in (0, 1, 2, 3, 4, 6, 7))
#: mcause of a fetch, and that of a load.
ACCESS_FAULT, PAGE_FAULT, GUEST_FAULT, LOAD_GUEST_FAULT = 1, 12, 20, 21
PBMTE = 1 << 62
LEVELS = {8: 3, 9: 4, 10: 5}


@dataclass
class Case:
    """A hart below M mode and its page tables: physical address and content of each entry."""

    random: Random
    mode: int
    virtual: bool
    entries: dict[int, int] = field(default_factory=dict)
    state: HartState = field(default_factory=lambda: HartState(0, 0))
    _free: int = POOL

    def memory(self, address: int) -> bytes | None:
        """Zeros where no entry is; nothing outside memory."""
        inside = DRAM <= address < DRAM + MEMORY
        return struct.pack("<Q", self.entries.get(address, 0)) if inside else None

    def table(self, size: int = 0x1000) -> int:
        self._free = -(-self._free // size) * size + size
        assert self._free <= POOL + POOL_SIZE
        return self._free - size

    def map(self, root: int, levels: int, address: int, level: int, leaf: int) -> None:
        """Map ``address`` to itself, from the first 39 bits on, with a leaf at ``level``."""
        table = root
        for at in reversed(range(level, levels)):
            index = address >> 12 + 9 * at & (0x7FF if root % 0x4000 == 0 and at == levels - 1 else 0x1FF)
            slot = table + 8 * index
            if at == level:
                target = (address & (1 << 39) - 1) >> 12 + 9 * at << 9 * at
                self.entries[slot] = target << 10 | leaf
            elif slot not in self.entries:
                self.entries[slot] = self.table() >> 12 << 10 | V
            table = (self.entries[slot] >> 10) << 12


def _damaged(random: Random, entry: int) -> int:
    """An entry with one change. QEMU 7.2 ignores what ``test_reserved`` tests."""
    low = 1 << random.choice((0, 1, 2, 3, 4, 6, 7))
    high = random.choice((1 << 61, 1 << 62, 1 << 63, 1 << 63 | 8 << 10))
    return entry ^ random.choice((low, low, low, high, 1 << random.randrange(10, 54)))


def _case(seed: int) -> Case:
    random = Random(seed)
    case = Case(random, random.choice((0, 1)), random.random() < 0.6)
    _set(case.state, menvcfg=PBMTE, henvcfg=PBMTE)
    case.state.set(
        "mstatus", 0xA << 32 | case.mode << 11 | case.virtual * mstatus.MPV | random.choice((0, mstatus.SUM))
    )
    offset = CODE + 4 * random.randrange((MEMORY - 32 * MIB) // 4)
    address = offset
    modes = [random.choice((0, 8, 9, 10)) if case.virtual else random.choice((8, 9, 10)), random.choice((0, 8, 9, 10))]
    leaf = V | random.choice((X, R | X, R | W | X)) | A | D
    guest_pages = [offset]
    if modes[0]:
        levels = LEVELS[modes[0]]
        address |= random.getrandbits(12 + 9 * levels - 39) << 39 if levels > 3 else 0
        address |= -(1 << 12 + 9 * levels) & (1 << 64) - 1 if address >> 11 + 9 * levels & 1 else 0
        root = case.table(0x1000)
        root += 0x1000 * (root % 0x4000 == 0)
        case._free = root + 0x1000
        case.map(root, levels, address, random.randrange(levels), leaf | (U if case.mode == 0 else 0))
        guest_pages += sorted(case.entries)
        _set(case.state, **{"vsatp" if case.virtual else "satp": modes[0] << 60 | root >> 12})
    if case.virtual and modes[1]:
        levels = LEVELS[modes[1]]
        root, level = case.table(0x4000), random.randrange(levels)
        for page in guest_pages:
            case.map(root, levels, page, level, V | R | W | X | U | A | D)
        _set(case.state, hgatp=modes[1] << 60 | root >> 12)
    for _ in range(random.choice((0, 0, 1, 1, 2)) if case.entries else 0):
        slot = random.choice(sorted(case.entries))
        case.entries[slot] = _damaged(random, case.entries[slot])
    if not random.randrange(16):
        address ^= 1 << random.randrange(39, 64)
    case.state.pc, case.state.mode = address, case.mode
    return case


def _set(state: HartState, **values: int) -> None:
    for name, value in values.items():
        state.set(name, value)


@contextmanager
def _machine(folder: Path) -> Iterator[tuple[Gdb, mmap.mmap]]:
    """A machine whose memory the test can write, with traps to ``TRAP`` and open PMP."""
    image = folder / "memory"
    with image.open("w+b") as file:
        file.truncate(MEMORY)
        machine = Machine(memory=MEMORY, cpu="rv64,h=on,svnapot=on,svpbmt=on")
        with mmap.mmap(file.fileno(), MEMORY) as memory, Qemu(image, machine, folder) as qemu, qemu.gdb() as gdb:
            memory[:4] = struct.pack("<I", 0x6F)
            memory[LEAD - DRAM : LEAD - DRAM + len(LEAD_CODE)] = LEAD_CODE
            for name, value in (("mtvec", TRAP), ("medeleg", 0), ("pmpaddr0", (1 << 54) - 1), ("pmpcfg0", 0x1F)):
                assert gdb.write_csr(0, BY_NAME[name].number, value)
            yield gdb, memory
    image.unlink()


def _fetch(gdb: Gdb, memory: mmap.mmap, case: Case, target: int | None, marker: int) -> int:
    """The mcause of the fetch; 0 if the hart executed the instruction at the physical address ``target``."""
    memory[POOL - DRAM : POOL - DRAM + POOL_SIZE] = bytes(POOL_SIZE)
    for slot, entry in case.entries.items():
        memory[slot - DRAM : slot - DRAM + 8] = struct.pack("<Q", entry)
    if target is not None:
        code = struct.pack("<II", marker << 12 | 10 << 7 | 0x37, 0x73)  # lui a0, marker; ecall
        memory[target - DRAM : target - DRAM + len(code)] = code
    for name in ("satp", "vsatp", "hgatp", "menvcfg", "henvcfg", "mstatus"):
        assert gdb.write_csr(0, BY_NAME[name].number, case.state.get(name))
    gdb.write_csr(0, BY_NAME["mepc"].number, case.state.pc)
    for register, value in (("priv", 3), ("a0", 0), ("pc", LEAD)):
        gdb.write(0, register, value)
    for _ in range(4):
        gdb.step(0)
    if gdb.read_int(0, "pc") == TRAP:
        return gdb.read_csr(0, BY_NAME["mcause"].number) or -1
    assert gdb.read_int(0, "a0") == marker << 12
    while gdb.read_int(0, "pc") != TRAP:  # priv cannot be written while V is 1
        gdb.step(0)
    return 0


def _causes(walk: Translation, inside: bool) -> set[int]:
    """The possible mcause of a fetch."""
    if not walk.fault:
        return {0} if inside else {ACCESS_FAULT}
    # When vsatp's tables are not mapped, QEMU 7.2 reports a load where the specification has the fetch.
    causes = {GUEST_FAULT, LOAD_GUEST_FAULT} if walk.register == "hgatp" else {PAGE_FAULT}
    # For an entry outside memory the specification has an access fault, QEMU 7.2 a page fault.
    return causes | {ACCESS_FAULT} if walk.fault is Fault.OUTSIDE else causes


CASES = 200


@pytest.mark.timeout(600)
def test_fetches_on_qemu(tmp_path: Path) -> None:
    outcomes: list[tuple[bool, Fault | None]] = []
    for batch in range(0, CASES, 50):
        with _machine(tmp_path) as (gdb, memory):
            for seed in range(batch, batch + 50):
                case = _case(seed)
                walk = translate(case.state, case.mode, case.state.pc, EXECUTE, case.memory)
                inside = not walk.fault and CODE <= walk.address < DRAM + MEMORY - 8
                if not walk.fault and DRAM <= walk.address < CODE:
                    continue
                target = walk.address if inside else None
                cause = _fetch(gdb, memory, case, target, seed + 1)
                assert cause in _causes(walk, inside), (seed, walk)
                outcomes.append((case.virtual, walk.fault))
    assert {fault for _, fault in outcomes} == {None, *Fault}
    assert sum(fault is None for _, fault in outcomes) > CASES // 4


def _mapped(entry: int, **values: int) -> Case:
    """A hart in S mode whose pc is in a page of Sv39 with this entry, at 64 KiB plus one page."""
    case = Case(Random(0), mstatus.SUPERVISOR, virtual=False)
    case.state.pc = CODE + 0x1_1000
    _set(case.state, satp=8 << 60 | POOL >> 12, **values)
    case._free = POOL + 0x1000
    case.map(POOL, 3, case.state.pc, 0, 0)
    case.entries[max(case.entries)] = entry
    return case


CODE_PAGE = (CODE + 0x1_1000) >> 12 << 10
CODE_LEAF = CODE_PAGE | V | R | X | A | D


@pytest.mark.parametrize("bits", [*(1 << bit for bit in range(54, 61)), 1 << 61, 1 << 62, 3 << 61])
def test_reserved(bits: int) -> None:
    """Bits 54 to 60, the reserved PBMT, and any PBMT while menvcfg.PBMTE is clear."""
    case = _mapped(CODE_LEAF | bits, menvcfg=PBMTE if bits == 3 << 61 else 0)
    assert translate(case.state, 1, case.state.pc, EXECUTE, case.memory).fault is Fault.ENTRY


@pytest.mark.parametrize(
    ("bits", "mode", "access", "status", "fault"),
    [
        (V | X | A | D, 1, EXECUTE, 0, None),
        (V | X | A | D | U, 1, EXECUTE, mstatus.SUM, Fault.FORBIDDEN),
        (V | X | A | D, 0, EXECUTE, 0, Fault.FORBIDDEN),
        (V | R | A | D, 1, WRITE, 0, Fault.FORBIDDEN),
        (V | R | W | A | D, 1, WRITE, 0, None),
        (V | R | W | A | D | U, 1, WRITE, 0, Fault.FORBIDDEN),
        (V | R | W | A | D | U, 1, WRITE, mstatus.SUM, None),
    ],
)
def test_permissions(bits: int, mode: int, access: int, status: int, fault: Fault | None) -> None:
    case = _mapped(CODE_PAGE | bits, mstatus=status)
    assert translate(case.state, mode, case.state.pc, access, case.memory).fault is fault


@pytest.mark.parametrize(("access", "bits", "fresh"), [(EXECUTE, A, False), (WRITE, A, True), (EXECUTE, D, True)])
def test_clear_a_and_d(access: int, bits: int, fresh: bool) -> None:
    case = _mapped(CODE_PAGE | V | R | W | X | bits)
    walk = translate(case.state, 1, case.state.pc, access, case.memory)
    assert (walk.fault, walk.fresh, len(walk.entries)) == (None, fresh, 3)


def test_machine_mode_and_bare_translate_nothing() -> None:
    case = _mapped(0)
    assert translate(case.state, mstatus.MACHINE, 1 << 63, EXECUTE, case.memory) == Translation(1 << 63)
    case.state.set("satp", 0)
    assert translate(case.state, mstatus.USER, 1 << 63, EXECUTE, case.memory) == Translation(1 << 63)
