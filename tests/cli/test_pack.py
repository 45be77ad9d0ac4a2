"""``gcpt pack`` and ``gcpt unpack``: embed restorers into real software and all layouts, and remove them."""

import filecmp
import json
import re
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from command import UNMEASURED, gcpt, here, refusal
from guests import answer, exact
from restorer import Restorer

from gcpt.checkpoint import containers, edits, header, output, streams
from gcpt.checkpoint.files import open_checkpoint
from gcpt.checkpoint.layouts import MIB
from gcpt.checkpoint.places import DUAL_CORE, PROTOBUF, SINGLE_CORE, Place, PlaceKind
from gcpt.checkpoint.state import HartState
from gcpt.machines import demo, judges, qemu, spike, synthetic
from gcpt.machines.qemu import Machine, Qemu
from gcpt.machines.spike import Spike
from gcpt.machines.synthetic import Mode, Recipe

Make = Callable[..., Path]
Build = Callable[..., Restorer]
#: NEMU's protobuf layout: the header is under the restorer.
AT_START = Place(PlaceKind.PROTOBUF, 168, MIB, header_at=0)
_VERSION = re.compile(r"gcpt 0\.1\.0( \(\w+(\+dirty)?\))?")


def _restorer(build: Build, mode: str, **options: str) -> Restorer:
    return build(mode=mode, platform="qemu-virt", **options)


def _said(run: "subprocess.CompletedProcess[str]") -> str:
    assert (run.returncode, run.stderr) == (0, ""), run.stdout + run.stderr
    return run.stdout


def _comes_apart(packed: Path, checkpoint: Path, restorer: Restorer) -> None:
    """Check that unpacking gives the original bytes."""
    back, gcpt_bin = packed.with_name("back"), packed.with_name("back.bin")
    _said(here("unpack", packed, "-o", back, "--restorer-out", gcpt_bin))
    assert gcpt_bin.read_bytes() == restorer.image.read_bytes()
    before = packed.with_name("before")
    output.unpack(checkpoint, before)
    assert filecmp.cmp(back, before, shallow=False)


# Real software.


@pytest.mark.parametrize(
    ("harts", "layout", "mode", "name"),
    [
        (1, "auto", "single_core", "packed.zst"),
        (2, "auto", "auto", "packed.raw"),
        (2, "protobuf", "normal", "packed.gz"),
        (4, "auto", "dual_core", "packed.elf"),
    ],
)
def test_u_boot_continues(
    u_boot: Make, build_restorer: Build, tmp_path: Path, harts: int, layout: str, mode: str, name: str
) -> None:
    checkpoint, packed = u_boot(harts, layout), tmp_path / name
    restorer = _restorer(build_restorer, mode)
    output = _said(gcpt("pack", restorer.image, checkpoint, "-o", packed))
    assert f"{harts} hart{'s' * (harts > 1)}, {128 * MIB:,} bytes" in output
    exact(packed)
    assert answer(packed) == "answer=42"
    _comes_apart(packed, checkpoint, restorer)


def _ask(machine: Qemu) -> None:
    machine.type("\nprintenv answer\n")
    machine.expect(r"printenv answer\s+answer=42\s")


def test_qemu_boots_the_elf_file(u_boot: Make, build_restorer: Build, tmp_path: Path) -> None:
    """As the kernel of a machine with empty memory, larger than the image: QEMU puts its device tree at the end of
    memory, where the image has one."""
    packed, memory = tmp_path / "packed.elf", tmp_path / "memory"
    _said(gcpt("pack", _restorer(build_restorer, "dual_core").image, u_boot(2), "-o", packed))
    output.write_pieces(memory, [], 256 * MIB)
    with Qemu(memory, Machine(2, 256 * MIB, extra=("-kernel", str(packed))), tmp_path, paused=False) as machine:
        _ask(machine)


def test_a_memory_read_from_hex_boots(u_boot: Make, build_restorer: Build, tmp_path: Path) -> None:
    packed, memory = tmp_path / "packed.hex", tmp_path / "memory"
    _said(gcpt("pack", _restorer(build_restorer, "single_core").image, u_boot(1), "-o", packed, "--width", "8"))
    output.write_pieces(memory, _words(packed.read_text().split(), 8), 128 * MIB)
    with Qemu(memory, Machine(), tmp_path, paused=False) as machine:
        _ask(machine)


