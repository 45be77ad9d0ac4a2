"""``gcpt set validate``, ``verify`` and ``info``: what the single commands say, for each point."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from command import gcpt, refusal
from real_points import write_point

from gcpt.machines.synthetic import Mode, Recipe

_NAMES = {"mcf": ("1068", "402"), "456.hmmer": ("7",)}


@pytest.fixture(scope="module")
def checkpoints(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A set of three real checkpoints and a damaged one; the hart of the last does not restore."""
    root = tmp_path_factory.mktemp("set")

    write_point(root, "mcf", "1068", Recipe())
    write_point(root, "mcf", "402", Recipe((Mode.U,), harts=2, seed=2))
    write_point(root, "456.hmmer", "7", Recipe((Mode.VS,), seed=3))
    cut = write_point(root, "456.hmmer", "8", Recipe())
    cut.write_bytes(cut.read_bytes()[:200])
    return root


def _end(*arguments: str | Path) -> tuple[int, dict[str, Any]]:
    run = gcpt("set", *arguments, "--json")
    assert run.stderr == ""
    content: dict[str, Any] = json.loads(run.stdout.splitlines()[-1])
    return run.returncode, content


def _image(root: Path, name: str) -> Path:
    workload, _, point = name.rpartition("_")
    [path] = (root / "checkpoint" / workload / point).iterdir()
    return path


@pytest.mark.parametrize("command", ["validate", "info"])
def test_the_same_as_the_single_command(command: str, checkpoints: Path) -> None:
    status, end = _end(command, checkpoints)
    assert status == 1
    points = {point.pop("name"): point for point in end["points"]}
    assert len(points) == 4
    for name in ("mcf_1068", "mcf_402", "456.hmmer_7"):
        single = json.loads(gcpt(command, _image(checkpoints, name), "--json").stdout)
        point = points[name]
        if command == "info":
            assert {key: value for key, value in point.items() if key != "state"} == single
        else:
            assert [row["code"] for row in point["findings"]] == [row["code"] for row in single["findings"]]
            assert (point["state"] == "failed") == bool(single["errors"] or single["warnings"])
    cause, message = end["failed"]["456.hmmer_8"]
    assert cause == "input" and "456.hmmer/8/_8_0.250000_memory_.zstd: " in message


def test_results_are_kept(checkpoints: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    first = gcpt("set", "validate", checkpoints, "-o", out, "--workload", "mcf")
    again = gcpt("set", "validate", checkpoints, "-o", out, "--workload", "mcf", "--json")
    start = json.loads(again.stdout.splitlines()[0])
    assert (start["kept"], start["points"]) == (2, 2)
    assert first.returncode == again.returncode
    other = gcpt("set", "validate", checkpoints, "-o", out, "--workload", "mcf", "--platform", "qemu-virt", "--json")
    assert json.loads(other.stdout.splitlines()[0])["kept"] == 0


def test_verify(checkpoints: Path, build_restorer: Callable[..., Any]) -> None:
    restorer = build_restorer(mode="auto", platform="qemu-virt").image
    status, end = _end("verify", checkpoints, "--restorer", restorer, "--timeout", "300")
    assert status == 1 and list(end["failed"]) == ["456.hmmer_8"], end["failed"]
    points = {point["name"]: point for point in end["points"]}
    assert points["mcf_402"]["compared"] > 200 and points["mcf_402"]["unexplained"] == 0


def test_verify_on_another_judge(checkpoints: Path) -> None:
    status, end = _end("verify", checkpoints, "--workload", "456.hmmer", "--on", "spike", "--timeout", "300")
    assert status == 1 and list(end["failed"]) == ["456.hmmer_8"], end["failed"]
    assert end["points"][0]["compared"] > 100 and end["points"][0]["unexplained"] == 0


def test_a_restorer_for_other_checkpoints(checkpoints: Path, build_restorer: Callable[..., Any]) -> None:
    restorer = build_restorer(mode="dual_core", platform="qemu-virt").image
    status, end = _end("verify", checkpoints, "--workload", "mcf", "--restorer", restorer, "--timeout", "300")
    assert (status, list(end["failed"])) == (1, ["mcf_1068"])
    assert "gcpt: error " in end["failed"]["mcf_1068"][1]


def test_nothing_selected(checkpoints: Path) -> None:
    assert "--min-weight" in refusal(gcpt("set", "info", checkpoints, "--min-weight", "0.9"))
