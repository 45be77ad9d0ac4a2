"""The spike platform on QEMU's spike machine, which locates the HTIF by symbols of gcpt.elf."""

from pathlib import Path

import pytest
from bench import CODES, Bench, assert_exact

from gcpt.checkpoint.places import DUAL_CORE, SINGLE_CORE, Place
from gcpt.machines import synthetic
from gcpt.machines.qemu import Machine
from gcpt.machines.synthetic import Mode, Recipe


def _spike(elf: Path, harts: int = 1) -> Machine:
    return Machine(name="spike", harts=harts, extra=("-bios", str(elf)))


@pytest.mark.parametrize(("mode", "place", "harts"), [("single_core", SINGLE_CORE, 1), ("auto", DUAL_CORE, 2)])
def test_exact(bench: Bench, mode: str, place: Place, harts: int) -> None:
    checkpoint = synthetic.make(Recipe((Mode.S, Mode.M), harts=harts))
    restorer = bench.build(mode, platform="spike")
    memory = bench.synthetic_image(checkpoint, place)
    machine = _spike(restorer.folder / "gcpt.elf", harts)
    assert_exact(bench.compare(memory, restorer, dict(enumerate(checkpoint.harts)), machine))


@pytest.mark.parametrize("mode", ["single_core", "auto"])
def test_error_on_the_htif(bench: Bench, mode: str) -> None:
    restorer = bench.build(mode, platform="spike")
    end = bench.end(bench.image([]), _spike(restorer.folder / "gcpt.elf"))
    assert (end.status, end.error()[0]) == (CODES["NO_CHECKPOINT"],) * 2


def test_cva6_ends_by_htif_without_its_console(bench: Bench) -> None:
    """QEMU's spike machine has no UART: the line traps, and the code still gets to tohost."""
    restorer = bench.build("single_core", platform="cva6")
    end = bench.end(bench.image([]), _spike(restorer.folder / "gcpt.elf"))
    assert end.status == CODES["NO_CHECKPOINT"]
