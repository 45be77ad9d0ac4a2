"""Maps of memory drawn to scale: bars of parts, each next to the bar that it magnifies a part of. Numbers only.

A panel is one bar from its lowest address (at the top) to its highest. A part takes exactly its share of the bar,
however little that is: what is too small to see is named all the same, and another panel magnifies it. Lengths are in
CSS pixels.
"""

from collections.abc import Sequence
from dataclasses import dataclass

#: A panel's drawing: its width, where the bars begin and how long they are.
WIDTH, TOP, HEIGHT = 330, 26, 440
#: The bar itself, the bar that it magnifies, the gap that the magnification crosses, the lines to the names.
BAR, OUTER_BAR, GAP, LEADER = 56, 12, 26, 28
#: A name takes two lines.
_LABEL = 30
#: A part of fewer pixels has no line around it, which would hide it.
_FRAMED = 3
#: Characters of a name that fit beside the bar.
_LONGEST = 27


@dataclass(frozen=True)
class Part:
    """Bytes from ``start`` to below ``end``. kind: gives its colour. named: whether beside the bar."""

    name: str
    start: int
    end: int
    kind: str
    named: bool = True

    @property
    def size(self) -> int:
        return self.end - self.start


@dataclass(frozen=True)
class Panel:
    """A bar of the bytes from ``start`` to below ``end``. outer: the panel that it magnifies a part of."""

    title: str
    start: int
    end: int
    parts: tuple[Part, ...]
    outer: "Panel | None" = None
    note: str = ""

    @property
    def size(self) -> int:
        return self.end - self.start

    def y(self, address: int) -> float:
        return TOP + HEIGHT * (address - self.start) / self.size


@dataclass(frozen=True)
class Box:
    """A part in its place: ``y`` and ``height`` exactly to scale."""

    part: Part
    y: float
    height: float
    framed: bool


@dataclass(frozen=True)
class Label:
    """A part's name, centred at ``y``, for a box whose middle is at ``target``."""

    part: Part
    text: str
    y: float
    target: float


@dataclass(frozen=True)
class Drawn:
    """All that a template needs of a panel. lens: top and bottom of what it magnifies, on the outer bar."""

    panel: Panel
    boxes: tuple[Box, ...]
    outer: tuple[Box, ...]
    lens: tuple[float, float] | None
    labels: tuple[Label, ...]
    height: float

    width: int = WIDTH
    top: int = TOP
    length: int = HEIGHT
    bar_width: int = BAR
    outer_bar: int = OUTER_BAR

    @property
    def bottom(self) -> int:
        """Where the bars end."""
        return TOP + HEIGHT

    @property
    def bar(self) -> int:
        """Where the bar begins, from the left."""
        return OUTER_BAR + GAP if self.lens else 0

    @property
    def text(self) -> int:
        """Where the names begin."""
        return self.bar + BAR + LEADER


def shortened(text: str, longest: int = _LONGEST) -> str:
    """``text``, its middle left out where it is too long to draw."""
    if len(text) <= longest:
        return text
    head = (longest - 1) * 2 // 3
    return f"{text[:head]}\N{HORIZONTAL ELLIPSIS}{text[head + 1 - longest :]}"


def size_text(size: int) -> str:
    """A number of bytes as people read it: exact below 10 KiB and where it is a whole number of a unit."""
    for unit, name in ((1 << 40, "TiB"), (1 << 30, "GiB"), (1 << 20, "MiB"), (1 << 10, "KiB")):
        if size >= 10 * unit or (size >= unit and size % unit == 0):
            return f"{size // unit:,} {name}" if size % unit == 0 else f"{size / unit:,.1f} {name}"
    return f"{size:,} B"


def spread(targets: Sequence[float], gap: float, low: float, high: float) -> list[float]:
    """Positions at least ``gap`` apart, in the order of ``targets`` (sorted) and near them, none above ``low``.

    None is below ``high`` either, as long as there is room for all.
    """
    places: list[float] = []
    for target in targets:
        places.append(max(target, places[-1] + gap if places else low))
    limit = max(high, low + gap * (len(places) - 1))
    for at in reversed(range(len(places))):
        places[at] = min(places[at], limit)
        limit = places[at] - gap
    return places


def _boxes(panel: Panel, parts: Sequence[Part]) -> tuple[Box, ...]:
    shown = []
    for part in parts:
        start, end = max(part.start, panel.start), min(part.end, panel.end)
        if start < end:
            height = HEIGHT * (end - start) / panel.size
            shown.append(Box(part, panel.y(start), height, height >= _FRAMED))
    return tuple(shown)


def draw(panel: Panel) -> Drawn:
    """The panel with everything in its place."""
    boxes = _boxes(panel, panel.parts)
    named = sorted((box for box in boxes if box.part.named), key=lambda box: box.y + box.height / 2)
    targets = [box.y + box.height / 2 for box in named]
    places = spread(targets, _LABEL, TOP + 8, TOP + HEIGHT - 10)
    labels = tuple(
        Label(box.part, shortened(box.part.name), y, target)
        for box, y, target in zip(named, places, targets, strict=True)
    )
    outer = panel.outer
    lens = (outer.y(panel.start), outer.y(panel.end)) if outer else None
    height = max([TOP + HEIGHT + 22, *(y + _LABEL - 6 for y in places)])
    return Drawn(panel, boxes, _boxes(outer, outer.parts) if outer else (), lens, labels, height)