def _spike(vlen: int) -> Spike:
    return Spike(judges.choose("spike").program, spike.isa(vlen))


def test_gdb_loads_the_elf_file(build_restorer: Build, tmp_path: Path) -> None:
    """As on an FPGA: gdb writes memory, sets the pc to the restorer, and lets it run. It loads sections."""
    image, packed, memory = tmp_path / "demo", tmp_path / "packed.elf", tmp_path / "memory"
    assert demo.main([str(image)]) == 0
    _said(here("pack", _restorer(build_restorer, "single_core").image, image, "-o", packed))
    output.write_pieces(memory, [], demo.IMAGE_SIZE)
    with Qemu(memory, Machine(), tmp_path, paused=True) as running:
        commands = [f"target remote {running.gdb_path}", "load", "continue"]
        gdb = ["gdb-multiarch", "-nx", "-batch", str(packed), *(word for text in commands for word in ("-ex", text))]
        run = subprocess.run(gdb, stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False)
        assert running.wait_exit() == 0, run.stdout + run.stderr
        assert demo.TEXT.decode().partition("...")[2].strip() in running.output()


@pytest.mark.parametrize("mode", ["single_core", "auto"])
def test_spike_runs_the_elf_file(checkpoint_file: Make, build_restorer: Build, tmp_path: Path, mode: str) -> None:
    """To the workload, and on a hart of another VLEN to the refusal, which ends the run through tohost."""
    packed, restorer = tmp_path / "packed.elf", build_restorer(mode=mode, platform="spike")
    recipe = Recipe((Mode.S,))
    [state] = synthetic.make(recipe).harts
    checkpoint = checkpoint_file(recipe)
    _said(here("pack", restorer.image, checkpoint, "-o", packed))
    reading = spike.read(_spike(128), packed, 0, state.pc, ["stvec"], tmp_path, 120)
    assert (reading.numbers["pc"], reading.numbers["stvec"]) == (state.pc, state.get("stvec"))
    assert spike.symbols(packed) == spike.symbols(restorer.elf) != {}
    run = subprocess.run(_spike(256).command(packed), capture_output=True, text=True, timeout=120, check=False)
    assert (run.returncode, "gcpt: error 10 hart 0" in run.stdout) == (10, True), run
    _said(here("pack", "--swap", _restorer(build_restorer, "auto").image, packed))
    assert spike.symbols(packed) == {}


def _words(tokens: list[str], width: int) -> Iterator[tuple[int, bytes]]:
    """The data that $readmemh reads: offsets and bytes."""
    at = 0
    for token in tokens:
        if token.startswith("@"):
            at = int(token[1:], 16) * width
        else:
            yield at, int(token, 16).to_bytes(width, "little")
            at += width


def _load(hex_file: Path, raw: Path, width: int, size: int) -> list[tuple[int, bytes]]:
    """Load a file into a memory of ``size`` bytes that is nowhere zero; return what was loaded."""
    words = list(_words(hex_file.read_text().split(), width))
    content = bytearray(b"\xa5" * size)
    for at, data in words:
        assert at + width <= size
        content[at : at + width] = data
    raw.write_bytes(content)
    return words


@pytest.mark.parametrize(
    ("recipe", "place", "mode"),
    [
        pytest.param(Recipe((Mode.S,)), SINGLE_CORE, "single_core", id="single_core"),
        pytest.param(Recipe((Mode.VS,), vlen=256), SINGLE_CORE, "auto", id="auto"),
        pytest.param(Recipe((Mode.S, Mode.M), harts=3), DUAL_CORE, "auto", id="three harts"),
        pytest.param(Recipe((Mode.S, Mode.U), harts=2), PROTOBUF, "normal", id="protobuf"),
        pytest.param(Recipe((Mode.S,)), AT_START, "auto", id="nemu"),
    ],
)
def test_hex_has_what_the_restorer_reads(
    checkpoint_file: Make, build_restorer: Build, tmp_path: Path, recipe: Recipe, place: Place, mode: str
) -> None:
    """RTL memories start with any bits: zeros that the restorer reads are in the file."""

    def clear_vectors(harts: list[HartState]) -> None:
        for state in harts:
            state.v = [bytes(len(register)) for register in state.v]

    packed, memory = tmp_path / "packed.hex", tmp_path / "memory"
    checkpoint = checkpoint_file(recipe, place, clear_vectors)
    _said(here("pack", _restorer(build_restorer, mode).image, checkpoint, "-o", packed, "--width", "64"))
    _load(packed, memory, 64, 128 * MIB)
    assert open_checkpoint(memory).harts == open_checkpoint(checkpoint).harts
    exact(memory)
    assert packed.stat().st_size < 40 * MIB


