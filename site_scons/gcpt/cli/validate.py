"""``gcpt validate``: predict whether a checkpoint would restore."""

from pathlib import Path
from typing import TYPE_CHECKING

import click

from gcpt.cli.output import InputPath, json_option, progress, say_json
from gcpt.restorer.platforms import BY_NAME

if TYPE_CHECKING:
    from gcpt.validate.subject import Finding
    from gcpt.validate.verdict import Report

_COLOURS = {"error": "red", "warning": "yellow", "note": "cyan"}
#: Findings of one kind that are printed with their own values.
_MAX_FINDINGS = 4


@click.command()
@click.argument("checkpoint", type=InputPath())
@click.option(
    "--platform",
    type=click.Choice(list(BY_NAME)),
    help="The machine; by default that of the embedded restorer, else xiangshan.",
)
@click.option("--harts", type=click.IntRange(1), help="Number of harts of the machine; by default enough.")
@click.option("--flash", type=InputPath(), help="The flash image of a flash pair (it holds the state).")
@json_option
def command(checkpoint: Path, platform: str | None, harts: int | None, flash: Path | None, as_json: bool) -> int:
    """Check whether CHECKPOINT would restore on a platform and continue there. Nothing is run.

    Checks what the restorer would read. The restorer is the embedded one, or one built for the checkpoint's layout with
    the default options. Each finding has a code (docs/findings.md) and, if the restorer would end with a code, that as
    its signal. Exit status 1: there are errors or warnings; notes do not count.

    \b
    Example:
      gcpt validate uboot.zst
      gcpt validate --platform qemu-virt --harts 2 linux.gz
    """
    from gcpt.validate.findings import Severity
    from gcpt.validate.verdict import validate

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
            "code": finding.kind.code,
            "severity": finding.severity.value,
            "hart": finding.hart,
            "signal": finding.signal or None,
            "what": finding.what,
            "means": finding.kind.means,
            "remedy": finding.kind.remedy,
        }
        for finding in report.findings
    ]
    counts = {f"{severity.value}s": len(report.of(severity)) for severity in Severity}
    return {
        "file": str(checkpoint),
        "platform": report.config.platform.name,
        "mode": report.config.mode,
        "layout": report.location.place.kind.value if report.location else None,
        "harts": report.location.harts if report.location else 0,
        **counts,
        "findings": rows,
    }


def _print(checkpoint: Path, report: "Report") -> None:
    from gcpt.validate.findings import Severity

    by_kind: dict[str, list[Finding]] = {}
    for finding in report.findings:
        by_kind.setdefault(finding.kind.code, []).append(finding)
    severities = list(Severity)
    for findings in sorted(by_kind.values(), key=lambda findings: severities.index(findings[0].severity)):
        _print_kind(findings)
    location, config = report.location, report.config
    where = f"{_counted(location.harts, 'hart')}, {location.place.kind.value}" if location else "no checkpoint"
    counts = ", ".join(_counted(len(report.of(severity)), severity.value) for severity in Severity)
    print(f"{checkpoint}: {where}, on {config.platform.name} with mode={config.mode}: {counts}")


def _counted(number: int, noun: str) -> str:
    return f"{number} {noun}{'s' * (number != 1)}"


def _print_kind(findings: "list[Finding]") -> None:
    """Print the findings of one kind: its meaning and remedy once, the values of each."""
    kind, signal = findings[0].kind, findings[0].signal
    code = f" (code {signal})" if signal else ""
    click.echo(click.style(f"{kind.severity.value}: {kind.code}{code}", fg=_COLOURS[kind.severity.value], bold=True))
    for finding in findings[:_MAX_FINDINGS]:
        print(f"  {'' if finding.hart is None else f'hart {finding.hart}: '}{finding.what}")
    if len(findings) > _MAX_FINDINGS:
        print(f"  and {len(findings) - _MAX_FINDINGS} more")
    print(f"  {kind.means}")
    print(f"  do: {kind.remedy}")
