"""``gcpt convert``: round trips, refusals, and results that QEMU restores."""

import hashlib
import itertools
import json
import os
import subprocess
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
from command import ENVIRONMENT, UNMEASURED, gcpt, refusal

from gcpt.checkpoint import containers, edits, header, output, streams
from gcpt.checkpoint.convert import convert, open_source
from gcpt.checkpoint.files import PLACES, open_checkpoint, write_checkpoint
from gcpt.checkpoint.header import Header
from gcpt.checkpoint.layouts import DEFAULT, LAYOUTS, MULTI_CORE, RESERVED_SIZE
from gcpt.checkpoint.places import DUAL_CORE, NEMU, PROTOBUF, SINGLE_CORE, Checkpoint, Place, PlaceKind
from gcpt.checkpoint.state import HartState
from gcpt.machines import synthetic
from gcpt.machines.synthetic import DRAM, Mode, Recipe
from gcpt.restorer import packing

Make = Callable[..., Path]
ONE = [name for name in LAYOUTS if name != "flash"]
SEVERAL = ["dual_core", "protobuf"]
#: Harts in three modes with nonzero values everywhere.
MIXED = Recipe((Mode.VS, Mode.M, Mode.U), harts=3, vlen=256)


def _converted(*arguments: object) -> str:
    run = gcpt("convert", *map(str, arguments))
    assert (run.returncode, run.stderr) == (0, ""), run.stderr
    return run.stdout


def _digest(path: Path) -> str:
    """The SHA-256 of the uncompressed content."""
    digest = hashlib.sha256()
    for chunk in streams.chunks(path):
        digest.update(chunk)
    return digest.hexdigest()


def _all_csrs(harts: list[HartState]) -> None:
    """Fill every entry of the CSR array, and every field that no restorer reads."""
    for number, state in enumerate(harts):
        vlenb = state.get("vlenb")
        state.csr = [number << 32 | 0xC5 << 16 | entry for entry in range(4096)]
        state.set("vlenb", vlenb)
        done = {name: bytes([number + 1]) * 7 for name in ("int_reg_done", "float_reg_done", "csr_reg_done")}
        state.free = {**done, "vector_reg_done": b"done", "misc_reserve": bytes(1032) + b"free"}
        state.free["csr_reserve"] = bytes(8) + b"reserve"
        state.free["vector_reg"] = bytes(32 * len(state.v[0])) + b"behind the last"


@pytest.mark.parametrize(
    ("recipe", "names"), [(Recipe((Mode.M,), vlen=1024), ONE), (MIXED, SEVERAL)], ids=["1 hart", "3 harts"]
)
def test_there_and_back(tmp_path: Path, recipe: Recipe, names: list[str]) -> None:
    """From each layout to each other, with all data that both can hold: the same harts, and back the same bytes."""
    made = synthetic.make(recipe)
    _all_csrs(made.harts)
    for hart in made.harts if "nemu" in names else ():
        del hart.free["vector_reg_done"]  # it has none
    memory = list(edits.patched([bytes(1 << 20)] * 16, [(address - DRAM, data) for address, data in made.memory]))
    start, there, back = tmp_path / "start", tmp_path / "there.gz", tmp_path / "back"
    for name, other in itertools.product(names, repeat=2):
        write_checkpoint(start, made.harts, memory, PLACES[name])
        convert(open_source(start), there, "gzip", other)
        found = open_checkpoint(there)
        assert (found.place, found.harts) == (PLACES[other], made.harts)
        convert(open_source(there), back, "raw", name)
        assert _digest(back) == _digest(start), (name, other)


@pytest.mark.parametrize("name", ONE)
def test_a_flash_pair_there_and_back(checkpoint_file: Make, tmp_path: Path, name: str) -> None:
    start = checkpoint_file(Recipe(vlen=512), PLACES[name], lambda harts: harts[0].free.update(misc_done=b"free"))
    paths = [tmp_path / file for file in ("memory.zst", "flash.gz", "back.zst", "rest")]
    memory, flash, back, rest = paths
    _converted(start, memory, "--layout", "flash", "--flash-out", flash)
    found = open_checkpoint(memory, flash)
    assert (found.harts, found.container) == (open_checkpoint(start).harts, "gzip")
    _converted(memory, back, "--flash", flash, "--layout", name, "--flash-out", rest)
    assert _digest(back) == _digest(start)
    assert streams.read_prefix(rest, 2 << 20) == bytes(RESERVED_SIZE)


