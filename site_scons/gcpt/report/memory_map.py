"""What lies where: in the memory that a restorer works on, and in a checkpoint, as panels of a drawing."""

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

#: The least that a map of memory shows.
_LEAST = 4 * MIB
#: The fields of 8 bytes before the registers, by what they are called in the drawing.
_FIRST = {
    "magic_number": "magic number",
    "pc": "pc",
    "mode": "mode",
    "mtime": "mtime",
    "mtime_cmp": "mtimecmp",
    "misc_done": "misc_done (free)",
    "misc_reserve": "misc_reserve (skipped)",
}
_WORD, _REGISTERS = 8, 32 * 8
#: Parked harts that are all named.
_FEW = 4


def _filled(start: int, end: int, parts: Iterable[Part], name: str) -> tuple[Part, ...]:
    """``parts`` and what is between them, of which the largest piece is called ``name`` in the drawing."""
    gaps, at = [], start
    for part in sorted(parts, key=lambda one: one.start):
        if at < part.start:
            gaps.append(Part(name, at, part.start, "rest", False))
        at = max(at, part.end)
    if at < end:
        gaps.append(Part(name, at, end, "rest", False))
    if gaps:
        largest = max(gaps, key=lambda one: one.size)
        gaps[gaps.index(largest)] = Part(name, largest.start, largest.end, "rest")
    return (*gaps, *parts)


def _blocks(place: Place, harts: int, base: int, stopped: Sequence[int] = ()) -> list[Part]:
    """The harts' blocks; the first two and the last are named in the drawing, and those that are parked, if few."""
    parts = []
    for hart in range(harts):
        start = base + place.block(hart)
        parked = hart in stopped
        kind = "parked" if parked else "state" if hart % 2 == 0 else "state2"
        named = hart in (0, 1, harts - 1) or (parked and len(stopped) <= _FEW)
        parts.append(Part(f"hart {hart}" + ", parked" * parked, start, start + place.stride, kind, named))
    return parts


def _fields(layout: Layout, at: int, hart: int, vlenb: int) -> list[Part]:
    """The fields of the block at ``at``, in the order of their addresses."""
    offsets = layout.items()
    parts = []
    for name, title in _FIRST.items():
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
    return sorted(parts, key=lambda one: one.start)


def _span(place: Place, base: int, hart: int, vlenb: int) -> Part:
    """What the state of a hart takes of its block."""
    fields = _fields(place.layout, base + place.block(hart), hart, vlenb)
    return Part(f"state of hart {hart}", fields[0].start, max(part.end for part in fields), "state")


def _state(place: Place, base: int, hart: int, outer: Panel, vlenb: int) -> list[Panel]:
    """A hart's state, magnified three times: all of it, its first fields, its integer and floating-point registers."""
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
        "Its first fields": [replace(part, named=True) for part in first],
        "Its registers": [part for part in fields if part.kind in ("integer", "float")],
    }
    magnified = []
    for title, inside in parts.items():
        if inside:
            low, high = inside[0].start, max(part.end for part in inside)
            magnified.append(Panel(title, low, high, _filled(low, high, inside, "(unused)"), whole))
    return [whole, *magnified]


def _place(config: BuildConfig) -> Place:
    """Where a checkpoint for this restorer keeps its blocks, as its generator packs them."""
    if config.mode == "dual_core":
        return DUAL_CORE
    return SINGLE_CORE if config.mode == "single_core" else PROTOBUF


def _own(linked: Linked) -> list[Part]:
    """What the restorer has in memory, loaded or not, but its payload."""
    kinds = {".text": ("code and constants", "code"), ".data": ("shared data, flag", "data")}
    parts = []
    for span in linked.spans:
        name, kind = kinds.get(span.name, ("stacks, plan", "stack"))
        if not (linked.config.payload and span.start == linked.config.payload_position):
            parts.append(Part(name, span.start, span.end, kind))
    return sorted(parts, key=lambda one: one.start)


