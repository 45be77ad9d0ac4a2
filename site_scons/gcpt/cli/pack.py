"""``gcpt pack``: one image that carries its restorer, or another restorer for those that carry one."""

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from gcpt.cli.output import Address, json_option, progress, say_json, told
from gcpt.errors import UserError

if TYPE_CHECKING:
    from gcpt.restorer.packing import Restorer

#: Where memory begins where a restorer does not say so.
_DRAM = 0x8000_0000


@click.command()
@click.argument("gcpt_bin", type=click.Path(path_type=Path))
@click.argument("files", nargs=-1, required=True, type=click.Path(path_type=Path), metavar="CKPT...")
@click.option("-o", "--output", type=click.Path(path_type=Path), help="The image to write.")
@click.option(
    "--format",
    "form",
    type=click.Choice(["raw", "gzip", "zstd", "flash", "elf", "hex"]),
    help="By default what the output's name says.",
)
@click.option("--flash", type=click.Path(path_type=Path), help="The flash image that holds the state, of a pair.")
@click.option(
    "--width",
    type=click.Choice(["1", "2", "4", "8", "16", "32", "64"]),
    default="8",
    show_default=True,
    help="hex: bytes of a word.",
)
@click.option(
    "--base", type=Address(), help="elf: where the image lies, by default where the restorer is for; hex: by default 0."
)
@click.option("--swap", is_flag=True, help="Replace the restorer that each CKPT carries, in place.")
@click.option("--force", is_flag=True, help="Lose what lies under the restorer: it is not needed any more.")
@json_option
def command(
    gcpt_bin: Path,
    files: tuple[Path, ...],
    output: Path | None,
    form: str | None,
    flash: Path | None,
    width: str,
    base: int | None,
    swap: bool,
    force: bool,
    as_json: bool,
) -> int:
    """Make one image of the checkpoint CKPT and the restorer GCPT_BIN, which then starts by itself.

    The image is a memory image, or with --flash the flash image of a pair; as an ELF file (segments for what is not
    zero) or as text for Verilog's $readmemh if that is asked for. A protobuf header that the restorer would overwrite
    goes into the restorer's window. What could not restore is refused. gcpt unpack takes the image apart again.

    \b
    Example:
      gcpt pack build/gcpt.bin uboot.zst -o packed.zst
      gcpt pack build/gcpt.bin uboot.zst -o packed.elf
      gcpt pack build/gcpt.bin memory.gz --flash flash.gz -o flash.bin
    Example: a newer restorer for all of them
      gcpt pack --swap build/gcpt.bin packed/*.zst
      gcpt pack --swap --json build/gcpt.bin packed/*.zst | jq '.[] | select(.error)'
    """
    from gcpt.checkpoint.files import open_checkpoint
    from gcpt.report import description
    from gcpt.restorer import packing

    if swap and (output or form or flash or base is not None):
        raise UserError("--swap changes files in place: leave -o, --format, --flash and --base out")
    restorer = packing.read(gcpt_bin)
    if swap:
        return _swap(restorer, files, force, as_json)
    if output is None or len(files) != 1:
        raise UserError("one CKPT makes one image: name it with -o OUT; or --swap for those that carry a restorer")
    _check_apart(output, gcpt_bin, files[0] if flash else None)
    form = form or packing.format_for(output)
    if form == "flash" and not flash:
        raise UserError("--format flash is for a pair of a memory and a flash image: name the flash image with --flash")
    at = _base(restorer, form, flash is not None, base, int(width))
    checkpoint = open_checkpoint(files[0], flash)
    packed = packing.pack(restorer, checkpoint, flash is not None, force)
    with progress(f"packing {output}", None) as advance:
        size = packing.write(output, told(packed.content, advance), form, at, int(width))
    if as_json:
        said: dict[str, Any] = {"file": str(output), "format": form, "at": at if form == "elf" else None, "bytes": size}
        said |= {"layout": checkpoint.place.kind.value, "harts": description.harts(checkpoint.harts)}
        said |= {"restorer": description.carried(restorer.data), "notes": packed.notes}
        say_json({**said, "replaced": description.carried(packed.old.data) if packed.old else None})
        return 0
    for one in packed.notes:
        print(f"note: {one}")
    if packed.old:
        print(f"replaced: {packed.old}")
    print(f"restorer: {restorer}")
    harts = len(checkpoint.harts)
    print(f"{output}: {harts} hart{'s' * (harts > 1)}, {size:,} bytes, {form}{f' at {at:#x}' * (form == 'elf')}")
    return 0


def _check_apart(output: Path, gcpt_bin: Path, memory: Path | None) -> None:
    """UserError where the image would replace the restorer, or the memory image of a pair, which is not in it."""
    if output.resolve() == gcpt_bin.resolve():
        raise UserError(f"-o {output} is GCPT_BIN too: the image needs a file of its own")
    if memory and output.resolve() == memory.resolve():
        raise UserError(f"-o {output} is the memory image, and what is written is the flash image: name another file")


def _base(restorer: "Restorer", form: str, flash: bool, base: int | None, width: int) -> int:
    """Where the image lies: as it is asked for, or where the restorer is for."""
    from gcpt.isa.paging import PAGE_SIZE

    multiple = {"elf": PAGE_SIZE, "hex": width}.get(form)
    if base is not None:
        if multiple is None:
            raise UserError(f"--base is for --format elf and hex: an image of format {form} has no address")
        if base % multiple or not 0 <= base < 1 << 56:
            raise UserError(f"--base {base:#x}: want a multiple of {multiple} from 0 to below 2^56")
        return base
    if form != "elf":
        return 0
    if restorer.config is None:
        if flash:
            raise UserError(f"{restorer.name} does not say for which machine it is: give --base, the flash's address")
        return _DRAM
    return restorer.config.platform.flash if flash else restorer.config.platform.dram


def _swap(restorer: "Restorer", files: tuple[Path, ...], force: bool, as_json: bool) -> int:
    """Each file for itself: one that cannot be changed is said, and the others are changed all the same."""
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
                row |= {"changed": changed, "restorer": description.carried(restorer.data), "notes": notes}
                row["replaced"] = description.carried(old.data) if changed else None
                said = f"{old} -> {restorer}" if changed else f"has it already: {old}"
                if not as_json:
                    print(f"{file}: {said}{''.join(f' ({note})' for note in notes)}", flush=True)
            except UserError as error:
                row["error"] = " ".join(str(error).split())
                print(f"gcpt: {row['error']}", file=sys.stderr, flush=True)
                status = 2
            rows.append(row)
            advance(file.stat().st_size if file.is_file() else 0)
    if as_json:
        say_json(rows)
    return status
