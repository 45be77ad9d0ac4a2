"""The bench's figures of record and replay, of a short run."""

from pathlib import Path

import pytest

from gcpt.dev import replay_times


def test_ratios_to_a_plain_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Each kind of run ends and has its ratio; how large they are is the bench's business, not a test's."""
    monkeypatch.setattr(replay_times, "_ROUNDS", 1)
    monkeypatch.setattr(replay_times, "_CODE", bytes.fromhex("37140002") + replay_times._CODE[4:])  # lui s0, 0x2001
    figures = replay_times.measure(tmp_path)
    kinds = ["record", "replay", "replay with gcpt profile's plugin", "run with a plugin that counts a hart"]
    assert list(figures["ratio"]) == [f"{kind} / plain run of QEMU" for kind in kinds]
    assert list(figures["million instructions a second"]) == [*kinds, "plain run of QEMU"]
    assert all(figure for kind in figures.values() for figure in kind.values())
