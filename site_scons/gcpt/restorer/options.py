"""The one table of options: read by SCons, ``scons -h``, docs/options.md and the names of variants."""

import hashlib
import re
from collections.abc import Mapping, Sequence
from typing import NamedTuple

from gcpt.restorer import platforms

MODES = ("normal", "dual_core", "single_core", "auto")
LOG_LEVELS = ("quiet", "info", "debug")
TOOLCHAINS = ("auto", "gnu", "llvm", "zig")
#: The prefix of the reference compiler, and the file of kept options where none is named.
CROSS_COMPILE = "riscv64-unknown-elf-"
OPTIONS_FILE = "gcpt.options"
#: Where scons install puts things where nothing is said.
PREFIX = "/usr/local"
#: The checksums of a matrix's images, in the build folder.
MATRIX_SUMS = "SHA256SUMS"
#: The port of localhost at which a debugged machine waits for gdb.
GDB_PORT = "1234"
#: Where a bench's figures go where no file is named.
BENCH_JSON = "build/bench.json"

#: Bytes of a variant's name, which is the name of a folder.
_LONGEST_NAME = 120


class Option(NamedTuple):
    """One option: all values are text, and "" is the same as not given.

    values: the values as people read them. choices: all there are, if they can be listed. aliases: other spellings of a
    choice. default: what no value means; where it depends on others, in words within brackets. variant: how a value
    that is not the default appears in the variant's name, "" if it does not. digest: the name holds a digest of the
    value, because two values may look alike in a file name.
    """

    name: str
    group: str
    values: str
    default: str
    help: str
    variant: str = ""
    choices: tuple[str, ...] = ()
    aliases: tuple[tuple[str, str], ...] = ()
    digest: bool = False


def _choice(name: str, group: str, choices: tuple[str, ...], help: str, variant: str, **aliases: str) -> Option:
    shown = [one + "".join(f" (or {other})" for other, real in aliases.items() if real == one) for one in choices]
    return Option(name, group, ", ".join(shown), choices[0], help, variant, choices, tuple(aliases.items()))


_STATE, _PAYLOAD, _MACHINE = "What is restored", "The next boot stage", "The machine"
_BUILD, _FILES, _OTHERS = "The build", "Options in files", "Outputs for others"
_RUN, _TESTS, _BENCH = "Running, debugging, editing", "Tests", "The bench"

