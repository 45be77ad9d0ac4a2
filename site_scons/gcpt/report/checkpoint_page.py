"""The page of ``gcpt info --html``: a checkpoint's memory to scale, its nonzero pages and registers."""

from collections.abc import Iterable
from pathlib import Path
from typing import Any

from gcpt.checkpoint import output, streams
from gcpt.checkpoint.files import CheckpointFile
from gcpt.checkpoint.registers import X_NAMES
from gcpt.checkpoint.state import HartState
from gcpt.isa import fields
from gcpt.isa.csrs import BY_NUMBER
from gcpt.report import memory_map, occupancy, pages
from gcpt.report.occupancy import Occupancy

#: Cells per row in the drawing of pages.
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
                "fields": fields.text(number, value),
            }
            for number, value in enumerate(state.csr)
            if value
        ],
        "vectors": [(f"v{i}", value[::-1].hex()) for i, value in enumerate(state.v) if any(value)],
    }


def _file_rows(facts: dict[str, Any], opened: CheckpointFile) -> list[tuple[str, str]]:
    place = opened.place
    rows = [("file", facts["file"])]
    if opened.flash:
        rows.append(("flash image, with the state", str(opened.flash)))
    rows += [
        ("size", f"{facts['size']:,} bytes, {facts['container']}"),
        ("layout", f"{place.kind.value}, hart h at {place.base:#x} + h * {place.stride:#x}"),
    ]
    if header := facts.get("header"):
        rows.append(("protobuf header", ", ".join(f"{name} {value:#x}" for name, value in header.items())))
    build = facts.get("restorer")
    if build and "options" not in build:
        rows.append(
            ("restorer", f"{build['size']:,} bytes, {build.get('project', 'unknown project')}, without a stamp")
        )
    elif build:
        options = " ".join(f"{name}={value}" for name, value in build["options"].items()) or "(default options)"
        rows.append(
            ("restorer", f"{build['size']:,} bytes, gcpt {build['version']}, commit {build['commit']}, {options}")
        )
    return rows


def page(facts: dict[str, Any], opened: CheckpointFile, measured: Occupancy, state_length: int) -> str:
    """Render a checkpoint's page.

    Args:
        facts: The checkpoint as ``description.describe`` returns it.
        opened: The checkpoint.
        measured: The nonzero pages of the memory image.
        state_length: Bytes of the image with the state; of a flash pair, the flash image.

    Returns:
        The page as HTML.
    """
    harts = opened.harts
    vlenb = len(harts[0].v[0])
    restorer = facts["restorer"]["size"] if "restorer" in facts else 0
    return pages.render(
        "checkpoint.html",
        name=opened.path.name,
        facts=facts,
        panels=memory_map.of_checkpoint(
            opened.place, len(harts), vlenb, state_length, restorer, opened.flash is not None
        ),
        occupancy=measured,
        columns=_COLUMNS,
        row_count=max(1, -(-len(measured.cells) // _COLUMNS)),
        runs=occupancy.rows(measured, _COLUMNS),
        harts=[_hart(state) for state in harts],
        file_rows=_file_rows(facts, opened),
    )


def write(out: Path, facts: dict[str, Any], opened: CheckpointFile, content: Iterable[bytes]) -> int:
    """Write a checkpoint's page; on an error, leave the output as it was.

    Args:
        out: The file to write.
        facts: The checkpoint as ``description.describe`` returns it.
        opened: The checkpoint.
        content: The whole memory image, in chunks of any length.

    Returns:
        The length of the page in bytes.

    Raises:
        UserError: An image cannot be read, or the page cannot be written.
    """
    measured = occupancy.measure(content)
    length = sum(map(len, streams.chunks(opened.flash))) if opened.flash else measured.length
    text = page(facts, opened, measured, length).encode(errors="replace")
    with output.replacing(out) as file:
        file.write(text)
    return len(text)
