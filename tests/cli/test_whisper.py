"""``gcpt convert --from`` and ``--to`` whisper: snapshots of Whisper, both ways."""

import gzip
from collections.abc import Callable
from pathlib import Path

import pytest
from command import gcpt, refusal

from gcpt.checkpoint import whisper
from gcpt.checkpoint.elf_image import LONGEST
from gcpt.checkpoint.files import write_checkpoint
from gcpt.checkpoint.other_tools import BASE, running
from gcpt.checkpoint.places import SINGLE_CORE
from gcpt.checkpoint.state import HartState
from gcpt.isa import mstatus
from gcpt.isa.csrs import INVENTORY, When
from gcpt.machines import synthetic
from gcpt.machines.synthetic import Mode, Recipe

_RESTORED = [csr for csr in INVENTORY if csr.when not in (When.ALIAS, When.NEVER)]
#: A page of data, a hole, and zeros up to the end.
_MEMORY = [bytes(1 << 20), bytes(range(256)) * 16, bytes(5 << 20)]


def _software_view(state: HartState) -> tuple[object, ...]:
    """What software reads after the restore."""
    after = running(state)
    csrs = {csr.name: after.get(csr.name) for csr in _RESTORED}
    return state.pc, state.mode, state.mtime, state.mtimecmp, state.x, state.f, state.v, csrs


def _contents(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in folder.iterdir()}


@pytest.mark.parametrize("mode", Mode)
def test_each_mode_comes_back(tmp_path: Path, mode: Mode) -> None:
    harts = synthetic.make(Recipe((mode,))).harts
    length = whisper.write(tmp_path / "first", harts, iter(_MEMORY))
    back = whisper.read(tmp_path / "first")
    assert (back.losses, length) == ([], sum(map(len, _MEMORY)))
    assert [_software_view(state) for state in back.harts] == [_software_view(state) for state in harts]
    assert b"".join(back.memory()) == b"".join(_MEMORY)
    whisper.write(tmp_path / "second", back.harts, back.memory())
    assert _contents(tmp_path / "second") == _contents(tmp_path / "first")


def test_the_command_converts_and_the_image_restores(tmp_path: Path, checkpoint_file: Callable[..., Path]) -> None:
    image, again, folder = checkpoint_file(Recipe((Mode.VS, Mode.U), harts=2)), tmp_path / "image", tmp_path / "folder"
    for arguments in (("--to", "whisper", image, folder), ("--from", "whisper", folder, again)):
        run = gcpt("convert", *arguments)
        assert (run.returncode, run.stderr) == (0, ""), run.stderr
    verified = gcpt("verify", again)
    assert verified.returncode == 0 and ", 0 unexplained" in verified.stdout, verified.stdout + verified.stderr


def test_a_text_as_whisper_writes_it(tmp_path: Path) -> None:
    """One hart, without a number; memory from 0; a machine without PMP; views of other CSRs; a program's files."""
    registers = ["pm 1", "vm 0", "po 1000", "pr 1000", "pb 0x0", "pc 0x80200010", "elp 1", "x 10 0x8000000000000001"]
    registers += ["f 3 0xffffffff3f800000", "c 0x301 0x800000000034112f", "c 0x7e0 0x5", "c 0x100 0x200000022"]
    registers += ["c 0x300 0xa0000002a", "c 0x341 0x80200010", "c 0xc00 0x77", "c 0xc22 0x10"]
    registers += [f"v {at} 0x{at:032x}" for at in range(32)]
    blocks = [(0x1000, 0x1000), (0x200_4000, 8), (0x7FFF_F000, 0x2000), (0x8020_0000, 4)]
    data = bytes(0x1000) + b"mtimecmp" + b"\1" * 0x1000 + bytes(0x1000) + b"abcd"
    texts = {"registers": registers, "usedblocks": [f"{address} {size}" for address, size in blocks]}
    texts |= {
        "time": ["99"],
        "mtimecmp": ["0xffffffffffffffff"],
        "fd": ["/etc/hosts 3 0 1"],
        "mmap": ["2147483648 4096 1"],
    }
    for name, lines in texts.items():
        (tmp_path / name).write_text("".join(f"{line}\n" for line in lines))
    (tmp_path / "memory").write_bytes(gzip.compress(data[:5000]) + gzip.compress(data[5000:]))
    read = whisper.read(tmp_path)
    (state,) = read.harts
    assert (state.pc, state.mode, state.mtime, state.mtimecmp) == (0x8020_0010, 1, 99, (1 << 64) - 1)
    assert (state.x[10], state.f[3], state.v[31]) == (1 << 63 | 1, 0xFFFFFFFF3F800000, bytes([31, *bytes(15)]))
    assert state.get("mstatus") == 0xA00000000 | mstatus.MPELP | 0x22 | mstatus.MPIE | 1 << 11
    assert (state.get("sstatus"), state.get("misa"), state.get("vlenb")) == (0, 0x800000000034112F, 16)
    assert (state.get("pmpcfg0"), state.get("pmpaddr0"), state.get("mepc")) == (0x1F, (1 << 54) - 1, state.pc)
    assert b"".join(read.memory()) == bytes(0x20_0000) + b"abcd"
    assert read.losses == [
        "hart 0: CSR 0x7e0 is 0x5: no restorer writes it",
        f"hart 0: mstatus will be {0xA000000AA:#x} instead of {0xA0000002A:#x}: the restorer leaves by mret",
        f"{tmp_path / 'fd'}: the files and memory of emulated system calls: a checkpoint has no place for them",
        "memory at 0x7ffff000 to 0x7fffffff: an image starts at 0x80000000",
    ]