def test_hex_of_a_pair(checkpoint_file: Make, build_restorer: Build, tmp_path: Path) -> None:
    memory, flash = tmp_path / "memory.zst", tmp_path / "flash.gz"
    files = [tmp_path / name for name in ("flash.hex", "memory.hex")]
    _said(here("convert", checkpoint_file(), memory, "--layout", "flash", "--flash-out", flash))
    restorer = _restorer(build_restorer, "single_core", flash="1")
    pair = ("--flash", flash, "-o", files[0], "--memory-out", files[1])
    result = json.loads(_said(here("pack", "--json", restorer.image, memory, *pair)))
    assert (result["bytes"], result["memory"]) == (MIB, {"file": str(files[1]), "bytes": 128 * MIB})
    loaded = [tmp_path / "loaded flash", tmp_path / "loaded memory"]
    for file, raw, size in zip(files, loaded, (MIB, 128 * MIB), strict=True):
        _load(file, raw, 8, size)
    assert open_checkpoint(loaded[1], loaded[0]).harts == open_checkpoint(memory, flash).harts
    exact(loaded[1], "--flash", loaded[0])


@pytest.mark.parametrize("options", [{}, {"flash": "1"}], ids=["position independent", "flash=1"])
def test_flash_image(u_boot: Make, build_restorer: Build, tmp_path: Path, options: dict[str, str]) -> None:
    """A flash pair as NEMU writes it: the state is in the flash image only."""
    memory, flash, packed = tmp_path / "memory.zst", tmp_path / "flash.gz", tmp_path / "flash"
    _said(gcpt("convert", u_boot(1), memory, "--layout", "flash", "--flash-out", flash))
    restorer = _restorer(build_restorer, "single_core", **options)
    output = _said(gcpt("pack", restorer.image, memory, "--flash", flash, "-o", packed, "--format", "flash"))
    assert ("NEMU" in output) == (not options)
    assert packed.stat().st_size == MIB
    exact(memory, "--flash", packed)
    assert answer(memory, "--flash", packed) == "answer=42"
    _comes_apart(packed, flash, restorer)


@pytest.mark.parametrize(
    ("harts", "layout", "others"), [(1, "nemu", "single_core"), (4, "protobuf", "dual_core")], ids=["nemu", "protobuf"]
)
def test_a_chain(u_boot: Make, build_restorer: Build, tmp_path: Path, harts: int, layout: str, others: str) -> None:
    """Convert, pack, boot, unpack and convert back: every byte of the original checkpoint.

    NEMU's header is under the restorer.
    """
    checkpoint, restorer = u_boot(harts), _restorer(build_restorer, "normal")
    there, packed, back, again = (tmp_path / name for name in ("there.gz", "packed.zst", "back.gz", "again"))
    _said(gcpt("convert", checkpoint, there, "--layout", layout))
    _said(gcpt("pack", restorer.image, there, "-o", packed))
    exact(packed)
    assert answer(packed) == "answer=42"
    _said(gcpt("unpack", packed, "-o", back))
    _said(gcpt("convert", back, again, "--layout", others, "--container", "raw"))
    output.unpack(checkpoint, tmp_path / "before")
    assert filecmp.cmp(again, tmp_path / "before", shallow=False)


# Data under the restorer.


