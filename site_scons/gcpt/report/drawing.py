"""Geometry of memory maps that are drawn to scale.

A panel is one bar, from its lowest address at the top to its highest. The height of a part is exactly its share of the
bar. A part that is too small to see still has a label, and another panel magnifies it. Lengths are in CSS pixels.
"""

from collections.abc import Sequence
from dataclasses import dataclass

#: Of a panel's drawing: width, top of the bars, length of the bars.
WIDTH, TOP, HEIGHT = 330, 26, 440
#: Widths: the bar, the outer bar that it magnifies a part of, the gap between them, the lines to the labels.
BAR, OUTER_BAR, GAP, LEADER = 56, 12, 26, 28
#: Height of a label: two lines of text.
_LABEL = 30
#: Height below which a part has no frame, which would hide it.
_FRAMED = 3
#: Characters of a label that fit beside the bar.
_MAX_LABEL = 27


@dataclass(frozen=True)
class Part:
    """A range of bytes.

    Attributes:
        name: The label.
        start: Address of the first byte.
        end: Address behind the last byte.
        kind: Selects the colour.
        named: Whether the drawing shows the label.
    """

    name: str
    start: int
    end: int
    kind: str
    named: bool = True

    @property
    def size(self) -> int:
        """Bytes."""
        return self.end - self.start


@dataclass(frozen=True)
class Panel:
    """One bar.

    Attributes:
        title: The heading.
        start: Address at the top.
        end: Address behind the last byte, at the bottom.
        parts: What is in the bar.
        outer: The panel that this panel magnifies a part of.
        note: A line below the heading.
    """

    title: str
    start: int
    end: int
    parts: tuple[Part, ...]
    outer: "Panel | None" = None
    note: str = ""

    @property
    def size(self) -> int:
        """Bytes."""
        return self.end - self.start

    def y(self, address: int) -> float:
        """Scale an address.

        Args:
            address: An address from ``start`` to ``end``.

        Returns:
            Its vertical position.
        """
        return TOP + HEIGHT * (address - self.start) / self.size


@dataclass(frozen=True)
class Box:
    """A part with its position, exactly to scale."""

    part: Part
    y: float
    height: float
    framed: bool


@dataclass(frozen=True)
class Label:
    """The label of a part.

    Attributes:
        part: The part.
        text: Its name, shortened to fit.
        y: Vertical centre of the label.
        target: Vertical centre of the part's box.
    """

    part: Part
    text: str
    y: float
    target: float


@dataclass(frozen=True)
class Drawn:
    """The drawing of a panel, for the template.

    Attributes:
        panel: The panel.
        boxes: The parts of its bar.
        outer: The parts of the outer bar.
        lens: Top and bottom, on the outer bar, of the range that the panel magnifies.
        labels: The labels beside the bar.
        height: Height of the drawing.
        width: Width of the drawing.
        top: Top of the bars.
        length: Length of the bars.
        bar_width: Width of the bar.
        outer_bar: Width of the outer bar.
    """

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
        """Bottom of the bars."""
        return TOP + HEIGHT

    @property
    def bar(self) -> int:
        """Left edge of the bar."""
        return OUTER_BAR + GAP if self.lens else 0

    @property
    def text(self) -> int:
        """Left edge of the labels."""
        return self.bar + BAR + LEADER


def shortened(text: str, longest: int = _MAX_LABEL) -> str:
    """Replace the middle of a long text with an ellipsis.

    Args:
        text: The text.
        longest: The most characters.

    Returns:
        ``text``, or its start and end.
    """
    if len(text) <= longest:
        return text
    head = (longest - 1) * 2 // 3
    return f"{text[:head]}\N{HORIZONTAL ELLIPSIS}{text[head + 1 - longest :]}"


def size_text(size: int) -> str:
    """Write a size in a binary unit; exact below 10 KiB and for whole numbers of a unit.

    Args:
        size: Bytes.

    Returns:
        The text.
    """
    for unit, name in ((1 << 40, "TiB"), (1 << 30, "GiB"), (1 << 20, "MiB"), (1 << 10, "KiB")):
        if size >= 10 * unit or (size >= unit and size % unit == 0):
            return f"{size // unit:,} {name}" if size % unit == 0 else f"{size / unit:,.1f} {name}"
    return f"{size:,} B"


def spread(targets: Sequence[float], gap: float, low: float, high: float) -> list[float]:
    """Place labels near their targets without overlap.

    Args:
        targets: The wanted positions, sorted.
        gap: The least distance between two positions.
        low: The least position.
        high: The greatest position, exceeded only if the labels do not fit above it.

    Returns:
        A position for each target, in their order.
    """
    places: list[float] = []
    for target in targets:
        places.append(max(target, places[-1] + gap if places else low))
    limit = max(high, low + gap * (len(places) - 1))
    for index in reversed(range(len(places))):
        places[index] = min(places[index], limit)
        limit = places[index] - gap
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
    """Lay out a panel.

    Args:
        panel: The panel.

    Returns:
        The positions of its boxes and labels.
    """
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
