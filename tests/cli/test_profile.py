"""``gcpt profile``: basic-block vectors of intervals of exact length."""

import gzip
import json
import subprocess
import sys
from collections import Counter
from pathlib import Path

import pytest
from command import ENVIRONMENT, gcpt, refusal
from guests import ADDRESS, LOAD_U_BOOT, Worker

from gcpt.machines import plugins

Vector = Counter[int]

#: 1: li a1, 500; 2: addi a1, a1, -1; bnez a1, 2b; li a1, 500; 3: addi a2, a2, 1; addi a1, a1, -1; bnez a1, 3b; j 1b
_PHASES = bytes.fromhex("9305401f 9385f5ff e39e05fe 9305401f 13061600 9385f5ff e39c05fe 6ff05ffe")
#: Instructions of one pass, and those in which its loops are one block: all but the first round of each.
_PASS, _FIRST, _SECOND = 1 + 1000 + 1 + 1500 + 1, 2 * 499, 3 * 499
#: Stores 0x5555 to the finisher.
_END = bytes.fromhex("b7021000 37530000 13035355 23a06200")


def _vectors(file: Path) -> list[Vector]:
    lines = gzip.decompress(file.read_bytes()).decode().splitlines()
    assert all(line.startswith("T:") for line in lines)
    return [
        Counter({int(number): int(count) for _, number, count in (word.split(":") for word in line[1:].split())})
        for line in lines
    ]


def _profile(folder: Path, *arguments: str | Path) -> list[Vector]:
    run = gcpt("profile", "-o", folder / "bbv.gz", *arguments)
    assert (run.returncode, run.stderr) == (0, "")
    return _vectors(folder / "bbv.gz")


def test_blocks_of_a_known_program(tmp_path: Path) -> None:
    """An interval of a pass has each loop's rounds in one block; QEMU splits blocks where an interval ends."""
    (binary := tmp_path / "phases").write_bytes(_PHASES)
    vectors = _profile(tmp_path, "--load", f"{binary}@{ADDRESS:#x}", "--interval", str(_PASS), "--last", "50000")
    assert len(vectors) == 50_000 // _PASS
    for vector in vectors:
        assert vector.total() == _PASS
        assert [count for _, count in vector.most_common(2)] == [_SECOND, _FIRST]
    assert len({tuple(sorted(vector.items())) for vector in vectors[1:]}) == 1


@pytest.mark.parametrize("worker", [Worker(1, sv=39), Worker(0, sv=48), Worker(3)], ids=str)
def test_intervals_are_exact(tmp_path: Path, worker: Worker) -> None:
    """With interrupts and device accesses: the counts of the plugin are those at which the replay stops."""
    binary, _ = worker.build(tmp_path)
    software = ("--load", f"{binary}@{ADDRESS:#x}", "--interval", "777777")
    vectors = _profile(tmp_path, *software)
    assert len(vectors) > 100 and {vector.total() for vector in vectors} == {777_777}
    again = gcpt("profile", "--json", "-o", tmp_path / "again.gz", *software)
    blocks = max(max(vector) for vector in vectors)
    expected = {"file": str(tmp_path / "again.gz"), "interval": 777_777, "intervals": len(vectors), "blocks": blocks}
    assert json.loads(again.stdout) == expected
    assert (tmp_path / "again.gz").read_bytes() == (tmp_path / "bbv.gz").read_bytes()


def test_firmware_from_a_line_on(tmp_path: Path) -> None:
    """Instructions that trap, such as OpenSBI's probes of CSRs, count each time."""
    vectors = _profile(tmp_path, *LOAD_U_BOOT, "--interval", "1M", "--last", "9M")
    assert len(vectors) == 9
    assert all(1_000_000 <= vector.total() < 1_000_100 for vector in vectors)
    at = _profile(tmp_path, *LOAD_U_BOOT, "--at", "0x80200000", "--interval", "1000k", "--last", "2M")
    assert len(at) == 2 and at[0] not in vectors


@pytest.mark.parametrize("source", ["blocks", "markers"])
@pytest.mark.parametrize("api", [1, 2, 3])
def test_the_plugins_compile_without_a_warning(tmp_path: Path, source: str, api: int) -> None:
    """With the plugin API of each version of QEMU."""
    strict = ("-Wall", "-Wextra", "-Wstrict-prototypes", "-Werror", "-O2", "-fPIC", "-shared", f"-DAPI_VERSION={api}")
    path = Path(plugins.__file__).with_name("plugin") / f"{source}.c"
    subprocess.run(["cc", *strict, path, "-o", tmp_path / "plugin.so"], check=True)


def test_refused(tmp_path: Path) -> None:
    (binary := tmp_path / "end").write_bytes(_END)
    start = ("-o", tmp_path / "out", "--load", f"{binary}@{ADDRESS:#x}", "--interval", "100")
    refusals = {
        "nothing to run": ("-o", tmp_path / "out", "--interval", "5"),
        "-netdev: QEMU cannot replay it": (*start, "--", "-netdev", "user,id=n"),
        "--last 99: there is no whole interval": (*start, "--last", "99"),
        "--interval 100: the software ended before": start,
    }
    for message, arguments in refusals.items():
        assert message in refusal(gcpt("profile", *arguments))
    (tmp_path / "bin").mkdir()
    for compiler, message in ((None, "cc: not found"), ("#!/bin/sh\necho broken >&2; exit 1\n", "plugin: broken")):
        if compiler:
            (tmp_path / "bin/cc").write_text(compiler)
            (tmp_path / "bin/cc").chmod(0o755)
        (tmp_path / "bin/qemu-system-riscv64").unlink(missing_ok=True)
        (tmp_path / "bin/qemu-system-riscv64").symlink_to("/usr/bin/qemu-system-riscv64")
        path = str(tmp_path / "bin") + (":/bin" if compiler else "")
        command = [sys.executable, "-m", "gcpt", "profile", *map(str, start)]
        run = subprocess.run(command, env={**ENVIRONMENT, "PATH": path}, capture_output=True, text=True)
        assert message in refusal(run)
    assert not (tmp_path / "out").exists()
