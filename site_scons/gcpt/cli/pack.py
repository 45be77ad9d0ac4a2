"""``gcpt pack``: embed a restorer into a checkpoint, or replace embedded restorers."""

import sys
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from gcpt.cli.output import Address, InputPath, OutputPath, json_option, progress, result_printer, say_json, track
from gcpt.errors import UserError
from gcpt.restorer.platforms import BY_NAME
from gcpt.scratch import scratch_folder

if TYPE_CHECKING:
    from gcpt.restorer.packing import Restorer

#: Start of memory, for a restorer without a stamp.
_DRAM = 0x8000_0000


@click.command()
@click.argument("paths", nargs=-1, required=True, type=InputPath(), metavar="[GCPT_BIN] CKPT...")
@click.option("-o", "--output", type=OutputPath(), help="The image to write; - is standard output.")
@click.option(
    "--platform",
    type=click.Choice(list(BY_NAME)),
    help="In place of GCPT_BIN: embed a ready restorer for this machine.",
)
@click.option(
    "--format",
    "form",
    type=click.Choice(["raw", "gzip", "zstd", "flash", "elf", "hex"]),
    help="By default from the output's ending; raw without one.",
)
@click.option("--flash", type=InputPath(), help="The flash image of a flash pair (it holds the state).")
@click.option(
    "--width",
    type=click.Choice(["1", "2", "4", "8", "16", "32", "64"]),
    default="8",
    show_default=True,
    help="hex: bytes of a word of the memory that loads the file, as in reg [8*WIDTH-1:0] memory [0:N].",
)
@click.option("--all-pages", is_flag=True, help="hex: also write zeros that the restorer does not read.")
@click.option(
    "--base",
    type=Address(),
    help="Address of the image. elf: by default the restorer's memory or flash; hex: by default 0.",
)
@click.option(
    "--memory-out", type=OutputPath(), help="With --flash: write the memory image too, in its ending's format."
)
@click.option("--swap", is_flag=True, help="Replace the restorer in each CKPT, in place.")
@click.option("--force", is_flag=True, help="Overwrite data under the restorer.")
@json_option
def command(
    paths: tuple[Path, ...],
    output: Path | None,
    platform: str | None,
    form: str | None,
    flash: Path | None,
    width: str,
    all_pages: bool,
    base: int | None,
    memory_out: Path | None,
    swap: bool,
    force: bool,
    as_json: bool,
) -> int:
    """Embed the restorer GCPT_BIN into the checkpoint CKPT: one image that boots by itself.

    With --platform, there is no GCPT_BIN: the restorer is the smallest one that finds the checkpoint on that machine.

    The result is a memory image, or with --flash the flash image of a pair. --format selects an ELF file (with segments
    for nonzero data, and the symbols tohost and fromhost of a restorer with HTIF) or text for Verilog's $readmemh
    (without zeros, except those that the restorer reads). A protobuf header that the restorer would overwrite moves
    into the restorer's header window. The command refuses a restorer that could not restore the checkpoint. gcpt unpack
    reverses it.

    \b
    Example:
      gcpt pack build/gcpt.bin uboot.zst -o packed.zst
      gcpt pack build/gcpt.bin uboot.zst -o packed.elf
      gcpt pack --platform xiangshan uboot.zst -o packed.gz
      gcpt pack build/gcpt.bin memory.gz --flash flash.gz -o flash.bin
      gcpt pack build/gcpt.bin memory.gz --flash flash.gz -o flash.hex --memory-out memory.hex
    Example: replace the restorer in every image
      gcpt pack --swap build/gcpt.bin packed/*.zst
      gcpt pack --swap --json build/gcpt.bin packed/*.zst | jq '.[] | select(.error)'
    """
    from gcpt.checkpoint import apart
    from gcpt.checkpoint.files import open_checkpoint
    from gcpt.report import description
    from gcpt.restorer import packing, plan

    if swap and (output or form or flash or base is not None or memory_out or all_pages):
        raise UserError(
            "--swap changes files in place: remove -o, --format, --flash, --base, --memory-out and --all-pages"
        )
    gcpt_bin, files = (None, paths) if platform else (paths[0], paths[1:])
    restorer = packing.read(gcpt_bin) if gcpt_bin else None
    if swap:
        if restorer is None or not files:
            raise UserError("--swap wants GCPT_BIN CKPT...: give the new restorer and the packed images")
        for file in files:
            apart.check("CKPT", file, {"GCPT_BIN": gcpt_bin})
        return _swap(restorer, files, force, as_json)
    if output is None or len(files) != 1:
        raise UserError("want one CKPT and -o OUT; or --swap to replace the restorers in packed images")
    say = result_printer(as_json, output, memory_out)
    memory = files[0] if flash else None
    apart.check("-o", output, {"GCPT_BIN": gcpt_bin, "the memory image, but the output is the flash image": memory})
    apart.check("--memory-out", memory_out, {"GCPT_BIN": gcpt_bin, "CKPT": memory, "--flash": flash, "-o": output})
    if memory_out and not flash:
        raise UserError("--memory-out is for a flash pair: name the flash image with --flash")
    form = form or packing.format_for(output)
    if form == "flash" and not flash:
        raise UserError("--format flash needs a flash pair: name the flash image with --flash")
    if all_pages and form != "hex":
        raise UserError(f"--all-pages is for --format hex: an image of format {form} has all zeros")
    checkpoint = open_checkpoint(files[0], flash)
    restorer = restorer or _ready(str(platform), plan.mode_for(checkpoint.place, flash is not None))
    at = _base(restorer, form, flash is not None, base, int(width))
    packed = packing.pack(restorer, checkpoint, flash is not None, force)
    with progress(f"packing {output}", None) as advance:
        tracked = replace(packed, content=track(packed.content, advance))
        outputs = [(packing.Output(output, form, at, int(width), all_pages), tracked)]
        if memory_out:
            memory_form = packing.format_for(memory_out)
            memory_at = _base(restorer, memory_form, False, None, int(width))
            pair = packing.memory_of_pair(files[0])
            outputs.append((packing.Output(memory_out, memory_form, memory_at, int(width), all_pages), pair))
        size, *memory_size = packing.write(*outputs)
    if as_json:
        row: dict[str, Any] = {"file": str(output), "format": form, "at": at if form == "elf" else None, "bytes": size}
        row |= {"layout": checkpoint.place.kind.value, "harts": description.harts(checkpoint.harts)}
        row |= {"restorer": description.known_restorer(restorer.data), "notes": packed.notes}
        row |= {"memory": {"file": str(memory_out), "bytes": memory_size[0]}} if memory_out else {}
        say_json({**row, "replaced": description.known_restorer(packed.old.data) if packed.old else None})
        return 0
    for note in packed.notes:
        say(f"note: {note}")
    if packed.old:
        say(f"replaced: {packed.old}")
    say(f"restorer: {restorer}")
    harts = len(checkpoint.harts)
    say(f"{output}: {harts} hart{'s' * (harts > 1)}, {size:,} bytes, {form}{f' at {at:#x}' * (form == 'elf')}")
    for memory_bytes in memory_size:
        say(f"{memory_out}: the pair's memory, {memory_bytes:,} bytes, {memory_form}")
    return 0


