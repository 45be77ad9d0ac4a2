"""Generate the tables of the documentation from the inventories.

``python -m gcpt.dev.tables`` replaces each table between its markers (``<!-- name -->`` and ``<!-- /name -->``) in the
pages of docs/.
"""

import re
from collections.abc import Callable, Iterable

from gcpt.checkout import ROOT
from gcpt.isa import csrs, fields
from gcpt.restorer import codes, options, platforms
from gcpt.sets.findings import KINDS
from gcpt.validate import findings


def _table(head: str, rows: Iterable[Iterable[object]]) -> str:
    rule = "|".join([" --- "] * (head.count("|") - 1))
    lines = ("| " + " | ".join(str(cell).replace("|", "\\|") for cell in row) + " |" for row in rows)
    return "\n".join([head, f"|{rule}|", *lines]) + "\n"


def options_table() -> str:
    """The options, as Markdown."""
    rows = (
        (
            f"`{one.name}=`",
            one.values,
            one.default.strip("()") if one.default.startswith("(") or not one.default else f"`{one.default}`",
            one.help,
        )
        for one in options.TABLE
    )
    return _table("| option | values | default | |", rows)


def codes_table() -> str:
    """The error codes, as Markdown."""
    return _table("| code | name | line | means |", ((c.number, c.name, c.short, c.sentence) for c in codes.CODES))


def platforms_table() -> str:
    """The platforms, as Markdown."""
    rows = (
        (
            f"`{p.name}`",
            p.what,
            f"{p.dram:#x}",
            f"{p.clint:#x}" + (f", SYSCNT {p.syscnt:#x}" if p.syscnt else ""),
            p.uart,
            p.end + (f" {p.finisher:#x}" if p.finisher else ""),
            "-".join(map(str, dict.fromkeys(p.vlen))),
            ", ".join(fields.SATP_MODES[mode] for mode in p.paging),
            p.pmp_entries if p.pmp_entries < platforms.Platform._field_defaults["pmp_entries"] else "",
            ", ".join(f"{d.name} {d.address:#x}, {d.size:#x} bytes" for d in p.devices),
        )
        for p in platforms.PLATFORMS
    )
    names = ("platform", "machine", "DRAM", "CLINT", "console", "ends a run by", "VLEN", "paging", "PMP entries")
    return _table(f"| {' | '.join(names)} | extended state |", rows)


def csrs_table() -> str:
    """The CSR groups and the CSRs, as Markdown."""
    rows = (
        (
            f"{c.number:#05x}",
            c.name,
            c.group,
            c.when.value,
            "; ".join(filter(None, (c.of and f"see {c.of}", c.note))),
            c.source,
        )
        for c in csrs.INVENTORY
    )
    sets = _table(
        "| set | for | groups | limit of the quiet restorer of one hart |",
        ((f"`{name}`", s.what, " ".join(s.groups), f"{s.limit:#x} bytes") for name, s in csrs.SETS.items()),
    )
    groups = ((f"`{name}`", g.what, g.loss.value, g.why, g.on_qemu) for name, g in csrs.GROUPS.items())
    marked = ((*row, "yes" if on_qemu else "no") for *row, on_qemu in groups)
    head = _table("| group | CSRs | if it is left out, | because | seen on QEMU 7.2 |", marked)
    return sets + "\n" + head + "\n" + _table("| number | name | group | when | note | source |", rows)


def findings_table() -> str:
    """The findings of validate, as Markdown."""
    signals = {code.name: code.number for code in codes.CODES}
    rows = ((f"`{k.code}`", k.severity.value, signals.get(k.signal, ""), k.means, k.remedy) for k in findings.KINDS)
    return _table("| code | severity | signal | means | what to do |", rows)


def set_findings_table() -> str:
    """The findings of set scan, as Markdown."""
    return _table("| code | means | what to do |", ((f"`{kind.code}`", kind.means, kind.remedy) for kind in KINDS))


#: The tables by name: page and generator.
TABLES: dict[str, tuple[str, Callable[[], str]]] = {
    "options": ("docs/options.md", options_table),
    "codes": ("docs/codes.md", codes_table),
    "platforms": ("docs/platforms.md", platforms_table),
    "csrs": ("docs/csrs.md", csrs_table),
    "findings": ("docs/findings.md", findings_table),
    "set-findings": ("docs/sets.md", set_findings_table),
}


def filled(name: str, text: str) -> str:
    """Replace a table in a page.

    Args:
        name: The table's name in TABLES.
        text: The page.

    Returns:
        The page with the generated table.

    Raises:
        ValueError: The page does not have the markers exactly once.
    """
    pattern = re.compile(f"(?<=<!-- {name} -->\n).*?(?=<!-- /{name} -->)", re.DOTALL)
    if len(pattern.findall(text)) != 1:
        raise ValueError(f"want one <!-- {name} --> ... <!-- /{name} -->")
    return pattern.sub(lambda _: TABLES[name][1](), text)


def main() -> None:
    """Replace all tables in the pages of docs/."""
    for name, (page, _) in TABLES.items():
        path = ROOT / page
        path.write_text(filled(name, path.read_text()))


if __name__ == "__main__":
    main()
