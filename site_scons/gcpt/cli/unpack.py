"""``gcpt unpack``: split a packed image into checkpoint and restorer."""

from collections.abc import Iterable
from pathlib import Path

import click

from gcpt.checkpoint.containers import RAW_ENDINGS
from gcpt.cli.output import InputPath, OutputPath, json_option, progress, result_printer, say_json, track
from gcpt.errors import UserError


@click.command()
@click.argument("image", type=InputPath())
@click.option("-o", "--output", type=OutputPath(), help="The checkpoint to write; - is standard output.")
@click.option(
    "--container",
    type=click.Choice(["raw", "gzip", "zstd"]),
    help="By default from the output's ending; raw without one.",
)
@click.option("--restorer-out", type=OutputPath(*RAW_ENDINGS), help="The restorer to write, a gcpt.bin.")
@json_option
def command(image: Path, output: Path | None, container: str | None, restorer_out: Path | None, as_json: bool) -> int:
    """Split IMAGE into the checkpoint as it was before gcpt pack, and the restorer.

    IMAGE is a memory or flash image in any container, or an ELF file from gcpt pack.

    \b
    Example:
      gcpt unpack packed.zst -o uboot.zst --restorer-out gcpt.bin
      gcpt unpack --json packed.zst --restorer-out gcpt.bin | jq .restorer.options
    """
    from gcpt.checkpoint import apart, containers, edits, overwritten, streams
    from gcpt.checkpoint.output import write_all
    from gcpt.report import description
    from gcpt.restorer import packing

    if not output and not restorer_out:
        raise UserError("nothing to write: give -o CKPT, --restorer-out gcpt.bin, or both")
    say = result_printer(as_json, output, restorer_out)
    apart.check("--restorer-out", restorer_out, {"IMAGE": image, "-o": output})
    container = container or (containers.container_for(output, "raw") if output else None)
    old, before = packing.bare(packing.first_mib(image), str(image))
    if old is None and overwritten.find(packing.first_mib(image)):
        raise UserError(f"{image}: the protobuf header overwrote its restorer's head: gcpt pack replaces the rest")
    if old is None:
        raise UserError(f"{image}: no embedded restorer: no restorer that ends with the flag 0xcaff at the start")
    unstamped = "the restorer has no stamp: recognised by its head and flag, assumed to have no header window"
    notes = [] if old.stamp else [unstamped]
    files: list[tuple[Path, Iterable[bytes], str]] = []
    with progress(f"unpacking {output or image}", None) as advance:
        if restorer_out:
            files.append((restorer_out, [old.data], "raw"))
        if output:
            content = edits.patched(streams.chunks(image), [(0, before)])
            files.append((output, track(content, advance), container or "raw"))
        *_, size = write_all(files)
    for note in notes:
        say(f"note: {note}")
    written = {"file": str(output), "container": files[-1][2], "bytes": size} if output else None
    if output:
        say(f"{output}: {size:,} bytes, {files[-1][2]}")
    if restorer_out:
        say(f"{restorer_out}: {old}")
    if as_json:
        restorer = {"file": str(restorer_out) if restorer_out else None, **description.known_restorer(old.data)}
        say_json({"checkpoint": written, "restorer": restorer, "notes": notes})
    return 0
