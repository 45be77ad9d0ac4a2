"""``scons report``: what there is to know of a restorer, on one page."""

import hashlib
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Protocol

from elftools.elf.elffile import ELFFile

from gcpt.checkpoint import stamp
from gcpt.checkpoint.output import replacing
from gcpt.isa import csrs
from gcpt.machines.steps import Steps, measure
from gcpt.report import memory_map, pages
from gcpt.restorer import budgets, options, phases, sizes
from gcpt.restorer.config import BuildConfig
from gcpt.restorer.linked import Linked
from gcpt.restorer.sizes import Piece


class CheckedRule(Protocol):
    """A rule of the audit, what it demands in a sentence, and what breaks it."""

    @property
    def rule(self) -> str: ...
    @property
    def demands(self) -> str: ...
    @property
    def broken(self) -> Sequence[str]: ...


def _share(part: float, whole: float) -> float:
    return round(100 * part / whole, 3)


def _phase_rows(parts: Sequence[Piece], steps: Steps) -> list[dict[str, Any]]:
    """A row for each phase that has bytes or instructions; shares are of the largest in their column, in percent."""
    own = {phase.key: sum(piece.size for piece in parts if piece.phase == phase.key) for phase in phases.PHASES}
    columns = list(steps.counts.values())
    return [
        {
            "phase": phase,
            "bytes": own[phase.key],
            "share": _share(own[phase.key], max(own.values())),
            "counts": [
                (column.get(phase.key, 0), _share(column.get(phase.key, 0), max(column.values()))) for column in columns
            ],
        }
        for phase in phases.PHASES
        if own[phase.key] or any(phase.key in column for column in columns)
    ]


def _group_rows(linked: Linked) -> list[dict[str, Any]]:
    found = sizes.csr_groups(linked)
    largest = max(one.bytes for one in found.values())
    return [
        {"name": name, "what": what, "share": _share(found[name].bytes, largest), **vars(found[name])}
        for name, what in csrs.GROUPS.items()
        if name in found
    ]


def _option_rows(config: BuildConfig) -> list[dict[str, Any]]:
    """Every option that says what or where to build."""
    given = config.options
    rows = []
    for option in options.TABLE:
        if option.variant or option.name in ("mode", "build_dir"):
            value = given.get(option.name, option.default.strip("()"))
            rows.append({"name": option.name, "help": option.help, "value": value, "given": option.name in given})
    return rows


def _measured(config: BuildConfig, steps: Steps) -> dict[str, Any]:
    totals = steps.totals
    harts = list(steps.counts)
    checkpoint = f"a checkpoint of {pages.plural(steps.harts, 'hart')} in S mode"
    which = "this restorer" if steps.same else "a restorer of the same options, but for platform=qemu-virt,"
    what = (
        f"Instructions are those that {which} executes on stock QEMU from reset to the workload's first, restoring "
        f"{checkpoint} whose registers all hold something."
    )
    if not steps.same:
        what += " Bytes are those of this image."
    longest = max(totals, key=lambda hart: totals[hart])
    columns = [
        column
        for hart in harts
        for column in (
            (f"hart {hart}" if len(harts) > 1 else "instructions", "n"),
            ("share of the instructions", "bar"),
        )
    ]
    return {
        "harts": harts,
        "columns": columns,
        "totals": totals,
        "most": totals[longest],
        "longest": longest,
        "what": what,
    }


def _made(config: BuildConfig, linked: Linked, image: Path, compiler: str) -> list[tuple[str, str]]:
    found = stamp.find(linked.read_all())
    commit = ((found.commit or "unknown") + (", and tracked files differed" if found.dirty else "")) if found else "-"
    machine = config.platform
    return [
        ("gcpt", found.version if found else "-"),
        ("commit", commit),
        ("stamped options", " ".join(f"{k}={v}" for k, v in found.options.items()) if found else "-"),
        ("compiler", compiler),
        ("platform", f"{machine.name}: {machine.what}"),
        ("console", str(machine.uart)),
        ("CLINT", f"{machine.clint:#x}"),
        ("harts", f"up to {config.harts}"),
        ("gcpt.bin", f"{image.stat().st_size:,} bytes"),
        ("its SHA-256", hashlib.sha256(image.read_bytes()).hexdigest()),
    ]


def page(
    config: BuildConfig, linked: Linked, image: Path, steps: Steps, rules: Sequence[CheckedRule], compiler: str
) -> str:
    """The page as text."""
    parts = sizes.pieces(linked)
    groups = _group_rows(linked)
    return pages.render(
        "report.html",
        variant=config.variant,
        about=_about(config),
        bytes=linked.end - linked.base,
        budget=0 if config.dtb else budgets.budget(config),
        csrs=sum(row["csrs"] for row in groups),
        kept=sum(not rule.broken for rule in rules),
        audit=rules,
        panels=memory_map.of_restorer(linked, parts),
        rows=_phase_rows(parts, steps),
        measured=_measured(config, steps),
        groups=groups,
        pieces=parts,
        titles={phase.key: phase.title for phase in phases.PHASES},
        options=_option_rows(config),
        made=_made(config, linked, image, compiler),
    )


def _about(config: BuildConfig) -> str:
    """What a reader has to know of the checkpoint that is drawn."""
    if config.mode == "single_core":
        return "The checkpoint's one hart has its state within the reserved MiB."
    if config.mode == "dual_core":
        return f"There may be fewer harts in a checkpoint than the {config.harts} that are drawn."
    more = "; the other layouts of mode=auto are not" if config.mode == "auto" else ""
    return (
        f"The blocks are drawn where QEMU's protobuf generator packs them, for {config.harts} harts{more}: the header "
        "says where they really are."
    )


def write(
    out: Path, elf: Path, image: Path, config: BuildConfig, root: Path, rules: Sequence[CheckedRule], compiler: str
) -> None:
    """Measure, and write the page of the restorer ``elf`` to ``out``, all of it or nothing.

    rules: what the audit found of each. compiler: what it calls itself.
    """
    with elf.open("rb") as file:
        linked = Linked(ELFFile(file), config)
        steps = measure(config, elf.parent, root)
        text = page(config, linked, image, steps, rules, compiler)
    with replacing(out) as target:
        target.write(text.encode())