def _by_phase(pieces: Sequence[Piece]) -> tuple[Part, ...]:
    """The restorer's phases where they lie; each is named at its largest run."""
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
    """The memory of the machine that the restorer is built for, with a checkpoint that fits it."""
    config, base = linked.config, linked.base
    place, dram = _place(config), config.platform.dram
    single = place.kind is PlaceKind.SINGLE_CORE
    parts = [] if config.flash else [Part("reserved MiB", base, base + RESERVED_SIZE, "reserved")]
    if config.ram is not None:
        parts.append(Part("the restorer's, ram=", config.ram, config.ram + RESERVED_SIZE, "reserved"))
    if config.payload:
        size = config.payload.stat().st_size
        parts.append(
            Part(f"payload {config.payload.name}", config.payload_position, config.payload_position + size, "payload")
        )
    if place.header_at >= 0:
        at = dram + place.header_at
        parts.append(Part("protobuf header", at, at + NEMU_PROTOBUF_OFFSET, "header"))
    if not single:
        parts += _blocks(place, config.harts, dram, config.stop_cpu)
    end = max([dram + _LEAST, *(part.end for part in parts if part.start >= dram)])
    end += -end % MIB
    memory = Panel(
        "Memory",
        dram,
        end,
        _filled(dram, end, parts, "the workload's"),
        note=f"from {dram:#x}; what follows is the workload's too",
    )
    first = _own(linked) if config.ram is None else [Part("code, constants, data", base, linked.end, "code")]
    if not config.flash:
        first += _trampolines(config, base + RESERVED_SIZE)
    if single:
        first.append(_span(place, base, 0, DEFAULT_VLEN // 8))
    elif config.mode != "dual_core":
        state = base + DEFAULT.magic_number
        first.append(Part("state, where NEMU's is", state, base + RESERVED_SIZE, "state"))
    title = "The flash" if config.flash else "The reserved MiB"
    reserved = Panel(
        title,
        base,
        base + RESERVED_SIZE,
        _filled(base, base + RESERVED_SIZE, first, "(free)"),
        None if config.flash else memory,
    )
    panels = [memory, reserved]
    panels.append(Panel("The restorer", base, linked.end, _by_phase(pieces), reserved))
    if config.ram is not None:
        own = [part for part in _own(linked) if part.start >= config.ram]
        limit = config.ram + RESERVED_SIZE
        panels.append(Panel("The memory of ram=", config.ram, limit, _filled(config.ram, limit, own, "(free)"), memory))
    if single:
        return [*panels, *_state(place, base, 0, reserved, DEFAULT_VLEN // 8)]
    return [*panels, *_state(place, dram, 0, memory, DEFAULT_VLEN // 8)]


def of_checkpoint(place: Place, harts: int, vlenb: int, length: int, restorer: int, apart: bool) -> list[Panel]:
    """An image of ``length`` bytes that holds the state, by offset. restorer: bytes of the one it carries, or 0.

    apart: it is the flash image of a pair; the workload is in another file.
    """
    state = _span(place, 0, 0, vlenb)
    parts = [Part("restorer", 0, restorer, "code")] if restorer else []
    if place.header_at >= 0:
        parts.append(Part("protobuf header", place.header_at, place.header_at + NEMU_PROTOBUF_OFFSET, "header"))
    blocks = _blocks(place, harts, 0) if harts > 1 else [state]
    length = max([length, RESERVED_SIZE, *(block.end for block in blocks)])
    title, rest = ("The flash image", "(other)") if apart else ("The image", "the workload's")
    whole = Panel(title, 0, length, _filled(0, length, [*parts, *blocks], rest))
    panels = [whole]
    if state.start < RESERVED_SIZE:
        end = max(RESERVED_SIZE, state.end)
        panels.append(Panel("Its first MiB", 0, end, _filled(0, end, [*parts, state], "(other)"), whole))
    return [*panels, *_state(place, 0, 0, panels[-1], vlenb)]
