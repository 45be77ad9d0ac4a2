"""The extended state on QEMU: device registers and registers behind selectors are restored, hostile lists refused."""

import random
import struct
from dataclasses import replace

import pytest
from bench import CODES, DRAM, Bench, behind_header, of_place
from elftools.elf.elffile import ELFFile

from gcpt.checkpoint import extended
from gcpt.checkpoint.extended import DeviceWrite, Entry, ExtendedError, IndirectWrite
from gcpt.checkpoint.layouts import DEFAULT, EXTENDED_OFFSET, MULTI_CORE
from gcpt.checkpoint.places import DUAL_CORE, SINGLE_CORE, Checkpoint
from gcpt.checkpoint.state import HartState
from gcpt.isa.csrs import BY_NAME, BY_NUMBER
from gcpt.machines import qemu, synthetic
from gcpt.machines.arrival import run_to_first
from gcpt.machines.count import trace
from gcpt.machines.gdb import Gdb
from gcpt.machines.qemu import Machine
from gcpt.machines.synthetic import Mode, Recipe
from gcpt.restorer import packing
from gcpt.restorer.platforms import BY_NAME as PLATFORMS

MODES = ("single_core", "dual_core")
PLIC, UART, MEMORY = 0xC00_0000, 0x1000_0000, DRAM + 0x40_0000
IMSIC = "virt,aia=aplic-imsic,aia-guests=2"
#: A 16550 whose divisor, mode and enabled interrupts are set as a driver sets them.
CONSOLE = [
    DeviceWrite(UART + at, 1, value)
    for at, value in ((1, 0), (3, 0x83), (0, 0x2A), (1, 1), (3, 0x13), (4, 3), (7, 0x5A), (1, 5))
]
#: Priorities, enabled sources and threshold of context 1 of a PLIC.
CONTROLLER = [
    *(DeviceWrite(PLIC + 4 * source, 4, 1 + source % 7) for source in (1, 10, 33)),
    DeviceWrite(PLIC + 0x2080, 4, 0x402),
    DeviceWrite(PLIC + 0x2084, 4, 0x2),
    DeviceWrite(PLIC + 0x20_1000, 4, 3),
]
#: The same, of sources 40 to 44.
REPEATED = DeviceWrite(PLIC + 4 * 40, 4, 6, repeat=4)
M, S, VS = (BY_NAME[f"{level}ireg"].number for level in ("m", "s", "vs"))
#: Interrupt files of M level, S level and guests: eidelivery, eithreshold, eip and eie.
FILES = [
    *(
        IndirectWrite(csr, index, value)
        for csr in (M, S)
        for index, value in ((0x72, 9), (0x82, 1 << 5 | csr), (0xC2, 0xF0), (0x70, 1))
    ),
    *(
        IndirectWrite(VS, index, value, guest)
        for guest in (2, 1)
        for index, value in ((0x72, guest), (0xC0, 0x10 << guest), (0x70, 1))
    ),
    IndirectWrite(M, 0x34, 0x0102_0304_0506_0708 & 0xFF00_FF00_FF00_FF00),
]
TDATA1, TDATA2 = (BY_NAME[name].number for name in ("tdata1", "tdata2"))
#: A type 2 trigger, and its bits for U, S and M mode.
TRIGGER, U_MODE, S_MODE, M_MODE = 2 << 60, 1 << 3, 1 << 4, 1 << 6
#: Breakpoints in S mode, of the first trigger and of the second one.
TRIGGERS = [
    IndirectWrite(csr, index, value + 0x100 * index * (csr == TDATA2))
    for index in (1, 0)
    for csr, value in ((TDATA2, 0xFFFF_FFC0_0000_1000), (TDATA1, TRIGGER | S_MODE | 1 << 2))
]


def _checkpoint(entries: list[Entry], level: Mode = Mode.S) -> synthetic.Synthetic:
    checkpoint = synthetic.make(Recipe((level,), locks=False))
    extended.put(checkpoint.harts[0], entries)
    return checkpoint


def _word(gdb: Gdb, address: int, width: int = 8) -> int:
    return int.from_bytes(gdb.read_memory(address, width), "little")


