"""The bench's figures of record and replay, of a short run."""

from pathlib import Path

import pytest

from gcpt.dev import replay_times


def test_ratios_to_a_plain_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Each kind of run takes longer than a plain one; the plugin takes longest."""
    monkeypatch.setattr(replay_times, "_ROUNDS", 1)
    monkeypatch.setattr(replay_times, "_CODE", bytes.fromhex("37140002") + replay_times._CODE[4:])  # lui s0, 0x2001
    ratios = list(replay_times.measure(tmp_path)["ratio"].values())
    assert len(ratios) == 3 and all(1 < ratio <= ratios[-1] < 100 for ratio in ratios)