TABLE: tuple[Option, ...] = (
    _choice(
        "mode",
        _STATE,
        MODES,
        "where the state lies: where a protobuf header says, DRAM base + 3 MiB, DRAM base, or any of these",
        "{}",
        bare_metal="single_core",
    ),
    Option("stop_cpu", _STATE, "N[,N...]", "", "park these harts; the others still restore", "stop{}"),
    Option(
        "display_cpu",
        _STATE,
        "N[,N...] or all",
        "",
        "print the state of these harts before it is restored",
        "display{}",
    ),
    Option(
        "harts", _STATE, "1 to 128", "(128; 1 in mode=single_core)", "the most harts a checkpoint may have", "harts{}"
    ),
    Option(
        "csrs",
        _STATE,
        "[+|-]GROUP[,...]",
        "(the platform's)",
        "the groups of CSRs to write (docs/csrs.md): exactly these and base, or with + and - more or less",
        "csrs{}",
        digest=True,
    ),
    _choice("exact", _STATE, ("0", "1"), "refuse an M-mode checkpoint that only an inexact mret would resume", "exact"),
    _choice("selfcheck", _STATE, ("0", "1"), "read the CSRs back and report those that differ", "selfcheck"),
    Option("header_addr", _STATE, "ADDR", "", "look for the protobuf header here first", "header{}"),
    Option(
        "gcpt_payload", _PAYLOAD, "FILE", "", "link this next boot stage (OpenSBI, bbl, ...)", "payload.{}", digest=True
    ),
    Option(
        "gcpt_payload_position", _PAYLOAD, "ADDR", "(DRAM base + 1 MiB: 0x80100000)", "where the payload lies", "at{}"
    ),
    Option(
        "gcpt_dtb",
        _PAYLOAD,
        "FILE",
        "",
        "embed this device tree and pass its address to the payload",
        "dtb.{}",
        digest=True,
    ),
    _choice("platform", _MACHINE, tuple(platforms.BY_NAME), "the machine's memory map and console", "{}"),
    Option("clint", _MACHINE, "ADDR", "(the platform's)", "the address of the CLINT", "clint{}"),
    Option(
        "uart",
        _MACHINE,
        "KIND@ADDR[,SHIFT] or htif",
        "(the platform's)",
        "the console: uartlite or 16550, register shift in bits",
        "{}",
    ),
    _choice("flash", _MACHINE, ("0", "1"), "the image runs from read-only flash", "flash"),
    Option("ram", _MACHINE, "ADDR", "", "memory for a restorer in flash that prints or serves several harts", "ram{}"),
    _choice("log", _MACHINE, LOG_LEVELS, "what the restorer prints: errors only, or also what it does", "{}"),
    _choice(
        "toolchain",
        _BUILD,
        TOOLCHAINS,
        "what compiles and links: auto is the first usable one in this order; scons toolchains lists them",
        "{}",
    ),
    Option(
        "cross_compile",
        _BUILD,
        "PREFIX",
        f"({CROSS_COMPILE}, riscv64-linux-gnu- or riscv64-unknown-linux-gnu-)",
        "GNU tools whose names begin like this",
        "cc.{}",
        digest=True,
    ),
    Option(
        "picolibc", _BUILD, "DIR", "(fetched by ./sconsw)", "your own sources of picolibc", "picolibc.{}", digest=True
    ),
    Option(
        "nanopb_dir", _BUILD, "DIR", "(fetched by ./sconsw)", "your own checkout of nanopb", "nanopb.{}", digest=True
    ),
    _choice("debug", _BUILD, ("0", "1"), "symbols and source lines for gdb, and C that can be stepped (-Og)", "debug"),
    Option("build_dir", _BUILD, "DIR", "build", "where all outputs go"),
    Option("cache_dir", _BUILD, "DIR", "", "fetch what was built before, here or by others, from this folder"),
    Option(
        "options_file",
        _FILES,
        "FILE",
        f"({OPTIONS_FILE} if it exists)",
        "read options from here; the command line wins",
    ),
    Option("save_options", _FILES, "FILE", "", "write the options of this build there, for options_file="),
    Option("export_dir", _OTHERS, "DIR", "(export in build_dir=)", "where scons export writes what NEMU's build takes"),
    Option("matrix", _OTHERS, "FILE", "(every mode on every platform)", "which variants scons matrix builds, in TOML"),
    Option("prefix", _OTHERS, "DIR", PREFIX, "where scons install puts the restorer"),
    Option("destdir", _OTHERS, "DIR", "", "put this folder before prefix=, to make a package of"),
    Option("ckpt", _RUN, "FILE", "(one to try with)", "the checkpoint of the targets run, debug and debug-server"),
    Option("gdb_port", _RUN, "PORT", GDB_PORT, "the port of localhost at which debug-server waits for gdb"),
    Option(
        "ide",
        _RUN,
        "vscode",
        "",
        "instead of building, write the editor's settings for these options (docs/editors.md)",
        choices=("vscode",),
    ),
    Option("pytest_args", _TESTS, "ARGS", "", 'more arguments for the tests, such as pytest_args="-k audit -x"'),
    Option("lint", _TESTS, "CHECK[,...]", "(all)", "which checks scons lint makes"),
    _choice("lint_fix", _TESTS, ("0", "1"), "mend what scons lint finds and its tools can mend", ""),
    Option("mutant", _TESTS, "WORD", "", "scons mutants plants only the faults with this in their names"),
    Option("bench_json", _BENCH, "FILE", BENCH_JSON, "write the bench's figures there"),
    Option("bench_compare", _BENCH, "FILE", "", "compare with the figures of an earlier bench"),
    _choice("bench_quick", _BENCH, ("0", "1"), "leave out what a clock measures", ""),
)

