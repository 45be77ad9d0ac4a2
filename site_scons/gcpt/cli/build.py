"""``gcpt build``: build a restorer with any options."""

import os
from pathlib import Path

import click

from gcpt.checkpoint.containers import RAW_ENDINGS
from gcpt.cli.output import OutputPath, json_option, result_printer, say_json
from gcpt.errors import UserError

#: Options whose value is a path, relative to the current folder.
_PATHS = ("gcpt_payload", "gcpt_dtb", "picolibc")


@click.command()
@click.argument("words", nargs=-1, metavar="[NAME=VALUE]...")
@click.option(
    "-o",
    "--output",
    type=OutputPath(*RAW_ENDINGS),
    default="gcpt.bin",
    show_default=True,
    help="The restorer to write.",
)
@click.option("--elf", type=OutputPath(".elf"), help="Write the linked file with symbols as well.")
@json_option
def command(words: tuple[str, ...], output: Path, elf: Path | None, as_json: bool) -> int:
    """Build a restorer with the options NAME=VALUE of ./sconsw (docs/options.md), without a checkout.

    SCons and a toolchain build it from the sources that the package carries: pip install 'gcpt[build]' brings SCons and
    zig; a RISC-V GCC or LLVM on PATH comes first. Objects are kept in the user's cache folder.

    \b
    Example:
      gcpt build mode=dual_core stop_cpu=1 csrs=+hpm
      gcpt build platform=qemu-virt gcpt_payload=fw_payload.bin -o gcpt.bin --elf gcpt.elf
    """
    from gcpt.checkpoint import apart
    from gcpt.checkpoint.output import write_all
    from gcpt.machines import restorers
    from gcpt.report import description
    from gcpt.restorer import packing
    from gcpt.restorer.resolution import resolve

    options = _options(words)
    say = result_printer(as_json, output, elf)
    payload = options.get("gcpt_payload")
    for name, path in (("-o", output), ("--elf", elf)):
        apart.check(name, path, {"gcpt_payload=": Path(payload) if payload else None})
    apart.check("--elf", elf, {"-o": output})
    resolve(options)
    built = restorers.build(options)
    restorer = packing.read(built.image)
    outputs = [(output, built.image), *([(elf, built.elf)] if elf else [])]
    sizes = write_all([(out, [path.read_bytes()], "raw") for out, path in outputs])
    if as_json:
        row = {"file": str(output), "bytes": sizes[0], "elf": str(elf) if elf else None}
        say_json({**row, "restorer": description.known_restorer(restorer.data)})
    say(f"{output}: {restorer}")
    if elf:
        say(f"{elf}: the same with symbols")
    return 0


def _options(words: tuple[str, ...]) -> dict[str, str]:
    """Build options by name, with absolute paths."""
    from gcpt.restorer import options

    values: dict[str, str] = {}
    for word in words:
        name, equals, value = word.partition("=")
        if not equals:
            raise UserError(f"{word}: want an option NAME=VALUE, such as mode=auto")
        if name in values:
            raise UserError(f"{word}: {name}= is there twice: remove one")
        if name in options.BY_NAME and not options.BY_NAME[name].variant:
            raise UserError(f"{word}: this option does not change a restorer: remove it")
        is_path = name in _PATHS or (name == "cross_compile" and os.sep in value)
        values[name] = os.path.abspath(os.path.expanduser(value)) if value and is_path else value
    return values
