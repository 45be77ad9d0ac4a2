"""``gcpt convert --from`` and ``--to`` loadarch: a checkpoint that Spike takes as chipyard's script does."""

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest
from command import gcpt, refusal

from gcpt.checkpoint import loadarch
from gcpt.checkpoint.files import open_checkpoint, write_checkpoint
from gcpt.checkpoint.places import SINGLE_CORE
from gcpt.isa import mstatus
from gcpt.machines import synthetic
from gcpt.machines.synthetic import Mode, Recipe
from gcpt.restorer.options import CROSS_COMPILE

#: From M mode into a loop in the mode of MPP, with a value in every kind of register. tohost ends no run.
_GUEST = """
    .globl _start
_start:
    nop                             # so that each hart stops at mepc
    csrr    a0, mhartid
    addi    s0, a0, 0x55
    li      t0, 0x6600 | {mpp} << 11 | 0x82
    csrs    mstatus, t0
    li      t1, 0x43
    csrw    fcsr, t1
    la      t1, values
    fld     f5, (t1)
{vector}
    la      t0, loop
    csrw    mepc, t0
    la      t0, trap
    csrw    mtvec, t0
    csrw    stvec, t0
    csrw    sscratch, s0
    li      t0, 0xb100
    csrw    medeleg, t0
    csrwi   mie, 2
    mret
    .balign 4
loop:
    nop
    j       loop
    .balign 4
trap:
    j       trap
    .balign 64
values: .dword 0x0123456789abcdef, 0xfedcba9876543210
    .balign 64
tohost: .dword 0
    .balign 64
fromhost: .dword 0
    .globl tohost, fromhost
"""
_VECTOR = """
    csrwi   vxrm, 2
    vl1re8.v v3, (t1)
    vsetivli zero, 0, e32, m2, ta, ma
"""
_CSRS = re.findall(
    r"\w+",
    "fcsr vstart vxsat vxrm vcsr vtype stvec sscratch sepc scause stval satp mstatus medeleg mideleg mie mtvec "
    "mscratch mepc mcause mtval mip mcycle minstret",
)
_VL = "gcpt: hart {}: vl will be 0: a loadarch file has no place for it\n"


def _run(folder: Path, *command: str) -> "subprocess.CompletedProcess[str]":
    environment = {**os.environ, "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"}
    return subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True, check=True)


def _take(folder: Path, mode: int, harts: int, vector: bool = True) -> Path:
    """Take a checkpoint with Spike's debugger, in the order of chipyard's generate-ckpt.sh."""
    (folder / "guest.S").write_text(_GUEST.format(mpp=mode, vector=_VECTOR if vector else "    nop\n" * 3))
    flags = ["-nostdlib", "-march=rv64gcv", "-mabi=lp64d", "-Wl,-Ttext=0x80200000", "-Wl,--no-warn-rwx-segments"]
    _run(folder, f"{CROSS_COMPILE}gcc", *flags, "-o", "guest", "guest.S")
    commands = ["rs 20000", "dump"]  # Spike runs 5000 instructions of each hart in turn
    for hart in range(harts):
        commands += [f"pc {hart}", f"priv {hart}", *(f"reg {hart} {name}" for name in _CSRS)]
        commands += ["mtime", f"mtimecmp {hart}", *(f"freg {hart} {number}" for number in range(32))]
        commands += [*(f"reg {hart} {number}" for number in range(32)), f"vreg {hart}"]
    (folder / "commands").write_text("\n".join([*commands, "quit"]) + "\n")
    options = [
        "-d",
        "--debug-cmd=commands",
        "-m0x80000000:0x1000000",
        "--pmpregions=0",
        f"--isa=rv64gc{'v_zvl128b' if vector else ''}_zicntr",
        f"-p{harts}",
    ]
    printed = _run(folder, "spike", *options, "guest").stderr
    taken = folder / "taken.loadarch"
    taken.mkdir()
    (taken / "loadarch").write_text(f"{harts}\n{printed}")
    _run(folder, f"{CROSS_COMPILE}objcopy", "-Ibinary", "-Oelf64-littleriscv", "mem.0x80000000.bin", "raw.elf")
    _run(folder, f"{CROSS_COMPILE}ld", "-Tdata=0x80000000", "-nmagic", "-e0", "-o", str(taken / "mem.elf"), "raw.elf")
    return taken


@pytest.mark.parametrize("harts", [1, 2])
@pytest.mark.parametrize("mode", [0, 1], ids=["U", "S"])
def test_a_checkpoint_of_spikes_restores_and_goes_back(tmp_path: Path, mode: int, harts: int) -> None:
    taken = _take(tmp_path, mode, harts)
    image, again, second = tmp_path / "image", tmp_path / "again", tmp_path / "second"
    run = gcpt("convert", "--from", "loadarch", taken, image)
    assert (run.returncode, run.stderr) == (1, "".join(_VL.format(hart) for hart in range(harts))), run.stdout
    states = open_checkpoint(image).harts
    for hart, state in enumerate(states):
        assert (state.mode, state.x[8], state.get("sscratch")) == (mode, 0x55 + hart, 0x55 + hart)
        assert (state.f[5], state.v[3]) == (0x0123456789ABCDEF, bytes.fromhex("efcdab89674523011032547698badcfe"))
    verified = gcpt("verify", image)
    assert verified.returncode == 0 and ", 0 unexplained" in verified.stdout, verified.stdout + verified.stderr
    run = gcpt("convert", "--to", "loadarch", image, again)
    assert (run.returncode, run.stderr) == (0, ""), run.stderr
    assert (again / "loadarch").read_bytes() == (taken / "loadarch").read_bytes()
    gcpt("convert", "--from", "loadarch", again, second)
    assert second.read_bytes() == image.read_bytes()