BY_NAME: dict[str, Option] = {option.name: option for option in TABLE}
#: What makes one restorer, and how: not where it goes, nor what else a run does.
OF_RESTORER = tuple(option for option in TABLE if option.variant or option.name == "cache_dir")


def plain_default(option: Option) -> str:
    """The value that stands for no value; "" where that depends on other options."""
    return "" if option.default.startswith("(") else option.default


def nearest(word: str, words: tuple[str, ...]) -> str:
    """``; did you mean X?`` for the one of ``words`` that looks most like ``word``, or nothing."""
    from difflib import get_close_matches

    found = get_close_matches(word.lower().replace("-", "_"), words, 1, 0.5)
    return f"; did you mean {found[0]}?" if found else ""


def undashed(arguments: Sequence[str]) -> str:
    """What to write instead of the first option that follows dashes, as ``configure`` takes them; or "".

    SCons itself has a --debug, which shows how it works: those of its words that are none of ours are for it.
    """
    for argument in arguments:
        name, equals, value = argument.lstrip("-").partition("=")
        name = name.replace("-", "_")
        if name == "debug" and value not in ("", *BY_NAME[name].choices):
            continue
        if argument.startswith("--") and name in BY_NAME:
            return f"{argument}: options of the build are written without dashes: {name}={value if equals else '...'}"
    return ""


def variant_name(values: Mapping[str, str]) -> str:
    """The name of the folder for these options: the mode, then whatever is not the default."""
    parts = [values.get("mode") or MODES[0]]
    for option in TABLE[1:]:
        value = values.get(option.name, "")
        if option.variant and value not in ("", plain_default(option)):
            word = value.rstrip("/").rpartition("/")[2].rstrip("-") if option.digest else value
            word = option.variant.format(re.sub(r"[^A-Za-z0-9_-]+", ".", word))
            parts.append(f"{word}.{_digest(value)}" if option.digest else word)
    name = "-".join(parts)
    return name if len(name) <= _LONGEST_NAME else f"{name[: _LONGEST_NAME - 7]}.{_digest(name)}"


def _digest(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()[:6]


def as_text(value: object) -> str:
    """A value of an options file, which is Python and may hold numbers and lists, as on the command line."""
    if isinstance(value, (list, tuple)):
        return ",".join(map(as_text, value))
    return "" if value is None else str(value)


def saved_text(values: Mapping[str, str]) -> str:
    """The given options as a file of SCons Variables."""
    skip = ("options_file", "save_options", "ide")
    return "".join(f"{name} = {value!r}\n" for name, value in values.items() if value and name not in skip)


def help_text() -> str:
    """What ``scons -h`` prints."""
    lines = ["usage: scons [OPTION=VALUE...] [TARGET...]", ""]
    lines += [
        "Targets: build (the default), test, bench; report: a page on the variant (docs/report.md);",
        "docs: the documentation as a site, in build/docs/html (docs/index.md);",
        "toolchains: which there are (docs/toolchains.md); lint, mutants, coverage (docs/checks.md);",
        "export, matrix, sbom, install (docs/downstream.md);",
        "compiledb: compile_commands.json, for editors; run, debug, debug-server: a checkpoint in QEMU, by default",
        "with platform=qemu-virt and mode=auto. scons -c [TARGET...] removes what was built.",
    ]
    lines += ["--verbose shows the commands."]
    group = ""
    for option in TABLE:
        if option.group != group:
            group = option.group
            lines += ["", f"{group}:"]
        lines.append(f"  {option.name}={option.values}")
        default = f" [{option.default.strip('()')}]" if option.default else ""
        lines.append(f"      {option.help}{default}")
    return "\n".join(lines) + "\n"