def test_header_at_the_start_is_saved(checkpoint_file: Make, build_restorer: Build, tmp_path: Path) -> None:
    """pack moves it to the restorer's window, where verify and info find it; swap and unpack preserve it."""
    checkpoint, packed = checkpoint_file(place=AT_START), tmp_path / "packed.zst"
    normal, both = _restorer(build_restorer, "normal"), _restorer(build_restorer, "auto")
    _said(here("pack", normal.image, checkpoint, "-o", packed))
    exact(packed)
    assert "header: at 0x8" in here("info", packed).stdout
    _said(here("pack", "--swap", both.image, packed))
    exact(packed)
    _comes_apart(packed, checkpoint, both)


def _with(path: Path, over: dict[int, bytes], out: Path) -> Path:
    output.write(out, edits.patched(streams.chunks(path), over.items()), "raw")
    return out


def test_reset_code_is_saved(checkpoint_file: Make, build_restorer: Build, tmp_path: Path) -> None:
    """Reset code of QEMU and NEMU at byte 0 is not the workload's; pack saves it behind the restorer."""
    checkpoint = _with(checkpoint_file(), {0: qemu.jump(0x8000_0000, 0x8010_0000)}, tmp_path / "checkpoint")
    restorer, packed = _restorer(build_restorer, "single_core"), tmp_path / "packed"
    assert "the restorer covers 7 bytes, saved behind it" in _said(
        here("pack", restorer.image, checkpoint, "-o", packed)
    )
    exact(packed)
    _comes_apart(packed, checkpoint, restorer)


def test_memory_in_use(checkpoint_file: Make, build_restorer: Build, tmp_path: Path) -> None:
    """Under the restorer and its stacks; --force saves the data if there is room."""
    small, large = _restorer(build_restorer, "single_core"), _restorer(build_restorer, "auto")
    out = tmp_path / "out"
    used = _with(checkpoint_file(), {0x400: b"workload"}, tmp_path / "used")
    assert "the workload uses byte 0x400" in refusal(here("pack", small.image, used, "-o", out))
    stacks = _with(checkpoint_file(), {0x1_0000: b"workload"}, tmp_path / "stacks")
    assert "the workload uses byte 0x10000" in refusal(here("pack", large.image, stacks, "-o", out))
    assert not out.exists()
    _said(here("pack", small.image, stacks, "-o", out))
    assert "the restorer covers 1032 bytes, saved" in _said(here("pack", small.image, used, "-o", out, "--force"))
    _comes_apart(out, used, small)
    full = _with(checkpoint_file(), {0x400: b"workload", small.size + 8: b"workload"}, tmp_path / "full")
    assert "the restorer overwrote 1032 bytes" in _said(here("pack", small.image, full, "-o", out, "--force"))


# Restorers that could not restore.


def test_a_restorer_that_cannot_restore_it(checkpoint_file: Make, build_restorer: Build, tmp_path: Path) -> None:
    def said(restorer: Path, checkpoint: Path, *more: str | Path) -> str:
        return refusal(here("pack", restorer, checkpoint, "-o", tmp_path / "out", *more))

    one, several = checkpoint_file(name="one"), checkpoint_file(Recipe(harts=3), DUAL_CORE, name="several")
    header = checkpoint_file(place=AT_START, name="header")
    single, two = _restorer(build_restorer, "single_core"), _restorer(build_restorer, "dual_core", harts="2")
    ram = _restorer(build_restorer, "auto", flash="1", ram="0x80200000")
    assert "layout is single_core: build it with mode=single_core, or auto" in said(two.image, one)
    assert "layout is dual_core: build it with mode=dual_core, or auto" in said(single.image, several)
    assert "layout is protobuf: build it with mode=normal, or auto" in said(single.image, header)
    assert "harts=2, but" in said(two.image, several) and "has 3 harts: build it with" in said(two.image, several)
    assert "flash=1 ram=0x80200000 runs only from flash" in said(ram.image, one)
    assert "but flash is read-only" in said(_restorer(build_restorer, "auto").image, one, "--flash", one)
    cut, bad, other = tmp_path / "cut.bin", tmp_path / "bad.bin", tmp_path / "other.bin"
    data = single.image.read_bytes()
    cut.write_bytes(data[:-8])
    assert "truncated: 2," in said(cut, one)
    bad.write_bytes(data[:-8] + bytes(8))
    assert "the last 8 bytes are not the flag 0xcaff" in said(bad, one)
    other.write_bytes(_unstamped(data))
    assert "the restorer covers the protobuf header" in said(other, header)
    assert "not a restorer" in said(one, one)
    long = tmp_path / "long.bin"
    size = 0xECDC0
    long.write_bytes(data[:4] + size.to_bytes(4, "little") + bytes(size - 16) + data[-8:])
    assert "the state of" in said(long, one) and "starts at byte 970,160" in said(long, one)
    assert not (tmp_path / "out").exists()


