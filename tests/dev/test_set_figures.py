"""The bench's figures of sets, with few points and small images."""

from pathlib import Path

import pytest

from gcpt.dev import set_archives, set_times


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
