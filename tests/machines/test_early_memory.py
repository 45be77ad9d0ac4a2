"""Memory that a machine does not read until its first restored instructions is left out, and nothing else."""

import struct
from pathlib import Path

import pytest

from gcpt.checkpoint import edits, streams
from gcpt.checkpoint.files import open_checkpoint, write_checkpoint
from gcpt.checkpoint.layouts import MIB
from gcpt.checkpoint.output import write_sparse
from gcpt.checkpoint.places import DUAL_CORE
from gcpt.checkpoint.state import HartState
from gcpt.machines import synthetic
from gcpt.machines.early_memory import without_rest
from gcpt.machines.synthetic import DRAM, Mode, Recipe

_SIZE, _PAGE = 32, 4096
_SV39, _POINTER, _LEAF = 8 << 60, 0x01, 0xCF
#: MiB of the code, of one instruction that reaches into the next page.
_CODE = 15
_PC = DRAM + (_CODE + 1) * MIB - 2


def _table(target: int, index: int, kind: int) -> bytes:
    table = bytearray(_PAGE)
    struct.pack_into("<Q", table, 8 * index, target // _PAGE << 10 | kind)
    return bytes(table)


def _paged(state: HartState, at: tuple[int, ...], leaf: int = _LEAF) -> list[tuple[int, bytes]]:
    """Map the hart's pc by tables of three levels at these MiB."""
    root, middle, last = (DRAM + place * MIB for place in at)
    state.pc = 3 << 30 | 5 << 21 | 511 << 12 | 0xFFE
    state.set("satp", _SV39 | root // _PAGE)
    tables = [_table(middle, 3, _POINTER), _table(last, 5, _POINTER), _table(_PC & -_PAGE, 511, leaf)]
    return list(zip((root, middle, last), tables, strict=True))


def _kept(tmp_path: Path, harts: list[HartState], pieces: list[tuple[int, bytes]]) -> tuple[bytes, bytes]:
    """The image that a machine gets, and the whole one: every MiB of the workload is in use."""
    used = (bytes(MIB) if number in range(1, 6) else bytes([number]) * MIB for number in range(_SIZE))
    path, out = tmp_path / "checkpoint", tmp_path / "memory"
    memory = edits.patched(used, sorted((address - DRAM, data) for address, data in pieces))
    write_checkpoint(path, harts, memory, DUAL_CORE, "zstd")
    checkpoint = open_checkpoint(path)
    with out.open("w+b") as file:
        write_sparse(file, without_rest(streams.chunks(path), checkpoint, DRAM, file))
    return out.read_bytes(), b"".join(streams.chunks(path))


def _harts(mode: Mode) -> list[HartState]:
    harts = synthetic.make(Recipe((mode,), harts=2, paging=False)).harts
    for state in harts:
        state.pc = _PC
    return harts


def _differing(got: bytes, whole: bytes) -> set[int]:
    assert len(got) == len(whole)
    return {number for number in range(_SIZE) if got[number * MIB :][:MIB] != whole[number * MIB :][:MIB]}


@pytest.mark.parametrize("at", [(9, 20, 28), (28, 20, 9), (20, 28, 9), (9, 10, 12), (12, 9, 10)])
def test_page_tables_anywhere(tmp_path: Path, at: tuple[int, ...]) -> None:
    """The second hart has page tables: all memory is kept until the last is known, and the code's two pages."""
    harts = _harts(Mode.S)
    got, whole = _kept(tmp_path, harts, _paged(harts[1], at))
    for start in (*(place * MIB for place in at), (_PC - DRAM) & -_PAGE, (_CODE + 1) * MIB):
        assert got[start:][:_PAGE] == whole[start:][:_PAGE]
    rest = set(range(max(at), _SIZE)) - {_CODE, _CODE + 1}
    assert rest - {max(at)} <= _differing(got, whole) <= rest


@pytest.mark.parametrize("mode", [Mode.M, Mode.S, Mode.U, Mode.VS])
def test_no_page_tables(tmp_path: Path, mode: Mode) -> None:
    got, whole = _kept(tmp_path, _harts(mode), [])
    assert _differing(got, whole) == set(range(8, _SIZE)) - {_CODE, _CODE + 1}


@pytest.mark.parametrize("leaf", [0, _LEAF], ids=["absent", "outside"])
def test_a_walk_that_faults_keeps_all(tmp_path: Path, leaf: int) -> None:
    harts = _harts(Mode.S)
    pieces = _paged(harts[1], (9, 20, 28), leaf)
    if leaf:
        pieces = pieces[:1] + [(DRAM + 20 * MIB, _table(DRAM + 4 * _SIZE * MIB, 5, _POINTER))]
    got, whole = _kept(tmp_path, harts, pieces)
    assert got == whole


def test_holes_take_no_disk(tmp_path: Path) -> None:
    _kept(tmp_path, _harts(Mode.M), [])
    assert (tmp_path / "memory").stat().st_blocks * 512 < 9 * MIB