def _unstamped(data: bytes) -> bytes:
    """The same restorer without a stamp, as another project's."""
    return data[:-10] + bytes(2) + data[-8:]


def test_a_restorer_without_a_stamp(checkpoint_file: Make, build_restorer: Build, tmp_path: Path) -> None:
    checkpoint, packed = checkpoint_file(), tmp_path / "packed"
    restorer, other = _restorer(build_restorer, "single_core"), tmp_path / "other.bin"
    other.write_bytes(_unstamped(restorer.image.read_bytes()))
    output = _said(here("pack", other, checkpoint, "-o", packed))
    assert "has no stamp" in output and "are assumed" in output
    back = tmp_path / "back.bin"
    assert "without a stamp" in _said(here("unpack", packed, "--restorer-out", back))
    assert back.read_bytes() == other.read_bytes()
    output = _said(here("pack", "--swap", restorer.image, packed))
    assert f"{restorer.size:,} bytes, without a stamp -> {restorer.size:,} bytes, gcpt" in output
    exact(packed)


#: The instructions by which a restorer of each project is known, at their byte.
_FOREIGN = {
    "LibCheckpointAlpha": (0x48, "03330400 b7c30000 9b83f3ee"),
    "LibCheckpoint": (8, "97020000 13038000 b3826240 67800000"),
}


@pytest.mark.parametrize("project", _FOREIGN)
def test_another_projects_restorer(checkpoint_file: Make, build_restorer: Build, tmp_path: Path, project: str) -> None:
    """It is whole although the flag is the last of its code; it is named, and replaced without --force."""
    at, code = _FOREIGN[project]
    foreign = bytearray(b"\x13\0\0\0" * 0x300)
    foreign[:8] = bytes.fromhex("6f000002") + len(foreign).to_bytes(4, "little")
    foreign[at : at + len(bytes.fromhex(code))] = bytes.fromhex(code)
    foreign[0x8B0:] = (0xCAFF).to_bytes(8, "little").ljust(len(foreign) - 0x8B0, b"\0")
    checkpoint, out, back = checkpoint_file(), tmp_path / "out", tmp_path / "back.bin"
    embedded = _with(checkpoint, {0: bytes(foreign)}, tmp_path / "embedded")
    assert f"restorer: 3,072 bytes, {project}, without a stamp" in _said(here("info", embedded))
    page = tmp_path / "page.html"
    _said(here("info", embedded, "--html", page))
    assert f"{project}, without a stamp" in page.read_text()
    codes = [row["code"] for row in json.loads(here("validate", "--json", embedded).stdout)["findings"]]
    assert codes and "restorer-cut" not in codes
    restorer = _restorer(build_restorer, "single_core")
    assert f"replaced: 3,072 bytes, {project}'s, without a stamp" in _said(
        here("pack", restorer.image, embedded, "-o", out)
    )
    _comes_apart(out, checkpoint, restorer)
    _said(here("unpack", embedded, "-o", out, "--restorer-out", back))
    assert back.read_bytes() == foreign
    _said(here("pack", "--swap", restorer.image, embedded))
    _comes_apart(embedded, checkpoint, restorer)
    cut = _with(checkpoint, {0: bytes(foreign[:0x8B0])}, tmp_path / "cut")
    assert "restorer-cut" in here("validate", cut).stdout