def test_other_flash_data_is_preserved(checkpoint_file: Make, tmp_path: Path) -> None:
    """Code at the start of the flash image stays there when the state moves to memory and back."""
    code = bytes(range(1, 200))
    start, memory, flash = checkpoint_file(), tmp_path / "memory.zst", tmp_path / "flash"
    _converted(start, memory, "--layout", "flash", "--flash-out", flash)
    with flash.open("r+b") as file:
        file.write(code)
        file.truncate(2 << 20)
    said = refusal(gcpt("convert", memory, tmp_path / "one", "--flash", flash, "--layout", "single_core"))
    assert said == f"{flash}: has data besides the state, which would be lost: give --flash-out"
    one, rest, again = tmp_path / "one.gz", tmp_path / "rest.gz", tmp_path / "again"
    _converted(memory, one, "--flash", flash, "--layout", "single_core", "--flash-out", rest)
    assert streams.read_prefix(rest, 300) == code + bytes(101)
    _converted(one, tmp_path / "memory2", "--flash", rest, "--layout", "flash", "--flash-out", again)
    assert _digest(again) == _digest(flash) and _digest(tmp_path / "memory2") == _digest(memory)
    _converted(memory, tmp_path / "copy", "--flash", flash, "--flash-out", tmp_path / "flash copy")
    assert _digest(tmp_path / "flash copy") == _digest(flash)


@pytest.mark.parametrize(("ending", "container"), [(".gz", "gzip"), (".zst", "zstd"), (".bin", "raw"), ("", "zstd")])
def test_containers(checkpoint_file: Make, tmp_path: Path, ending: str, container: str) -> None:
    """The same content in another container, by default that of the input; the same bytes on every run."""
    start, out, again = checkpoint_file(), tmp_path / f"out{ending}", tmp_path / f"again{ending}"
    assert _converted(start, out).endswith(f"1 hart, single_core, 134,217,728 bytes, {container}\n")
    _converted(start, again)
    assert containers.container_of(out) == container and _digest(out) == _digest(start)
    assert out.read_bytes() == again.read_bytes()


def test_json(checkpoint_file: Make, tmp_path: Path) -> None:
    """For a file and a flash pair: the same as from info, and only JSON on standard output."""
    start, out, flash = checkpoint_file(Recipe((Mode.VS,))), tmp_path / "out.gz", tmp_path / "flash"
    for more, layout in (((), "single_core"), (("--layout", "flash", "--flash-out", flash), "flash")):
        result = json.loads(_converted("--json", start, out, *more))
        info = json.loads(gcpt("info", "--json", out, *(("--flash", flash) if more else ())).stdout)
        assert result.pop("harts") == info["harts"]
        where = {"file": str(out), "flash": str(flash) if more else None, "layout": layout}
        assert result == {**where, "container": "gzip", "bytes": 128 << 20}
    run = gcpt("convert", "--json", tmp_path / "none", out)
    assert refusal(run).endswith("No such file or directory")


def test_zstd_has_a_length_that_nemu_accepts(checkpoint_file: Make, tmp_path: Path) -> None:
    raw, out = tmp_path / "raw", tmp_path / "out.zst"
    _converted(checkpoint_file(), raw, "--container", "raw")
    os.truncate(raw, (2 << 20) + 12345)
    assert "2,228,224 bytes, zstd" in _converted(raw, out)
    assert streams.read_prefix(out, 4 << 20) == raw.read_bytes().ljust(17 << 17, b"\0")


def test_in_place(checkpoint_file: Make) -> None:
    path = checkpoint_file()
    harts = open_checkpoint(path).harts
    _converted(path, path, "--layout", "protobuf")
    found = open_checkpoint(path)
    assert (found.place, found.harts) == (PROTOBUF, harts)


