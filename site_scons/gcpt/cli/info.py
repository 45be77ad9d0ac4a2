"""``gcpt info``: what is in a checkpoint, or what a restorer was built from."""

from pathlib import Path
from typing import Any

import click

from gcpt.cli.output import heading, json_option, progress, say_json, told
from gcpt.console import print_table
from gcpt.errors import UserError


@click.command()
@click.argument("file", type=click.Path(path_type=Path))
@click.option("--flash", type=click.Path(path_type=Path), help="The flash image that holds the state, of a pair.")
@click.option(
    "--hart", type=click.IntRange(0), help="Show the registers of this hart that are not zero, CSRs by field."
)
@click.option("--all", "everything", is_flag=True, help="With --hart: those that are zero as well.")
@click.option("--html", type=click.Path(path_type=Path), help="Write a page with all of it and drawings there.")
@json_option
def command(
    file: Path, flash: Path | None, hart: int | None, everything: bool, html: Path | None, as_json: bool
) -> int:
    """Look into FILE: a checkpoint of any layout and container, a restorer, or an image that carries one.

    Only as much of it is read as holds the state, so that a large one answers as fast as a small one. For --html, which
    shows the pages of memory that are not zero, all of it is read.

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
        raise UserError("--all is for the registers of a hart: give --hart N too")
    if html:
        if hart is not None or as_json:
            raise UserError("--html has every hart on its page: leave --hart and --json out")
        return _write_page(html, file, flash)
    said = describe(file, flash)
    if hart is not None:
        if hart >= len(said.get("harts", ())):
            raise UserError(f"{file}: there is no hart {hart}: it has {len(said.get('harts', ()))}")
        state = open_checkpoint(file, flash).harts[hart]
        said["registers"] = registers(state, everything)
        said["fields"] = csr_fields(state, everything)
    if as_json:
        say_json(said)
    else:
        _print(said)
    return 0


def _write_page(out: Path, file: Path, flash: Path | None) -> int:
    from gcpt.checkpoint import containers, streams
    from gcpt.checkpoint.files import open_checkpoint
    from gcpt.report import checkpoint_page
    from gcpt.report.description import describe

    if out.resolve() in {path.resolve() for path in (file, flash) if path}:
        raise UserError(f"{out}: the page would replace the checkpoint: name another file")
    said = describe(file, flash)
    if "layout" not in said:
        raise UserError(f"{file}: a restorer and no checkpoint: scons report draws a restorer")
    opened = open_checkpoint(file, flash)
    total = file.stat().st_size if containers.container_of(file) == "raw" else None
    with progress("reading", total) as advance:
        size = checkpoint_page.write(out, said, opened, told(streams.chunks(file), advance))
    print(f"{out}: {size:,} bytes")
    return 0


def _hex(value: object) -> str:
    return f"{value:#x}" if isinstance(value, int) else str(value)


def _print(said: dict[str, Any]) -> None:
    from gcpt.isa.fields import text

    content = f", {said['content']:,} bytes" if "content" in said else ""
    size = content or f", {said['size']:,} bytes{' compressed' * (said['container'] != 'elf')}"
    heading(f"{said['file']}: {said['container']}{size}")
    if built := said.get("restorer"):
        options = " ".join(f"{name}={value}" for name, value in built["options"].items()) or "(the defaults)"
        print(f"restorer: {built['size']:,} bytes, gcpt {built['version']}, commit {built['commit']}, {options}")
    if "layout" not in said:
        return
    print(f"layout: {said['layout']}, hart h at {said['base']:#x} + h * {said['stride']:#x}")
    if len(said["layouts"]) > 1:
        found = (f"{one['layout']} at {one['base']:#x} (mode={one['mode']})" for one in said["layouts"])
        print(f"layouts found: {', '.join(found)}; mode=auto takes the first")
    if header := said.get("header"):
        print("header: " + ", ".join(f"{name} {_hex(value)}" for name, value in header.items()))
    columns = ("hart", "pc", "mode", "isa", "vlen", "satp", "vsatp", "hgatp", "enabled", "pending")
    rows = []
    for one in said["harts"]:
        row = {**one, "pc": _hex(one["pc"]), "enabled": " ".join(one["enabled"]), "pending": " ".join(one["pending"])}
        rows.append([row[name] or "-" if name != "hart" else row[name] for name in columns])
    print_table(columns, rows)
    timers = ("hart", "mtime", "mtimecmp", "stimecmp", "vstimecmp")
    print_table(timers, [[one["hart"], *(_hex(one[name]) for name in timers[1:])] for one in said["harts"]])
    if "registers" in said:
        registers = [(name, _hex(value), text(name, value)) for name, value in said["registers"].items()]
        print_table(("register", "value", "fields"), registers)