@pytest.mark.parametrize("kind", ["single_core", "normal", "without a stamp"])
def test_a_header_over_a_restorers_head(
    checkpoint_file: Make, build_restorer: Build, tmp_path: Path, kind: str
) -> None:
    """NEMU with protobuf writes its header over the restorer that an image carries: pack replaces the rest."""
    checkpoint, out, back = checkpoint_file(place=AT_START), tmp_path / "out.zst", tmp_path / "back.zst"
    head = streams.read_prefix(checkpoint, MIB)
    size = header.decode(head[: header.MAX_SIZE])[1]
    old = _restorer(build_restorer, "single_core" if kind == "without a stamp" else kind).image.read_bytes()
    if kind == "without a stamp":
        old = _unstamped(old)
    damaged = _with(checkpoint, {size: old[size:]}, tmp_path / "damaged")
    described = "without a stamp" if kind == "without a stamp" else "gcpt "
    shown = _said(here("info", damaged))
    assert f"restorer: {len(old):,} bytes, " in shown and described in shown
    assert f"the protobuf header overwrote its first {size} bytes" in shown
    assert json.loads(here("info", "--json", damaged).stdout)["overwritten_restorer"]["overwritten"] == size
    codes = [row["code"] for row in json.loads(here("validate", "--json", damaged).stdout)["findings"]]
    assert codes and "restorer-cut" not in codes
    assert "overwrote its restorer's head: gcpt pack replaces the rest" in refusal(here("unpack", damaged, "-o", back))
    restorer = _restorer(build_restorer, "normal")
    assert "note: removed the rest of a restorer" in _said(here("pack", restorer.image, damaged, "-o", out))
    exact(out)
    _said(here("unpack", out, "-o", back))
    assert streams.read_prefix(back, MIB) == head
    used = _with(checkpoint, {size: old[size:], len(old) + 64: b"data"}, tmp_path / "used")
    assert ("overwrote" in _said(here("info", used))) == (kind != "without a stamp")


def test_usage(checkpoint_file: Make, build_restorer: Build, tmp_path: Path) -> None:
    checkpoint, restorer = checkpoint_file(), _restorer(build_restorer, "single_core").image
    out = ("-o", tmp_path / "out")
    refusals = {
        "want one CKPT and -o OUT": (restorer, checkpoint),
        "--swap to replace the restorers": (restorer, checkpoint, checkpoint, *out),
        "--swap changes files in place": ("--swap", restorer, checkpoint, *out),
        "name the flash image with --flash": (restorer, checkpoint, *out, "--format", "flash"),
        "an image of format raw has no address": (restorer, checkpoint, *out, "--base", "0x0"),
        "want a multiple of 4096": (restorer, checkpoint, *out, "--format", "elf", "--base", "0x80000008"),
        "want a multiple of 8": (restorer, checkpoint, *out, "--format", "hex", "--base", "0x80000004"),
        "No such file or directory": (tmp_path / "none", checkpoint, *out),
        "--memory-out is for a flash pair": (restorer, checkpoint, *out, "--memory-out", tmp_path / "memory"),
        "--all-pages is for --format hex": (restorer, checkpoint, *out, "--all-pages"),
    }
    for words, arguments in refusals.items():
        assert words in refusal(here("pack", *arguments))
    assert "no embedded restorer" in refusal(here("unpack", checkpoint, *out))
    assert "nothing to write" in refusal(here("unpack", checkpoint))
    assert not (tmp_path / "out").exists()


def test_output_does_not_overwrite_an_input(checkpoint_file: Make, build_restorer: Build, tmp_path: Path) -> None:
    """Nor another output; if one of two outputs fails, neither is written."""
    restorer, memory, flash = tmp_path / "gcpt.bin", tmp_path / "memory.gz", tmp_path / "flash"
    restorer.write_bytes(_restorer(build_restorer, "single_core").image.read_bytes())
    packed, out = tmp_path / "packed.zst", tmp_path / "out"
    checkpoint = checkpoint_file()
    _said(here("pack", restorer, checkpoint, "-o", packed))
    _said(here("convert", checkpoint, memory, "--layout", "flash", "--flash-out", flash))
    (link := tmp_path / "link.bin").hardlink_to(packed)
    before = {path: path.read_bytes() for path in tmp_path.iterdir()}
    refusals = {
        "is also GCPT_BIN": ("pack", restorer, checkpoint, "-o", restorer),
        "is also the memory image": ("pack", restorer, memory, "--flash", flash, "-o", memory),
        "is also IMAGE": ("unpack", packed, "--restorer-out", link),
        "is also -o": ("unpack", packed, "-o", out, "--restorer-out", tmp_path / "." / "out"),
        "nowhere/r: No such file or directory": ("unpack", packed, "-o", out, "--restorer-out", "/nowhere/r"),
        "nowhere/c: No such file or directory": ("unpack", packed, "-o", "/nowhere/c", "--restorer-out", out),
    }
    for words, arguments in refusals.items():
        assert words in refusal(here(*arguments))
    assert {path: path.read_bytes() for path in tmp_path.iterdir()} == before