def test_nemus_block_ends_among_the_workloads_first_bytes(checkpoint_file: Make, tmp_path: Path) -> None:
    """The last words of its block, from 1 MiB, belong to the workload, whatever their values."""
    start, out = checkpoint_file(place=NEMU), tmp_path / "out"
    raw = tmp_path / "raw"
    output.unpack(start, raw)
    with raw.open("r+b") as file:
        file.seek(RESERVED_SIZE)
        file.write(b"\x13\0\0\0" * 64)
    _converted(raw, out, "--layout", "single_core")
    assert streams.read_prefix(out, 2 << 20)[RESERVED_SIZE:] == raw.read_bytes()[RESERVED_SIZE : 2 << 20]
    assert open_checkpoint(out).harts == open_checkpoint(start).harts


def test_a_header_of_another_generator(tmp_path: Path) -> None:
    """Unusual offsets, a hart in M mode, and no magic number in the blocks (its field is 0)."""
    place = Place(PlaceKind.PROTOBUF, 0x30_0000 + 160, 0x20000, MULTI_CORE, 0x30_0000, marked=False)
    harts = synthetic.make(Recipe((Mode.M, Mode.VU), harts=2)).harts
    start, out = tmp_path / "start.gz", tmp_path / "out.gz"
    write_checkpoint(start, harts, [bytes(8 << 20)], place)
    found = open_checkpoint(start)
    assert (found.place, found.harts) == (place, harts)
    _converted(start, out, "--layout", "dual_core")
    assert open_checkpoint(out).harts == harts
    write_checkpoint(tmp_path / "back", harts, open_checkpoint(out).memory(), place)
    assert _digest(tmp_path / "back") == _digest(start)


def test_count_restores_all_harts(tmp_path: Path, checkpoint_file: Make) -> None:
    """dual_core restorers read it; QEMU writes 2 for any number of harts, NEMU 0 for one."""
    many = checkpoint_file(Recipe(harts=3), PROTOBUF, lambda harts: [setattr(one, "count", 2) for one in harts])
    _converted(many, tmp_path / "two", "--layout", "dual_core")
    assert {one.count for one in open_checkpoint(tmp_path / "two").harts} == {2}
    lone = checkpoint_file(Recipe(), SINGLE_CORE, lambda harts: setattr(harts[0], "count", 0))
    _converted(lone, tmp_path / "none", "--layout", "dual_core")
    assert open_checkpoint(tmp_path / "none").harts[0].count == 0
    wrong = checkpoint_file(Recipe(), SINGLE_CORE, lambda harts: setattr(harts[0], "count", 77))
    _converted(wrong, tmp_path / "one", "--layout", "dual_core")
    assert open_checkpoint(tmp_path / "one").harts[0].count == 1


