"""Flags of the compiler, assembler and linker, and the third-party sources of a restorer."""

import os
from collections.abc import Sequence
from pathlib import Path

from gcpt import checkout
from gcpt.build import render
from gcpt.errors import UserError
from gcpt.restorer.config import BuildConfig

#: Extensions and ABI for compilers. The code must not use F and D, whose registers have the checkpoint's state;
#: tests/firmware checks this.
_MACHINE = ("-march=rv64imafdc_zicsr_zifencei", "-mabi=lp64d")
#: How these words say that the machine has C, and how they say that it does not.
_COMPRESSED, _NOT_COMPRESSED = ("imafdc_", "+d+c+"), ("imafd_", "+d+")
#: Target flags by kind of toolchain. zig enables undefined-behaviour checks unless told otherwise.
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
    # The image runs at any address: no tables of absolute addresses.
    *("-fno-pie", "-fno-jump-tables"),
    # Turn off defaults of distributions.
    *("-fno-stack-protector", "-fno-asynchronous-unwind-tables", "-fno-exceptions", "-U_FORTIFY_SOURCE"),
    *("-fno-common", "-ffunction-sections", "-fdata-sections"),
    *("-Wall", "-Wextra", "-Wundef", "-Werror", "-Wdate-time"),
)
#: Sources that use more extensions enable them with ".option arch".
_ASM_FLAGS = ("-x", "assembler-with-cpp", "-Wundef", "-Werror", "-Wa,--fatal-warnings")
#: C flags of debug=1; the last -O takes effect. -Og code is larger; zig does not optimize with -Og, which makes the
#: image too large.
_DEBUG = {"gnu": ("-g", "-Og"), "llvm": ("-g", "-Og"), "zig": ("-g",)}
#: C flags of debug=0: zig adds debug information by default.
_NO_DEBUG = {"gnu": (), "llvm": (), "zig": ("-g0",)}

#: picolibc's C library folder and its compiled sources: functions that compilers call, and for restorers that print,
#: vfprintf without floating point.
_LIBC = "newlib/libc"
_STRINGS = ("machine/riscv/memcpy-asm.S", "machine/riscv/memset.S")
_PRINTF = ("tinystdio/vfiprintf.c", "string/strnlen.c")
_LIBC_INCLUDES = ("tinystdio", "machine/riscv", "include", "locale")
_LIBC_CONFIGURATION = Path("third_party")
#: Small variants of the functions, and no warnings for third-party code.
_LIBC_FLAGS = ("-D__PREFER_SIZE_OVER_SPEED", "-D_LIBC", "-w")

LINK_FLAGS = (
    *("-m", "elf64lriscv", "-nostdlib", "-static"),
    *("--build-id=none", "--gc-sections", "--fatal-warnings"),
    # The audit searches relocations for absolute addresses; they are not part of the image.
    "--emit-relocs",
    # The image is not paged: segments need not start at multiples of 4 KiB.
    *("-z", "max-page-size=4", "-z", "noexecstack"),
)
#: Make printf call vfprintf without floating point.
_PRINTF_FLAGS = ("--defsym=vfprintf=__i_vfprintf",)


def _machine(kind: str, without_c: bool) -> list[str]:
    """The target flags of a kind of toolchain."""
    words = list(MACHINES[kind])
    for there, gone in zip(_COMPRESSED, _NOT_COMPRESSED, strict=True) if without_c else ():
        words = [word.replace(there, gone) for word in words]
    return words


def c_flags(kind: str, debug: bool = False, without_c: bool = False) -> list[str]:
    """The flags of the C compiler.

    Args:
        kind: Kind of toolchain.
        debug: The value of ``debug=``.
        without_c: The value of ``without_c=``.

    Returns:
        Command-line words.
    """
    return [*_machine(kind, without_c), *_C_FLAGS, *(_DEBUG if debug else _NO_DEBUG)[kind]]


def asm_flags(kind: str, debug: bool = False, without_c: bool = False) -> list[str]:
    """The flags of the assembler.

    Args:
        kind: Kind of toolchain.
        debug: The value of ``debug=``.
        without_c: The value of ``without_c=``.

    Returns:
        Command-line words.
    """
    return [*_machine(kind, without_c), *_ASM_FLAGS, *(("-g",) if debug else _NO_DEBUG[kind])]


