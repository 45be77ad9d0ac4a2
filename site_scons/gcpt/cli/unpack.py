"""``gcpt unpack``: a checkpoint and its restorer, from an image that carries it."""

from collections.abc import Callable, Iterable
from pathlib import Path

import click

from gcpt.cli.output import json_option, progress, say_json, told
from gcpt.errors import UserError


@click.command()
@click.argument("image", type=click.Path(path_type=Path))
@click.option("-o", "--output", type=click.Path(path_type=Path), help="The checkpoint to write.")
@click.option("--container", type=click.Choice(["raw", "gzip", "zstd"]), help="By default what the output's name says.")
@click.option("--restorer-out", type=click.Path(path_type=Path), help="Where the restorer goes, a gcpt.bin.")
@json_option
def command(image: Path, output: Path | None, container: str | None, restorer_out: Path | None, as_json: bool) -> int:
    """Take IMAGE apart: the checkpoint as it was before gcpt pack, and the restorer.

    IMAGE is a memory or flash image of any container, or an ELF file of gcpt pack.

    \b
    Example:
      gcpt unpack packed.zst -o uboot.zst --restorer-out gcpt.bin
      gcpt unpack --json packed.zst --restorer-out gcpt.bin | jq .restorer.options
    """
    from gcpt.checkpoint import containers, edits, streams
    from gcpt.checkpoint.output import write_all
    from gcpt.report import description
    from gcpt.restorer import packing

    if not output and not restorer_out:
        raise UserError("nothing to write: give -o CKPT, --restorer-out gcpt.bin, or both")
    for other, what in ((image, "IMAGE"), (output, "-o")):
        if restorer_out and other and restorer_out.resolve() == other.resolve():
            raise UserError(f"--restorer-out {restorer_out} is {what} too: the restorer needs a file of its own")
    old, before = packing.bare(packing.first_mib(image), str(image))
    if old is None:
        raise UserError(f"{image}: it carries no restorer: it starts with none that ends with its flag 0xcaff")
    unstamped = "the restorer has no stamp: taken for one by its head and its flag, and to have no header's window"
    notes = [] if old.stamp else [unstamped]
    say: Callable[[str], None] = (lambda _: None) if as_json else print
    for one in notes:
        say(f"note: {one}")
    files: list[tuple[Path, Iterable[bytes], str]] = []
    with progress(f"unpacking {output or image}", None) as advance:
        if restorer_out:
            files.append((restorer_out, [old.data], "raw"))
        if output:
            content = edits.patched(streams.chunks(image), [(0, before)])
            files.append((output, told(content, advance), container or containers.container_for(output, "raw")))
        *_, size = write_all(files)
    written = {"file": str(output), "container": files[-1][2], "bytes": size} if output else None
    if output:
        say(f"{output}: {size:,} bytes, {files[-1][2]}")
    if restorer_out:
        say(f"{restorer_out}: {old}")
    if as_json:
        beside = {"file": str(restorer_out) if restorer_out else None, **description.carried(old.data)}
        say_json({"checkpoint": written, "restorer": beside, "notes": notes})
    return 0
