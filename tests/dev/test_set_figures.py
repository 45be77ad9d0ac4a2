"""The bench's figures of sets, with few points and small images."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from gcpt.dev import engine_times, set_archives, set_times


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


def test_the_engine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, build_restorer: Callable[..., Any]) -> None:
    monkeypatch.setattr(engine_times, "WORKS", {"info": engine_times.WORKS["info"]})
    monkeypatch.setattr(engine_times, "_USED", 1)
    restorer = build_restorer(mode="single_core", platform="qemu-virt").image
    [(ours, calls)] = engine_times.measure_checks(tmp_path, 6, restorer).values()
    assert ours.processor > calls.processor > 0 and 0 < ours.busy <= 1.1
