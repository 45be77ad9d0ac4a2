"""Panels of the memory maps of restorers and checkpoints."""

from collections.abc import Iterable, Sequence
from dataclasses import replace
from itertools import groupby

from gcpt.checkpoint.layouts import DEFAULT, DEFAULT_VLEN, MIB, NEMU_PROTOBUF_OFFSET, RESERVED_SIZE, Layout
from gcpt.checkpoint.places import DUAL_CORE, PROTOBUF, SINGLE_CORE, Place, PlaceKind
from gcpt.report.drawing import Panel, Part
from gcpt.restorer import phases, trampoline
from gcpt.restorer.config import BuildConfig
from gcpt.restorer.linked import Linked
from gcpt.restorer.sizes import Piece

#: The least memory that a map shows, in bytes.
_MIN_MEMORY = 4 * MIB
#: The 8-byte fields before the registers, with their labels.
_FIRST_FIELDS = {
    "magic_number": "magic number",
    "pc": "pc",
    "mode": "mode",
    "mtime": "mtime",
    "mtime_cmp": "mtimecmp",
    "misc_done": "misc_done (free)",
    "misc_reserve": "misc_reserve (skipped)",
}
#: Bytes of a field, and of 32 integer or floating-point registers.
_WORD, _REGISTERS = 8, 32 * 8
#: The most parked harts that all have labels.
_MAX_PARKED = 4


def _filled(start: int, end: int, parts: Iterable[Part], name: str) -> tuple[Part, ...]:
    """``parts`` and the gaps between them; the largest gap has the label ``name``."""
    gaps, position = [], start
    for part in sorted(parts, key=lambda part: part.start):
        if position < part.start:
            gaps.append(Part(name, position, part.start, "rest", False))
        position = max(position, part.end)
    if position < end:
        gaps.append(Part(name, position, end, "rest", False))
    if gaps:
        largest = max(gaps, key=lambda gap: gap.size)
        gaps[gaps.index(largest)] = Part(name, largest.start, largest.end, "rest")
    return (*gaps, *parts)


def _blocks(place: Place, harts: int, base: int, stopped: Sequence[int] = ()) -> list[Part]:
    """The harts' blocks, with labels for the first two, the last, and a few parked harts."""
    parts = []
    for hart in range(harts):
        start = base + place.block(hart)
        parked = hart in stopped
        kind = "parked" if parked else "state" if hart % 2 == 0 else "state2"
        named = hart in (0, 1, harts - 1) or (parked and len(stopped) <= _MAX_PARKED)
        parts.append(Part(f"hart {hart}" + ", parked" * parked, start, start + place.stride, kind, named))
    return parts


def _fields(layout: Layout, at: int, hart: int, vlenb: int) -> list[Part]:
    """The fields of the block at ``at``, by address."""
    offsets = layout.items()
    parts = []
    for name, title in _FIRST_FIELDS.items():
        start = at + offsets[name] + (_WORD * hart if name == "mtime_cmp" else 0)
        parts.append(Part(title, start, start + _WORD, "field", False))
    for title, offset, size, kind in (
        ("x0 to x31", layout.int_reg, _REGISTERS, "integer"),
        ("f0 to f31", layout.float_reg, _REGISTERS, "float"),
        ("CSRs 0 to 4095", layout.csr_reg, layout.csr_reg_done - layout.csr_reg, "csr"),
        ("number of harts", layout.csr_reserve, _WORD, "field"),
        ("v0 to v31", layout.vector_reg, 32 * vlenb, "vector"),
    ):
        parts.append(Part(title, at + offset, at + offset + size, kind))
    return sorted(parts, key=lambda part: part.start)


def _span(place: Place, base: int, hart: int, vlenb: int) -> Part:
    """The used part of a hart's block."""
    fields = _fields(place.layout, base + place.block(hart), hart, vlenb)
    return Part(f"state of hart {hart}", fields[0].start, max(part.end for part in fields), "state")


def _state(place: Place, base: int, hart: int, outer: Panel, vlenb: int) -> list[Panel]:
    """Three panels of a hart's state: all of it, its first fields, its integer and floating-point registers."""
    at, layout = base + place.block(hart), place.layout
    fields = _fields(layout, at, hart, vlenb)
    span = _span(place, base, hart, vlenb)
    first = [part for part in fields if part.kind == "field" and part.start < at + layout.int_reg]
    head = [Part("first fields", span.start, max(part.end for part in first), "field")] if first else []
    shown = [*head, *(part for part in fields if part not in first)]
    whole = Panel(
        f"State of hart {hart}", span.start, span.end, _filled(span.start, span.end, shown, "(unused)"), outer
    )
    parts = {
        "First fields": [replace(part, named=True) for part in first],
        "Registers": [part for part in fields if part.kind in ("integer", "float")],
    }
    magnified = []
    for title, inside in parts.items():
        if inside:
            low, high = inside[0].start, max(part.end for part in inside)
            magnified.append(Panel(title, low, high, _filled(low, high, inside, "(unused)"), whole))
    return [whole, *magnified]


def _place(config: BuildConfig) -> Place:
    """The place of a checkpoint for this restorer, as its generator packs the blocks."""
    if config.mode == "dual_core":
        return DUAL_CORE
    return SINGLE_CORE if config.mode == "single_core" else PROTOBUF


