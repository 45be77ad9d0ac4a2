"""The table of build options: the source for SCons, ``scons -h``, docs/options.md and the names of variants."""

import hashlib
import os
import re
from collections.abc import Mapping, Sequence
from typing import NamedTuple

from gcpt.isa.csrs import DEFAULT_SET, SETS
from gcpt.restorer import platforms

MODES = ("normal", "dual_core", "single_core", "auto")
GENERATORS = ("auto", "nemu", "qemu")
LOG_LEVELS = ("quiet", "info", "debug")
TOOLCHAINS = ("auto", "gnu", "llvm", "zig")
#: Prefix of the reference GNU toolchain.
CROSS_COMPILE = "riscv64-unknown-elf-"
#: Default of options_file=.
OPTIONS_FILE = "gcpt.options"
#: The argument of a build that reads no options file.
NO_OPTIONS_FILE = f"options_file={os.devnull}"
#: Default of prefix=.
PREFIX = "/usr/local"
#: Checksums of a matrix's images, in the build folder.
MATRIX_SUMS = "SHA256SUMS"
#: Default of gdb_port=.
GDB_PORT = "1234"
#: Default of bench_json=.
BENCH_JSON = "build/bench.json"

#: Options that choose the toolchain and the libraries of a build.
TOOL_OPTIONS = ("toolchain", "cross_compile", "picolibc")

#: Maximum length in bytes of a variant's name, which is a folder name.
_LONGEST_NAME = 120


