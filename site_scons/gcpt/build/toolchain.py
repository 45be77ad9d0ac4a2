"""The flags of the compiler, assembler and linker, and which foreign sources they are for. Data and pure functions."""

import os
from collections.abc import Sequence
from pathlib import Path

from gcpt.build import generated, render
from gcpt.errors import UserError
from gcpt.restorer.config import BuildConfig

#: The extensions that compilers may use, and how calls pass values. They have no use for F and D in this code, which
#: tests/firmware checks: these registers hold the checkpoint's state.
_MACHINE = ("-march=rv64imafdc_zicsr_zifencei", "-mabi=lp64d")
#: What each kind of toolchain is told of the machine. zig would add checks of its own.
MACHINES = {
    "gnu": _MACHINE,
    "llvm": ("--target=riscv64-unknown-elf", *_MACHINE),
    "zig": (
        *("-target", "riscv64-freestanding-none", "-mcpu=generic_rv64+m+a+f+d+c+zicsr+zifencei", "-mabi=lp64d"),
        "-fno-sanitize=undefined",
    ),
}
_C_FLAGS = (
    *("-std=c11", "-Os", "-ffreestanding", "-mcmodel=medany"),
    # The image runs wherever it is loaded: no tables of absolute addresses.
    *("-fno-pie", "-fno-jump-tables"),
    # What distributions make their compilers do unasked.
    *("-fno-stack-protector", "-fno-asynchronous-unwind-tables", "-U_FORTIFY_SOURCE"),
    *("-fno-common", "-ffunction-sections", "-fdata-sections"),
    *("-Wall", "-Wextra", "-Wundef", "-Werror", "-Wdate-time"),
)
#: A file that needs more of the assembler says so with ".option arch".
_ASM_FLAGS = ("-x", "assembler-with-cpp", "-Wundef", "-Werror", "-Wa,--fatal-warnings")
#: What debug=1 adds to C; the last -O counts. The image gets no symbol, but the C of -Og is larger, and too large with
#: zig, which would not optimize at all for it.
_DEBUG = {"gnu": ("-g", "-Og"), "llvm": ("-g", "-Og"), "zig": ("-g",)}
#: Without it: zig would add debug information.
_NO_DEBUG = {"gnu": (), "llvm": (), "zig": ("-g0",)}

#: A decoder from a buffer, without messages or memory allocation (nanopb, "Compilation options").
NANOPB_DEFINES = ("-DPB_BUFFER_ONLY", "-DPB_NO_ERRMSG")
NANOPB_SOURCES = ("pb_common.c", "pb_decode.c")
NANOPB_FILES = (*NANOPB_SOURCES, "checkpoint.pb.c")

#: picolibc's folder of the C library, and what is compiled of it: what compilers call, and for those who print the
#: vfprintf without floating point.
_LIBC = "newlib/libc"
_STRINGS = ("machine/riscv/memcpy-asm.S", "machine/riscv/memset.S")
_PRINTF = ("tinystdio/vfiprintf.c", "string/strnlen.c")
_LIBC_INCLUDES = ("tinystdio", "machine/riscv", "include", "locale")
_LIBC_CONFIGURATION = Path("third_party")
#: The small ones of its functions; what our own flags warn of is not ours to mend.
_LIBC_FLAGS = ("-D__PREFER_SIZE_OVER_SPEED", "-D_LIBC", "-w")

LINK_FLAGS = (
    *("-m", "elf64lriscv", "-nostdlib", "-static"),
    *("--build-id=none", "--gc-sections", "--fatal-warnings"),
    # Kept for the audit, which looks for absolute addresses in them; they are not part of the image.
    "--emit-relocs",
    # The image need not be paged in: without this, a segment would start at a multiple of 4 KiB.
    *("-z", "max-page-size=4", "-z", "noexecstack"),
)
#: The vfprintf without floating point under the name that printf calls.
_PRINTF_FLAGS = ("--defsym=vfprintf=__i_vfprintf",)


