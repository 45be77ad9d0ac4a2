"""Rocket's RTL: exact with random registers and memory, from raw, gzip, zstd and ELF as ``gcpt pack`` writes them."""

import json
import subprocess
import time
from collections.abc import Callable
from pathlib import Path
from random import Random

import pytest
from command import gcpt, refusal
from restorer import Restorer

from gcpt.checkpoint import edits
from gcpt.checkpoint.files import write_checkpoint
from gcpt.checkpoint.places import DUAL_CORE, PROTOBUF, SINGLE_CORE, Place
from gcpt.checkpoint.state import HartState
from gcpt.errors import UserError
from gcpt.machines import judges, rocket, rocket_verification, synthetic
from gcpt.machines.comparison import Comparison
from gcpt.machines.rocket import Rocket
from gcpt.machines.synthetic import DRAM, Mode, Recipe, Synthetic

Build = Callable[..., Restorer]
Make = Callable[..., Path]
_MODES = (Mode.S, Mode.U, Mode.M, Mode.M_NEMU)
_SIZE = 4 << 20
#: csrw sscratch, a0
_CSRW_SSCRATCH, _NOP = bytes.fromhex("73100514"), bytes.fromhex("13000000")
#: Values at the edges of the recoded form: zeros, subnormal numbers, the ends of the exponents, infinities, NaNs, and
#: singles in a box.
_FLOATS = (
    *(0, 1 << 63, 1, (1 << 52) - 1, 1 << 51, 1 << 52, (0x7FE << 52) | 5, 0x7FF << 52, 0xFFF << 52),
    *(0x7FF8 << 48, (0x7FF << 52) | 1, (0xFFF << 52) | 0x1234_5678, 0xFFFF_FFFE_3F80_0000),
    *(0xFFFF_FFFF_0000_0000 | single for single in (0, 1, 0x007F_FFFF, 0x0080_0000, 0x3F80_0000, 0x8000_0000)),
    *(0xFFFF_FFFF_0000_0000 | single for single in (0x7F80_0000, 0xFF80_0000, 0x7FC0_0000, 0x7F80_0001, 0xFFFF_FFFF)),
)


def _legal(modes: tuple[Mode, ...], seed: int) -> Synthetic:
    """A checkpoint of harts that are Rockets: no V, no H, 8 PMP entries, addresses of 39 and 32 bits."""
    made = synthetic.make(Recipe(modes, len(modes), seed, vector=False, hypervisor=False))
    for state in made.harts:
        state.f[: len(_FLOATS)] = _FLOATS
        absent = ("menvcfg", "senvcfg", "stimecmp", "pmpcfg2", *(f"pmpaddr{number}" for number in range(8, 16)))
        for name in (*absent, *(f"mhpmevent{number}" for number in range(3, 32))):
            state.set(name, 0)
        for name in ("sepc", "stval", "mtval", "stvec", *(["mepc"] if state.pc != state.get("mepc") else [])):
            low = state.get(name) & ((1 << 39) - 1)
            state.set(name, low | (-1 << 39) % (1 << 64) if low >> 38 else low)
        masks = {"mcounteren": 7, "scounteren": 7, "mcountinhibit": 5, "medeleg": 0xB15D, "satp": 15 << 60 | 0xF_FFFF}
        masks |= {"stvec": ~0xFE, "mtvec": 0xFFFF_FF01}
        for name, mask in masks.items():
            state.set(name, state.get(name) & mask)
    return made


def _write(path: Path, made: Synthetic, place: Place = SINGLE_CORE) -> Path:
    zeros = (bytes(1 << 20) for _ in range(_SIZE >> 20))
    write_checkpoint(
        path, made.harts, edits.patched(zeros, [(a - DRAM, data) for a, data in made.memory]), place, "raw"
    )
    return path


def _rocket(harts: int, seed: int) -> Rocket:
    options = (f"+verilator+seed+{seed}",)
    return Rocket(rocket.simulator(harts), (1 + harts) * _SIZE, latency=Random(seed).randrange(40), options=options)


def _compare(made: Synthetic, image: Path, running: Rocket, built: Restorer, folder: Path) -> Comparison:
    harts = dict(enumerate(made.harts))
    readings = rocket.read(running, image, rocket_verification.starts(harts), folder, 600)
    return rocket_verification.compare(harts, readings, built.csr_groups, running, folder)


@pytest.fixture
def seed() -> int:
    """A seed of this run, which is printed if the test fails."""
    value = time.time_ns() % (1 << 30) + 1
    print(f"seed {value}")
    return value


