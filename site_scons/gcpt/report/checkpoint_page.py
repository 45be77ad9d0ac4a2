"""``gcpt info --html``: a checkpoint on one page: its memory to scale, its pages, every register that is not zero."""

from collections.abc import Iterable
from pathlib import Path
from typing import Any

from gcpt.checkpoint import image
from gcpt.checkpoint.files import CheckpointFile
from gcpt.checkpoint.registers import X_NAMES
from gcpt.checkpoint.state import HartState
from gcpt.isa import fields
from gcpt.isa.csrs import BY_NUMBER
from gcpt.report import memory_map, occupancy, pages
from gcpt.report.occupancy import Occupancy

#: Cells of a row in the drawing of pages.
_COLUMNS = 128


def _hart(state: HartState) -> dict[str, Any]:
    names = (f"x{i} ({name})" for i, name in enumerate(X_NAMES))
    return {
        "registers": [
            {"x": name, "x_value": x, "f_value": f} for name, x, f in zip(names, state.x, state.f, strict=True)
        ],
        "csrs": [
            {
                "name": BY_NUMBER[number].name if number in BY_NUMBER else f"csr {number:#x}",
                "value": value,
                "says": fields.text(number, value),
            }
            for number, value in enumerate(state.csr)
            if value
        ],
        "vectors": [(f"v{i}", value[::-1].hex()) for i, value in enumerate(state.v) if any(value)],
    }


def _made(said: dict[str, Any], opened: CheckpointFile) -> list[tuple[str, str]]:
    place = opened.place
    facts = [("file", said["file"])]
    if opened.flash:
        facts.append(("flash image, with the state", str(opened.flash)))
    facts += [
        ("size", f"{said['size']:,} bytes, {said['container']}"),
        ("layout", f"{place.kind.value}, hart h at {place.base:#x} + h * {place.stride:#x}"),
    ]
    if header := said.get("header"):
        facts.append(("protobuf header", ", ".join(f"{name} {value:#x}" for name, value in header.items())))
    if built := said.get("restorer"):
        given = " ".join(f"{name}={value}" for name, value in built["options"].items()) or "(the defaults)"
        facts.append(
            ("restorer", f"{built['size']:,} bytes, gcpt {built['version']}, commit {built['commit']}, {given}")
        )
    return facts


def page(said: dict[str, Any], opened: CheckpointFile, found: Occupancy, state_length: int) -> str:
    """The page as text. said: what ``inspect.describe`` does. found: of the memory image. state_length: bytes of the
    image that holds the state, which is the flash image of a pair.
    """
    harts = opened.harts
    vlenb = len(harts[0].v[0])
    restorer = said["restorer"]["size"] if "restorer" in said else 0
    runs = occupancy.rows(found, _COLUMNS)
    return pages.render(
        "checkpoint.html",
        name=opened.path.name,
        said=said,
        panels=memory_map.of_checkpoint(
            opened.place, len(harts), vlenb, state_length, restorer, opened.flash is not None
        ),
        occupancy=found,
        columns=_COLUMNS,
        row_count=max(1, -(-len(found.cells) // _COLUMNS)),
        runs=runs,
        harts=[_hart(state) for state in harts],
        made=_made(said, opened),
    )


def write(out: Path, said: dict[str, Any], opened: CheckpointFile, content: Iterable[bytes]) -> int:
    """Write the page to ``out``, all of it or nothing; returns its bytes. content: of the memory image, all of it."""
    found = occupancy.measure(content)
    length = sum(map(len, image.chunks(opened.flash))) if opened.flash else found.length
    text = page(said, opened, found, length).encode(errors="replace")
    with image.replacing(out) as file:
        file.write(text)
    return len(text)