def _raw(state: HartState, data: bytes) -> None:
    state.free["misc_reserve"] = bytes(EXTENDED_OFFSET) + data


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("log", ["quiet", "info"])
def test_device_registers(bench: Bench, mode: str, log: str) -> None:
    checkpoint = _checkpoint([*CONSOLE, REPEATED, *CONTROLLER])
    memory = bench.restored(checkpoint, of_place(mode), bench.build(mode, extended="1", log=log))
    with bench.run(memory, Machine(), paused=True) as running, running.gdb() as gdb:
        run_to_first(gdb, {0: checkpoint.harts[0].pc})
        assert [_word(gdb, write.address, 4) for write in CONTROLLER] == [write.value for write in CONTROLLER]
        assert [_word(gdb, PLIC + 4 * source, 4) for source in range(39, 46)] == [0, 6, 6, 6, 6, 6, 0]
        registers = {at: _word(gdb, UART + at, 1) for at in (1, 3, 4, 7)}
        assert registers == {1: 5, 3: 0x13, 4: 3, 7: 0x5A}
        gdb.write_memory(UART + 3, bytes([0x93]))
        assert (_word(gdb, UART, 1), _word(gdb, UART + 1, 1)) == (0x2A, 1)


def _selected(gdb: Gdb, write: IndirectWrite) -> int | None:
    hstatus = BY_NAME["hstatus"].number
    gdb.write_csr(0, hstatus, (gdb.read_csr(0, hstatus) or 0) & ~(63 << 12) | write.guest << 12)
    gdb.write_csr(0, write.csr - 1, write.index)
    return gdb.read_csr(0, write.csr)


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("log", ["quiet", "info"])
def test_registers_behind_selectors(bench: Bench, mode: str, log: str) -> None:
    """The files of M level, S level and two guests; selectors and hstatus are the checkpoint's afterwards."""
    checkpoint = _checkpoint(FILES, Mode.M)
    state = checkpoint.harts[0]
    kept = {"miselect": 0x32, "siselect": 0x30, "vsiselect": 0x71, "hstatus": 2 << 12 | 2 << 32}
    for name, value in kept.items():
        state.set(name, value)
    memory = bench.restored(checkpoint, of_place(mode), bench.build(mode, extended="1", log=log))
    with bench.run(memory, Machine(name=IMSIC, cpu=qemu.cpu()), paused=True) as running, running.gdb() as gdb:
        run_to_first(gdb, {0: state.pc})
        assert {name: gdb.read_csr(0, BY_NAME[name].number) for name in kept} == kept
        assert [_selected(gdb, write) for write in FILES] == [write.value for write in FILES]


@pytest.mark.parametrize("mode", MODES)
def test_triggers(bench: Bench, mode: str) -> None:
    """Both of QEMU 7.2; afterwards tselect has the checkpoint's value, and the CSRs of the array are its trigger's."""
    checkpoint = _checkpoint(TRIGGERS)
    for name, value in (("tselect", 1), *((BY_NUMBER[write.csr].name, write.value) for write in TRIGGERS[:2])):
        checkpoint.harts[0].set(name, value)
    memory = bench.restored(checkpoint, of_place(mode), bench.build(mode, extended="1", csrs="+sdtrig"))
    with bench.run(memory, Machine(), paused=True) as running, running.gdb() as gdb:
        run_to_first(gdb, {0: checkpoint.harts[0].pc})
        assert gdb.read_csr(0, BY_NAME["tselect"].number) == 1
        for write in TRIGGERS:
            gdb.write_csr(0, BY_NAME["tselect"].number, write.index)
            assert gdb.read_csr(0, write.csr) == write.value


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("log", ["quiet", "info"])
def test_selectors_that_the_hart_lacks(bench: Bench, mode: str, log: str) -> None:
    """The writes that trap are counted, and the writes after them are done."""
    writes = [write for write in FILES if write.csr != VS]
    checkpoint = _checkpoint([*writes, *CONTROLLER])
    state, place = checkpoint.harts[0], of_place(mode)
    counts = []
    for is_extended in ("0", "1"):
        memory = bench.restored(checkpoint, place, bench.build(mode, extended=is_extended, log=log))
        with bench.run(memory, Machine(), paused=True) as running, running.gdb() as gdb:
            run_to_first(gdb, {0: state.pc})
            counts.append(_word(gdb, DRAM + place.block(0) + DEFAULT.misc_reserve))
            restored = [_word(gdb, write.address, 4) == write.value for write in CONTROLLER]
            assert all(restored) if is_extended == "1" else not any(restored)
    assert counts[1] - counts[0] == 3 * len(writes)


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("level", [*Mode], ids=lambda level: level.value)
def test_everything_else_is_exact(bench: Bench, mode: str, level: Mode) -> None:
    """Registers and CSRs are exact with a list and without one."""
    restorer = bench.build(mode, extended="1")
    recipe = Recipe((level,), locks=False)
    plain = bench.exact(recipe, of_place(mode), restorer)
    checkpoint = synthetic.make(recipe)
    extended.put(checkpoint.harts[0], CONTROLLER)
    memory = bench.restored(checkpoint, of_place(mode), restorer)
    report = bench.compare(memory, restorer, {0: checkpoint.harts[0]}, Machine())
    assert (report.items, report.unexplained) == (plain.items, [])


