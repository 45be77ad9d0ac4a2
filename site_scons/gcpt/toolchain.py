"""The flags of the compiler, assembler and linker, and whether the tools are there. Data and pure functions."""

import os
import shutil
from collections.abc import Iterable
from pathlib import Path

from gcpt import generated, render
from gcpt.config import BuildConfig
from gcpt.errors import UserError

#: Commands of the toolchain that a build runs, without their prefix.
COMMANDS = ("gcc", "objcopy", "objdump")

#: The ABI that the libgcc of every distribution's compiler has. The compiler has no use for F and D in this code, which
#: tests/elf looks after: these registers hold the checkpoint's state.
MACHINE = ("-march=rv64imafdc_zicsr_zifencei", "-mabi=lp64d")

C_FLAGS = (
    *MACHINE,
    *("-std=c11", "-Os", "-ffreestanding", "-mcmodel=medany"),
    # The image runs wherever it is loaded: no tables of absolute addresses.
    *("-fno-pie", "-fno-jump-tables"),
    *("-fno-common", "-fno-stack-protector", "-ffunction-sections", "-fdata-sections"),
    *("-Wall", "-Wextra", "-Wundef", "-Werror", "-Wdate-time"),
)
#: A file that needs more of the assembler says so with ".option arch".
ASM_FLAGS = (*MACHINE, "-x", "assembler-with-cpp", "-Wundef", "-Werror", "-Wa,--fatal-warnings")
#: What debug=1 adds to both; the last -O counts. The image gets no symbol, but the C of -Og is larger.
DEBUG_C_FLAGS = ("-g", "-Og")
DEBUG_ASM_FLAGS = ("-g",)
#: A decoder from a buffer, without messages or memory allocation (nanopb, "Compilation options").
NANOPB_DEFINES = ("-DPB_BUFFER_ONLY", "-DPB_NO_ERRMSG")
NANOPB_SOURCES = ("pb_common.c", "pb_decode.c")
NANOPB_FILES = (*NANOPB_SOURCES, "checkpoint.pb.c")

LINK_FLAGS = (
    # Chooses libgcc: the names of its folders know no extensions of letters.
    *("-march=rv64imafdc", "-mabi=lp64d"),
    *("-nostdlib", "-static", "-no-pie"),
    "-Wl,--build-id=none,--gc-sections,--fatal-warnings",
    # Kept for the audit, which looks for absolute addresses in them; they are not part of the image.
    "-Wl,--emit-relocs",
    # The image need not be paged in: without this, a segment would start at a multiple of 4 KiB.
    "-Wl,-z,max-page-size=4,-z,noexecstack",
)
#: The integer-only vfprintf of picolibc (1,920 bytes) under the name that printf calls.
PRINTF_FLAGS = ("-Wl,--defsym=vfprintf=__i_vfprintf",)

_SETUP = "./sconsw --setup-only installs it"


def c_library(config: BuildConfig) -> Path:
    """picolibc's library for MACHINE."""
    return config.picolibc / "lib/rv64imafdc/lp64d/libc.a"


def link_flags(config: BuildConfig) -> list[str]:
    return [*LINK_FLAGS, *(PRINTF_FLAGS if render.needs_printf(config) else ())]


def debug_map(folder: str) -> str:
    """With debug=1: the flag by which the project's own ``folder`` is "." to debuggers, and all checkouts are alike."""
    return f"-fdebug-prefix-map={folder}=."


def libraries(config: BuildConfig) -> list[Path]:
    """What is linked besides the firmware's own objects: nothing where there is no C."""
    return [] if config.direct else [c_library(config)]


def include_path(config: BuildConfig, name: str, folder: Path | None = None) -> list[Path]:
    """The folders of headers for the firmware's source ``name``, whose own are in ``folder``, or for nanopb's."""
    own = [Path("firmware/include"), folder] if folder else []
    return own + ([config.common_dir, config.nanopb] if not folder or generated.uses_nanopb(name) else [])


def embedded(config: BuildConfig, name: str) -> dict[str, Path]:
    """The files that the source ``name`` takes in by .incbin, by the macro that names them to it."""
    if name != "payload.S":
        return {}
    files = {"GCPT_PAYLOAD_FILE": config.payload, "GCPT_DTB_FILE": config.dtb}
    return {macro: path for macro, path in files.items() if path}


def defines(config: BuildConfig, name: str) -> list[str]:
    """-D flags of the source ``name``."""
    if name in NANOPB_FILES or generated.uses_nanopb(name):
        return list(NANOPB_DEFINES)
    return [f'-D{macro}="{path}"' for macro, path in embedded(config, name).items()]


def programs(config: BuildConfig, names: Iterable[str], search_path: str) -> list[Path]:
    """The files of these commands of the toolchain, as far as they are there."""
    found = (shutil.which(config.cross_compile + name, path=search_path) for name in names)
    return [Path(path) for path in found if path]


def check(config: BuildConfig, search_path: str) -> None:
    """UserError if something that a build needs is not there. Looks for files only, runs nothing."""
    for name in COMMANDS:
        if not programs(config, [name], search_path):
            command = config.cross_compile + name
            raise UserError(f"{command} is not found: {_SETUP}, or name another toolchain with cross_compile=PREFIX")
    if not c_library(config).is_file():
        raise UserError(f"{c_library(config)} does not exist: {_SETUP}, or name picolibc's folder with picolibc=DIR")
    if config.protobuf and not all((config.nanopb / name).is_file() for name in NANOPB_SOURCES):
        remedy = "name a checkout of nanopb" if config.nanopb_dir else "./sconsw --setup-only fetches it"
        raise UserError(f"{config.nanopb}{os.sep} holds no {' and '.join(NANOPB_SOURCES)}: {remedy} (nanopb_dir=DIR)")


def needed(targets: list[str]) -> bool:
    """Whether building ``targets`` (none: the default) runs the toolchain."""
    without = ("test", "lint", "mutants", "compiledb", "ide")
    return not targets or not all(target in without or target.endswith(".json") for target in targets)
