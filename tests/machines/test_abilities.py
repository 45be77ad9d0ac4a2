"""What counts as the QEMU's fault, on a QEMU that holds guests and on one that does not."""

from pathlib import Path

import abilities
import pytest

REFUSED = "gcpt: error 20 hart 0: needs H\n"
BITS = "hart 0: mstatus: wanted 0x8000004a00487e22, got 0x8000000a00487e22"


@pytest.mark.parametrize(
    ("failure", "expected"),
    [
        (REFUSED, True),
        ("the machine ended: stop reply 'W14'", True),
        ("hart 0 is a guest, but this QEMU cannot hold mstatus.MPV: give another, or use Spike", True),
        (BITS, True),
        ("'wanted' is contained here: mstatus: wanted 0x8000008a002c6f20, got 0x8000000a002c6f20", True),
        ("gcpt: error 2 hart 0", False),
        (BITS.replace("got 0x8000000a00487e22", "got 0x8000000a00487e20"), False),
        (f"{BITS}\nhart 0: mie: wanted 0x80, got 0x0", False),
        ("assert 1 == 2", False),
    ],
)
def test_only_a_lost_guest_is_the_qemus_fault(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, failure: str, expected: bool
) -> None:
    (tmp_path / "console.log").write_text(failure)
    with monkeypatch.context() as patched:  # undone before this test's own end is judged
        patched.setattr(abilities, "holds_guests", lambda: False)
        by_failure, by_log = bool(abilities.lacking(None, failure)), bool(abilities.lacking(tmp_path, ""))
    assert (by_failure, by_log) == (expected, expected and "mstatus: wanted" not in failure)


@pytest.mark.parametrize("failure", [REFUSED, BITS])
def test_nothing_is_excused_where_guests_are_held(monkeypatch: pytest.MonkeyPatch, failure: str) -> None:
    monkeypatch.setattr(abilities, "holds_guests", lambda: True)
    assert abilities.lacking(None, failure) == ""


@pytest.mark.parametrize("replayed", [False, True])
def test_a_replay_without_an_end_is_excused_where_no_replay_has_one(
    monkeypatch: pytest.MonkeyPatch, replayed: bool
) -> None:
    with monkeypatch.context() as patched:
        patched.setattr(abilities, "replays_the_end", lambda: replayed)
        found = bool(abilities.lacking(None, "gcpt: --interval 9: the software ended before: give fewer instructions"))
    assert found == (not replayed)
