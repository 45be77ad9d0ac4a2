"""A checkpoint that cannot be restored ends the run with a code, QEMU's exit status, and one line on the console."""

import re
from dataclasses import replace
from pathlib import Path

import pytest
from bench import CODES, DRAM, Bench

from gcpt.checkpoint import header
from gcpt.checkpoint.layouts import MAX_HARTS, MULTI_CORE_OFFSET
from gcpt.checkpoint.places import DUAL_CORE, SINGLE_CORE
from gcpt.machines import qemu, synthetic
from gcpt.machines.qemu import Machine
from gcpt.machines.synthetic import Mode, Recipe
from gcpt.restorer import codes, packing

BY_NAME = {code.name: code for code in codes.CODES}
MODES = ("single_core", "dual_core", "normal", "auto")
#: An address without a device or memory on QEMU's virt machine.
NOWHERE = 0xE00_0000


def _ends_with(bench: Bench, memory: Path, name: str, machine: Machine | None = None) -> str:
    """Run to the end and check the exit status and the line's code; return the line's words."""
    end = bench.end(memory, machine)
    code, _, words = end.error()
    assert (end.status, code) == (CODES[name], CODES[name])
    return words


@pytest.mark.parametrize("harts", [1, 4])
@pytest.mark.parametrize("mode", MODES)
def test_no_checkpoint(bench: Bench, mode: str, harts: int) -> None:
    memory = bench.image([])
    packing.place(memory, bench.build(mode).image)
    words = _ends_with(bench, memory, "NO_CHECKPOINT", Machine(harts=harts))
    # The direct restorer prints only the code, to save bytes.
    assert words == ("" if mode == "single_core" else f": {BY_NAME['NO_CHECKPOINT'].short}")


def test_log_info_says_it_in_a_sentence(bench: Bench) -> None:
    memory = bench.image([])
    packing.place(memory, bench.build("single_core", log="info").image)
    assert BY_NAME["NO_CHECKPOINT"].sentence in _ends_with(bench, memory, "NO_CHECKPOINT")


@pytest.mark.parametrize("mode", MODES[:2])
def test_checkpoint_of_the_other_mode(bench: Bench, mode: str) -> None:
    place = DUAL_CORE if mode == "single_core" else SINGLE_CORE
    memory = bench.restored(synthetic.make(Recipe()), place, bench.build(mode))
    _ends_with(bench, memory, "NO_CHECKPOINT")


@pytest.mark.parametrize("missing", [8, 64, "half"])
@pytest.mark.parametrize("mode", MODES)
def test_image_cut_short(bench: Bench, mode: str, missing: int | str) -> None:
    restorer = bench.build(mode)
    content = restorer.image.read_bytes()[: restorer.size]
    length = len(content) - missing if isinstance(missing, int) else len(content) // 2
    memory = bench.synthetic_image(synthetic.make(Recipe()), DUAL_CORE)
    with memory.open("r+b") as file:
        file.write(content[:length])
    _ends_with(bench, memory, "CUT_SHORT", Machine(harts=4))


@pytest.mark.parametrize("mode", MODES[:2])
def test_trap_in_the_restorer(bench: Bench, mode: str) -> None:
    """A CLINT at a wrong address: the store to it faults, and the line names address and cause."""
    place = SINGLE_CORE if mode == "single_core" else DUAL_CORE
    restorer = bench.build(mode, clint=f"{NOWHERE:#x}")
    words = _ends_with(bench, bench.restored(synthetic.make(Recipe()), place, restorer), "TRAP")
    trap = {name: int(value, 16) for name, value in re.findall(r"(\w+)=0x([0-9a-f]+)", words)}
    assert trap["mcause"] == 7  # store access fault
    assert NOWHERE <= trap["mtval"] < NOWHERE + 0x10000
    assert DRAM <= trap["mepc"] < DRAM + restorer.size


def test_harts_that_trap_together_say_one_line(bench: Bench) -> None:
    """Blocks in address space where this machine has no memory."""
    value = header.Header(cpt_offset=0x1_0000_0000, cpu_num=4, single_core_size=1 << 20)
    for _ in range(12):
        words = _ends_with(bench, _with_header(bench, header.encode(value)), "TRAP", Machine(harts=4))
        assert "mcause=0x5" in words  # load access fault


def test_log_info_says_what_a_trap_is(bench: Bench) -> None:
    restorer = bench.build("single_core", clint=f"{NOWHERE:#x}", log="info")
    words = _ends_with(bench, bench.restored(synthetic.make(Recipe()), SINGLE_CORE, restorer), "TRAP")
    assert re.search(r"mcause=0x7 mtval=0x[0-9a-f]+: trap: ", words)