@pytest.mark.parametrize(
    ("recipe", "place", "target"),
    [
        (Recipe((Mode.VS,)), SINGLE_CORE, "protobuf"),
        (Recipe((Mode.M,), vlen=256), NEMU, "dual_core"),
        (Recipe((Mode.S, Mode.M, Mode.VU), harts=3), DUAL_CORE, "protobuf"),
        (Recipe((Mode.U,)), PROTOBUF, "nemu"),
        (Recipe((Mode.VU,)), DUAL_CORE, "flash"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_qemu_restores_it(checkpoint_file: Make, tmp_path: Path, recipe: Recipe, place: Place, target: str) -> None:
    out, flash = tmp_path / "out.gz", tmp_path / "flash"
    more = ("--flash-out", flash) if target == "flash" else ()
    _converted(checkpoint_file(recipe, place), out, "--layout", target, *more)
    run = gcpt("verify", out, *(("--flash", flash) if more else ()))
    assert (run.returncode, ", 0 unexplained" in run.stdout) == (0, True), run.stdout + run.stderr


@pytest.mark.parametrize(
    ("name", "target"),
    [("uboot-2hart-dual_core.zst", "protobuf"), ("nemu-protobuf-s-sv39.gz", "single_core"), ("nemu-m.gz", "protobuf")],
)
def test_real_checkpoints(shared_file: Callable[[str], Path], tmp_path: Path, name: str, target: str) -> None:
    start, there, back = shared_file(f"checkpoints/{name}"), tmp_path / "there.gz", tmp_path / "back.zst"
    _converted(start, there, "--layout", target)
    assert gcpt("diff", start, there).returncode == 0
    run = gcpt("verify", there)
    assert (run.returncode, ", 0 unexplained" in run.stdout) == (0, True), run.stdout + run.stderr
    opened = open_checkpoint(start)
    origin = next(layout for layout, place in PLACES.items() if place.base == opened.place.base)
    _converted(there, back, "--layout", origin)
    content = streams.read_prefix(back, 256 << 20)
    original = streams.read_prefix(start, 256 << 20)
    # A version of the header that nothing depends on is not kept; what was not there is zero.
    begin = opened.state_ranges[0][1] if opened.header else 0
    assert content[begin : len(original)] == original[begin:] and not content[len(original) :].strip(b"\0")


# Refusals.


def _used(path: Path, offset: int, data: bytes = b"used") -> Path:
    """A raw copy with ``data`` at an offset."""
    raw = path.with_name("used")
    output.unpack(path, raw)
    with raw.open("r+b") as file:
        file.seek(offset)
        file.write(data)
    return raw


def test_target_cannot_hold_the_state(checkpoint_file: Make, tmp_path: Path) -> None:
    out = tmp_path / "out"
    several = checkpoint_file(Recipe(harts=2), DUAL_CORE)
    for layout in ("single_core", "nemu"):
        said = refusal(gcpt("convert", several, out, "--layout", layout))
        assert said == f"layout {layout} holds one hart, but there are 2: use dual_core or protobuf"
    said = refusal(gcpt("convert", several, out, "--layout", "flash", "--flash-out", out.with_name("flash")))
    assert said == "layout flash holds one hart, but there are 2: choose another layout"
    done = checkpoint_file(change=lambda harts: harts[0].free.update(vector_reg_done=b"done"))
    said = refusal(gcpt("convert", done, out, "--layout", "nemu"))
    assert said == "hart 0: no room for 4 bytes that the generator left in vector_reg_done: choose another layout"
    for layout, at in (("dual_core", 0x3EDDE0), ("protobuf", 0x300000), ("protobuf", 0x3132E0), ("nemu", 5)):
        said = refusal(gcpt("convert", _used(checkpoint_file(), at), out, "--layout", layout))
        assert said == f"byte {at:#x} of the image is in use, but layout {layout} needs it: choose another layout"
    reserve = checkpoint_file(change=lambda harts: harts[0].free.update(misc_reserve=bytes(4060) + b"much"))
    said = refusal(gcpt("convert", reserve, out, "--layout", "protobuf"))
    assert said == "hart 0: no room for 4064 bytes that the generator left in misc_reserve: choose another layout"
    long = checkpoint_file(Recipe(vlen=2048))
    said = refusal(gcpt("convert", long, out, "--layout", "nemu"))  # its code begins at 1 MiB, where v31 would end
    assert said == "byte 0x100010 of the image is in use, but layout nemu needs it: choose another layout"
    assert not out.exists()


def test_embedded_restorer(checkpoint_file: Make, build_restorer: Callable[..., object], tmp_path: Path) -> None:
    """Converting the container preserves it; in another layout it would not find the state."""
    raw, out = tmp_path / "raw", tmp_path / "out.gz"
    output.unpack(checkpoint_file(), raw)
    packing.place(raw, build_restorer(mode="single_core", platform="qemu-virt").image)  # type: ignore[attr-defined]
    said = refusal(gcpt("convert", raw, out, "--layout", "dual_core"))
    assert said.startswith(f"{raw}: has an embedded restorer") and said.endswith("remove it with gcpt unpack")
    assert not out.exists()
    _converted(raw, out)
    assert _digest(out) == _digest(raw)


def test_packed_image(checkpoint_file: Make, build_restorer: Callable[..., object], tmp_path: Path) -> None:
    """The header is in the restorer's window, but cpt_offset is relative to the image; an ELF file becomes raw."""
    start, packed, out = checkpoint_file(place=NEMU), tmp_path / "packed.elf", tmp_path / "out"
    restorer = build_restorer(mode="normal", platform="qemu-virt").image  # type: ignore[attr-defined]
    assert gcpt("pack", restorer, start, "-o", packed).returncode == 0
    assert _converted(packed, out).endswith("bytes, raw\n")
    assert gcpt("diff", start, out).returncode == gcpt("diff", start, packed).returncode == 0
    opened = open_checkpoint(out)
    write_checkpoint(tmp_path / "again", opened.harts, opened.memory(), opened.place)
    assert _digest(tmp_path / "again") == _digest(out)


def test_wrong_flash_options(checkpoint_file: Make, tmp_path: Path) -> None:
    path, out = checkpoint_file(), tmp_path / "out"
    refusals = {
        "layout flash needs a second file for the flash image: give --flash-out": ("--layout", "flash"),
        "--flash-out: neither this checkpoint nor the layout has a flash image": ("--flash-out", tmp_path / "flash"),
        "is also the file for the memory image: choose another file": ("--layout", "flash", "--flash-out", out),
    }
    for words, arguments in refusals.items():
        assert words in refusal(gcpt("convert", path, out, *arguments))
    assert not out.exists() and not (tmp_path / "flash").exists()


def test_bad_input_changes_nothing(checkpoint_file: Make, tmp_path: Path) -> None:
    """Truncated, damaged, no checkpoint, an invalid header, a folder and a pipe as output."""
    good, out = checkpoint_file(), tmp_path / "out"
    out.write_bytes(b"old")
    compressed = good.read_bytes()
    bad = tmp_path / "bad"
    after_the_state = bytearray(compressed)
    after_the_state[-2] ^= 1  # its checksum
    for data, words in {
        compressed[:-9]: "bad: the file ends in the middle of its zstd stream: copy it again",
        bytes(after_the_state): "bad: damaged: ",
        b"\x28\xb5\x2f\xfdtext": "bad: the file ends in the middle of its zstd stream",
        b"\x27\xb5\x2f\xfd" + compressed[4:]: "bad: no checkpoint: neither a protobuf header nor the magic number",
        b"": "bad: no checkpoint: neither",
    }.items():
        bad.write_bytes(data)
        said = refusal(gcpt("convert", bad, out, "--layout", "protobuf"))
        assert words in said, said
    assert "No such file or directory" in refusal(gcpt("convert", tmp_path / "none", out))
    assert "Is a directory" in refusal(gcpt("convert", tmp_path, out))
    os.mkfifo(tmp_path / "pipe")
    assert "pipe: not a regular file, so it cannot be replaced" in refusal(gcpt("convert", good, tmp_path / "pipe"))
    assert out.read_bytes() == b"old"
    assert sorted(one.name for one in tmp_path.iterdir()) == ["bad", "ckpt.zst", "out", "pipe"]


@pytest.mark.parametrize("flash", [False, True], ids=["memory", "flash"])
def test_a_full_disk(checkpoint_file: Make, tmp_path: Path, flash: bool) -> None:
    """With files limited to 64 KiB, neither image appears or changes."""
    path, out, other = checkpoint_file(), tmp_path / "out", tmp_path / "flash"
    out.write_bytes(b"old")
    program = (
        "import resource, signal, sys; from gcpt.cli import main; signal.signal(signal.SIGXFSZ, signal.SIG_IGN);"
        "resource.setrlimit(resource.RLIMIT_FSIZE, (65536, 65536)); sys.exit(main(sys.argv[1:]))"
    )
    more = ["--layout", "flash", "--flash-out", str(other)] if flash else []
    command = [sys.executable, "-c", program, "convert", str(path), str(out), "--container", "raw", *more]
    said = refusal(subprocess.run(command, env=UNMEASURED, capture_output=True, text=True, check=False))
    assert said == f"{other if flash else out}: File too large: nothing was written"
    assert out.read_bytes() == b"old"
    assert sorted(one.name for one in tmp_path.iterdir()) == ["ckpt.zst", "out"]


# Any size.


def _measured(*arguments: object) -> tuple[int, subprocess.CompletedProcess[str]]:
    """The peak memory of a run of the command, in bytes, and the run."""
    program = (
        "import re, sys; from pathlib import Path; from gcpt.cli import main; status = main(sys.argv[1:]);"
        "print(re.search(r'VmHWM:\\s+(\\d+)', Path('/proc/self/status').read_text())[1], file=sys.stderr);"
        "sys.exit(status)"
    )
    command = [sys.executable, "-c", program, *map(str, arguments)]
    run = subprocess.run(command, env=ENVIRONMENT, capture_output=True, text=True, check=False)
    return 1024 * int(run.stderr.split()[-1]), run


def _peak(*arguments: object) -> int:
    """The peak memory of a run that must succeed, in bytes."""
    peak, run = _measured(*arguments)
    assert run.returncode == 0, run.stderr
    return peak


def test_memory_stays_small(tmp_path: Path) -> None:
    """16 GiB with 128 harts: convert to raw and compressed, and compare with the source."""
    made = synthetic.make(Recipe(tuple(Mode), harts=128))
    start, raw, packed = tmp_path / "start", tmp_path / "raw", tmp_path / "packed.gz"
    pieces = [*synthetic.blocks(Checkpoint(DUAL_CORE, made.harts)), *made.memory]
    output.write_pieces(start, [(address - DRAM, data) for address, data in pieces], 16 << 30)
    most = 200 << 20
    assert _peak("convert", start, raw, "--layout", "protobuf") < most
    assert raw.stat().st_size == 16 << 30 and raw.stat().st_blocks * 512 < 64 << 20
    assert _peak("diff", start, raw) < most
    assert _peak("convert", start, packed, "--layout", "protobuf") < most
    assert packed.stat().st_size < 64 << 20


def test_decompression_bomb_needs_little_memory(tmp_path: Path) -> None:
    """512 MiB of zeros in a few kilobytes: no checkpoint, or a header with its block at the end of the zeros."""
    path, out = tmp_path / "bomb.gz", tmp_path / "out"
    for cpt_offset, words in ((None, "no checkpoint"), ((512 << 20) - 4096, "hart 0: the image ends within its block")):
        head = [(0, header.encode(Header(cpt_offset, 1, 1 << 20)))] if cpt_offset else []
        output.write(path, edits.patched((bytes(1 << 20) for _ in range(512)), head), "gzip")
        assert path.stat().st_size < 4 << 20
        peak, run = _measured("convert", path, out)
        assert words in run.stderr and run.returncode == 2
        assert peak < 200 << 20 and not out.exists()


@pytest.mark.parametrize(
    ("value", "words"),
    [
        (Header(1 << 50, 1, 1 << 20), "ends within its block"),
        (Header(168, 129, 1 << 20), "the protobuf header at 0x0: cpu_num is 129: want 1 to 128"),
        (Header(168, 0, 1 << 20), "the protobuf header at 0x0: cpu_num is 0: want 1 to 128"),
        (Header(168, 2, 1 << 60), "single_core_size is 0x1000000000000000: want at most 0x40000000"),
        (
            Header(168, 1, 1 << 20, layout=replace(DEFAULT, csr_reg=1 << 63)),
            "csr_reg is at 0x8000000000000000: want a multiple of 8",
        ),
        (Header(168, 1, 1 << 20, layout=replace(DEFAULT, csr_reg=0xF_FF00)), "ends within its block"),
    ],
)
def test_hostile_header_values(tmp_path: Path, value: Header, words: str) -> None:
    path, out = tmp_path / "hostile", tmp_path / "out"
    output.write_pieces(path, [(0, header.encode(value))], 1 << 20)
    said = refusal(gcpt("convert", path, out, "--layout", "single_core"))
    assert said.startswith(f"{path}: ") and words in said, said
    assert not out.exists()
