"""Files with random damage: each command succeeds, reports problems, or refuses with one line and writes nothing.

GCPT_FUZZ_CASES=N sets the number of cases, GCPT_FUZZ_SEED=N the first seed. A failure prints its seed.
"""

import os
import shutil
import struct
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from random import Random

import pytest
from command import here, refusal

from gcpt.checkpoint import containers, edits, header, output
from gcpt.checkpoint.header import Header
from gcpt.checkpoint.layouts import DEFAULT, MULTI_CORE, MULTI_CORE_OFFSET
from gcpt.checkpoint.places import DUAL_CORE, PROTOBUF, SINGLE_CORE, Checkpoint, Place
from gcpt.machines import synthetic
from gcpt.machines.builds import BuiltRestorer
from gcpt.machines.synthetic import DRAM, Mode, Recipe

CASES = int(os.environ.get("GCPT_FUZZ_CASES", "400"))
FIRST = int(os.environ.get("GCPT_FUZZ_SEED", "0"))
#: Commands with a damaged file ("bad"), a sound file ("good"), a restorer, and their outputs.
COMMANDS = (
    "info bad",
    "info bad --json",
    "info bad --hart 0 --all",
    "info bad --html out",
    "info good --flash bad",
    "validate bad",
    "validate bad --platform qemu-virt --json",
    "validate good --flash bad",
    "diff bad good",
    "diff good bad",
    "convert bad out --layout single_core",
    "convert bad out --layout dual_core",
    "convert bad out --layout protobuf",
    "convert bad out --layout flash --flash-out more",
    "convert good out --flash bad",
    "convert bad out --container zstd",
    "pack restorer bad -o out",
    "pack restorer bad --format elf -o out",
    "pack restorer bad --format hex -o out",
    "pack bad good -o out",
    "unpack bad -o out --restorer-out more",
)


def _write(path: Path, recipe: Recipe, place: Place, container: str, more: list[tuple[int, bytes]]) -> None:
    made = synthetic.make(recipe)
    pieces = [*synthetic.blocks(Checkpoint(place, made.harts)), *made.memory]
    output.write(path, edits.patched([], [(address - DRAM, data) for address, data in pieces] + more), container)


@pytest.fixture(scope="module")
def sound(tmp_path_factory: pytest.TempPathFactory, build_restorer: Callable[..., BuiltRestorer]) -> list[Path]:
    """A restorer, checkpoints in every layout and container, and images with the restorer embedded."""
    folder = tmp_path_factory.mktemp("sound")
    restorer = shutil.copy(build_restorer(mode="auto", platform="qemu-virt").image, folder / "restorer")
    files = [folder / "restorer"]
    for place, harts in ((SINGLE_CORE, 1), (DUAL_CORE, 3), (PROTOBUF, 2)):
        for container in containers.CONTAINERS:
            path = folder / f"{place.kind.value}.{container}"
            _write(path, Recipe(tuple(Mode), harts=harts), place, container, [])
            files.append(path)
        for form in ("zstd", "elf", "hex"):
            packed = folder / f"{place.kind.value}.packed.{form}"
            assert here("pack", restorer, files[-1], "--force", "--format", form, "-o", packed).returncode == 0
            files.append(packed)
    return files


def _damaged(random: Random, data: bytearray) -> bytearray:
    """Change parts of ``data``, mostly near its start; or truncate it, or insert bytes."""
    for _ in range(random.choice((1, 1, 2, 5, 30))):
        at = random.randrange(min(len(data), random.choice((64, 4096, len(data)))) or 1)
        how = random.random()
        if how < 0.05:
            del data[at:]
        elif how < 0.1:
            data[at:at] = random.randbytes(random.randrange(1, 9))
        else:
            word = random.choice((b"\xff" * 8, bytes(8), struct.pack("<Q", random.randrange(1 << 34))))
            new = random.choice((random.randbytes(1), word, word[:4]))
            data[at : at + len(new)] = new
    return data


def _with_header(random: Random, path: Path) -> None:
    """Write a protobuf checkpoint with a wrong header."""

    def number() -> int:
        return random.choice((0, 1, 8, 1 << 40, random.randrange(1 << 21), random.randrange(1 << 64)))

    fields = random.sample(sorted(DEFAULT.items()), random.randrange(4))
    value = Header(
        random.choice((PROTOBUF.base - PROTOBUF.header_at, number())),
        random.choice((1, 2, number())),
        random.choice((PROTOBUF.stride, number())),
        layout=replace(random.choice((DEFAULT, MULTI_CORE)), **{name: number() for name in fields}),
    )
    at = random.choice((0, MULTI_CORE_OFFSET))
    container = random.choice(containers.CONTAINERS)
    _write(path, Recipe((Mode.S,), harts=2), PROTOBUF, container, [(at, header.encode(value))])


@pytest.mark.timeout(600 + 2 * CASES)
def test_damaged_files(sound: list[Path], tmp_path: Path) -> None:
    written = [tmp_path / "out", tmp_path / "more"]
    statuses = set()
    for seed in range(FIRST, FIRST + CASES):
        random, bad = Random(seed), tmp_path / "bad"
        if random.random() < 0.3:
            _with_header(random, bad)
        else:
            bad.write_bytes(_damaged(random, bytearray(random.choice(sound).read_bytes())))
        names = {"bad": bad, "good": random.choice(sound), "restorer": sound[0]} | {path.name: path for path in written}
        command = random.choice(COMMANDS)
        try:
            run = here(*(names.get(word, word) for word in command.split()))
            statuses.add((command.split()[0], run.returncode))
            if run.returncode == 2:
                refusal(run)
                assert not any(path.exists() for path in written)
            else:
                assert (run.returncode in (0, 1), run.stderr) == (True, "")
        except BaseException as error:
            error.add_note(f"GCPT_FUZZ_SEED={seed} GCPT_FUZZ_CASES=1: {command}")
            raise
        for path in written:
            path.unlink(missing_ok=True)
    if len(COMMANDS) < CASES:
        assert statuses >= {("info", 0), ("info", 2), ("validate", 1), ("diff", 1), ("convert", 0), ("unpack", 2)}