# Many files, large files, full disks.


def test_swap(checkpoint_file: Make, build_restorer: Build, tmp_path: Path) -> None:
    """Each file keeps its container and mode; files that fail are reported and unchanged."""
    old, new = _restorer(build_restorer, "auto"), _restorer(build_restorer, "single_core")
    names = ("a.zst", "b.gz", "c", "d.elf")
    several, files = checkpoint_file(Recipe(harts=2), DUAL_CORE, name="several"), [tmp_path / name for name in names]
    checkpoint = checkpoint_file()
    for file in files:
        _said(here("pack", old.image, checkpoint, "-o", file))
    wrong, bare = tmp_path / "wrong.zst", tmp_path / "bare.zst"
    _said(here("pack", old.image, several, "-o", wrong))
    bare.write_bytes(checkpoint.read_bytes())
    files[1].chmod(0o640)
    before = {file: file.read_bytes() for file in (wrong, bare)}
    run = here("pack", "--swap", new.image, wrong, *files, bare, tmp_path / "none")
    assert run.returncode == 2
    lines = [_VERSION.sub("V", line) for line in run.stdout.splitlines()]
    change = f"{old.size:,} bytes, V, mode=auto platform=qemu-virt -> {new.size:,} bytes, V, mode=single_core"
    assert lines == [f"{file}: {change} platform=qemu-virt" for file in files]
    refused = run.stderr.splitlines()
    assert [line.startswith("gcpt: ") for line in refused] == [True] * 3
    assert "does not find the state" in refused[0] and "no embedded restorer" in refused[1] and "none" in refused[2]
    assert {file: file.read_bytes() for file in before} == before
    assert [containers.container_of(file) for file in files] == ["zstd", "gzip", "raw", "elf"]
    assert files[1].stat().st_mode & 0o777 == 0o640
    for file in files:
        _comes_apart(file, checkpoint, new)
        assert not _content_at(file, new.size, old.size).strip(b"\0")  # no rest of the longer restorer
    stamps = [file.stat().st_mtime_ns for file in files]
    assert here("pack", "--swap", new.image, *files).stdout.count("unchanged: ") == len(files)
    assert [file.stat().st_mtime_ns for file in files] == stamps
    exact(files[3])


def test_json(checkpoint_file: Make, build_restorer: Build, tmp_path: Path) -> None:
    """pack, --swap with one file without a restorer, and unpack: the same restorers as from info."""
    old, new = _restorer(build_restorer, "auto"), _restorer(build_restorer, "single_core")
    about = {each: json.loads(here("info", "--json", each.image).stdout)["restorer"] for each in (old, new)}
    checkpoint, packed, again = checkpoint_file(), tmp_path / "packed.elf", tmp_path / "again.gz"
    result = json.loads(_said(here("pack", "--json", old.image, checkpoint, "-o", packed)))
    info = json.loads(here("info", "--json", packed).stdout)
    assert (result["harts"], result["restorer"], result["replaced"]) == (info["harts"], about[old], None)
    assert [result[key] for key in ("file", "format", "at", "layout", "bytes", "notes")] == [
        *(str(packed), "elf", 0x8000_0000, "single_core", 128 * MIB, []),
    ]
    result = json.loads(_said(here("pack", "--json", new.image, packed, "-o", again)))
    assert (result["restorer"], result["replaced"], result["at"]) == (about[new], about[old], None)
    run = here("pack", "--swap", "--json", new.image, packed, checkpoint, again)
    assert (run.returncode, run.stderr.count("\n")) == (2, 1)
    first, bare, same = json.loads(run.stdout)
    assert (first["error"], first["changed"], first["replaced"]) == (None, True, about[old])
    assert (same["error"], same["changed"], same["replaced"]) == (None, False, None)
    assert first["restorer"] == same["restorer"] == about[new]
    assert bare == {"file": str(checkpoint), "error": run.stderr.removeprefix("gcpt: ").rstrip("\n")}
    back, gcpt_bin = tmp_path / "back.zst", tmp_path / "back.bin"
    result = json.loads(_said(here("unpack", "--json", packed, "-o", back, "--restorer-out", gcpt_bin)))
    assert result["checkpoint"] == {"file": str(back), "container": "zstd", "bytes": 128 * MIB}
    assert (result["restorer"], result["notes"]) == ({"file": str(gcpt_bin), **about[new]}, [])


