"""How often a command decompresses a checkpoint of 128 harts: a few times, whatever the number of harts."""

import math
import shlex
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from command import here
from faulty import compile_shim, run

from gcpt.checkpoint import edits, streams
from gcpt.checkpoint.files import write_checkpoint
from gcpt.checkpoint.layouts import MIB
from gcpt.checkpoint.places import DUAL_CORE, PROTOBUF, Place
from gcpt.machines import synthetic
from gcpt.machines.builds import BuiltRestorer
from gcpt.machines.synthetic import DRAM, Recipe

_HARTS = 128
_SIZE = 144 * MIB
_NAMES = ("ckpt", "packed")
_PLACES = {"dual_core": DUAL_CORE, "protobuf": PROTOBUF}
#: How often a command may decompress the file: for the state, for page tables, and for its content.
COMMANDS = {
    "info CKPT": 1,
    "info CKPT --hart 127": 2,
    "info CKPT --json": 1,
    "info CKPT --html page.html": 3,
    "validate CKPT": 2,
    "diff CKPT other": 2,
    "diff other CKPT": 2,
    "convert CKPT out.raw": 2,
    "convert CKPT out.raw --layout OTHER": 2,
    "convert CKPT out --to whisper": 2,
    "pack gcpt.bin CKPT -o out.raw": 2,
    "pack --swap gcpt.bin packed": 2,
    "unpack packed -o out.raw": 2,
}

#: The same for commands that start machines or workers, whose system calls are counted: in the file, of which a set's
#: image is a copy. QEMU, gdb and simulators end at once, or when all harts arrived.
STARTING = {
    "verify packed": 3,
    "verify ckpt --restorer gcpt.bin": 3,
    "run packed -- -nosuch": 3,
    "run ckpt --restorer gcpt.bin -- -nosuch": 3,
    "debug packed --batch": 3,
    "set scan set": 2,
    "set scan set --digest": 3,
    "set validate set": 3,
    "set convert set -o new": 3,
    "set pack set gcpt.bin -o with": 4,
    "set swap with gcpt.bin": 3,
    "set verify set --restorer gcpt.bin": 4,
    "set run set -o results --good over -- echo over {checkpoint}": 1,
    "set archive set -o set.gcptset": 2,
}
#: Bytes that a command reads at once, and reads that are no pass: the starts and ends of files.
_READ, _OTHERS = 1 << 16, 6


def _write(path: Path, place: Place, container: str) -> None:
    """Behind the blocks of DUAL_CORE are the harts' page tables, and data to the end."""
    made = synthetic.make(Recipe(harts=_HARTS, locks=False))
    pages = (b"".join(number.to_bytes(8, "little") * 512 for number in range(at, at + 256)) for at in range(256))
    chunks = (next(pages) if at >= 137 else bytes(MIB) for at in range(_SIZE // MIB))
    memory = edits.patched(chunks, [(address - DRAM, data) for address, data in made.memory])
    write_checkpoint(path, made.harts, memory, place, container)


@pytest.mark.parametrize("container", ["gzip", "zstd"])
@pytest.mark.parametrize("layout", _PLACES)
def test_passes(
    layout: str,
    container: str,
    tmp_path: Path,
    build_restorer: Callable[..., BuiltRestorer],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.chdir(tmp_path)
    _write(Path("ckpt"), _PLACES[layout], container)
    _write(Path("other"), _PLACES[layout], "raw")
    Path("gcpt.bin").write_bytes(build_restorer(mode="auto", platform="qemu-virt").image.read_bytes())
    assert here("pack", "gcpt.bin", "ckpt", "-o", "packed", "--format", container).returncode == 0
    other = next(name for name in _PLACES if name != layout)
    real, counted = streams.chunks, dict.fromkeys(_NAMES, 0)

    def chunks(path: Path, *more: object) -> Iterator[bytes]:
        for chunk in real(path, *more):
            counted[path.name] = counted.get(path.name, 0) + len(chunk)
            yield chunk

    monkeypatch.setattr(streams, "chunks", chunks)
    for command, most in COMMANDS.items():
        counted.update(ckpt=0, packed=0)
        run = here(*command.replace("CKPT", "ckpt").replace("OTHER", other).split())
        assert run.returncode in (0, 1) and "Traceback" not in run.stderr, (command, run.stderr[:300])
        passes = (counted["ckpt"] + counted["packed"]) / _SIZE
        assert 0 < passes < most + 0.25, command


def test_passes_of_machines_and_workers(tmp_path: Path, build_restorer: Callable[..., BuiltRestorer]) -> None:
    folder, shim = tmp_path / "run", compile_shim(tmp_path)
    point = folder / "set/checkpoint/work/1/_1_1.0_memory_.zstd"
    for inner in (folder / "tmp", point.parent):
        inner.mkdir(parents=True)
    _write(folder / "ckpt", DUAL_CORE, "zstd")
    shutil.copy(folder / "ckpt", point)
    restorer = build_restorer(mode="auto", platform="qemu-virt").image
    shutil.copy(restorer, folder / "gcpt.bin")
    packed = here("pack", restorer, folder / "ckpt", "-o", folder / "packed", "--format", "zstd")
    assert packed.returncode == 0, packed.stderr
    for line, most in STARTING.items():
        done = run(shim, folder, shlex.split(line))
        assert done.status in (0, 1) and "Traceback" not in done.stderr, (line, done.stdout, done.stderr)
        reads = [call for call in done.calls if call.kind == "read" and Path(call.file).name in {*_NAMES, point.name}]
        assert 0 < len(reads) <= most * math.ceil((folder / "ckpt").stat().st_size / _READ) + _OTHERS, (line, reads)