@pytest.mark.parametrize("mode", MODES[:2])
@pytest.mark.parametrize("vlen", [256, 1024])
def test_other_vlen(bench: Bench, mode: str, vlen: int) -> None:
    place = SINGLE_CORE if mode == "single_core" else DUAL_CORE
    memory = bench.restored(synthetic.make(Recipe(vlen=vlen)), place, bench.build(mode))
    _ends_with(bench, memory, "VLEN", Machine(cpu=qemu.cpu(128)))


def test_vector_state_without_vlenb_is_128_bits(bench: Bench) -> None:
    """NEMU's older checkpoints have vlenb 0, which means 128 bits: refused on a hart with another VLEN too."""
    checkpoint = synthetic.make(Recipe())
    checkpoint.harts[0].set("vlenb", 0)
    memory = bench.restored(checkpoint, SINGLE_CORE, bench.build("single_core"))
    _ends_with(bench, memory, "VLEN", Machine(cpu=qemu.cpu(256)))


@pytest.mark.parametrize("mode", MODES[:2])
def test_vector_state_without_v(bench: Bench, mode: str) -> None:
    place = SINGLE_CORE if mode == "single_core" else DUAL_CORE
    memory = bench.restored(synthetic.make(Recipe()), place, bench.build(mode))
    _ends_with(bench, memory, "VLEN", Machine(cpu="rv64,v=false,h=true"))


@pytest.mark.parametrize("mode", MODES[:2])
def test_m_mode_with_mprv(bench: Bench, mode: str) -> None:
    place = SINGLE_CORE if mode == "single_core" else DUAL_CORE
    memory = bench.restored(synthetic.make(Recipe((Mode.M,), mprv=True)), place, bench.build(mode))
    _ends_with(bench, memory, "M_MODE_MPRV")


GOOD = header.Header(cpt_offset=168, cpu_num=1, single_core_size=1 << 20)
#: The cpt_offset of an address; the header is at DRAM base + 3 MiB.
_TO_RESTORER = (0x1000 - MULTI_CORE_OFFSET) % (1 << 64)


def _with_header(bench: Bench, data: bytes, mode: str = "normal") -> Path:
    memory = bench.image([(DRAM + MULTI_CORE_OFFSET, data)])
    packing.place(memory, bench.build(mode).image)
    return memory


@pytest.mark.parametrize("mode", MODES[2:])
def test_unknown_header_version(bench: Bench, mode: str) -> None:
    _ends_with(bench, _with_header(bench, header.encode(replace(GOOD, version=0x20990101)), mode), "VERSION")


@pytest.mark.parametrize(
    "damage",
    [
        pytest.param(lambda data: data[:12] + b"\xff" * 200, id="varint without end"),
        pytest.param(lambda data: data[:6] + b"\x0f" + data[7:], id="wire type 7"),
        pytest.param(lambda data: data[:-1] + b"\x5f", id="second message without end"),
    ],
)
def test_undecodable_header(bench: Bench, damage: object) -> None:
    data = damage(header.encode(GOOD))  # type: ignore[operator]
    _ends_with(bench, _with_header(bench, data), "DECODE")


@pytest.mark.parametrize(
    "bad",
    [
        pytest.param({"cpu_num": 0}, id="no hart"),
        pytest.param({"cpu_num": MAX_HARTS + 1}, id="too many harts"),
        pytest.param({"cpu_num": 1 << 63}, id="absurdly many harts"),
        pytest.param({"cpt_offset": 1 << 62}, id="beyond memory"),
        pytest.param({"cpt_offset": (1 << 64) - 0x1000_0000}, id="below memory"),
        pytest.param({"cpt_offset": _TO_RESTORER, "layout": replace(GOOD.layout, pc=0)}, id="into the restorer"),
        pytest.param({"cpt_offset": 161}, id="not aligned"),
        pytest.param({"cpu_num": 2, "single_core_size": 0}, id="blocks on top of each other"),
        pytest.param({"cpu_num": 2, "single_core_size": 0x1000}, id="blocks overlap"),
        pytest.param({"cpu_num": 2, "single_core_size": 1 << 63}, id="blocks beyond memory"),
        pytest.param({"layout": replace(GOOD.layout, csr_reg=1 << 60)}, id="CSRs beyond memory"),
        pytest.param({"layout": replace(GOOD.layout, int_reg=0xEDDE1)}, id="registers not aligned"),
    ],
)
def test_bad_header(bench: Bench, bad: dict[str, object]) -> None:
    _ends_with(bench, _with_header(bench, header.encode(replace(GOOD, **bad))), "BAD_HEADER")  # type: ignore[arg-type]
