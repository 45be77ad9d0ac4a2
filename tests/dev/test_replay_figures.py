"""The bench's figures of record and replay, of a short run."""

from pathlib import Path

import pytest

from gcpt.dev import replay_times


def test_ratios_to_a_plain_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Each kind of run ends and has its ratio; how large they are is the bench's business, not a test's."""
    monkeypatch.setattr(replay_times, "_ROUNDS", 1)
    monkeypatch.setattr(replay_times, "_CODE", bytes.fromhex("37140002") + replay_times._CODE[4:])  # lui s0, 0x2001
    ratios = replay_times.measure(tmp_path)["ratio"]
    kinds = ["record", "replay", "replay with gcpt profile's plugin"]
    assert list(ratios) == [f"{kind} / plain run of QEMU" for kind in kinds]
    assert all(ratios.values())
