"""Texts of the folder that ``scons export`` writes: the files that builds of NEMU and workload-builder expect.

docs/downstream.md lists the consumers of each file.
"""

import shlex
import sys
from collections.abc import Mapping
from pathlib import Path

from gcpt.checkpoint.layouts import (
    BLOCK_SIZE,
    CHECKPOINT_MAGIC,
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

#: The folder's options, which configure writes and make reads.
OPTIONS = "gcpt.options"
#: The build folder of make, inside the exported folder: copies of the folder do not share it.
BUILD = "build/scons"
#: The macros of restore_rom_addr.h that have the offsets of a block's fields, by field name.
_FIELD_MACROS = {
    "magic_number": "BOOT_FLAG_ADDR",
    "pc": "PC_CPT_ADDR",
    "mode": "MODE_CPT_ADDR",
    "mtime": "MTIME_CPT_ADDR",
    "mtime_cmp": "MTIME_CMP_CPT_ADDR",
    "misc_done": "MISC_DONE_CPT_ADDR",
    "misc_reserve": "MISC_RESERVE",
    "int_reg": "INT_REG_CPT_ADDR",
    "int_reg_done": "INT_REG_DONE",
    "float_reg": "FLOAT_REG_CPT_ADDR",
    "float_reg_done": "FLOAT_REG_DONE",
    "csr_reg": "CSR_REG_CPT_ADDR",
    "csr_reg_done": "CSR_REG_DONE",
    "csr_reserve": "CSR_RESERVE",
    "vector_reg": "VECTOR_REG_CPT_ADDR",
    "vector_reg_done": "VECTOR_REG_DONE",
}
#: The line that marks files of scons export.
_MARK = "# Made by scons export of gcpt."


def check(folder: Path) -> None:
    """Check that an export overwrites no files of another project.

    Args:
        folder: The output folder.

    Raises:
        UserError: The folder has a configure or Makefile that scons export did not write.
    """
    for name in ("configure", "Makefile"):
        path = folder / name
        if path.exists() and _MARK not in path.read_bytes().decode(errors="replace").splitlines():
            raise UserError(
                f"export_dir={folder}: scons export did not write its {name} and would overwrite it: choose another "
                "folder, or remove the file"
            )


def _struct(kind: str, name: str, values: Mapping[str, int]) -> str:
    lines = "".join(f"  .{field} = {value:#x},\n" for field, value in values.items())
    return f"__attribute__((unused)) static {kind} {name} = {{\n{lines}}};\n"


def _layout(name: str, layout: Layout, base: int = 0) -> str:
    values = {MESSAGE_FIELDS[field]: base + offset for field, offset in layout.items().items()}
    return _struct("single_core_rvgc_rvv_rvh_memlayout", name, values)


def default_values(dram: int) -> str:
    """Write cpt_default_values.h, the values that a generator encodes.

    Fields are in the order of their declaration, as C++ requires.

    Args:
        dram: Base address of memory, to which the fields of the first struct are relative.

    Returns:
        The header's text.
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


def restore_rom_addr() -> str:
    """Write restore_rom_addr.h, the offsets at which NEMU writes the state without protobuf.

    Returns:
        The header's text, with the names that NEMU includes it for.
    """
    macros = {"BOOT_CODE": 0, "CPT_MAGIC_BUMBER": CHECKPOINT_MAGIC}  # spelt as NEMU uses it
    macros |= {_FIELD_MACROS[field]: offset for field, offset in DEFAULT.items().items()}
    lines = "".join(f"#define {name} {value:#x}\n" for name, value in macros.items())
    return (
        "/* Made by scons export of gcpt from its layouts: offsets in a hart's block; docs/formats.md there describes "
        f"them. */\n#ifndef RESTORE_ROM_ADDR_H\n#define RESTORE_ROM_ADDR_H\n\n{lines}\n#endif\n"
    )


def options_text(values: Mapping[str, str]) -> str:
    """Write gcpt.options.

    Args:
        values: Option values by name; ``build_dir`` is left out.

    Returns:
        The file's text.
    """
    return f"{_MARK}\n" + saved_text({name: value for name, value in values.items() if name != "build_dir"})


def _project_check(root: Path) -> str:
    """Shell commands that exit with an error unless the project is at ``root``."""
    project, python = shlex.quote(str(root / "SConstruct")), shlex.quote(sys.executable)
    message = shlex.quote(f"gcpt: {root}: the project of this folder has moved: run scons export there again")
    return f"[ -f {project} ] && [ -x {python} ] || {{ echo {message} >&2; exit 2; }}"


def configure(root: Path) -> str:
    """Write the script ``configure``, which writes gcpt.options.

    Args:
        root: The project's folder, an absolute path.

    Returns:
        The script.
    """
    path, python = shlex.quote(str(root / "site_scons")), shlex.quote(sys.executable)
    return f"""#!/bin/sh
{_MARK}
# ./configure --NAME=VALUE ... sets the options of the next make; --help lists them.
{_project_check(root)}
PYTHONPATH={path} exec {python} -m gcpt.build.configure "$(dirname -- "$0")" "$@"
"""


def makefile(root: Path) -> str:
    """Write the Makefile, which builds the restorer of gcpt.options.

    Args:
        root: The project's folder, an absolute path.

    Returns:
        The Makefile.
    """

    def recipe(text: str) -> str:
        return text.replace("$", "$$")

    python = f"PYTHONPATH={shlex.quote(str(root / 'site_scons'))} {shlex.quote(sys.executable)}"
    scons = f"cd {shlex.quote(str(root))} && {shlex.quote(sys.executable)} -m SCons -Q"
    return f"""{_MARK}
# make [CROSS_COMPILE=PREFIX] [GCPT_PAYLOAD_PATH=FILE] [O=FOLDER] builds build/gcpt.bin, src/ and export_include/, here
# or in FOLDER, with the options of the last ./configure. -DCONFIG_CLINT_MMIO= and -DCONFIG_SERIAL_PORT= in CFLAGS
# replace clint= and uart=; the project has its own flags, and the rest of CFLAGS and LDFLAGS is ignored.
# The shell gets the variables from its environment: their values may have quotes.
export CFLAGS CROSS_COMPILE GCPT_PAYLOAD_PATH O
.PHONY: app clean
app:
\t@{recipe(_project_check(root))}
\t@here=$$PWD; macros=; case "$$CFLAGS" in \\
\t*CONFIG_*) macros=$$({recipe(python)} -m gcpt.build.c_flags) || exit ;; esac; \\
\tout=$${{O:-.}}; case $$out in /*) ;; *) out=$$here/$$out ;; esac; \\
\tpayload=$$GCPT_PAYLOAD_PATH; case $$payload in '' | /*) ;; *) payload=$$here/$$payload ;; esac; \\
\t{recipe(scons)} exported "export_dir=$$out" "options_file=$$here/{OPTIONS}" "build_dir=$$here/{BUILD}" \\
\t$$macros $${{CROSS_COMPILE:+"cross_compile=$$CROSS_COMPILE"}} $${{payload:+"gcpt_payload=$$payload"}}

clean:
\trm -rf build export_include src/checkpoint.pb.c $${{O:+"$$O/build"}}
"""
