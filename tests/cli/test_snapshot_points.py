"""``gcpt snapshot`` at exact counts of instructions: by record and replay, many in one run."""

import json
from dataclasses import replace
from pathlib import Path

import pytest
from command import gcpt, refusal
from counter import assert_counted, counter
from guests import ADDRESS, OPENSBI, USER_ALIAS, Worker, exact, symbol

from gcpt.checkpoint import output
from gcpt.checkpoint.files import load, open_checkpoint
from gcpt.isa import mstatus
from gcpt.isa.csrs import BY_NAME, INVENTORY
from gcpt.machines import qemu
from gcpt.machines.arrival import run_to_first
from gcpt.machines.gdb import Gdb
from gcpt.machines.hart_reading import read_hart, read_hart_in_place
from gcpt.machines.qemu import Machine, Qemu
from gcpt.machines.synthetic import DRAM

_TIME = 0xC01


def test_many_points_of_one_replay(tmp_path: Path) -> None:
    """Each is exact, from the first instruction to the 50 millionth, and restores; the names are those of a set."""
    counts = [0, 1, 2, 3, 4, 999, 5_000_000, 5_000_001, 50_000_000]
    (file := tmp_path / "list").write_text("".join(f"{count} 0.1\n" for count in reversed(counts)))
    folder = tmp_path / "checkpoint/counter"
    run = gcpt("snapshot", "--json", "-o", folder, *counter(tmp_path), "--points", file)
    assert (run.returncode, run.stderr) == (0, "")
    report = json.loads(run.stdout)
    assert [point["instructions"] for point in report.pop("points")] == counts
    assert report == {"folder": str(folder), "container": "zstd", "layout": "single_core", "bytes": 128 << 20}
    files = [folder / str(count) / f"_{count}_0.100000_memory_.zstd" for count in counts]
    assert sorted(path for path in folder.rglob("*") if path.is_file()) == sorted(files)
    for count, path in zip(counts, files, strict=True):
        assert open_checkpoint(path).container == "zstd"
        assert_counted(load(path).harts[0], count)
    exact(files[-1])


def test_points_of_simpoint(tmp_path: Path) -> None:
    (tmp_path / "simpoints0").write_text("7 0\n2 1\n")
    (tmp_path / "weights0").write_text("0.75 0\n0.25 1\n")
    options = ("--simpoints", tmp_path, "--interval", "1000", "--container", "gzip")
    run = gcpt("snapshot", "-o", tmp_path / "set", *counter(tmp_path), *options)
    assert (run.returncode, run.stderr) == (0, "")
    for point, weight in ((7, "0.750000"), (2, "0.250000")):
        assert_counted(load(tmp_path / f"set/{point}/_{point}_{weight}_memory_.gz").harts[0], point * 1000)


@pytest.mark.parametrize("worker", [Worker(1, sv=39), Worker(0, sv=39), Worker(3)], ids=str)
def test_points_of_a_guest_with_interrupts(tmp_path: Path, worker: Worker) -> None:
    """Two recordings give the same checkpoint, whatever was read before; a restored one computes on."""
    binary, _ = worker.build(tmp_path)
    start = ("snapshot", "--load", f"{binary}@{ADDRESS:#x}", "-o")
    (file := tmp_path / "list").write_text("500\n700000\n1400000\n")
    for run in (gcpt(*start, tmp_path / "set", "--points", file), gcpt(*start, tmp_path / "one", "--after", "1400k")):
        assert (run.returncode, run.stderr) == (0, "")
    path = tmp_path / "set/1400000/_1400000_0.333333_memory_.zstd"
    run = gcpt("diff", path, tmp_path / "one")
    assert run.returncode == 0, run.stdout
    assert load(path).harts[0].mode == worker.level
    exact(path)
    assert "sum=" in gcpt("run", path).stdout


def _let_timer_end_in_a_step(gdb: Gdb) -> None:
    privilege = gdb.read_int(0, "priv")
    gdb.write(0, "priv", mstatus.MACHINE)
    gdb.write_csr(0, BY_NAME["menvcfg"].number, 1 << 63)
    gdb.write_csr(0, BY_NAME["stimecmp"].number, (gdb.read_csr(0, _TIME) or 0) + 1)
    gdb.write(0, "priv", privilege)


