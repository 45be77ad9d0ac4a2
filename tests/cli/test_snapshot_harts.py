"""``gcpt snapshot`` at exact counts where QEMU replays nothing: of one of several harts, or next to a network."""

import json
from pathlib import Path

import pytest
from command import gcpt, refusal
from counter import assert_counted, counter
from guests import ADDRESS, assemble, exact

from gcpt.checkpoint.files import load


@pytest.mark.parametrize("after", [1, 17, 999, 1000, 3_000_001])
@pytest.mark.parametrize("harts", [1, 3])
def test_one_hart_of_several(tmp_path: Path, after: int, harts: int) -> None:
    """It executed exactly so many, like the only hart of a replay."""
    out, hart = tmp_path / "out.zst", harts - 1
    several = ("--harts", str(harts), "--hart", str(hart))
    run = gcpt("snapshot", "-o", out, *counter(tmp_path), *several, "--after", str(after))
    assert (run.returncode, run.stderr) == (0, "")
    assert_counted(load(out).harts[hart], after)
    exact(out)


def test_many_points_of_one_run(tmp_path: Path) -> None:
    """A hart below M mode is read by an ecall and an mret, which do not count."""
    counts = [0, 1, 13, 14, 5000, 5001, 2_000_000]
    (file := tmp_path / "list").write_text("".join(f"{count}\n" for count in counts))
    load_it = ("--load", f"{assemble(tmp_path, 'supervisor', 'supervisor')[0]}@{ADDRESS:#x}", "--harts", "2")
    run = gcpt("snapshot", "--json", "-o", tmp_path / "set", *load_it, "--points", file)
    assert (run.returncode, run.stderr) == (0, "")
    report = json.loads(run.stdout)
    assert (report["layout"], [point["instructions"] for point in report["points"]]) == ("dual_core", counts)
    for point in report["points"]:
        state, count = load(Path(point["file"])).harts[0], point["instructions"]
        rounds, rest = divmod(max(count - 12, 0), 2)
        assert (state.pc, state.x[10]) == (ADDRESS + 4 * (min(count, 12) + rest), rounds + rest)


def test_next_to_a_network(tmp_path: Path) -> None:
    network = ("--", "-netdev", "user,id=net", "-device", "virtio-net-device,netdev=net")
    run = gcpt("snapshot", "-o", tmp_path / "out", *counter(tmp_path), "--after", "100k", *network)
    assert (run.returncode, run.stderr) == (0, "")
    assert_counted(load(tmp_path / "out").harts[0], 100_000)


@pytest.mark.parametrize("after", [2006, 2007, 2008, 2009])
def test_a_hart_that_another_wakes(tmp_path: Path, after: int) -> None:
    """Its last instructions are stepped, and it sleeps in them."""
    binary, _ = assemble(tmp_path, "sleeper", "sleeper")
    load_it = ("--load", f"{binary}@{ADDRESS:#x}", "--harts", "2")
    run = gcpt("snapshot", "-o", tmp_path / "out", *load_it, "--after", str(after))
    assert (run.returncode, run.stderr) == (0, "")
    state, (rounds, position) = load(tmp_path / "out").harts[0], divmod(after - 5, 4)
    assert (state.pc, state.x[10]) == (ADDRESS + 20 + (0, 4, 8, 12)[position], rounds + (position == 3))


def test_refused(tmp_path: Path) -> None:
    (asleep := tmp_path / "asleep").write_bytes(bytes.fromhex("73005010 6ff0dfff"))  # 1: wfi; j 1b
    (short := tmp_path / "short").write_bytes(bytes.fromhex("b7021000 37530000 13035355 23a06200"))  # ends the run
    out = ("snapshot", "-o", tmp_path / "out", "--harts", "2")
    message = refusal(gcpt(*out, "--load", f"{asleep}@{ADDRESS:#x}", "--after", "9", "--timeout", "3"))
    assert "--after 9: hart 0 executed only" in message and "(a hart that sleeps in a wfi executes none)" in message
    message = refusal(gcpt(*out, "--load", f"{asleep}@{ADDRESS:#x}", "--after", "1M", "--timeout", "3"))
    assert "--after 1000000: hart 0 executed only" in message
    for count in ("9", "1M"):
        assert "the machine ended before --after" in refusal(
            gcpt(*out, "--load", f"{short}@{ADDRESS:#x}", "--after", count)
        )
    assert not (tmp_path / "out").exists()
