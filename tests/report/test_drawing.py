"""Positions of labels in a drawing, and sizes as text."""

from itertools import pairwise

from hypothesis import given
from hypothesis import strategies as st

from gcpt.report.drawing import HEIGHT, TOP, Panel, Part, draw, shortened, size_text, spread

_GAP, _LOW, _HIGH = 30, 34, 456


@given(st.lists(st.floats(26, 466), max_size=20).map(sorted))
def test_labels_keep_order_and_distance(targets: list[float]) -> None:
    places = spread(targets, _GAP, _LOW, _HIGH)
    assert len(places) == len(targets)
    assert all(after - before >= _GAP - 1e-6 for before, after in pairwise(places))
    assert not places or places[0] >= _LOW
    if targets and _LOW + _GAP * (len(targets) - 1) <= _HIGH:
        assert places[-1] <= _HIGH
    alone = [
        target
        for i, target in enumerate(targets)
        if _LOW <= target <= _HIGH
        and all(abs(target - other) >= 20 * _GAP for k, other in enumerate(targets) if k != i)
    ]
    assert set(alone) <= set(places)


def test_labels_with_room_are_at_their_targets() -> None:
    assert spread([50, 100, 400], _GAP, _LOW, _HIGH) == [50, 100, 400]
    assert spread([100, 101], _GAP, _LOW, _HIGH) == [100, 130]
    assert spread([455, 456], _GAP, _LOW, _HIGH) == [426, 456]


def test_a_panel() -> None:
    outer = Panel("all", 0, 1000, (Part("a", 0, 100, "x"), Part("b", 100, 1000, "y", named=False)))
    inner = draw(
        Panel("a", 0, 100, (Part("half", 0, 50, "x"), Part("beyond", 90, 300, "x"), Part("no", 200, 300, "x")), outer)
    )
    assert [(box.part.name, box.y, box.height) for box in inner.boxes] == [
        ("half", TOP, HEIGHT / 2),
        ("beyond", TOP + HEIGHT * 0.9, HEIGHT * 0.1),
    ]
    assert inner.lens == (TOP, TOP + HEIGHT / 10)
    assert [label.text for label in inner.labels] == ["half", "beyond"]
    assert [box.part.name for box in inner.outer] == ["a", "b"]
    assert draw(outer).lens is None and [label.text for label in draw(outer).labels] == ["a"]


def test_size_text() -> None:
    texts = {
        1752: "1,752 B",
        8192: "8 KiB",
        10240: "10 KiB",
        70776: "69.1 KiB",
        1 << 20: "1 MiB",
        15 << 29: "7,680 MiB",
    }
    assert {size: size_text(size) for size in texts} == texts
    assert size_text(16 << 30) == "16 GiB" and size_text((16 << 30) + 1) == "16.0 GiB"


@given(st.text(max_size=60))
def test_long_label_keeps_its_ends(name: str) -> None:
    short = shortened(name)
    assert len(short) <= 27
    assert short == name or (
        name.startswith(short[:17]) and name.endswith(short[18:]) and short[17] == "\N{HORIZONTAL ELLIPSIS}"
    )
