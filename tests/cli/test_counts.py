"""A checkpoint that counts a hart without a block of its own: all commands refuse it, and validate reports an error."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
from command import here, refusal

from gcpt.checkpoint import blocks, edits, output
from gcpt.checkpoint.layouts import MULTI_CORE
from gcpt.checkpoint.places import DUAL_CORE, PROTOBUF, Checkpoint, Place
from gcpt.isa.csrs import BY_NAME
from gcpt.machines import synthetic
from gcpt.machines.builds import BuiltRestorer
from gcpt.machines.synthetic import DRAM, Recipe
from gcpt.validate.verdict import validate

_HARTS = 4
_CODE_END = 0x90_0000
#: Bytes from block to block with room for VLEN 256.
_CLOSE = MULTI_CORE.vector_reg + 32 * 32
COMMANDS = (
    "info bad",
    "info bad --hart 0",
    "info bad --json",
    "info bad --html out",
    "convert bad out",
    "convert bad out --layout protobuf",
    "convert bad out --container zstd",
    "diff bad good",
    "diff good bad",
    "pack restorer bad -o out --format raw",
    "pack restorer bad -o out --format elf",
    "verify bad --restorer restorer",
    "run bad --restorer restorer",
    "debug bad --restorer restorer --batch --script out.py",
)
Pieces = list[tuple[int, bytes]]


def _pieces(place: Place, recipe: Recipe) -> Pieces:
    checkpoint = synthetic.make(recipe)
    pieces = [*synthetic.blocks(Checkpoint(place, checkpoint.harts)), *checkpoint.memory]
    return [(address - DRAM, data) for address, data in pieces]


def _write(path: Path, pieces: Pieces, size: int = _CODE_END, container: str = "raw") -> None:
    output.write(
        path, edits.patched([bytes(size)], [(at, data[: max(0, size - at)]) for at, data in pieces]), container
    )


@pytest.fixture
def restorer(build_restorer: Callable[..., BuiltRestorer]) -> Path:
    return build_restorer(mode="auto", platform="qemu-virt").image


def _assert_refused(folder: Path, restorer: Path, hart: int, words: str) -> None:
    """Expect the same refusal from each command for the file ``bad``."""
    _write(folder / "good", _pieces(DUAL_CORE, Recipe(harts=_HARTS, locks=False)))
    files = {"restorer": restorer} | {name: folder / name for name in ("bad", "good", "out", "out.py")}
    for command in COMMANDS:
        line = refusal(here(*(files.get(word, word) for word in command.split())))
        assert line.startswith(f"{folder / 'bad'}: hart {hart}: ") and words in line, (command, line)
        assert sorted(path.name for path in folder.iterdir()) == ["bad", "good"]


def _errors(path: Path) -> set[tuple[str, int | None]]:
    return {(finding.kind.code, finding.hart) for finding in validate(path, "qemu-virt").findings}


@pytest.mark.parametrize("container", ["raw", "gzip"])
@pytest.mark.parametrize("place", [DUAL_CORE, PROTOBUF], ids=lambda place: place.kind.value)
@pytest.mark.parametrize("rest", [0, 0x100, MULTI_CORE.vector_reg], ids=hex)
def test_more_harts_than_the_image_has(tmp_path: Path, restorer: Path, place: Place, container: str, rest: int) -> None:
    """``rest``: bytes of hart 2's block that the image has. Memory behind an image is zero, or whatever was there."""
    pieces = _pieces(place, Recipe(harts=_HARTS, locks=False))
    _write(tmp_path / "bad", pieces, place.block(2) + rest, container)
    _assert_refused(tmp_path, restorer, 2, "the image ends within its block")
    assert {("block-cut", 2), ("block-cut", 3)} <= _errors(tmp_path / "bad")


@pytest.mark.parametrize("vlen", [128, 2048])
@pytest.mark.parametrize("missing", [0, 8])
def test_image_that_ends_with_the_last_register(tmp_path: Path, vlen: int, missing: int) -> None:
    """An image may end right after the last vector register of its VLEN, and no sooner."""
    place, path = PROTOBUF, tmp_path / "bad"
    pieces = _pieces(place, Recipe(harts=2, vlen=vlen, locks=False))
    _write(path, pieces, place.block(1) + MULTI_CORE.vector_reg + 32 * vlen // 8 - missing)
    run = here("info", path)
    assert (run.returncode, ("block-cut", 1) in _errors(path)) == ((2, True) if missing else (0, False)), run.stderr


@pytest.mark.parametrize(("place", "hart"), [(DUAL_CORE, 1), (DUAL_CORE, 3), (PROTOBUF, 2)])
def test_counted_hart_without_a_magic_number(tmp_path: Path, restorer: Path, place: Place, hart: int) -> None:
    """A conversion would write the magic number of a block that never was one."""
    more = [(place.block(hart) + place.layout.magic_number, bytes(8))]
    more.append((place.block(0) + place.layout.csr_reserve, _HARTS.to_bytes(8, "little")))
    _write(tmp_path / "bad", [*_pieces(place, Recipe(harts=_HARTS, locks=False)), *more])
    _assert_refused(tmp_path, restorer, hart, f"no magic number, but the checkpoint counts {_HARTS} harts")
    assert ("hart-unmarked", hart) in _errors(tmp_path / "bad")


def _crowded(vlen: int, vs: int, *, before_header: bool) -> Pieces:
    """Two harts whose blocks have room for VLEN 256, behind their header or right before it."""
    place = replace(PROTOBUF, stride=_CLOSE)
    if before_header:
        place = replace(place, base=PROTOBUF.header_at - 2 * _CLOSE)
    pieces = blocks.pieces(Checkpoint(place, synthetic.make(Recipe(harts=2, vs=vs, locks=False)).harts))
    vlenb = MULTI_CORE.csr(BY_NAME["vlenb"].number)
    return [*pieces, *((place.block(hart) + vlenb, (vlen // 8).to_bytes(8, "little")) for hart in range(2))]


@pytest.mark.parametrize("before_header", [False, True])
@pytest.mark.parametrize("vlen", [512, 2048])
def test_vectors_reach_into_the_next_block(tmp_path: Path, restorer: Path, before_header: bool, vlen: int) -> None:
    """A restore would load another hart's registers."""
    _write(tmp_path / "bad", _crowded(vlen, 3, before_header=before_header))
    _assert_refused(tmp_path, restorer, 0, "overlaps the next block")
    overlaps = {hart for code, hart in _errors(tmp_path / "bad") if code == "blocks-overlap"}
    assert overlaps == ({0, 1} if before_header else {0})


@pytest.mark.parametrize(("vlen", "vs"), [(256, 3), (512, 0)])
@pytest.mark.parametrize("before_header", [False, True])
def test_vectors_that_fit_or_are_not_restored(tmp_path: Path, before_header: bool, vlen: int, vs: int) -> None:
    _write(tmp_path / "fits", _crowded(vlen, vs, before_header=before_header))
    assert here("info", tmp_path / "fits").returncode == 0
    assert not [code for code, _ in _errors(tmp_path / "fits") if code in ("blocks-overlap", "header-value")]
