"""``gcpt info``: show the contents of a checkpoint, or the build of a restorer."""

from pathlib import Path
from typing import Any

import click

from gcpt.cli.output import PAGE_ENDINGS, InputPath, OutputPath, heading, json_option, progress, say_json, track
from gcpt.console import print_table
from gcpt.errors import UserError


@click.command()
@click.argument("file", type=InputPath())
@click.option("--flash", type=InputPath(), help="The flash image of a flash pair (it holds the state).")
@click.option("--hart", type=click.IntRange(0), help="Show the nonzero registers of this hart, and their fields.")
@click.option("--all", "everything", is_flag=True, help="With --hart: also show registers that are zero.")
@click.option("--html", type=OutputPath(*PAGE_ENDINGS), help="Write everything, with drawings, to an HTML page.")
@json_option
def command(
    file: Path, flash: Path | None, hart: int | None, everything: bool, html: Path | None, as_json: bool
) -> int:
    """Show the contents of FILE: a checkpoint in any layout and container, a restorer, or an image with one embedded.

    The command reads the image only up to the end of the state, so a large image takes no longer than a small one. With
    --html, which shows the nonzero pages of memory, it reads the whole image.

    \b
    Example:
      gcpt info uboot.zst
      gcpt info uboot.zst --hart 0
      gcpt info uboot.zst --html uboot.html
    """
    from gcpt.checkpoint.files import open_checkpoint
    from gcpt.checkpoint.registers import registers
    from gcpt.report.description import csr_fields, describe

    if everything and hart is None:
        raise UserError("--all needs the registers of a hart: add --hart N")
    if html:
        if hart is not None or as_json:
            raise UserError("--html shows every hart: remove --hart and --json")
        return _write_page(html, file, flash)
    facts = describe(file, flash)
    if hart is not None:
        count = len(facts.get("harts", ()))
        if hart >= count:
            raise UserError(f"{file}: no hart {hart}: the file has {count} hart{'s' * (count != 1)}, numbered from 0")
        state = open_checkpoint(file, flash).harts[hart]
        facts["registers"] = registers(state, everything)
        facts["fields"] = csr_fields(state, everything)
    if as_json:
        say_json(facts)
    else:
        _print(facts, hart)
    return 0


def _write_page(out: Path, file: Path, flash: Path | None) -> int:
    from gcpt.checkpoint import apart, containers, streams
    from gcpt.checkpoint.files import open_checkpoint
    from gcpt.report import checkpoint_page
    from gcpt.report.description import describe

    apart.check("--html", out, {"FILE": file, "--flash": flash})
    facts = describe(file, flash)
    if "layout" not in facts:
        raise UserError(f"{file}: a restorer, not a checkpoint: scons report makes the page of a restorer")
    opened = open_checkpoint(file, flash)
    total = file.stat().st_size if containers.container_of(file) == "raw" else None
    with progress("reading", total) as advance:
        size = checkpoint_page.write(out, facts, opened, track(streams.chunks(file), advance))
    print(f"{out}: {size:,} bytes")
    return 0


def _hex(value: object) -> str:
    return f"{value:#x}" if isinstance(value, int) else str(value)


def _print(facts: dict[str, Any], hart_shown: int | None) -> None:
    from gcpt.isa.fields import text

    content = f", {facts['content']:,} bytes" if "content" in facts else ""
    size = content or f", {facts['size']:,} bytes{' compressed' * (facts['container'] != 'elf')}"
    heading(f"{facts['file']}: {facts['container']}{size}")
    built = facts.get("restorer") or facts.get("overwritten_restorer")
    if built and "options" not in built:
        print(f"restorer: {built['size']:,} bytes, {built.get('project', 'unknown project')}, without a stamp")
    elif built:
        options = " ".join(f"{name}={value}" for name, value in built["options"].items()) or "(default options)"
        print(f"restorer: {built['size']:,} bytes, gcpt {built['version']}, commit {built['commit']}, {options}")
    if built and "overwritten" in built:
        print(
            f"  the protobuf header overwrote its first {built['overwritten']} bytes: it cannot start, and gcpt pack "
            "replaces it"
        )
    if "layout" not in facts:
        return
    print(f"layout: {facts['layout']}, hart h at {facts['base']:#x} + h * {facts['stride']:#x}")
    if len(facts["layouts"]) > 1:
        places = (f"{row['layout']} at {row['base']:#x} (mode={row['mode']})" for row in facts["layouts"])
        print(f"layouts: {', '.join(places)}; mode=auto restores the first")
    if header := facts.get("header"):
        print("header: " + ", ".join(f"{name} {_hex(value)}" for name, value in header.items()))
    print(f"generator: {facts['generator']['name']} ({facts['generator']['reason']})")
    columns = ("hart", "pc", "mode", "isa", "vlen", "satp", "vsatp", "hgatp", "enabled", "pending")
    rows = []
    for hart in facts["harts"]:
        interrupts = {name: " ".join(hart[name]) for name in ("enabled", "pending")}
        row = {**hart, "pc": _hex(hart["pc"]), **interrupts}
        rows.append([row[name] or "-" if name != "hart" else row[name] for name in columns])
    print_table(columns, rows)
    timers = ("hart", "mtime", "mtimecmp", "stimecmp", "vstimecmp")
    print_table(timers, [[hart["hart"], *(_hex(hart[name]) for name in timers[1:])] for hart in facts["harts"]])
    for row in facts.get("extended", ()):
        count = len(row.get("writes", ()))
        print(f"extended state of hart {row['hart']}: {row.get('error') or f'{count} write' + 's' * (count != 1)}")
    if "registers" in facts:
        registers = [(name, _hex(value), text(name, value)) for name, value in facts["registers"].items()]
        print_table(("register", "value", "fields"), registers)
        writes = [
            (write["name"], _hex(write["value"]))
            for row in facts.get("extended", ())
            for write in row.get("writes", ())
            if row["hart"] == hart_shown
        ]
        if writes:
            print_table(("extended state, in order", "value"), writes)