def _refused(bench: Bench, mode: str, data: bytes) -> tuple[int, int]:
    checkpoint = synthetic.make(Recipe((Mode.S,), locks=False))
    _raw(checkpoint.harts[0], data)
    end = bench.end(bench.restored(checkpoint, of_place(mode), bench.build(mode, extended="1")))
    return end.status, end.error()[0]


def _list(*entry: int, count: int = 1) -> bytes:
    """The bytes of a list with a first entry of these fields."""
    return struct.pack("<8sHHI", b"extstate", 1, 24, count) + struct.pack("<BBHIQQ", *entry)


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize(
    "data",
    [
        pytest.param(struct.pack("<8sHHI", b"extstate", 2, 24, 0), id="version"),
        pytest.param(struct.pack("<8sHHI", b"extstate", 1, 16, 0), id="entry size"),
        pytest.param(struct.pack("<8sHHI", b"extstate", 1, 24, 126), id="count"),
        pytest.param(struct.pack("<8sHHI", b"extstate", 1, 24, (1 << 32) - 1), id="largest count"),
        pytest.param(_list(0, 0, 0, 0, 0, 0), id="kind 0"),
        pytest.param(_list(3, 8, M, 0, 0x70, 1), id="kind 3"),
        pytest.param(_list(1, 4, 0, 0, PLIC + 4, 1, count=2), id="fewer entries than counted"),
        pytest.param(_list(1, 0, 0, 0, PLIC + 4, 1), id="width 0"),
        pytest.param(_list(1, 3, 0, 0, PLIC + 4, 1), id="width 3"),
        pytest.param(_list(1, 16, 0, 0, PLIC, 1), id="width 16"),
        pytest.param(_list(1, 4, 1, 0, PLIC + 0x5F_FFFC, 1), id="two registers, one in the controller"),
        pytest.param(_list(1, 1, 0xFFFF, 0, UART, 1), id="65536 registers"),
        pytest.param(_list(1, 4, 0, 1, PLIC + 4, 1), id="device with a guest"),
        pytest.param(_list(1, 4, 0, 0, PLIC + 2, 1), id="not aligned"),
        pytest.param(_list(1, 1, 0, 0, UART + 7, 1 << 8), id="byte too large"),
        pytest.param(_list(1, 2, 0, 0, UART + 6, 1 << 16), id="half too large"),
        pytest.param(_list(1, 4, 0, 0, PLIC + 4, 1 << 32), id="word too large"),
        pytest.param(_list(1, 8, 0, 0, MEMORY, 1), id="memory"),
        pytest.param(_list(1, 4, 0, 0, 0x200_0000, 1), id="CLINT"),
        pytest.param(_list(1, 4, 0, 0, 0x10_0000, 0x5555), id="finisher"),
        pytest.param(_list(1, 1, 0, 0, UART + 8, 1), id="behind the console"),
        pytest.param(_list(1, 4, 0, 0, PLIC - 4, 1), id="before the controller"),
        pytest.param(_list(1, 8, 0, 0, (1 << 64) - 8, 1), id="last address"),
        pytest.param(_list(2, 4, M, 0, 0x70, 1), id="width of a selected register"),
        pytest.param(_list(2, 8, M - 1, 0, 0x70, 1), id="selector as window"),
        pytest.param(_list(2, 8, M + 3, 0, 0x70, 1), id="0x354 as window"),
        pytest.param(_list(2, 8, 0x451, 0, 0x70, 1), id="level 4"),
        pytest.param(_list(2, 8, 0x051, 0, 0x70, 1), id="level 0"),
        pytest.param(_list(2, 8, S, 1, 0x70, 1), id="guest of S level"),
        pytest.param(_list(2, 8, TDATA1 - 1, 0, 0, 1), id="tselect as window"),
        pytest.param(_list(2, 8, TDATA1 + 3, 0, 0, 1), id="tinfo as window"),
        pytest.param(_list(2, 8, TDATA1, 1, 0, 0), id="guest of a trigger"),
        pytest.param(_list(2, 8, TDATA1, 0, 0, TRIGGER | M_MODE), id="type 2 in M mode"),
        pytest.param(_list(2, 8, TDATA1, 0, 0, 6 << 60 | M_MODE), id="type 6 in M mode"),
        pytest.param(_list(2, 8, TDATA1, 0, 0, 3 << 60 | 1 << 9), id="type 3 in M mode"),
        pytest.param(_list(2, 8, VS, 64, 0x70, 1), id="guest 64"),
    ],
)
def test_hostile_lists(bench: Bench, mode: str, data: bytes) -> None:
    assert _refused(bench, mode, data) == (CODES["EXTENDED"],) * 2


