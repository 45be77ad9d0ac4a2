"""``gcpt validate``: would a checkpoint restore there?"""

from pathlib import Path
from typing import TYPE_CHECKING

import click

from gcpt.cli.output import json_option, progress, say_json
from gcpt.restorer.platforms import BY_NAME

if TYPE_CHECKING:
    from gcpt.validate.checks import Finding, Report

_COLOURS = {"error": "red", "warning": "yellow", "note": "cyan"}
#: Findings of one kind that are shown each with its own words.
_SHOWN = 4


@click.command()
@click.argument("checkpoint", type=click.Path(path_type=Path))
@click.option(
    "--platform",
    type=click.Choice(list(BY_NAME)),
    help="The machine; by default that of the restorer in the image, else xiangshan.",
)
@click.option("--harts", type=click.IntRange(1), help="How many harts the machine has; by default enough.")
@click.option("--flash", type=click.Path(path_type=Path), help="The flash image that holds the state, of a pair.")
@json_option
def command(checkpoint: Path, platform: str | None, harts: int | None, flash: Path | None, as_json: bool) -> int:
    """Would CHECKPOINT restore on a platform, and go on there? Nothing is run.

    Looked at is what the restorer would look at: the one that the image carries, or one built for its layout with the
    default options. Each finding has a code (docs/findings.md) and, where the restorer would end with one, its signal
    code. Exit status 1: there are errors or warnings; notes do not count.

    \b
    Example:
      gcpt validate uboot.zst
      gcpt validate --platform qemu-virt --harts 2 linux.gz
    """
    from gcpt.validate.checks import validate
    from gcpt.validate.findings import Severity

    with progress("reading", None) as advance:
        report = validate(checkpoint, platform or "", harts or 0, flash, advance)
    if as_json:
        say_json(_json(checkpoint, report))
    else:
        _print(checkpoint, report)
    return 1 if report.of(Severity.ERROR) or report.of(Severity.WARNING) else 0


def _json(checkpoint: Path, report: "Report") -> dict[str, object]:
    from gcpt.validate.findings import Severity

    rows = [
        {
            "code": found.kind.code,
            "severity": found.severity.value,
            "hart": found.hart,
            "signal": found.signal or None,
            "what": found.what,
            "means": found.kind.means,
            "remedy": found.kind.remedy,
        }
        for found in report.findings
    ]
    counts = {f"{severity.value}s": len(report.of(severity)) for severity in Severity}
    return {
        "file": str(checkpoint),
        "platform": report.config.platform.name,
        "mode": report.config.mode,
        "layout": report.found.place.kind.value if report.found else None,
        "harts": report.found.harts if report.found else 0,
        **counts,
        "findings": rows,
    }


def _print(checkpoint: Path, report: "Report") -> None:
    from gcpt.validate.findings import Severity

    kinds: dict[str, list[Finding]] = {}
    for found in report.findings:
        kinds.setdefault(found.kind.code, []).append(found)
    for same in sorted(kinds.values(), key=lambda same: list(Severity).index(same[0].severity)):
        _print_kind(same)
    plan, config = report.found, report.config
    where = f"{_counted(plan.harts, 'hart')}, {plan.place.kind.value}" if plan else "no checkpoint"
    counts = ", ".join(_counted(len(report.of(severity)), severity.value) for severity in Severity)
    print(f"{checkpoint}: {where}, on {config.platform.name} with mode={config.mode}: {counts}")


def _counted(number: int, what: str) -> str:
    return f"{number} {what}{'s' * (number != 1)}"


def _print_kind(same: "list[Finding]") -> None:
    """What all findings of one kind have in common, once, and what each says."""
    kind, signal = same[0].kind, same[0].signal
    code = f" (code {signal})" if signal else ""
    click.echo(click.style(f"{kind.severity.value}: {kind.code}{code}", fg=_COLOURS[kind.severity.value], bold=True))
    for found in same[:_SHOWN]:
        print(f"  {'' if found.hart is None else f'hart {found.hart}: '}{found.what}")
    if len(same) > _SHOWN:
        print(f"  and {len(same) - _SHOWN} more")
    print(f"  {kind.means}")
    print(f"  do: {kind.remedy}")
