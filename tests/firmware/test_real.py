"""Real checkpoints of real software: exact at the first instruction, and the software continues to run."""

import re
from collections.abc import Callable
from pathlib import Path

import pytest
from bench import Bench, assert_exact

from gcpt.checkpoint import files
from gcpt.machines.comparison import Comparison
from gcpt.machines.qemu import Machine
from gcpt.restorer import packing

Shared = Callable[[str], Path]

_FLASH_SIZE = 32 << 20


def _exact(bench: Bench, file: Path, mode: str) -> Comparison:
    """Restore the checkpoint in ``file``; fails unless all state that the hart supports is exact."""
    checkpoint = files.load(file)
    restorer = bench.build(mode)
    memory = bench.unpacked(file)
    packing.place(memory, restorer.image)
    harts = dict(enumerate(checkpoint.harts))
    report = bench.compare(memory, restorer, harts, Machine(harts=len(harts)))
    assert_exact(report)
    return report


@pytest.mark.parametrize("mode", ["single_core", "auto"])
@pytest.mark.parametrize("name", ["nemu-s-sv39.gz", "nemu-u-sv39.zstd", "nemu-vs-bare.gz", "nemu-m.gz"])
def test_nemu(bench: Bench, shared_file: Shared, name: str, mode: str) -> None:
    _exact(bench, shared_file(f"checkpoints/{name}"), mode)


@pytest.mark.parametrize("mode", ["normal", "auto"])
def test_nemu_protobuf(bench: Bench, shared_file: Shared, mode: str) -> None:
    _exact(bench, shared_file("checkpoints/nemu-protobuf-s-sv39.gz"), mode)


def test_nemu_flash(bench: Bench, shared_file: Shared) -> None:
    """State and restorer in flash, from which QEMU's virt machine boots; memory has no restorer."""
    memory = bench.unpacked(shared_file("checkpoints/nemu-flash-s-sv39-nov.mem.gz"))
    file = shared_file("checkpoints/nemu-flash-s-sv39-nov.flash.gz")
    flash = bench.unpacked(file, _FLASH_SIZE, "flash")
    restorer = bench.build("single_core")
    packing.place(flash, restorer.image)
    harts = dict(enumerate(files.load(file).harts))
    assert_exact(bench.compare(memory, restorer, harts, Machine(flash=flash)))


@pytest.mark.parametrize(
    ("name", "mode", "harts"),
    [
        ("uboot-1hart-single_core.zst", "single_core", 1),
        ("uboot-1hart-single_core.zst", "auto", 1),
        ("uboot-2hart-dual_core.zst", "dual_core", 2),
        ("uboot-2hart-dual_core.zst", "auto", 2),
    ],
)
def test_u_boot(bench: Bench, shared_file: Shared, name: str, mode: str, harts: int) -> None:
    """Exact (hart 1 is in M mode with mepc != pc), and it still has the input typed before the checkpoint."""
    file = shared_file(f"checkpoints/{name}")
    _exact(bench, file, mode)
    memory = bench.unpacked(file)
    packing.place(memory, bench.build(mode).image)
    with bench.run(memory, Machine(harts=harts)) as running:
        running.type("\nprintenv answer\n")
        running.expect(r"printenv answer\s+answer=42\s")


@pytest.mark.parametrize(
    ("name", "mode", "harts"),
    [
        ("linux-single-sstc.zst", "single_core", 1),
        ("linux-single-sstc.zst", "auto", 1),
        ("linux-dual-sstc.zst", "dual_core", 2),
        ("linux-dual-sstc.zst", "auto", 2),
    ],
)
def test_linux(bench: Bench, shared_file: Shared, name: str, mode: str, harts: int) -> None:
    """Both processes continue, including the one that sleeps on the timer, with the sums of an undisturbed run."""
    memory = bench.unpacked(shared_file(f"checkpoints/{name}"))
    packing.place(memory, bench.build(mode).image)
    lines = [shared_file(f"checkpoints/linux-expected-{word}.txt").read_text() for word in ("tick", "tock")]
    expected = dict(re.findall(r"(t[io]ck \d+) sum=([0-9a-f]+)", "".join(lines)))
    with bench.run(memory, Machine(harts=harts)) as running:
        running.type("ping\n")
        running.expect(r"pong \d+")
        for number in (8, 9, 10):
            for word in ("tick", "tock"):
                running.expect(rf"{word} {number} sum=[0-9a-f]{{16}} [^\n]*bad=\d+")
        text = running.output()
    sums = dict(re.findall(r"(t[io]ck \d+) sum=([0-9a-f]{16}) ", text))
    assert {f"{word} {number}" for word in ("tick", "tock") for number in (8, 9, 10)} <= set(sums)
    assert sums == {name: expected[name] for name in sums}
    assert set(re.findall(r"bad=(\d+)", text)) == {"0"}
    assert "MISMATCH" not in text
