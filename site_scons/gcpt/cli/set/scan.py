"""``gcpt set scan``: find the points of a set and join them with its indexes."""

import os
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from gcpt.cli.output import OutputPath, json_option, progress, say_json
from gcpt.cli.set.options import selection_options
from gcpt.console import format_number, print_table
from gcpt.errors import one_line
from gcpt.sets.names import MANIFEST_ENDINGS

if TYPE_CHECKING:
    from gcpt.sets.findings import Finding
    from gcpt.sets.names import Key
    from gcpt.sets.points import Point
    from gcpt.sets.scan import Scan
    from gcpt.sets.select import Selection

#: Findings of a kind that are printed without --json.
_SHOWN = 20
#: Points that are worth a second worker.
_WORTH = 16


@click.command()
@selection_options
@click.option("--quick", is_flag=True, help="Only names and indexes: read no image.")
@click.option("--digest", "digests", is_flag=True, help="Compute the SHA-256 of each image.")
@click.option("-j", "--jobs", type=click.IntRange(0), default=0, help="Workers; by default one per core.")
@click.option(
    "-o",
    "--manifest",
    "out",
    type=OutputPath(*MANIFEST_ENDINGS, exact=True),
    metavar="FILE",
    help="Write a manifest: gcpt-set.toml or .json.",
)
@json_option
def command(
    set_path: Path,
    workloads: tuple[str, ...],
    min_weight: float | None,
    coverage: float | None,
    allow_outside: bool,
    quick: bool,
    digests: bool,
    jobs: int,
    out: Path | None,
    as_json: bool,
) -> int:
    """Find the points of SET (a folder, a JSON, a .lst or a manifest) and join them with its indexes.

    Points and indexes are joined exactly on workload and point. What is missing, extra, duplicate, stray, without a
    weight or contradictory is a finding with a code (docs/sets.md); exit status 1 then. Weights stay as they are:
    the table shows how much of each workload's weight the set has, and how much of it is chosen.

    \b
    Example:
      gcpt set scan spec06
      gcpt set scan spec06 --quick --coverage 0.8
      gcpt set scan spec06 --digest -o spec06/gcpt-set.toml
      gcpt set scan spec06/json/checkpoints_cov0.3.json --json
    """
    from gcpt.sets import manifest
    from gcpt.sets.load import scan_set
    from gcpt.sets.select import select
    from gcpt.sets.tree import check_whole

    if out:
        manifest.check_output(out)
    scan = scan_set(set_path, allow_outside)
    selection = select(scan.present, workloads, min_weight, coverage, scan.whole.samplings)
    facts, found = _examined(scan.whole.root, selection.points, not quick, digests, jobs)
    scan = _with_findings(scan, found + manifest.changed(scan, facts))
    if out:
        check_whole(scan.whole.root, scan.whole.findings, "the manifest")
        manifest.write(out, scan, facts)
    if as_json:
        say_json(_json(set_path, scan, selection, facts))
    else:
        _print(set_path, scan, selection)
    return 1 if scan.whole.findings else 0


def _examined(
    root: Path, points: "tuple[Point, ...]", headers: bool, digests: bool, jobs: int
) -> "tuple[dict[Key, dict[str, Any]], list[Finding]]":
    """Read the images of points; the facts, and what is wrong with them."""
    from gcpt.sets.executors import embedded
    from gcpt.sets.facts import examine_all, mixed
    from gcpt.sets.findings import Finding

    facts: dict[Key, dict[str, Any]] = {}
    findings = []
    if headers or digests:
        workers = jobs or (1 if len(points) < _WORTH else 0)
        with embedded(workers, 0) as executor, progress("reading images", len(points), "points") as advance:
            for point, known, fault in examine_all(executor, points, headers, digests):
                facts[point.key] = known
                if fault:
                    findings.append(Finding("unreadable", fault, point.key, os.path.relpath(point.path, root)))
                advance(1)
    return facts, findings + list(mixed(facts))


def _with_findings(scan: "Scan", findings: "Sequence[Finding]") -> "Scan":
    from gcpt.sets.scan import sorted_findings

    whole = scan.whole
    return replace(scan, whole=replace(whole, findings=sorted_findings([*whole.findings, *findings])))


def _bytes(scan: "Scan") -> "Counter[str]":
    counts: Counter[str] = Counter()
    for key, size in scan.sizes.items():
        counts[key[0]] += size
    return counts


def _json(path: Path, scan: "Scan", selection: "Selection", facts: "Mapping[Key, Mapping[str, Any]]") -> dict[str, Any]:
    from gcpt.sets.manifest import content

    described = content(scan, facts, scan.whole.root)
    chosen = {point.key for point in selection.points}
    sizes = _bytes(scan)
    points = [
        {**point, "chosen": (point["workload"], point["point"]) in chosen, "missing": "bytes" not in point}
        for point in described["points"]
    ]
    return {
        "set": str(path),
        "root": str(scan.whole.root),
        "samplings": dict(scan.whole.samplings),
        "restorer": described.get("restorer"),
        "workloads": [
            {
                "workload": row.workload,
                "points": row.points,
                "bytes": sizes[row.workload],
                "weight": row.weight,
                "chosen": row.chosen,
                "chosen_weight": row.chosen_weight,
            }
            for row in selection.coverages
        ],
        "points": points,
        "light": [{"workload": workload, "point": point} for workload, point in scan.light],
        "findings": [
            {"code": one.code, "workload": one.key[0], "point": one.key[1], "path": one.path, "what": one.what}
            for one in scan.whole.findings
        ],
    }


def _print(path: Path, scan: "Scan", selection: "Selection") -> None:
    whole, sizes = scan.whole, _bytes(scan)
    missing = Counter(point.workload for point in whole.points if point.key not in scan.sizes)
    is_cut = len(selection.points) < len(scan.present)
    columns = ["workload", "points", "missing", "bytes", "weight", *(["chosen", "chosen weight"] if is_cut else [])]
    rows = []
    for row in selection.coverages:
        cells = [row.workload, format_number(row.points), str(missing[row.workload] or "-")]
        cells += [format_number(sizes[row.workload]), f"{row.weight:.6f}"]
        rows.append(cells + ([format_number(row.chosen), f"{row.chosen_weight:.6f}"] if is_cut else []))
    if rows:
        print_table(columns, rows)
    _print_findings(whole.findings)
    facts = [f"{len(scan.present):,} points of {len(selection.coverages):,} workloads"]
    facts += [f"{len(selection.points):,} chosen"] if is_cut else []
    facts += [f"{sum(sizes.values()):,} bytes"]
    facts += [f"sampling {', '.join(sorted({*whole.samplings.values()}))}"] if whole.samplings else []
    facts += [f"restorer {whole.restorer}"] if whole.restorer else []
    facts += [f"{len(scan.light):,} of at most 1e-4 left out"] if scan.light else []
    count = len(whole.findings)
    print(one_line(f"{path}: " + ", ".join(facts) + f": {count} finding{'s' * (count != 1)}"))


def _print_findings(findings: "Sequence[Finding]") -> None:
    from gcpt.sets.findings import KINDS

    by_code = {kind.code: [found for found in findings if found.code == kind.code] for kind in KINDS}
    for kind in KINDS:
        if not (group := by_code[kind.code]):
            continue
        print(f"{kind.code} ({kind.means}): {len(group)}")
        for found in group[:_SHOWN]:
            print("  " + one_line(f"{found.name}: {found.what}"))
        if len(group) > _SHOWN:
            print(f"  and {len(group) - _SHOWN:,} more: --json prints all")