@pytest.mark.parametrize(
    ("mode", "ending"),
    [*((mode, "") for mode in _MODES), *((Mode.S, ending) for ending in (".gz", ".zst", ".elf", ".hex"))],
    ids=str,
)
def test_exact_from_every_format(build_restorer: Build, tmp_path: Path, seed: int, mode: Mode, ending: str) -> None:
    """The packed file is loaded as its format's loaders do, into random memory."""
    built = build_restorer(mode="single_core", platform="rocket")
    made = _legal((mode,), seed)
    packed, image = tmp_path / f"packed{ending}", tmp_path / f"image{ending}"
    run = gcpt("pack", built.image, _write(tmp_path / "checkpoint", made), "-o", packed)
    assert run.returncode == 0, run.stderr
    if unpack := {".gz": "gzip", ".zst": "zstd"}.get(ending):
        with image.open("wb") as file:
            subprocess.run([unpack, "-dc", packed], stdout=file, check=True)
    else:
        packed.rename(image)
    running = _rocket(1, seed)
    report = _compare(made, image, running, built, tmp_path)
    assert [str(mismatch) for mismatch in report.mismatches] == []
    assert report.items >= 110


def test_four_harts(build_restorer: Build, tmp_path: Path, seed: int, pytestconfig: pytest.Config) -> None:
    """dual_core's layout and the protobuf header, each with one hart in each mode; on demand, with --rtl-harts=4."""
    if pytestconfig.getoption("--rtl-harts") != 4:
        pytest.skip("the simulator with 4 harts takes minutes to build: --rtl-harts=4 asks for it")
    for mode, place in (("dual_core", DUAL_CORE), ("normal", PROTOBUF)):
        built = build_restorer(mode=mode, platform="rocket")
        made, packed = _legal(_MODES, seed), tmp_path / mode
        run = gcpt("pack", built.image, _write(tmp_path / "checkpoint", made, place), "-o", packed)
        assert run.returncode == 0, run.stderr
        report = _compare(made, packed, _rocket(4, seed), built, tmp_path)
        assert [str(mismatch) for mismatch in report.mismatches] == []
        assert report.items >= 4 * 110


def test_verify_explains_what_rocket_cannot_hold(checkpoint_file: Make) -> None:
    """A checkpoint of a larger hart in memory of 128 MiB: each mismatch has its reason."""
    run = gcpt("verify", "--on", "rtl", "--json", "--timeout", "600", checkpoint_file(Recipe(hypervisor=False, vs=0)))
    report = json.loads(run.stdout)
    assert (run.returncode, report["unexplained"]) == (0, 0), run.stdout
    assert {row["name"]: row["reason"] for row in report["differences"]}.items() >= {
        ("satp", "WARL: the hart cannot hold the whole value"),
        ("menvcfg", "the hart has no such CSR"),
        ("v1", "the hart has no vector registers"),
    }


def test_a_register_that_is_not_restored(checkpoint_file: Make, build_restorer: Build, tmp_path: Path) -> None:
    data = build_restorer(mode="single_core", platform="rocket").image.read_bytes()
    assert data.count(_CSRW_SSCRATCH) == 1
    broken = tmp_path / "broken.bin"
    broken.write_bytes(data.replace(_CSRW_SSCRATCH, _NOP))
    path = checkpoint_file(Recipe(hypervisor=False, vector=False))
    run = gcpt("verify", "--on", "rtl", "--timeout", "600", path, "--restorer", broken)
    [row] = [line.split() for line in run.stdout.splitlines() if "UNEXPLAINED" in line]
    assert (run.returncode, row[:2]) == (1, ["0", "sscratch"])


def test_a_refusal(checkpoint_file: Make, tmp_path: Path) -> None:
    """The restorer's line comes through HTIF."""
    recipe = Recipe(hypervisor=False, vector=False)

    def change(harts: list[HartState]) -> None:
        harts[0].mode = 2

    run = gcpt("verify", "--on", "rtl", "--timeout", "600", "--logs", tmp_path, checkpoint_file(recipe, change=change))
    assert (run.returncode, "the restorer refused: gcpt: error 13 hart 0" in run.stdout) == (1, True), run.stdout


def test_a_hart_that_never_arrives(checkpoint_file: Make, tmp_path: Path) -> None:
    endless = tmp_path / "endless.bin"
    endless.write_bytes(bytes.fromhex("6f000000") + (4096).to_bytes(4, "little") + bytes(4088))
    run = gcpt("verify", "--on", "rtl", checkpoint_file(), "--restorer", endless, "--timeout", "2")
    assert (run.returncode, "hart 0 did not arrive within 2 s" in run.stdout) == (1, True), run.stdout


def test_what_is_missing_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """gcpt run has no RTL."""
    monkeypatch.setattr(rocket, "PACKAGE", "no_such_package")
    with pytest.raises(
        UserError,
        match=r"no_such_package: no such Python package: install verilator.*; \./sconsw --setup-only installs",
    ):
        judges.choose("rtl")
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(UserError, match="verilator: not found: install verilator, make and g"):
        judges.choose("rtl")


def test_what_does_not_fit_is_refused(checkpoint_file: Make) -> None:
    message = refusal(gcpt("verify", "--on", "rtl", checkpoint_file(Recipe(harts=5), DUAL_CORE)))
    assert message.endswith("5 harts, the RTL has at most 4: give --on qemu")
