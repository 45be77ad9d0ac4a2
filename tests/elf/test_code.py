"""What is in the code of real restorers."""

import re

import pytest
from elftools.elf.elffile import ELFFile

#: Floating-point and vector instructions: f... but fence, and v... .
_UNIT = re.compile(r"^(f(?!ence)|v)\w*(\.\w+)*$|^c?\.?f[ls][dw]")


def _by_function(listing: str) -> list[tuple[str, str]]:
    """(function, mnemonic) of each instruction of a disassembly."""
    found, function = [], ""
    for line in listing.splitlines():
        if match := re.match(r"[0-9a-f]+ <(\w+)>:", line):
            function = match[1]
        elif match := re.match(r" *[0-9a-f]+:\t[0-9a-f ]+\t(\S+)", line):
            found.append((function, match[1]))
    return found


@pytest.mark.parametrize(
    "options",
    [
        {"mode": "single_core"},
        {"mode": "auto", "log": "debug", "display_cpu": "all", "selfcheck": "1"},
        {"mode": "normal", "log": "debug", "display_cpu": "all", "selfcheck": "1", "debug": "1"},
    ],
    ids=lambda options: options["mode"],
)
def test_c_touches_no_floating_point_or_vector_register(build_restorer, options):
    """They hold the checkpoint's state when the trap handler calls it. The compiler may use them, but need not."""
    restorer = build_restorer(platform="qemu-virt", **options)
    listing = (restorer.folder / restorer.config.variant / "gcpt.dis").read_text()
    users = {function for function, mnemonic in _by_function(listing) if _UNIT.match(mnemonic)}
    with (restorer.folder / "gcpt.elf").open("rb") as file:
        symbols = ELFFile(file).get_section_by_name(".symtab").iter_symbols()
        compiled = {symbol.name for symbol in symbols if symbol["st_info"]["type"] == "STT_FUNC"}
    assert users >= {"vlen_same", "float_registers"}  # restore.S: loads of either kind are seen
    assert not users & compiled
    assert bool(compiled) == (options["mode"] != "single_core")
