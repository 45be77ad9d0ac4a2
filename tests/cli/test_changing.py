"""Files that cannot be read to their end, or that change while a command reads them: one line, and nothing is written.

tests/support/faulty_reads.c makes each read of the file fail, one after another, or changes the file before it.
"""

import hashlib
import random
from pathlib import Path

import faulty_reads
import pytest
from faulty_reads import Case, Outcome

from gcpt.checkpoint import edits, elf_image, output, streams
from gcpt.checkpoint.files import write_checkpoint
from gcpt.checkpoint.places import DUAL_CORE
from gcpt.machines import synthetic
from gcpt.machines.synthetic import DRAM, Recipe

SIZE = 5 << 20
COMMANDS = ("convert", "info", "validate", "diff")
#: A change is noticed by the readers, which all commands share: two commands that read in different ways.
CHANGED = ("convert", "info")


def _write(path: Path, seed: int, container: str) -> None:
    """A checkpoint with data that no container makes small, in two areas with a hole between."""
    made = synthetic.make(Recipe())
    noise = random.Random(seed).randbytes(200_000)
    pieces = [(address - DRAM, data) for address, data in made.memory]
    pieces = [piece for piece in pieces if piece[0] + len(piece[1]) < SIZE]
    memory = edits.patched([bytes(SIZE)], [*pieces, (0, b"start"), (2 << 20, noise), (4 << 20, noise)])
    if container != "elf":
        write_checkpoint(path, made.harts, memory, DUAL_CORE, container)
        return
    raw = path.with_name("raw")
    write_checkpoint(raw, made.harts, memory, DUAL_CORE, "raw")
    with path.open("wb") as file:
        elf_image.write(file, streams.pages(streams.chunks(raw)), DRAM)


def _cases(container: str, tmp_path: Path, actions: tuple[str, ...], names: tuple[str, ...]) -> tuple[list[Case], Path]:
    original, other, file, out = (tmp_path / name for name in ("original", "other", "file", "out"))
    _write(original, 1, container)
    _write(other, 2, container)
    arguments = {"convert": [file, out, "--container", "raw"], "diff": [file, original]}
    commands = [[name, *map(str, arguments.get(name, [file]))] for name in names]
    paths = (str(file), str(original), str(other))
    return [Case(command, *paths, action) for command in commands for action in actions], out


def _check_refused(outcome: Outcome, case: Case, words: str) -> None:
    note = f"{case.arguments[0]}, {case.action} at read {outcome.read}: {outcome.stdout}{outcome.stderr}"
    assert (outcome.returncode, outcome.stdout, outcome.written) == (2, "", None), note
    assert outcome.stderr.startswith(f"gcpt: {case.file}: ") and outcome.stderr.count("\n") == 1, note
    assert words in outcome.stderr, note


@pytest.mark.parametrize("container", ["raw", "gzip", "zstd", "elf"])
def test_a_read_that_fails(container: str, tmp_path: Path) -> None:
    cases, out = _cases(container, tmp_path, ("error",), COMMANDS)
    outcomes = faulty_reads.run(cases, out, tmp_path)
    assert {outcome.number for outcome in outcomes} == set(range(len(cases)))
    assert len(outcomes) > 20
    for outcome in outcomes:
        _check_refused(outcome, cases[outcome.number], ": Input/output error")


@pytest.mark.parametrize("container", ["raw", "gzip", "zstd", "elf"])
def test_a_read_that_returns_less(container: str, tmp_path: Path) -> None:
    """A read may return fewer bytes than wanted before the end of the file."""
    cases, out = _cases(container, tmp_path, ("short",), COMMANDS)
    output.unpack(tmp_path / "original", tmp_path / "expected")
    expected = hashlib.sha256((tmp_path / "expected").read_bytes()).hexdigest()
    for outcome in faulty_reads.run(cases, out, tmp_path):
        command = cases[outcome.number].arguments[0]
        assert outcome.returncode == (1 if command == "validate" else 0), (command, outcome)
        assert outcome.written == (expected if command == "convert" else None)


@pytest.mark.parametrize("container", ["raw", "gzip", "zstd", "elf"])
def test_a_file_that_changes(container: str, tmp_path: Path) -> None:
    """Cut short, grown, rewritten, replaced or removed before any of the reads."""
    cases, out = _cases(container, tmp_path, faulty_reads.CHANGES, CHANGED)
    outcomes = faulty_reads.run(cases, out, tmp_path)
    assert len(outcomes) > 100
    for outcome in outcomes:
        _check_refused(outcome, cases[outcome.number], "the file was changed, replaced or removed while it was read")
