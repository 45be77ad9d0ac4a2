"""The bench's figures of sets, with few points and small images."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from gcpt.dev import engine_times, set_archives, set_times, verify_times


def test_times_of_growing_sets(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(set_times, "SIZES", (6, 12))
    seconds = set_times.measure(tmp_path)["seconds"]
    assert len(seconds) == 6 and all(seconds.values())
    assert list(tmp_path.iterdir()) == []


def test_sizes_of_archives(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in (("SHARES", (0.05,)), ("_USED", 1), ("_ZEROS", 1)):
        monkeypatch.setattr(set_archives, name, value)
    ratios = set_archives.measure(tmp_path)["ratio"]
    assert list(ratios) == ["set archive / zstd -3 of each, 5% of pages new"]
    assert 0.1 < ratios.popitem()[1] < 0.3


def test_verify_of_an_image(tmp_path: Path, build_restorer: Callable[..., Any]) -> None:
    restorer = build_restorer(mode="single_core", platform="qemu-virt").image
    rows = verify_times.measure(tmp_path, restorer, 8, 1)
    assert [name.partition(" of 8 MiB, ")[0] for name, *_ in rows] == ["gcpt verify", "zstd -d"]
    assert all(float(elapsed) >= 0 and float(processor) >= 0 for _, elapsed, processor in rows)


def test_the_engine(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    """Two rounds of a command."""
    monkeypatch.setattr(engine_times, "_USED", 1)
    engine_times.main(["6", "info", "--rounds", "2"])
    head, row, note = capsys.readouterr().out.splitlines()
    assert head.split("  ")[0] == "processor time" and head.endswith(
        "ratio  more per point  cores busy  largest process"
    )
    assert row.startswith("set info / single calls less their start-up  ") and row.endswith(" MiB")
    assert all(float(cell) > 0 for cell in (*row.split()[-8:-5], row.split()[-2]))
    assert note.startswith("more per point: without 0.")