def test_firmware_and_tools_refuse_the_same_lists(bench: Bench) -> None:
    """Random entries of values at the borders: the restorer refuses those that the tools refuse, and no others."""
    restorer, devices = bench.build("single_core", extended="1"), PLATFORMS["qemu-virt"].devices
    seed = random.randrange(1 << 32)
    print(f"seed {seed}")
    values = random.Random(seed)
    edges = [
        edge + step
        for device in devices
        for edge in (device.address, device.address + device.size)
        for step in (-8, -1, 0, 4)
    ]
    verdicts = []
    with restorer.elf.open("rb") as file:
        [symbol] = ELFFile(file).get_section_by_name(".symtab").get_symbol_by_name("gcpt_fail")
    refusal = symbol["st_value"]
    for _ in range(24):
        entry = (
            values.choice((1, 1, 1, 2, 2, values.randrange(256))),
            values.choice((1, 2, 4, 8, 8, values.randrange(256))),
            values.choice((0, 0, 1, M, S, VS, VS + 2, TDATA1, TDATA2, values.randrange(1 << 16))),
            values.choice((0, 0, 0, 1, 63, 64)),
            values.choice((*edges, 0x70)),
            values.choice((0, 1, 255, 256, 1 << 16, 1 << 32, TRIGGER | M_MODE)),
        )
        data = _list(*entry)
        try:
            [parsed] = extended.parse(data) or ()
            outside = isinstance(parsed, DeviceWrite) and not any(d.has(parsed.address, parsed.size) for d in devices)
        except ExtendedError:
            outside = True
        checkpoint = synthetic.make(Recipe((Mode.M,), locks=False))
        _raw(checkpoint.harts[0], data)
        memory = bench.restored(checkpoint, of_place("single_core"), restorer)
        with bench.run(memory, Machine(), paused=True) as running, running.gdb() as gdb:
            for address in (refusal, checkpoint.harts[0].pc):
                gdb.set_breakpoint(address)
            gdb.resume()
            gdb.wait_stop(60)
            # Of a device that this machine lacks, or with a width that it refuses, the write itself traps.
            codes = [gdb.read_int(0, "a0")] if gdb.read_int(0, "pc") == refusal else []
            assert codes in ([[CODES["EXTENDED"]]] if outside else [[], [CODES["TRAP"]]]), entry
        verdicts.append(outside)
    assert any(verdicts)


