"""``gcpt validate``: what it prints, its JSON, its exit status."""

import json
from collections.abc import Callable
from pathlib import Path

import pytest
from command import gcpt, refusal
from faults import sound

from gcpt.checkpoint import output, streams
from gcpt.checkpoint.places import DUAL_CORE, SINGLE_CORE, Checkpoint, Place
from gcpt.checkpoint.state import HartState
from gcpt.machines import synthetic
from gcpt.machines.synthetic import DRAM, Recipe

Change = Callable[[list[HartState]], None]


def _file(tmp_path: Path, change: Change, place: Place = SINGLE_CORE, harts: int = 1) -> Path:
    checkpoint = sound(Recipe(harts=harts, locks=False))
    change(checkpoint.harts)
    path = tmp_path / "checkpoint"
    pieces = [*synthetic.blocks(Checkpoint(place, checkpoint.harts)), *checkpoint.memory]
    output.write_pieces(path, [(address - DRAM, data) for address, data in pieces], 16 << 20)
    return path


def _nothing(harts: list[HartState]) -> None:
    pass


def _error(harts: list[HartState]) -> None:
    harts[0].mode = 2


def _warning(harts: list[HartState]) -> None:
    harts[0].set("pmpaddr20", 1)


def _note(harts: list[HartState]) -> None:
    harts[0].csr[0x7C0] = 1


@pytest.mark.parametrize(
    ("change", "status", "counts"),
    [
        (_nothing, 0, "0 errors, 0 warnings, 0 notes"),
        (_note, 0, "0 errors, 0 warnings, 1 note"),
        (_warning, 1, "0 errors, 1 warning, 0 notes"),
        (_error, 1, "1 error, 0 warnings, 0 notes"),
    ],
)
def test_status(tmp_path: Path, change: Change, status: int, counts: str) -> None:
    path = _file(tmp_path, change)
    run = gcpt("validate", "--platform", "qemu-virt", path)
    assert (run.returncode, run.stderr) == (status, "")
    last = f"{path}: 1 hart, single_core, on qemu-virt with mode=single_core: {counts}"
    assert run.stdout.splitlines()[-1] == last


def test_a_finding_has_meaning_and_remedy(tmp_path: Path) -> None:
    lines = gcpt("validate", _file(tmp_path, _error)).stdout.splitlines()
    assert lines[:4] == [
        "error: mode (code 13)",
        "  hart 0: mode is 0x2",
        "  the mode field is not 0 (U), 1 (S) or 3 (M)",
        "  do: take the checkpoint again: its generator did not write the privilege level",
    ]


def test_meaning_and_remedy_are_printed_once(tmp_path: Path) -> None:
    def change(harts: list[HartState]) -> None:
        for state in harts:
            state.mode = 2

    text = gcpt("validate", _file(tmp_path, change, DUAL_CORE, 9)).stdout
    assert text.count("error: mode") == text.count("the mode field is not 0") == 1
    assert "  and 5 more\n" in text and "9 errors" in text


def test_json(tmp_path: Path) -> None:
    run = gcpt("validate", "--json", "--harts", "1", _file(tmp_path, _error, DUAL_CORE, 2))
    report = json.loads(run.stdout)
    assert (run.returncode, report["layout"], report["harts"], report["errors"]) == (1, "dual_core", 2, 2)
    findings = {row["code"]: (row["severity"], row["hart"], row["signal"]) for row in report["findings"]}
    assert findings == {"harts-missing": ("error", None, 18), "mode": ("error", 0, 13)}
    assert all(row["means"] and row["remedy"] for row in report["findings"])


def test_not_a_checkpoint(tmp_path: Path) -> None:
    path = tmp_path / "empty"
    path.write_bytes(bytes(4096))
    run = gcpt("validate", path)
    assert run.returncode == 1
    assert run.stdout.startswith("error: no-checkpoint (code 8)\n")
    assert run.stdout.splitlines()[-1].startswith(f"{path}: no checkpoint, on xiangshan")


def test_bad_input(tmp_path: Path) -> None:
    path, cut = _file(tmp_path, _nothing), tmp_path / "cut"
    output.write(cut, streams.chunks(path), "gzip")
    cut.write_bytes(cut.read_bytes()[:-100])
    assert "ends in the middle of its gzip stream" in refusal(gcpt("validate", cut))
    assert refusal(gcpt("validate", tmp_path / "nothing")).endswith("nothing: No such file or directory")
    assert "spike has no flash" in refusal(gcpt("validate", path, "--platform", "spike", "--flash", path))


_NEMU = ("m.gz", "s-sv39.gz", "u-sv39.zstd", "vs-bare.gz", "protobuf-s-sv39.gz")


def _of_nemu(name: str) -> set[str]:
    """The codes of a checkpoint of NEMU's: the workload uses x2 for a number."""
    return {"csrs-left-out-minor", "csrs-unknown"} | ({"stack-unmapped"} if "sv39" in name else set())


@pytest.mark.parametrize(
    ("name", "platform", "findings"),
    [
        ("linux-dual-sstc.zst", "qemu-virt", {"csrs-left-out-minor", "stimecmp-due"}),
        ("linux-dual-sstc.zst", "xiangshan", {"csrs-left-out-minor", "stimecmp-due", "translation-platform"}),
        ("linux-single-sstc.zst", "qemu-virt", {"csrs-left-out-minor"}),
        *(
            (f"nemu-{name}", platform, _of_nemu(name))
            for name in _NEMU
            for platform in ("xiangshan", "xiangshan-syscnt")
        ),
        ("uboot-1hart-single_core.zst", "qemu-virt", {"csrs-left-out-minor", "stimecmp-due"}),
        ("uboot-2hart-dual_core.zst", "qemu-virt", {"csrs-left-out-minor", "stimecmp-due", "mtimecmp-due"}),
    ],
)
def test_real_checkpoints(shared_file: Callable[[str], Path], name: str, platform: str, findings: set[str]) -> None:
    """Only notes on the machine that they were taken on."""
    run = gcpt("validate", "--json", "--platform", platform, shared_file(f"checkpoints/{name}"))
    assert {row["code"] for row in json.loads(run.stdout)["findings"]} == findings
    assert run.returncode == bool(findings & {"translation-platform"})


def test_a_real_pair(shared_file: Callable[[str], Path]) -> None:
    memory, flash = (shared_file(f"checkpoints/nemu-flash-s-sv39-nov.{part}.gz") for part in ("mem", "flash"))
    assert gcpt("validate", memory, "--flash", flash, "--platform", "xiangshan-syscnt").returncode == 0
    assert gcpt("validate", memory, "--flash", flash).returncode == 0
    assert gcpt("validate", memory).returncode == 1
    # Without the memory image, the state points to nothing.
    assert "pc-outside" in gcpt("validate", flash).stdout or "root-empty" in gcpt("validate", flash).stdout
