"""The page of ``scons report``: a restorer's memory map, sizes, instructions, options and audit."""

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
    """An audit rule with its result."""

    @property
    def rule(self) -> str:
        """The rule's name."""
        ...

    @property
    def demands(self) -> str:
        """The rule, as a sentence."""
        ...

    @property
    def broken(self) -> Sequence[str]:
        """The violations of the rule."""
        ...


def _share(part: float, whole: float) -> float:
    return round(100 * part / whole, 3)


def _phase_rows(parts: Sequence[Piece], steps: Steps) -> list[dict[str, Any]]:
    """A row for each phase that has bytes or instructions; shares are percentages of the column's largest value."""
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
    groups = sizes.csr_groups(linked)
    largest = max(group.bytes for group in groups.values())
    return [
        {"name": name, "what": group.what, "share": _share(groups[name].bytes, largest), **vars(groups[name])}
        for name, group in csrs.GROUPS.items()
        if name in groups
    ]


def _option_rows(config: BuildConfig) -> list[dict[str, Any]]:
    """Every option that changes the restorer or its folder."""
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
    restorer = "this restorer" if steps.same else "a restorer with the same options but platform=qemu-virt"
    what = (
        f"The instruction counts are for {restorer} on stock QEMU, from reset to the workload's first instruction. "
        f"It restores {checkpoint}; every register has a nonzero value."
    )
    if not steps.same:
        what += " The byte counts are for this image."
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


def _build_rows(config: BuildConfig, linked: Linked, image: Path, compiler: str) -> list[tuple[str, str]]:
    build = stamp.find(linked.read_all())
    commit = (build.commit or "unknown") + (", tracked files changed" if build.dirty else "") if build else "-"
    machine = config.platform
    return [
        ("gcpt", build.version if build else "-"),
        ("commit", commit),
        ("stamped options", " ".join(f"{k}={v}" for k, v in build.options.items()) if build else "-"),
        ("compiler", compiler),
        ("platform", f"{machine.name}: {machine.what}"),
        ("console", str(machine.uart)),
        ("CLINT", f"{machine.clint:#x}"),
        ("harts", f"up to {config.harts}"),
        ("gcpt.bin", f"{image.stat().st_size:,} bytes"),
        ("SHA-256", hashlib.sha256(image.read_bytes()).hexdigest()),
    ]


def page(
    config: BuildConfig, linked: Linked, image: Path, steps: Steps, rules: Sequence[CheckedRule], compiler: str
) -> str:
    """Render a restorer's page.

    Args:
        config: The configuration of the build.
        linked: The linked restorer.
        image: Its gcpt.bin.
        steps: The instructions of a restore, by hart and phase.
        rules: The results of the audit.
        compiler: The compiler's name and version.

    Returns:
        The page as HTML.
    """
    parts = sizes.pieces(linked)
    groups = _group_rows(linked)
    return pages.render(
        "report.html",
        variant=config.variant,
        about=_about(config),
        bytes=linked.end - linked.base,
        budget=0 if config.dtb else budgets.budget(config),
        csrs=sum(row["csrs"] for row in groups),
        passed=sum(not rule.broken for rule in rules),
        audit=rules,
        panels=memory_map.of_restorer(linked, parts),
        rows=_phase_rows(parts, steps),
        measured=_measured(config, steps),
        groups=groups,
        pieces=parts,
        titles={phase.key: phase.title for phase in phases.PHASES},
        options=_option_rows(config),
        build_rows=_build_rows(config, linked, image, compiler),
    )


def _about(config: BuildConfig) -> str:
    """A sentence on the checkpoint in the memory map."""
    if config.mode == "single_core":
        return "The state of the checkpoint's hart is in the reserved MiB."
    if config.mode == "dual_core":
        return f"The map shows {config.harts} harts; a checkpoint may have fewer."
    others = " It leaves out the other layouts of mode=auto." if config.mode == "auto" else ""
    return (
        f"The map shows {config.harts} harts, with the blocks where QEMU's protobuf generator puts them. The header of "
        f"a checkpoint defines their actual place.{others}"
    )


def write(
    out: Path, elf: Path, image: Path, config: BuildConfig, root: Path, rules: Sequence[CheckedRule], compiler: str
) -> None:
    """Measure a restorer and write its page; on an error, leave the output as it was.

    Args:
        out: The file to write.
        elf: The linked restorer.
        image: Its gcpt.bin.
        config: The configuration of the build.
        root: The project, for a build that runs on QEMU.
        rules: The results of the audit.
        compiler: The compiler's name and version.

    Raises:
        UserError: The page cannot be written.
    """
    with elf.open("rb") as file:
        linked = Linked(ELFFile(file), config)
        steps = measure(config, elf.parent, root)
        text = page(config, linked, image, steps, rules, compiler)
    with replacing(out) as target:
        target.write(text.encode())