@pytest.mark.parametrize("worker", [Worker(1, sv=39), Worker(0, sv=48), Worker(3)], ids=str)
def test_a_hart_read_in_place(tmp_path: Path, worker: Worker) -> None:
    """The same state as when an ecall leads the hart into M mode, which a replay cannot execute."""
    binary, elf = worker.build(tmp_path)
    memory = tmp_path / "memory"
    jump = qemu.jump(DRAM, ADDRESS)
    output.write_pieces(memory, [(0, jump), (ADDRESS - DRAM, binary.read_bytes())], 128 << 20)
    with Qemu(memory, Machine(), tmp_path) as running, running.gdb() as gdb:
        run_to_first(gdb, {0: symbol(elf, "round") + (USER_ALIAS if worker.level == 0 else 0)})
        _let_timer_end_in_a_step(gdb)
        states = [read(gdb, 0, 0x200_0000, 7) for read in (read_hart_in_place, read_hart)]
    assert states[0].mode == worker.level and states[0].get("mtvec")
    if worker.level != 3:
        assert states[1].get("sie") and states[1].get("mstatus") & mstatus.SD
    names = {csr.name for csr in INVENTORY if states[0].get(csr.name) != states[1].get(csr.name)}
    # QEMU 7.2 adds the forced bits of mideleg when it is read.
    assert names <= {"mcycle", "minstret", "mideleg"}
    assert replace(states[0], csr=[]) == replace(states[1], csr=[])


def test_a_guest_is_not_replayed(tmp_path: Path) -> None:
    """--after runs it again, and a plugin counts, where a replay cannot be read; a list of points is refused."""
    binary, elf = Worker(1, virtual=True, sv=39).build(tmp_path)
    start = ("-o", tmp_path / "out", "--load", f"{binary}@{ADDRESS:#x}", "--at", hex(symbol(elf, "round")))
    (file := tmp_path / "list").write_text("2\n")
    assert "the hart is in a guest (V = 1)" in refusal(gcpt("snapshot", *start, "--points", file))
    run = gcpt("snapshot", *start, "--after", "2")
    assert (run.returncode, run.stderr) == (0, "")
    assert load(tmp_path / "out").harts[0].x[20] == 4000


def test_refused_points(tmp_path: Path) -> None:
    (file := tmp_path / "list").write_text("5\n")
    (tmp_path / "short").write_bytes(bytes.fromhex("b7021000 37530000 13035355 23a06200"))  # ends the run: 0x5555
    start, some = ("-o", tmp_path / "out", *counter(tmp_path)), ("--points", file)
    ending = ("-o", tmp_path / "out", "--load", f"{tmp_path / 'short'}@{ADDRESS:#x}")
    refusals = {
        "--gdb: a list of points needs a machine that gcpt starts": (
            "-o",
            tmp_path / "out",
            *some,
            "--gdb",
            ":1",
            "--qmp",
            ":2",
        ),
        "--after takes one checkpoint": (*start, *some, "--after", "1"),
        "give one of them": (*start, *some, "--every", "5", "--last", "9"),
        "--every and --last must be given together": (*start, "--every", "5"),
        "--simpoints and --interval must be given together": (*start, "--interval", "5"),
        "a list of points is a folder": (*start, *some, "--container", "raw"),
        "the machine ended before --after 5": (*ending, "--after", "5"),
        "instructions within 1 s: give a longer --timeout (a hart that sleeps in a wfi": (
            *("-o", tmp_path / "out", "--load", f"{_wfi(tmp_path)}@{ADDRESS:#x}"),
            *("--after", "9", "--timeout", "1"),
        ),
        "did not print 'never' within 1 s": ("-o", tmp_path / "out", "--load", f"{OPENSBI}@{ADDRESS:#x}", *some)
        + ("--on", "never", "--timeout", "1"),
    }
    for message, arguments in refusals.items():
        assert message in refusal(gcpt("snapshot", *arguments))
    assert not (tmp_path / "out").exists()


def _wfi(folder: Path) -> Path:
    (file := folder / "wfi").write_bytes(bytes.fromhex("73005010 6ff0dfff"))
    return file