def _ready(platform: str, mode: str) -> "Restorer":
    """A ready restorer."""
    from gcpt.machines import restorers
    from gcpt.restorer import packing

    with scratch_folder() as folder:
        restorer = packing.read(restorers.provide({"platform": platform, "mode": mode}, folder).image)
    return replace(restorer, name=f"the restorer for platform={platform} mode={mode}")


def _base(restorer: "Restorer", form: str, flash: bool, base: int | None, width: int) -> int:
    """The address of the image: ``base`` if given, else the address that the restorer is built for."""
    from gcpt.isa.paging import PAGE_SIZE

    multiple = {"elf": PAGE_SIZE, "hex": width}.get(form)
    if base is not None:
        if multiple is None:
            raise UserError(f"--base needs --format elf or hex: an image of format {form} has no address")
        if base % multiple or not 0 <= base < 1 << 56:
            raise UserError(f"--base {base:#x}: want a multiple of {multiple} below 2^56")
        return base
    if form != "elf":
        return 0
    if restorer.config is None:
        if flash:
            raise UserError(f"{restorer.name}: no stamp with the platform: give the flash's address with --base")
        return _DRAM
    return restorer.config.platform.flash if flash else restorer.config.platform.dram


def _swap(restorer: "Restorer", files: tuple[Path, ...], force: bool, as_json: bool) -> int:
    """Replace the restorer in each file; report a file that fails, and continue with the next."""
    from gcpt.report import description
    from gcpt.restorer import packing

    status, rows = 0, []
    total = sum(file.stat().st_size for file in files if file.is_file())
    with progress("swapping", total) as advance:
        for file in files:
            row: dict[str, Any] = {"file": str(file), "error": None}
            try:
                old, notes = packing.swap(file, restorer, force)
                changed = old.data != restorer.data
                row |= {"changed": changed, "restorer": description.known_restorer(restorer.data), "notes": notes}
                row["replaced"] = description.known_restorer(old.data) if changed else None
                change = f"{old} -> {restorer}" if changed else f"unchanged: {old}"
                if not as_json:
                    print(f"{file}: {change}{''.join(f' ({note})' for note in notes)}", flush=True)
            except UserError as error:
                row["error"] = " ".join(str(error).split())
                print(f"gcpt: {row['error']}", file=sys.stderr, flush=True)
                status = 2
            rows.append(row)
            advance(file.stat().st_size if file.is_file() else 0)
    if as_json:
        say_json(rows)
    return status