def test_json_notes(checkpoint_file: Make, build_restorer: Build, tmp_path: Path) -> None:
    """Saved data and a missing stamp are notes; standard output has only JSON."""
    checkpoint = _with(checkpoint_file(), {0: qemu.jump(0x8000_0000, 0x8010_0000)}, tmp_path / "checkpoint")
    packed, other = tmp_path / "packed", tmp_path / "other.bin"
    data = _unstamped(_restorer(build_restorer, "single_core").image.read_bytes())
    other.write_bytes(data)
    result = json.loads(_said(here("pack", "--json", other, checkpoint, "-o", packed)))
    assert result["restorer"] == {"size": len(data)}
    assert ["has no stamp" in result["notes"][0], "saved behind it" in result["notes"][1]] == [True, True]
    result = json.loads(_said(here("unpack", "--json", packed, "--restorer-out", tmp_path / "back")))
    assert (result["checkpoint"], result["restorer"]["size"], len(result["notes"])) == (None, len(data), 1)


def _content_at(path: Path, begin: int, end: int) -> bytes:
    return streams.read_prefix(path, end)[begin:]


def _limited(limit: str, *arguments: str | Path) -> "subprocess.CompletedProcess[str]":
    """Run the command in a process that executes ``limit`` first and prints its peak memory, in KiB, at the end."""
    program = (
        f"import re, resource, signal, sys; {limit}; from gcpt.cli import main; status = main(sys.argv[1:]);"
        "print(re.search(r'VmHWM:\\s+(\\d+)', open('/proc/self/status').read())[1]); sys.exit(status)"
    )
    command = [sys.executable, "-c", program, *map(str, arguments)]
    return subprocess.run(command, env=UNMEASURED, capture_output=True, text=True, check=False)


@pytest.mark.parametrize("name", ["packed", "packed.zst", "packed.elf"])
def test_a_full_disk(checkpoint_file: Make, build_restorer: Build, tmp_path: Path, name: str) -> None:
    checkpoint, packed = checkpoint_file(), tmp_path / name
    restorer = _restorer(build_restorer, "single_core").image
    _said(here("pack", restorer, checkpoint, "-o", packed))
    before = packed.read_bytes()
    other = _restorer(build_restorer, "auto").image
    limit = "signal.signal(signal.SIGXFSZ, signal.SIG_IGN); resource.setrlimit(resource.RLIMIT_FSIZE, (2000, 2000))"
    listed = sorted(tmp_path.iterdir())
    for arguments in (("pack", restorer, checkpoint, "-o", packed), ("pack", "--swap", other, packed)):
        run = _limited(limit, *arguments)
        assert (run.returncode, run.stderr.count("\n")) == (2, 1)
        assert "File too large: nothing was written" in run.stderr
    assert (packed.read_bytes(), sorted(tmp_path.iterdir())) == (before, listed)


@pytest.mark.parametrize("name", ["packed", "packed.elf", "packed.hex"])
def test_memory_stays_small(checkpoint_file: Make, build_restorer: Build, tmp_path: Path, name: str) -> None:
    """For an image of 4 GiB."""
    large = tmp_path / "large"
    output.unpack(checkpoint_file(Recipe((Mode.S,), harts=16), DUAL_CORE), large, 4 << 30)
    run = _limited("pass", "pack", _restorer(build_restorer, "dual_core").image, large, "-o", tmp_path / name)
    assert run.returncode == 0, run.stderr
    assert int(run.stdout.splitlines()[-1]) < 200 << 10
    assert (tmp_path / name).stat().st_blocks * 512 < 40 << 20