def _own(linked: Linked) -> list[Part]:
    """The restorer's sections in memory, loaded or not, without the payload."""
    kinds = {".text": ("code and constants", "code"), ".data": ("shared data, flag", "data")}
    parts = []
    for span in linked.spans:
        name, kind = kinds.get(span.name, ("stacks, plan", "stack"))
        if not (linked.config.payload and span.start == linked.config.payload_position):
            parts.append(Part(name, span.start, span.end, kind))
    return sorted(parts, key=lambda part: part.start)


def _by_phase(pieces: Sequence[Piece]) -> tuple[Part, ...]:
    """The restorer's phases by address; the largest run of each has the label."""
    runs = []
    for key, group in groupby(pieces, key=lambda piece: piece.phase):
        members = list(group)
        runs.append(Part(phases.BY_KEY[key].title, members[0].start, members[-1].end, f"p-{key}", False))
    largest = {run.name: run for run in sorted(runs, key=lambda run: run.size)}
    total = sum(run.size for run in runs)
    return tuple(
        Part(run.name, run.start, run.end, run.kind, largest[run.name] is run and run.size * 100 >= total)
        for run in runs
    )


def _trampolines(config: BuildConfig, end: int) -> list[Part]:
    start = trampoline.address(end - RESERVED_SIZE, 0) if config.direct else end - trampoline.REGION
    return [Part("M-mode trampolines", start, end, "trampoline")]


def of_restorer(linked: Linked, pieces: Sequence[Piece]) -> list[Panel]:
    """Map the memory of the machine that a restorer is built for, with a checkpoint that fits it.

    Args:
        linked: The restorer.
        pieces: Its symbols, by address.

    Returns:
        The panels; each magnifies a part of one before it, except the first.
    """
    config, base = linked.config, linked.base
    place, dram = _place(config), config.platform.dram
    single = place.kind is PlaceKind.SINGLE_CORE
    parts = [] if config.flash else [Part("reserved MiB", base, base + RESERVED_SIZE, "reserved")]
    if config.ram is not None:
        parts.append(Part("restorer data (ram=)", config.ram, config.ram + RESERVED_SIZE, "reserved"))
    if config.payload and config.payload_position is not None:
        size = config.payload.stat().st_size
        parts.append(
            Part(f"payload {config.payload.name}", config.payload_position, config.payload_position + size, "payload")
        )
    if place.header_at >= 0:
        at = dram + place.header_at
        parts.append(Part("protobuf header", at, at + NEMU_PROTOBUF_OFFSET, "header"))
    if not single:
        parts += _blocks(place, config.harts, dram, config.stop_cpu)
    end = max([dram + _MIN_MEMORY, *(part.end for part in parts if part.start >= dram)])
    end += -end % MIB
    memory = Panel(
        "Memory",
        dram,
        end,
        _filled(dram, end, parts, "workload"),
        note=f"from {dram:#x}; the workload's memory continues beyond the end",
    )
    first = _own(linked) if config.ram is None else [Part("code, constants, data", base, linked.end, "code")]
    if not config.flash:
        first += _trampolines(config, base + RESERVED_SIZE)
    if single:
        first.append(_span(place, base, 0, DEFAULT_VLEN // 8))
    elif config.mode != "dual_core":
        state = base + DEFAULT.magic_number
        first.append(Part("state of NEMU's layout", state, base + RESERVED_SIZE, "state"))
    title = "Flash" if config.flash else "Reserved MiB"
    reserved = Panel(
        title,
        base,
        base + RESERVED_SIZE,
        _filled(base, base + RESERVED_SIZE, first, "(free)"),
        None if config.flash else memory,
    )
    panels = [memory, reserved]
    panels.append(Panel("Restorer", base, linked.end, _by_phase(pieces), reserved))
    if config.ram is not None:
        own = [part for part in _own(linked) if part.start >= config.ram]
        limit = config.ram + RESERVED_SIZE
        panels.append(Panel("Memory of ram=", config.ram, limit, _filled(config.ram, limit, own, "(free)"), memory))
    if single:
        return [*panels, *_state(place, base, 0, reserved, DEFAULT_VLEN // 8)]
    return [*panels, *_state(place, dram, 0, memory, DEFAULT_VLEN // 8)]


def of_checkpoint(place: Place, harts: int, vlenb: int, length: int, restorer: int, flash: bool) -> list[Panel]:
    """Map the image that has a checkpoint's state, by image offset.

    Args:
        place: Where the image keeps the blocks.
        harts: Number of harts.
        vlenb: Bytes of a vector register.
        length: Bytes of the image.
        restorer: Bytes of the embedded restorer; 0 without one.
        flash: Whether this is the flash image of a pair, and the workload is in the memory image.

    Returns:
        The panels; each magnifies a part of one before it, except the first.
    """
    state = _span(place, 0, 0, vlenb)
    parts = [Part("restorer", 0, restorer, "code")] if restorer else []
    if place.header_at >= 0:
        parts.append(Part("protobuf header", place.header_at, place.header_at + NEMU_PROTOBUF_OFFSET, "header"))
    blocks = _blocks(place, harts, 0) if harts > 1 else [state]
    length = max([length, RESERVED_SIZE, *(block.end for block in blocks)])
    title, rest = ("Flash image", "(other)") if flash else ("Image", "workload")
    whole = Panel(title, 0, length, _filled(0, length, [*parts, *blocks], rest))
    panels = [whole]
    if state.start < RESERVED_SIZE:
        end = max(RESERVED_SIZE, state.end)
        panels.append(Panel("First MiB", 0, end, _filled(0, end, [*parts, state], "(other)"), whole))
    return [*panels, *_state(place, 0, 0, panels[-1], vlenb)]
