"""The folder that ``scons export`` writes: what the builds of NEMU and workload-builder look for in a checkout.

Texts only, from the inventories. Who takes what: docs/downstream.md.
"""

import shlex
import sys
from collections.abc import Mapping
from pathlib import Path

from gcpt.checkpoint.layouts import (
    BLOCK_SIZE,
    DEFAULT,
    HEADER_MAGIC,
    HEADER_VERSIONS,
    MESSAGE_FIELDS,
    MULTI_CORE,
    NEMU_PROTOBUF_OFFSET,
    Layout,
)
from gcpt.errors import UserError
from gcpt.restorer.options import saved_text

#: The options of the folder, which configure writes and make reads.
OPTIONS = "gcpt.options"
#: Where make builds within the folder, so that several copies of it never meet.
BUILD = "build/scons"
#: What is said to those who give addresses in CFLAGS, as to the restorers that these builds know.
_FLAGS = (
    "gcpt: the CONFIG_ macros of CFLAGS are not looked at: ./configure --platform=, --clint= and --uart= say the same"
)
#: The first line of what nobody but scons export writes.
_MARK = "# Made by scons export of gcpt."


def check(folder: Path) -> None:
    """UserError where ``folder`` holds a build of somebody else's, which would be overwritten."""
    for name in ("configure", "Makefile"):
        path = folder / name
        if path.exists() and _MARK not in path.read_bytes().decode(errors="replace").splitlines():
            raise UserError(
                f"export_dir={folder}: its {name} is not from scons export and would be lost: name another folder, or "
                "remove what is there"
            )


def _struct(kind: str, name: str, values: Mapping[str, int]) -> str:
    lines = "".join(f"  .{field} = {value:#x},\n" for field, value in values.items())
    return f"__attribute__((unused)) static {kind} {name} = {{\n{lines}}};\n"


def _layout(name: str, layout: Layout, base: int = 0) -> str:
    values = {MESSAGE_FIELDS[field]: base + offset for field, offset in layout.items().items()}
    return _struct("single_core_rvgc_rvv_rvh_memlayout", name, values)


def default_values(dram: int) -> str:
    """cpt_default_values.h: the values that a generator encodes; those of the first struct are addresses from ``dram``.

    Fields are in the order of their declaration, as C++ wants it.
    """
    header = {
        "magic_number": HEADER_MAGIC,
        "cpt_offset": NEMU_PROTOBUF_OFFSET,
        "cpu_num": 1,
        "single_core_size": BLOCK_SIZE,
        "version": HEADER_VERSIONS[-1],
    }
    parts = (
        "// Made by scons export of gcpt from its layouts; docs/formats.md there describes them.\n"
        "#ifndef CPT_DEFAULT_VALUES_H\n#define CPT_DEFAULT_VALUES_H\n\n#include <checkpoint.pb.h>\n",
        "// Addresses of hart 0's state where its block starts with memory.\n"
        + _layout("default_rvgc_v_h_memlayout", DEFAULT, dram),
        "// Offsets in a hart's block.\n" + _layout("default_qemu_memlayout", DEFAULT),
        _layout("default_multicore_layout", MULTI_CORE),
        "// cpt_offset is the size of the two structs.\n"
        + _struct("checkpoint_header", "multicore_default_header", header),
        "#endif\n",
    )
    return "\n".join(parts)


def options_text(given: Mapping[str, str]) -> str:
    """gcpt.options: ``given``, the options of a configuration, less where it is built."""
    return f"{_MARK}\n" + saved_text({name: value for name, value in given.items() if name != "build_dir"})


def _lost(root: Path) -> str:
    """Shell commands that end the script where the project is not at ``root`` any more."""
    project, python = shlex.quote(str(root / "SConstruct")), shlex.quote(sys.executable)
    said = shlex.quote(
        f"gcpt: the project that made this folder is not at {root} any more: run scons export there again"
    )
    return f"[ -f {project} ] && [ -x {python} ] || {{ echo {said} >&2; exit 2; }}"


def configure(root: Path) -> str:
    """The script: options in, gcpt.options out, by the table of the project at ``root``."""
    python = f"PYTHONPATH={shlex.quote(str(root / 'site_scons'))} exec {shlex.quote(sys.executable)} -m gcpt.configure"
    return f"""#!/bin/sh
{_MARK}
# ./configure --NAME=VALUE ... chooses the options of the next make; --help lists them.
{_lost(root)}
{python} "$(dirname -- "$0")" "$@"
"""


def makefile(root: Path) -> str:
    """Make builds what gcpt.options asks for, by the project at ``root``; make clean removes it."""

    def recipe(text: str) -> str:
        return text.replace("$", "$$")

    scons = f"cd {shlex.quote(str(root))} && {shlex.quote(sys.executable)} -m SCons -Q"
    return f"""{_MARK}
# make [CROSS_COMPILE=PREFIX] [GCPT_PAYLOAD_PATH=FILE] builds build/gcpt.bin, src/ and export_include/ of the options
# that ./configure took. The project's own flags are used: CFLAGS and LDFLAGS are not looked at.
.PHONY: app clean
app:
\t@{recipe(_lost(root))}
\t@case '$(CFLAGS)' in *-DCONFIG_*) echo {shlex.quote(_FLAGS)} >&2 ;; esac
\t@here=$$PWD; payload='$(GCPT_PAYLOAD_PATH)'; case $$payload in '' | /*) ;; *) payload=$$here/$$payload ;; esac; \\
\t{recipe(scons)} exported "export_dir=$$here" "options_file=$$here/{OPTIONS}" "build_dir=$$here/{BUILD}" \\
\t$(if $(CROSS_COMPILE),'cross_compile=$(CROSS_COMPILE)') $${{payload:+"gcpt_payload=$$payload"}}

clean:
\trm -rf build export_include src/checkpoint.pb.c
"""
