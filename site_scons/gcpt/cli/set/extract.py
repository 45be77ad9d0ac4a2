"""``gcpt set extract``: the files of an archive."""

from pathlib import Path

import click

from gcpt.cli.output import InputPath, OutputFolder, json_option, progress, say_json
from gcpt.errors import UserError


@click.command()
@click.argument("archive_path", metavar="ARCHIVE", type=InputPath())
@click.option("-o", "--out", type=OutputFolder(), metavar="DIR", help="The folder for the set.")
@click.option("--workload", "workloads", multiple=True, metavar="NAME", help="Only this workload; can be repeated.")
@click.option("--check", is_flag=True, help="Compare each file with its SHA-256 and write nothing.")
@json_option
def command(archive_path: Path, out: Path | None, workloads: tuple[str, ...], check: bool, as_json: bool) -> int:
    """Extract the set in ARCHIVE, which gcpt set archive wrote.

    Each image has its bytes, name and container again, and is compared with its SHA-256. Files that are in DIR already,
    with the same content, stay: an extraction that was interrupted goes on. Others are not replaced.

    \b
    Example:
      gcpt set extract spec06.gcptset -o spec06
      gcpt set extract spec06.gcptset -o spec06 --workload mcf
      gcpt set extract spec06.gcptset --check
    """
    from gcpt.sets.archive import open_archive

    if (out is None) != check:
        raise UserError("give -o DIR to extract, or --check to write nothing")
    with open_archive(archive_path) as archive:
        entries = archive.chosen(workloads)
        todo = archive.missing_in(out, entries) if out else entries
        with progress("checking" if check else "extracting", len(todo), "files") as advance:
            for entry in todo:
                if out:
                    archive.extract(entry, out)
                else:
                    archive.check(entry)
                advance(1)
    size = sum(entry.stored.size for entry in entries)
    if as_json:
        say_json(
            {"archive": str(archive_path), "files": len(entries), "extracted": len(todo) if out else 0, "content": size}
        )
    else:
        done = f"{len(todo):,} extracted, {len(entries) - len(todo):,} were there" if out else "all have their SHA-256"
        print(f"{archive_path}: {len(entries):,} files, {size:,} bytes uncompressed: {done}")
    return 0