def test_a_hart_without_v(tmp_path: Path) -> None:
    """Spike prints a trap for a CSR that it lacks."""
    taken = _take(tmp_path, 1, 1, vector=False)
    assert "0xReceived trap" in (taken / "loadarch").read_text()
    run = gcpt("convert", "--from", "loadarch", taken, tmp_path / "image")
    assert (run.returncode, run.stderr) == (0, "")
    gcpt("convert", "--to", "loadarch", tmp_path / "image", tmp_path / "again")
    assert loadarch.read(tmp_path / "again").harts == loadarch.read(taken).harts


@pytest.mark.parametrize("mode", [Mode.S, Mode.M])
def test_what_the_format_cannot_hold_is_named(tmp_path: Path, mode: Mode) -> None:
    checkpoint = synthetic.make(Recipe((mode,)))
    write_checkpoint(tmp_path / "image", checkpoint.harts, [bytes(1 << 20)], SINGLE_CORE)
    run = gcpt("convert", "--to", "loadarch", tmp_path / "image", tmp_path / "out")
    lines = run.stderr.splitlines()
    assert run.returncode == 1
    assert f"gcpt: hart 0: mcounteren is {checkpoint.harts[0].get('mcounteren'):#x}: a loadarch file has no place" in (
        run.stderr
    )
    named = {line.split()[3] for line in lines}
    assert {"stimecmp", "pmpcfg0", "vl", "hgatp"} <= named
    assert not named & {*_CSRS, "sstatus", "sie", "vlenb", "misa"}


def test_a_restore_that_differs_is_named(tmp_path: Path) -> None:
    """Below M mode, the restorer leaves by mret: a trap in progress in M mode's registers is lost."""
    taken = _take(tmp_path, 1, 1)
    lines = (taken / "loadarch").read_text().splitlines()
    lines[2 + _CSRS.index("mepc") + 2] = "0x0000000080001234"
    (taken / "loadarch").write_text("\n".join(lines) + "\n")
    run = gcpt("convert", "--from", "loadarch", taken, tmp_path / "image")
    assert run.returncode == 1
    assert re.match(
        r"gcpt: hart 0: mepc will be 0x802000\w+ instead of 0x80001234: the restorer leaves by mret\n", run.stderr
    )


def test_a_vector_unit_that_is_off_loses_no_vl(tmp_path: Path) -> None:
    harts = synthetic.make(Recipe((Mode.S,))).harts
    for status, messages in ((mstatus.VS, [_VL.format(0)]), (0, [])):
        harts[0].set("mstatus", harts[0].get("mstatus") & ~mstatus.VS | status)
        loadarch.write(tmp_path / "one", harts, iter([bytes(1 << 21)]))
        run = gcpt("convert", "--from", "loadarch", tmp_path / "one", tmp_path / "image")
        assert [line for line in run.stderr.splitlines(True) if "vl will be" in line] == messages


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (lambda text: text.replace(":\n", "", 1), "its first lines are not the number of harts"),
        (lambda text: "2" + text[1:], "'the end of the file' is no value"),
        (lambda text: text + "0x0\n", "more lines than 1 harts have: '0x0'"),
        (lambda text: text.replace("\nS\n", "\nH\n"), "the privilege mode of hart 0 is 'H': want U, S or M"),
        (lambda text: text.replace("VLEN=128", "VLEN=256"), "is not a vector register of 32 bytes"),
        (lambda text: text.replace("\n0x", "\nzero", 1), "is no value"),
        (lambda text: "", "not a loadarch file"),
    ],
)
def test_damaged_text_is_refused(tmp_path: Path, change, words: str) -> None:  # type: ignore[no-untyped-def]
    folder = tmp_path / "one.loadarch"
    harts = synthetic.make(Recipe((Mode.S,))).harts
    loadarch.write(folder, harts, iter([bytes(1 << 21)]))
    (folder / "loadarch").write_text(change((folder / "loadarch").read_text()))
    assert words in refusal(gcpt("convert", "--from", "loadarch", folder, tmp_path / "image"))
    assert not (tmp_path / "image").exists()


def test_other_refusals(tmp_path: Path) -> None:
    image = tmp_path / "image"
    write_checkpoint(image, synthetic.make(Recipe((Mode.VS,))).harts, [bytes(1 << 20)], SINGLE_CORE)
    assert "a guest's checkpoint (V = 1)" in refusal(gcpt("convert", "--to", "loadarch", image, tmp_path / "out"))
    assert not (tmp_path / "out").exists()
    assert "has no loadarch" in refusal(gcpt("convert", "--from", "loadarch", tmp_path, tmp_path / "other"))
    both = ("--from", "loadarch", "--to", "loadarch")
    assert "leave out the other" in refusal(gcpt("convert", *both, image, tmp_path / "other"))
    assert "leave out --layout" in refusal(gcpt("convert", "--to", "loadarch", "--layout", "nemu", image, "x"))
    assert "name a folder" in refusal(gcpt("convert", "--to", "loadarch", image, "-"))
