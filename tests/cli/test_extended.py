"""The extended state on the command line: shown, compared, and kept by a conversion."""

import json
from collections.abc import Callable
from pathlib import Path

import pytest
from command import gcpt

from gcpt.checkpoint import extended
from gcpt.checkpoint.extended import DeviceWrite, Entry, IndirectWrite
from gcpt.checkpoint.files import open_checkpoint
from gcpt.checkpoint.layouts import EXTENDED_OFFSET
from gcpt.checkpoint.places import DUAL_CORE
from gcpt.checkpoint.state import HartState
from gcpt.machines.synthetic import Mode, Recipe

Make = Callable[..., Path]
_WRITES: list[Entry] = [
    DeviceWrite(0x1000_0003, 1, 0x83),
    DeviceWrite(0x1000_0003, 1, 3),
    IndirectWrite(0x151, 0x70, 1),
]


def _with_writes(*lists: list[Entry]) -> Callable[[list[HartState]], None]:
    def change(harts: list[HartState]) -> None:
        for state, entries in zip(harts, lists, strict=True):
            extended.put(state, entries)

    return change


def _damaged(harts: list[HartState]) -> None:
    harts[0].free["misc_reserve"] = bytes(EXTENDED_OFFSET) + b"extstate" + bytes([9])


def test_info_shows_the_writes(checkpoint_file: Make) -> None:
    path = checkpoint_file(Recipe((Mode.S,), harts=2), DUAL_CORE, _with_writes([], _WRITES))
    assert "extended state of hart 1: 3 writes\n" in gcpt("info", path).stdout
    assert "eidelivery" not in gcpt("info", path, "--hart", "0").stdout
    lines = [line.split() for line in gcpt("info", path, "--hart", "1").stdout.splitlines()[-4:]]
    assert lines == [
        ["extended", "state,", "in", "order", "value"],
        ["device", "0x10000003", "(1", "byte)", "0x83"],
        ["device", "0x10000003", "(1", "byte)", "0x3"],
        ["sireg[0x70]", "(eidelivery)", "0x1"],
    ]
    facts = json.loads(gcpt("info", path, "--json").stdout)
    device = {"name": "device 0x10000003 (1 byte)", "address": 0x1000_0003, "width": 1, "value": 0x83, "repeat": 0}
    selected = {"name": "sireg[0x70] (eidelivery)", "csr": 0x151, "index": 0x70, "value": 1, "guest": 0}
    assert facts["extended"] == [{"hart": 1, "writes": [device, {**device, "value": 3}, selected]}]


def test_info_without_a_list(checkpoint_file: Make) -> None:
    run = gcpt("info", checkpoint_file(), "--json")
    assert "extended" not in json.loads(run.stdout)


def test_info_of_a_damaged_list(checkpoint_file: Make) -> None:
    path = checkpoint_file(change=_damaged)
    line = "the extended state has version 9 and entries of 0 bytes: this gcpt knows version 1, with 24"
    assert f"extended state of hart 0: {line}\n" in gcpt("info", path, "--hart", "0").stdout
    assert json.loads(gcpt("info", path, "--json").stdout)["extended"] == [{"hart": 0, "error": line}]


def test_diff_names_the_writes(checkpoint_file: Make) -> None:
    path = checkpoint_file(change=_with_writes(_WRITES))
    other = checkpoint_file(change=_with_writes([_WRITES[0], DeviceWrite(0x1000_0003, 1, 7)]), name="other.zst")
    run = gcpt("diff", path, other, "--json")
    rows = {row["name"]: (row["a"], row["b"]) for row in json.loads(run.stdout)["registers"]}
    assert run.returncode == 1
    assert rows == {"device 0x10000003 (1 byte), write 2": (3, 7), "sireg[0x70] (eidelivery)": (1, 0)}


def test_diff_of_a_damaged_list(checkpoint_file: Make) -> None:
    path, other = checkpoint_file(change=_damaged), checkpoint_file(name="other.zst")
    run = gcpt("diff", path, other, "--json")
    names = [row["name"] for row in json.loads(run.stdout)["registers"]]
    assert (run.returncode, names) == (1, ["misc_reserve (free)"])


@pytest.mark.parametrize("layout", ["dual_core", "protobuf", "nemu"])
def test_convert_keeps_the_longest_list(checkpoint_file: Make, tmp_path: Path, layout: str) -> None:
    entries: list[Entry] = [DeviceWrite(0xC00_0000 + 4 * i, 4, i + 1) for i in range(extended.MAX_ENTRIES)]
    path, out = checkpoint_file(change=_with_writes(entries)), tmp_path / "out.zst"
    run = gcpt("convert", path, out, "--layout", layout)
    assert (run.returncode, run.stderr) == (0, "")
    assert extended.of(open_checkpoint(out).harts[0]) == tuple(entries)
    assert gcpt("diff", path, out).returncode == 0


def test_a_device_interrupts_at_once(checkpoint_file: Make) -> None:
    """A 16550 that may interrupt when it can send, behind a PLIC: seen after a Linux with two harts was restored."""
    uart, plic, context = 0x1000_0000, 0xC00_0000, 1
    enabled = DeviceWrite(plic + 0x2000 + 0x80 * context, 4, 1 << 10)
    path = checkpoint_file(
        Recipe((Mode.S,)), change=_with_writes([DeviceWrite(plic + 4 * 10, 4, 1), enabled, DeviceWrite(uart + 1, 1, 2)])
    )
    run = gcpt("verify", "--json", path)
    report = json.loads(run.stdout)
    raised = {row["name"] for row in report["differences"] if row["reason"] == "a device raised an interrupt"}
    assert (run.returncode, report["unexplained"]) == (0, 0)
    assert {"mip", "sip"} & raised
