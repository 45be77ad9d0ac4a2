"""Restorers of each toolchain: exact, small enough for the loaders, and with the same output."""

import re

import pytest
from bench import CODES, Bench, behind_header

from gcpt.checkpoint.places import DUAL_CORE, SINGLE_CORE, Place
from gcpt.machines import synthetic
from gcpt.machines.comparison import compare_machine
from gcpt.machines.qemu import Machine
from gcpt.machines.synthetic import Mode, Recipe
from gcpt.restorer import budgets, packing

REFERENCE = {"toolchain": "gnu"}
OTHERS = {
    "riscv64-linux-gnu": {"cross_compile": "riscv64-linux-gnu-"},
    "llvm": {"toolchain": "llvm"},
    "zig": {"toolchain": "zig"},
}
ALL = {"riscv64-unknown-elf": REFERENCE, **OTHERS}
PROTOBUF = behind_header()
#: Bytes that XS-GEM5 without V, and that difftest and gsim load by default (docs/consumers.md).
SMALLEST, SMALL = 0x700, 0xE00

all_toolchains = pytest.mark.parametrize("options", ALL.values(), ids=ALL)


@all_toolchains
@pytest.mark.parametrize(
    "recipe",
    [Recipe((Mode.S,)), Recipe((Mode.M,)), Recipe((Mode.VS,)), Recipe((Mode.S,), vlen=256)],
    ids=["S", "M", "VS", "VLEN 256"],
)
def test_one_hart(bench: Bench, options: dict[str, str], recipe: Recipe) -> None:
    restorer = bench.build("single_core", **options)
    assert restorer.size <= SMALL
    bench.exact(recipe, SINGLE_CORE, restorer)


@all_toolchains
def test_the_sets_of_groups_for_small_loaders(bench: Bench, options: dict[str, str]) -> None:
    assert bench.build("dual_core", csrs="rv64gc", **options).size <= SMALL
    assert bench.build("single_core", csrs="rv64gc", **options).size <= SMALLEST
    restorer = bench.build("single_core", csrs="rva22", **options)
    assert restorer.size <= SMALLEST + (budgets.DEBUG if restorer.config.debug else 0)
    bench.exact(Recipe((Mode.VS,)), SINGLE_CORE, restorer)


@all_toolchains
@pytest.mark.parametrize(("mode", "place"), [("dual_core", DUAL_CORE), ("normal", PROTOBUF)], ids=["blocks", "header"])
def test_several_harts(bench: Bench, options: dict[str, str], mode: str, place: Place) -> None:
    restorer = bench.build(mode, **options)
    bench.exact(Recipe(tuple(Mode), harts=6), place, restorer)


@all_toolchains
@pytest.mark.parametrize("mode", ["single_core", "normal"])
def test_no_checkpoint(bench: Bench, options: dict[str, str], mode: str) -> None:
    memory = bench.image([])
    packing.place(memory, bench.build(mode, **options).image)
    end = bench.end(memory, Machine(harts=2))
    assert (end.status, end.error()[0]) == (CODES["NO_CHECKPOINT"],) * 2


def _output(bench: Bench, options: dict[str, str]) -> str:
    """All output for an exact restore, without the restorer's end address and the number of the planning hart."""
    checkpoint = synthetic.make(Recipe((Mode.S, Mode.VS), harts=2))
    restorer = bench.build("normal", log="debug", display_cpu="all", selfcheck="1", harts="2", **options)
    memory = bench.restored(checkpoint, PROTOBUF, restorer)
    harts = dict(enumerate(checkpoint.harts))
    with bench.run(memory, Machine(harts=2), paused=True) as running:
        report = compare_machine(running, harts, restorer.csr_groups, restorer.config.platform.clint)
        assert not report.unexplained
        return re.sub(r"hart \d+ plans; (restorer at \w+-)\w+", r"\1", running.output())


def test_all_print_the_same(bench: Bench) -> None:
    outputs = {name: _output(bench, options) for name, options in ALL.items()}
    lines = {name: sorted(text.splitlines()) for name, text in outputs.items()}
    assert len(lines["zig"]) > 100
    assert len({tuple(text) for text in lines.values()}) == 1