def c_flags(kind: str, debug: bool = False) -> list[str]:
    """For C, with a toolchain of this kind; debug: as debug=1 has it."""
    return [*MACHINES[kind], *_C_FLAGS, *(_DEBUG if debug else _NO_DEBUG)[kind]]


def asm_flags(kind: str, debug: bool = False) -> list[str]:
    """For assembly, with a toolchain of this kind; debug: as debug=1 has it."""
    return [*MACHINES[kind], *_ASM_FLAGS, *(("-g",) if debug else _NO_DEBUG[kind])]


def for_clangd(kind: str, compiler: Sequence[str], words: Sequence[str]) -> list[str]:
    """The command ``words`` of a compiler of this kind as clangd understands it: zig's as that of the clang in it."""
    if kind != "zig":
        return list(words)
    return [compiler[0], *MACHINES["llvm"], *words[len(compiler) + len(MACHINES["zig"]) :]]


def link_flags(config: BuildConfig) -> list[str]:
    return [*LINK_FLAGS, *(_PRINTF_FLAGS if render.needs_printf(config) else ())]


def debug_map(folder: str) -> str:
    """With debug=1: the flag by which the project's own ``folder`` is "." to debuggers, and all checkouts are alike."""
    return f"-fdebug-prefix-map={folder}=."


def library_sources(config: BuildConfig) -> list[Path]:
    """What is compiled of picolibc: nothing where there is no C."""
    names = (*_STRINGS, *(_PRINTF if render.needs_printf(config) else ())) if not config.direct else ()
    return [config.picolibc / _LIBC / name for name in names]


def library_includes(config: BuildConfig) -> list[Path]:
    """The folders of picolibc's headers, and of the one with which it is configured."""
    return [_LIBC_CONFIGURATION, *(config.picolibc / _LIBC / name for name in _LIBC_INCLUDES)]


def library_version(config: BuildConfig, name: str) -> list[Path]:
    """What changes with the picolibc that the source ``name`` includes: its headers are not followed one by one.

    The firmware's assembly includes nothing of it.
    """
    if name.endswith(".S") and not _is_of_library(config, name):
        return []
    return [_LIBC_CONFIGURATION / "picolibc.h", config.picolibc / "meson.build"]


def _is_of_library(config: BuildConfig, name: str) -> bool:
    return name in {path.name for path in library_sources(config)}


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
    """-D flags of the source ``name``, and picolibc's of one of its sources."""
    if _is_of_library(config, name):
        return list(_LIBC_FLAGS)
    if name in NANOPB_FILES or generated.uses_nanopb(name):
        return list(NANOPB_DEFINES)
    return [f'-D{macro}="{path}"' for macro, path in embedded(config, name).items()]


def check_sources(config: BuildConfig) -> None:
    """UserError if foreign sources that a build needs are not there."""
    parts = [(config.picolibc, config.picolibc_dir, library_sources(config), "picolibc=DIR")]
    if config.protobuf:
        wanted = [config.nanopb / name for name in NANOPB_SOURCES]
        parts.append((config.nanopb, config.nanopb_dir, wanted, "nanopb_dir=DIR"))
    for folder, own, wanted, option in parts:
        if absent := [str(path.relative_to(folder)) for path in wanted if not path.is_file()]:
            remedy = "name another folder" if own else "./sconsw --setup-only fetches it, or name your own"
            raise UserError(f"{folder}{os.sep} holds no {' and '.join(absent)}: {remedy} with {option}")


#: Targets that are neither compiled nor linked.
_WITHOUT = ("test", "lint", "mutants", "coverage", "docs", "compiledb", "ide", "toolchains")


def needed(targets: list[str]) -> bool:
    """Whether building ``targets`` (none: the default) runs the toolchain."""
    return not targets or not all(target in _WITHOUT or target.endswith(".json") for target in targets)