class Option(NamedTuple):
    """One option. All values are text; "" means "not set".

    Attributes:
        name: The option's name, as on the command line.
        group: Title of the option's group in ``scons -h``.
        values: The accepted values, for display.
        default: The default value; in parentheses, a description of a default that depends on other options.
        help: One line of help.
        variant: Format of a non-default value in the variant's name; "" leaves the option out of the name.
        choices: All accepted values; empty for a free-form option.
        aliases: Alternative spellings of choices, as (alias, choice).
        digest: Add a digest of the value to the variant's name, because different values can look alike there.
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
    shown = [
        choice + "".join(f" (or {alias})" for alias, target in aliases.items() if target == choice)
        for choice in choices
    ]
    return Option(name, group, ", ".join(shown), choices[0], help, variant, choices, tuple(aliases.items()))


_STATE, _PAYLOAD, _MACHINE = "Checkpoint and restore", "Payload (next boot stage)", "Machine and messages"
_BUILD, _FILES, _EXPORT = "Build", "Option files", "Export and installation"
_RUN, _TESTS, _BENCH = "Run, debug, edit", "Tests and checks", "Benchmark"

TABLE: tuple[Option, ...] = (
    _choice(
        "mode",
        _STATE,
        MODES,
        "where the state is: protobuf header's offsets, DRAM base + 3 MiB, DRAM base, or any",
        "{}",
        bare_metal="single_core",
    ),
    Option("stop_cpu", _STATE, "N[,N...]", "", "harts to park; the other harts are restored", "stop{}"),
    Option(
        "display_cpu", _STATE, "N[,N...] or all", "", "harts whose state is printed before the restore", "display{}"
    ),
    Option(
        "harts", _STATE, "1 to 128", "(128; 1 in mode=single_core)", "the most harts a checkpoint may have", "harts{}"
    ),
    Option(
        "csrs",
        _STATE,
        "[+|-]GROUP[,...]",
        f"({DEFAULT_SET})",
        f"CSR groups or sets ({', '.join(SETS)}) to write: exactly these, or + and - changes (docs/csrs.md)",
        "csrs{}",
        digest=True,
    ),
    _choice("exact", _STATE, ("0", "1"), "refuse an M-mode checkpoint that only an inexact mret can resume", "exact"),
    _choice("selfcheck", _STATE, ("0", "1"), "read the CSRs back and report differences", "selfcheck"),
    _choice("extended", _STATE, ("0", "1"), "restore device registers and registers behind selectors", "extended"),
    _choice(
        "generator",
        _STATE,
        GENERATORS,
        "what wrote the checkpoint: NEMU moves mstatus.SIE to SPIE; auto: NEMU if one hart and a count of 0",
        "{}",
    ),
    Option("header_addr", _STATE, "ADDR", "", "first address to search for the protobuf header", "header{}"),
    Option(
        "gcpt_payload",
        _PAYLOAD,
        "FILE",
        "",
        "next boot stage to link into the image (OpenSBI, bbl, ...)",
        "payload.{}",
        digest=True,
    ),
    Option(
        "gcpt_payload_position",
        _PAYLOAD,
        "ADDR",
        "(DRAM base + 1 MiB: 0x80100000)",
        "payload address; without gcpt_payload=: of a payload that is in memory already",
        "at{}",
    ),
    Option(
        "gcpt_dtb",
        _PAYLOAD,
        "FILE",
        "",
        "device tree blob to embed; the payload receives its address",
        "dtb.{}",
        digest=True,
    ),
    _choice("platform", _MACHINE, tuple(platforms.BY_NAME), "the machine's memory map and console", "{}"),
    Option("clint", _MACHINE, "ADDR", "(the platform's)", "CLINT address", "clint{}"),
    Option(
        "uart",
        _MACHINE,
        "KIND@ADDR[,SHIFT] or htif",
        "(the platform's)",
        "console: uartlite or 16550 at an address, register shift in bits",
        "{}",
    ),
    _choice("flash", _MACHINE, ("0", "1"), "build an image that runs from read-only flash", "flash"),
    _choice("without_c", _MACHINE, ("0", "1"), "leave out 2-byte instructions, for harts without C", "without-c"),
    Option(
        "ram", _MACHINE, "ADDR", "", "memory for a restorer in flash that prints or restores several harts", "ram{}"
    ),
    _choice("log", _MACHINE, LOG_LEVELS, "what the restorer prints: errors only, or its actions as well", "{}"),
    _choice(
        "toolchain",
        _BUILD,
        TOOLCHAINS,
        "compiler and linker; auto: the first usable one (scons toolchains lists them)",
        "{}",
    ),
    Option(
        "cross_compile",
        _BUILD,
        "PREFIX",
        f"({CROSS_COMPILE}, riscv64-linux-gnu- or riscv64-unknown-linux-gnu-)",
        "GNU toolchain prefix",
        "cc.{}",
        digest=True,
    ),
    Option("picolibc", _BUILD, "DIR", "(fetched by ./sconsw)", "picolibc source directory", "picolibc.{}", digest=True),
    _choice("debug", _BUILD, ("0", "1"), "add symbols and source lines for gdb, and compile C with -Og", "debug"),
    Option("build_dir", _BUILD, "DIR", "build", "output directory"),
    Option("cache_dir", _BUILD, "DIR", "", "build cache directory, which several checkouts can share"),
    Option(
        "options_file",
        _FILES,
        "FILE",
        f"({OPTIONS_FILE} if it exists)",
        "read options from this file; the command line takes precedence",
    ),
    Option("save_options", _FILES, "FILE", "", "write this run's options to a file for options_file="),
    Option(
        "export_dir", _EXPORT, "DIR", "(export in build_dir=)", "output directory of scons export, for NEMU's build"
    ),
    Option("matrix", _EXPORT, "FILE", "(every mode on every platform)", "TOML file of the variants for scons matrix"),
    Option("prefix", _EXPORT, "DIR", PREFIX, "installation prefix of scons install"),
    Option("destdir", _EXPORT, "DIR", "", "staging directory before prefix=, for packagers"),
    Option("ckpt", _RUN, "FILE", "(a generated demo)", "checkpoint for the targets run, debug and debug-server"),
    Option("gdb_port", _RUN, "PORT", GDB_PORT, "port on localhost where debug-server waits for gdb"),
    Option(
        "ide",
        _RUN,
        "vscode",
        "",
        "write editor settings for these options instead of building (docs/editors.md)",
        choices=("vscode",),
    ),
    Option("pytest_args", _TESTS, "ARGS", "", 'extra pytest arguments, such as pytest_args="-k audit -x"'),
    Option("lint", _TESTS, "CHECK[,...]", "(all)", "checks for scons lint to run"),
    _choice("lint_fix", _TESTS, ("0", "1"), "apply the fixes that the tools of scons lint offer", ""),
    Option("mutant", _TESTS, "WORD", "", "plant only the faults of scons mutants whose names contain this"),
    Option("sample", _TESTS, "N", "", "plant N random faults in Python modules; mutant= chooses modules"),
    Option("sample_seed", _TESTS, "N", "(random)", "seed of sample=, to repeat a sample"),
    Option("random_minutes", _TESTS, "N", "(10, without random_count=)", "how long scons random starts random states"),
    Option("random_count", _TESTS, "N", "", "number of random states of scons random"),
    Option("random_seed", _TESTS, "N", "(from the clock)", "seed of scons random, to repeat a run"),
    Option("systems", _TESTS, "NAME[,...]", "(all)", "systems of scons portability"),
    Option("commands", _TESTS, "KIND[,...]", "build,test,pip", "kinds of commands that scons portability runs"),
    Option("bench_json", _BENCH, "FILE", BENCH_JSON, "output file for the benchmark's figures"),
    Option("bench_compare", _BENCH, "FILE", "", "figures of an earlier benchmark to compare with"),
    _choice("bench_quick", _BENCH, ("0", "1"), "skip measurements of wall-clock time", ""),
)

#: Groups of targets with a line of help; the first one is the default.
TARGETS: tuple[tuple[tuple[str, ...], str], ...] = (
    (("build",), "the restorer: gcpt.elf and gcpt.bin (default)"),
    (("run", "debug", "debug-server"), "boot a checkpoint in QEMU (default: platform=qemu-virt mode=auto)"),
    (("report",), "HTML page about the restorer (docs/report.md)"),
    (("docs",), "documentation site (docs/index.md)"),
    (("toolchains",), "table of this machine's toolchains (docs/toolchains.md)"),
    (("test", "bench"), "run the tests or the benchmark"),
    (("lint", "mutants", "coverage", "random"), "check the project itself (docs/checks.md)"),
    (("export", "matrix", "sbom", "install", "restorers"), "outputs for other projects (docs/downstream.md)"),
    (("release",), "files of a release: wheel, source archive, restorers, checksums (docs/release.md)"),
    (("portability",), "run build, tests and installation in chroots of other systems (docs/portability.md)"),
    (("compiledb",), "compile_commands.json for editors (docs/editors.md)"),
)

BY_NAME: dict[str, Option] = {option.name: option for option in TABLE}
#: Options that define a restorer and how to build it; options of outputs and of a run are not among them.
OF_RESTORER = tuple(option for option in TABLE if option.variant or option.name == "cache_dir")


def plain_default(option: Option) -> str:
    """The default value of an option.

    Args:
        option: An option of the table.

    Returns:
        The default, or "" if it depends on other options.
    """
    return "" if option.default.startswith("(") else option.default


def nearest(word: str, words: tuple[str, ...]) -> str:
    """Suggest a correction for a misspelt word.

    Args:
        word: The unknown word.
        words: The known words.

    Returns:
        ``; did you mean X?`` with the closest known word, or "" if none is close.
    """
    from difflib import get_close_matches

    matches = get_close_matches(word.lower().replace("-", "_"), words, 1, 0.5)
    return f"; did you mean {matches[0]}?" if matches else ""


def undashed(arguments: Sequence[str]) -> str:
    """Find an option of the table that is written with dashes, as ``configure`` accepts it.

    SCons has a ``--debug`` of its own, so its values other than 0 and 1 pass.

    Args:
        arguments: Command-line arguments of SCons.

    Returns:
        An error message about the first such argument, or "".
    """
    for argument in arguments:
        name, equals, value = argument.lstrip("-").partition("=")
        name = name.replace("-", "_")
        if name == "debug" and value not in ("", *BY_NAME[name].choices):
            continue
        if argument.startswith("--") and name in BY_NAME:
            return f"{argument}: build options have no dashes: write {name}={value if equals else '...'}"
    return ""


def variant_name(values: Mapping[str, str]) -> str:
    """The folder name of a configuration: the mode, then every option that differs from its default.

    Args:
        values: Option values by name.

    Returns:
        A name of at most 120 bytes.
    """
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
    """Convert a value of an options file, which is Python, to its command-line text.

    Args:
        value: A text, a number, a list of these, or None.

    Returns:
        The text; items of a list are separated by commas.
    """
    if isinstance(value, (list, tuple)):
        return ",".join(map(as_text, value))
    return "" if value is None else str(value)


def saved_text(values: Mapping[str, str]) -> str:
    """Format options as a file of SCons Variables.

    Args:
        values: Option values by name.

    Returns:
        One assignment per line; options of a single run (``options_file``, ``save_options``, ``ide``) are left out.
    """
    skip = ("options_file", "save_options", "ide")
    return "".join(f"{name} = {value!r}\n" for name, value in values.items() if value and name not in skip)


def help_text() -> str:
    """The output of ``scons -h``."""
    lines = ["usage: scons [OPTION=VALUE...] [TARGET...]", "", "Targets:"]
    lines += [f"  {', '.join(names):<31}{help}" for names, help in TARGETS]
    lines += ["scons -c [TARGET...] removes outputs. --verbose shows the commands."]
    group = ""
    for option in TABLE:
        if option.group != group:
            group = option.group
            lines += ["", f"{group}:"]
        lines.append(f"  {option.name}={option.values}")
        default = f" [{option.default.strip('()')}]" if option.default else ""
        lines.append(f"      {option.help}{default}")
    return "\n".join(lines) + "\n"
