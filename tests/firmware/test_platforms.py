"""Accesses to consoles, timers and finishers that stock QEMU does not have.

Memory replaces the device: it holds what was written last.
"""

import re

import pytest
from bench import CODES, DRAM, Bench, assert_exact, of_place
from elftools.elf.elffile import ELFFile

from gcpt.checkpoint.places import SINGLE_CORE
from gcpt.machines import synthetic
from gcpt.machines.gdb import TIMEOUT, Gdb
from gcpt.machines.qemu import Machine, cpu
from gcpt.machines.synthetic import Mode, Recipe
from gcpt.restorer import packing, platforms
from gcpt.restorer.platforms import SYSCNT_MTIME

#: Memory in the reserved MiB that replaces a device.
DEVICE = DRAM + 0x8_0000
NEMU_TRAP = 0x0000006B  # .insn r 0x6B, 0, 0, x0, x0, x0
LINE_END = ord("\n")


@pytest.mark.parametrize(
    ("uart", "data", "status", "ready"),
    [
        pytest.param(f"uartlite@{DEVICE:#x}", 4, 8, 0, id="uartlite"),
        pytest.param(f"uartlite@{DEVICE:#x}", 4, 8, 8, id="uartlite that stays full"),
        pytest.param(f"16550@{DEVICE:#x},2", 0, 20, 0x20, id="16550, registers of 4 bytes"),
        pytest.param(f"16550@{DEVICE:#x},2", 0, 20, 0, id="16550 that never gets ready"),
        pytest.param(f"16550@{DEVICE:#x}", 0, 5, 0x20, id="16550"),
    ],
)
def test_console_registers(bench: Bench, uart: str, data: int, status: int, ready: int) -> None:
    """The last byte of the line is in the data register; a console that never gets ready does not block the end."""
    restorer = bench.build("single_core", uart=uart)
    memory = bench.image([(DEVICE + status, bytes([ready]))])
    packing.place(memory, restorer.image)
    assert bench.end(memory).status == CODES["NO_CHECKPOINT"]
    with memory.open("rb") as file:
        file.seek(DEVICE - DRAM + data)
        assert file.read(1)[0] == LINE_END


@pytest.mark.parametrize("mode", ["single_core", "dual_core"])
@pytest.mark.parametrize("name", [p.name for p in platforms.PLATFORMS if p.end == "nemu_trap" and p.dram == DRAM])
def test_nemu_trap(bench: Bench, mode: str, name: str) -> None:
    """QEMU lacks the instruction: it traps with the code in a0, and the hart sleeps."""
    memory = bench.image([])
    restorer = bench.build(mode, platform=name, clint="0x2000000", uart=f"uartlite@{DEVICE:#x}")
    packing.place(memory, restorer.image)
    with restorer.elf.open("rb") as file:
        [sleep] = ELFFile(file).get_section_by_name(".symtab").get_symbol_by_name("gcpt_sleep")
    with bench.run(memory, Machine(), paused=True) as running, running.gdb() as gdb:
        _at(gdb, sleep["st_value"], "pc")
        mepc = gdb.read_csr(0, 0x341) or 0
        assert int.from_bytes(gdb.read_memory(mepc, 4), "little") == NEMU_TRAP
        assert gdb.read_int(0, "a0") == CODES["NO_CHECKPOINT"]


def test_mtime_of_a_syscnt(bench: Bench) -> None:
    """Writes the value, then 1 to the update register, and polls until that is clear."""
    checkpoint = synthetic.make(Recipe((Mode.S,)))
    restorer = bench.build("single_core", platform="xiangshan-syscnt", clint="0x2000000", uart="16550@0x10000000")
    listing = restorer.listing()
    at = [int(line.split(":")[0], 16) for line in listing.splitlines() if re.search(r"\b[sl]w\ta2, 0x18\(a1\)", line)]
    update, poll = at
    store = update - 4  # sd a0, (a1); li a2, 1
    with (
        bench.run(bench.restored(checkpoint, SINGLE_CORE, restorer), Machine(), paused=True) as running,
        running.gdb() as gdb,
    ):
        assert _at(gdb, store, "a0") == checkpoint.harts[0].mtime
        assert _at(gdb, poll, "a2") == 1
        assert gdb.read_int(0, "a1") == restorer.config.platform.syscnt + SYSCNT_MTIME
        gdb.step(0)  # QEMU has no such device: it reads as all ones, "not yet"
        assert gdb.read_int(0, "a2") != 0
        gdb.write(0, "a2", 0)
        assert _at(gdb, checkpoint.harts[0].pc, "pc") == checkpoint.harts[0].pc


def _at(gdb: Gdb, address: int, register: str) -> int:
    """The register when hart 0 reaches ``address``."""
    gdb.set_breakpoint(address)
    gdb.resume()
    gdb.wait_stop(TIMEOUT)
    gdb.clear_breakpoint(address)
    return gdb.read_int(0, register)


@pytest.mark.parametrize("mode", ["single_core", "dual_core"])
def test_cva6_has_the_timers_and_the_memory_of_virt(bench: Bench, mode: str) -> None:
    """Without H and V, like CVA6's default configuration; no console is needed for a restore."""
    recipe = Recipe((Mode.S,), vector=False, hypervisor=False, vs=0, locks=False)
    checkpoint = synthetic.make(recipe)
    restorer = bench.build(mode, platform="cva6")
    memory = bench.restored(checkpoint, of_place(mode), restorer)
    machine = Machine(cpu=cpu(v=False, h=False))
    assert_exact(bench.compare(memory, restorer, {0: checkpoint.harts[0]}, machine))