def for_clangd(kind: str, compiler: Sequence[str], words: Sequence[str]) -> list[str]:
    """Convert a compile command for clangd; zig's becomes a clang command.

    Args:
        kind: Kind of toolchain.
        compiler: The compiler's words.
        words: The command.

    Returns:
        The command for clangd.
    """
    if kind != "zig":
        return list(words)
    return [compiler[0], *MACHINES["llvm"], *words[len(compiler) + len(MACHINES["zig"]) :]]


def link_flags(config: BuildConfig) -> list[str]:
    """The flags of the linker.

    Args:
        config: The configuration.

    Returns:
        Command-line words.
    """
    return [*LINK_FLAGS, *(_PRINTF_FLAGS if render.needs_printf(config) else ())]


def debug_map(folder: str) -> str:
    """The flag that makes debug information independent of the checkout's folder.

    Args:
        folder: The project's folder, which becomes ".".

    Returns:
        A compiler flag.
    """
    return f"-fdebug-prefix-map={folder}=."


def library_sources(config: BuildConfig) -> list[Path]:
    """List picolibc's sources in a restorer.

    Args:
        config: The configuration.

    Returns:
        Paths; none for a direct restorer, which has no C.
    """
    names = (*_STRINGS, *(_PRINTF if render.needs_printf(config) else ())) if not config.direct else ()
    return [config.picolibc / _LIBC / name for name in names]


def library_includes(config: BuildConfig) -> list[Path]:
    """List the include folders of picolibc, with that of its configuration header.

    Args:
        config: The configuration.

    Returns:
        Folders.
    """
    return [_LIBC_CONFIGURATION, *(config.picolibc / _LIBC / name for name in _LIBC_INCLUDES)]


def library_version(config: BuildConfig, name: str) -> list[Path]:
    """List files that change with picolibc's version, as dependencies in place of its headers.

    Args:
        config: The configuration.
        name: File name of a source.

    Returns:
        Paths; none for the firmware's assembly, which includes nothing of picolibc.
    """
    if name.endswith(".S") and not _is_of_library(config, name):
        return []
    return [_LIBC_CONFIGURATION / "picolibc.h", config.picolibc / "meson.build"]


def _is_of_library(config: BuildConfig, name: str) -> bool:
    return name in {path.name for path in library_sources(config)}


def include_path(folder: Path | None) -> list[Path]:
    """List the firmware's include folders of a source.

    Args:
        folder: The folder of a firmware source's generated files; None for a source of picolibc.

    Returns:
        Folders.
    """
    return [Path("firmware/include"), folder] if folder else []


def embedded(config: BuildConfig, name: str) -> dict[str, Path]:
    """List the files that a source includes with .incbin.

    Args:
        config: The configuration.
        name: File name of a source.

    Returns:
        Paths by the macro that has the path in the source.
    """
    if name != "payload.S":
        return {}
    files = {"GCPT_PAYLOAD_FILE": config.payload, "GCPT_DTB_FILE": config.dtb}
    return {macro: path for macro, path in files.items() if path}


def defines(config: BuildConfig, name: str) -> list[str]:
    """The additional flags of a source.

    Args:
        config: The configuration.
        name: File name of a source.

    Returns:
        -D flags, and picolibc's flags for one of its sources.
    """
    if _is_of_library(config, name):
        return list(_LIBC_FLAGS)
    return [f'-D{macro}="{path}"' for macro, path in embedded(config, name).items()]


def check_sources(config: BuildConfig) -> None:
    """Check that the third-party sources of a build exist.

    Args:
        config: The configuration.

    Raises:
        UserError: A source is missing.
    """
    folder = config.picolibc
    if missing := [str(path.relative_to(folder)) for path in library_sources(config) if not path.is_file()]:
        fetched = "./sconsw --setup-only fetches it" if checkout.present() else "install a released wheel"
        remedy = "choose another folder" if config.picolibc_dir else f"{fetched}, or choose your own"
        raise UserError(f"{folder}{os.sep} has no {' and '.join(missing)}: {remedy} with picolibc=DIR")


#: Targets that do not compile or link.
_WITHOUT_TOOLCHAIN = (
    "test",
    "lint",
    "mutants",
    "coverage",
    "random",
    "docs",
    "compiledb",
    "ide",
    "toolchains",
    "release",
    "portability",
)


def needed(targets: list[str]) -> bool:
    """Whether targets need the toolchain.

    Args:
        targets: The targets of this run of SCons; none is the default target.

    Returns:
        True if any of them is compiled or linked.
    """
    return not targets or not all(target in _WITHOUT_TOOLCHAIN or target.endswith(".json") for target in targets)
