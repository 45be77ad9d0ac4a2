"""How often a command decompresses a checkpoint of 128 harts: a few times, whatever the number of harts."""

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from command import here

from gcpt.checkpoint import edits, streams
from gcpt.checkpoint.files import write_checkpoint
from gcpt.checkpoint.layouts import MIB
from gcpt.checkpoint.places import DUAL_CORE, PROTOBUF, Place
from gcpt.machines import synthetic
from gcpt.machines.builds import BuiltRestorer
from gcpt.machines.synthetic import DRAM, Recipe

_HARTS = 128
_SIZE = 144 * MIB
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
    real, counted = streams.chunks, dict.fromkeys(("ckpt", "packed"), 0)

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