def test_what_whisper_does_not_load_is_named(tmp_path: Path) -> None:
    harts = synthetic.make(Recipe((Mode.S,))).harts
    harts[0].set("siselect", 0x70)
    harts[0].set("sireg", 1)
    image = tmp_path / "image"
    write_checkpoint(image, harts, [bytes(1 << 20)], SINGLE_CORE)
    run = gcpt("convert", "--to", "whisper", image, tmp_path / "out")
    assert (run.returncode, run.stderr) == (
        1,
        "gcpt: hart 0: sireg is 0x1: a snapshot of Whisper's has no place for it\n",
    )


@pytest.mark.parametrize(
    ("name", "content", "words"),
    [
        ("registers0", None, "has no registers: want a snapshot folder of Whisper"),
        ("usedblocks", None, "has no usedblocks"),
        ("memory", None, "has no memory"),
        ("registers0", b"pm 1\n", "it has no pc"),
        ("registers0", b"pc 0x0\npm 2\n", "no pm that is 0, 1 or 3"),
        ("registers0", b"pc 0x0\npm 1\nq 1\n", "unknown line 'q 1'"),
        ("registers0", b"\xff\xfe", "registers0: cannot be read"),
        ("registers0", b"pc 0x0\npm 1\nx 32 0x1\n", "'x 32 0x1' has no register's number"),
        ("registers0", b"pc 0x0\npm 1\nc 0x1000 0x1\n", "'c 0x1000 0x1' has no register's number"),
        ("registers0", b"pc 0x10000000000000000\n", "is no number of 64 bits"),
        ("registers0", b"pc 0x0\npm 1\nv 1 0x00\n", "its vector registers are not 32 of one size"),
        ("registers0", b"pc 0x0\npm 1\n" + b"".join(b"v %d 0x00\n" % at for at in range(32)), "vlenb is 0x1"),
        ("registers2", b"", "of some harts are missing"),
        ("time", b"soon\n", "time: 'soon' is no number"),
        ("time", b"", "time: '' is no number"),
        ("mtimecmp", b"0x1\n0x2\n", "mtimecmp: has 2 lines for 1 harts"),
        ("usedblocks", b"1\n", "'1' is not the address and the length of a block"),
        ("usedblocks", b"2147483648 -4\n", "is not the address and the length of a block"),
        ("usedblocks", b"2147483648 4096\n2147483648 4096\n", "the block at 0x80000000 overlaps"),
        ("usedblocks", b"18446744073709551615 4\n", "is too far away for one image"),
        ("usedblocks", b"2147483648 %d\n" % (LONGEST + 1), "is too far away for one image"),
        ("usedblocks", b"2147483648 %d\n" % LONGEST, "memory: ends before the block at 0x80000000 does"),
        ("usedblocks", b"2147483648 8388608\n", "memory: ends before the block at 0x80000000 does"),
        ("usedblocks", b"2147483648 4\n", "memory: has more bytes than the blocks of usedblocks"),
        ("memory", bytes.fromhex("04224d18") + bytes(20), "in lz4: write the snapshot with --snapcomptype gzip"),
        ("memory", b"\x1f\x8b\x08\x00" + bytes(20), "memory: "),
    ],
)
def test_damaged_snapshots_are_refused(tmp_path: Path, name: str, content: bytes | None, words: str) -> None:
    folder = tmp_path / "snapshot"
    whisper.write(folder, synthetic.make(Recipe((Mode.S,))).harts, iter([bytes(1 << 21), b"1" * 4096]))
    if content is None:
        (folder / name).unlink()
    else:
        (folder / name).write_bytes(content)
    assert words in refusal(gcpt("convert", "--from", "whisper", folder, tmp_path / "image"))
    assert [path.name for path in tmp_path.iterdir()] == ["snapshot"]


def test_the_image_starts_at_the_start_of_memory() -> None:
    assert synthetic.DRAM == BASE