def test_lists_of_several_harts(bench: Bench) -> None:
    """Each hart writes its own list, and hart 0's longest list is complete when another hart is in the workload."""
    checkpoint = synthetic.make(Recipe((Mode.S,), harts=3, locks=False))
    last = [*[DeviceWrite(PLIC + 4, 4, 1)] * (extended.MAX_ENTRIES - 1), DeviceWrite(PLIC + 4, 4, 5)]
    lists = [last, [], [DeviceWrite(PLIC + 8, 4, 3)]]
    for state, entries in zip(checkpoint.harts, lists, strict=True):
        extended.put(state, entries)
    memory = bench.restored(checkpoint, DUAL_CORE, bench.build("dual_core", extended="1", harts="3"))
    with bench.run(memory, Machine(harts=3), paused=True) as running, running.gdb() as gdb:
        run_to_first(gdb, {1: checkpoint.harts[1].pc})
        assert [_word(gdb, PLIC + at, 4) for at in (4, 8)] == [5, 3]


def test_no_place_for_a_list(bench: Bench) -> None:
    """A header without misc_reserve: 0x400 of the block is some other field, whatever it holds."""
    checkpoint = synthetic.make(Recipe((Mode.S,), locks=False))
    place = behind_header(replace(MULTI_CORE, misc_reserve=0))
    memory = bench.synthetic_image(checkpoint, place)
    with memory.open("r+b") as file:
        file.seek(place.block(0) + EXTENDED_OFFSET)
        file.write(_list(0, 0, 0, 0, 0, 0))
    restorer = bench.build("normal", extended="1")
    packing.place(memory, restorer.image)
    with bench.run(memory, Machine(), paused=True) as running, running.gdb() as gdb:
        run_to_first(gdb, {0: checkpoint.harts[0].pc})


def test_register_that_reaches_out_of_a_device(bench: Bench) -> None:
    """A console at an address that is not a multiple of 8; it cannot print there."""
    checkpoint = synthetic.make(Recipe((Mode.S,), locks=False))
    _raw(checkpoint.harts[0], _list(1, 8, 0, 0, UART + 8, 1))
    restorer = bench.build("single_core", extended="1", uart=f"16550@{UART + 4:#x}")
    memory = bench.restored(checkpoint, SINGLE_CORE, restorer)
    assert bench.end(memory).status == CODES["EXTENDED"]


@pytest.mark.parametrize(
    ("mode", "without", "first", "next_one"), [("single_core", 9, 71, 51), ("dual_core", 11, 75, 52)]
)
def test_instructions(bench: Bench, mode: str, without: int, first: int, next_one: int) -> None:
    """The costs that docs/extended.md names."""
    counts = []
    for is_extended, writes in (("0", 0), ("1", 0), ("1", 1), ("1", 2)):
        checkpoint = _checkpoint([DeviceWrite(PLIC + 4, 4, 1)] * writes)
        restorer = bench.build(mode, extended=is_extended)
        memory = bench.restored(checkpoint, of_place(mode), restorer)
        visits = trace(
            memory, Machine(extra=("-dfilter", f"{DRAM:#x}+0x100000")), {0: checkpoint.harts[0].pc}, bench.folder
        )
        counts.append(visits[0].total())
    assert [count - counts[0] for count in counts] == [0, without, first, first + next_one]


@pytest.mark.parametrize("mode", MODES)
def test_default_restorers_ignore_a_list(bench: Bench, mode: str) -> None:
    checkpoint = synthetic.make(Recipe((Mode.S,), locks=False))
    _raw(checkpoint.harts[0], _list(0, 0, 0, 0, 0, 0))
    restorer = bench.build(mode)
    memory = bench.restored(checkpoint, of_place(mode), restorer)
    assert not bench.compare(memory, restorer, {0: checkpoint.harts[0]}, Machine()).unexplained


def test_flash(bench: Bench) -> None:
    """The list is in flash, like the rest of the state."""
    checkpoint = _checkpoint(CONTROLLER)
    restorer = bench.build("single_core", extended="1", flash="1")
    memory = bench.image(checkpoint.memory)
    blocks = synthetic.blocks(Checkpoint(SINGLE_CORE, checkpoint.harts))
    machine = Machine(flash=bench.flash(restorer, blocks))
    with bench.run(memory, machine, paused=True) as running, running.gdb() as gdb:
        run_to_first(gdb, {0: checkpoint.harts[0].pc})
        assert [_word(gdb, write.address, 4) for write in CONTROLLER] == [write.value for write in CONTROLLER]
