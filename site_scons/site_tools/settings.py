"""The settings of this run.

env["OPTIONS"]: option texts by name. env["CONFIG"]: their configuration. env["MATRIX"]: the configurations of a matrix.
env["READY"]: those of the ready restorers. env["TOOLCHAINS"]: the toolchain of each configuration, by variant.
env["ENV"], env["TEST_ENV"]: environments of commands and of tests. Also locks the build folder and sets SCons's
signature file.
"""

import codecs
import fcntl
import os
import sys
from pathlib import Path

import SCons.SConsign
from SCons import dblite
from SCons.Script import ARGLIST, ARGUMENTS, COMMAND_LINE_TARGETS, Exit, GetOption
from SCons.Variables import Variables

from gcpt.build import generated, launch, messages, toolchain, toolchains
from gcpt.errors import UserError, one_line
from gcpt.restorer import parse
from gcpt.restorer.options import OPTIONS_FILE, TABLE, as_text, undashed
from gcpt.restorer.resolution import resolve

#: Environment variables of the caller that commands inherit.
HOST_VARIABLES = (
    "PATH",  # toolchain, QEMU, dtc
    "HOME",  # configuration of QEMU and gdb
    "TMPDIR",  # temporary files of the compiler and the tests
    "LANG", "LC_ALL", "TERM",  # language and format of messages
)  # fmt: skip

#: Targets that write nothing to the build folder themselves; the builds that they start take its lock.
_WITHOUT_LOCK = {"test", "lint", "mutants", "coverage", "bench", "toolchains", "release", "portability"}

#: First bytes of texts that Python does not read as UTF-8.
_BYTE_ORDER_MARKS = (codecs.BOM_UTF8, codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)

#: Prefix of variables that only tests inherit: longer runs, real checkpoints.
_TEST_VARIABLES = "GCPT_"


def _options(env):
    """Option texts by name, from the options file and the command line, which takes precedence."""
    if message := undashed(sys.argv[1:]):
        raise UserError(message)
    for name in ARGUMENTS:
        if len({value for key, value in ARGLIST if key == name}) > 1:
            raise UserError(f"{name}= has two different values on the command line: remove one")
    file = ARGUMENTS.get("options_file") or OPTIONS_FILE
    if "options_file" in ARGUMENTS and file != os.devnull and not os.path.isfile(file):
        if os.path.exists(file):
            raise UserError(f"options_file={file}: not a file: want a file from save_options=FILE")
        raise UserError(f"options_file={file}: no such file: save_options={file} writes one")
    variables = Variables(file, ARGUMENTS)
    for option in TABLE:
        variables.Add(option.name, option.help, None)
    try:
        variables.Update(env)
    except Exception as error:
        with Path(file).open("rb") as text:
            if text.read(4).startswith(_BYTE_ORDER_MARKS):
                raise UserError(f"{file}: starts with a byte order mark: save it as UTF-8 without one") from None
        raise UserError(f"{file}: {error}: want lines such as mode = 'dual_core'") from None
    chosen = {option.name: env[option.name] for option in TABLE if option.name in env}
    return {name: as_text(value) for name, value in {**variables.UnknownVariables(), **chosen}.items()}


def _matrix(options):
    """The configurations of the target "matrix"; none without that target."""
    if "matrix" not in COMMAND_LINE_TARGETS:
        return []
    from gcpt.build import matrix

    file = options.get("matrix")
    groups = matrix.load(Path(file).expanduser()) if file else matrix.DEFAULT
    return matrix.configurations(groups, options, f"matrix={file}" if file else "matrix")


def _ready(options):
    """The configurations of the target "restorers"; none without that target."""
    if "restorers" not in COMMAND_LINE_TARGETS:
        return []
    from gcpt.restorer import ready

    return [resolve({**options, **each}) for each in ready.variants()]


def _lock(folder):
    """Lock ``folder`` until this process ends or executes another program; wait for other builds in it.

    Concurrent builds corrupt each other's outputs. Without support for locks, builds do not wait.
    """
    try:
        os.makedirs(folder, exist_ok=True)
        lock = os.open(folder / ".sconsign.lock", os.O_WRONLY | os.O_CREAT, 0o666)
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            print(f"gcpt: {folder}: another scons builds here: waiting for it to end", file=sys.stderr, flush=True)
            fcntl.flock(lock, fcntl.LOCK_EX)
    except OSError:
        return


def _cache(folder):
    """Create the folder of cache_dir= early, for a clear error message."""
    try:
        os.makedirs(folder, exist_ok=True)
    except OSError as error:
        raise UserError(f"cache_dir={folder}: {error.strerror}: choose another folder") from None


def _toolchains(configs, built, environment):
    """The toolchain of each configuration, by variant. Toolchains of those not ``built`` are not tested."""
    chosen, notes = {}, []
    for config in configs:
        if config in built:
            toolchain.check_sources(config)
            chosen[config.variant], rejected = toolchains.for_build(config, environment)
            name = chosen[config.variant].name
            notes += [f"gcpt: using {name}: {reason} (scons toolchains lists all)" for reason in rejected[:1]]
        else:
            chosen[config.variant] = toolchains.presumed(config, environment)
    for note in dict.fromkeys(notes):
        print(note)
    return chosen


class _Signatures:
    """SCons's signature file in the build folder; a run that builds nothing creates neither."""

    @staticmethod
    def open(name, flag):
        folder = os.path.dirname(name)
        if not os.path.isdir(folder):
            if GetOption("clean") or GetOption("no_exec") or GetOption("question"):
                return {}
            os.makedirs(folder)
        return dblite.open(name, flag)


def generate(env):
    env["ENV"] = {name: os.environ[name] for name in HOST_VARIABLES if name in os.environ}
    test_variables = {name: value for name, value in os.environ.items() if name.startswith(_TEST_VARIABLES)}
    env["TEST_ENV"] = env["ENV"] | test_variables
    try:
        parse.utf8("TMPDIR", os.environ.get("TMPDIR", ""))
        messages.read(generated.PROTO)  # an error now is one line
        options = _options(env)
        targets = COMMAND_LINE_TARGETS or (["ide"] if options.get("ide") else [])
        env["OPTIONS"] = launch.with_defaults(options, targets)
        env["CONFIG"] = resolve(env["OPTIONS"])
        env["MATRIX"] = _matrix(env["OPTIONS"])
        env["READY"] = _ready(env["OPTIONS"])
        configs = [*env["MATRIX"], *env["READY"], env["CONFIG"]]
        builds = not any(GetOption(name) for name in ("clean", "no_exec", "question"))
        if env["CONFIG"].cache_dir and builds:
            _cache(env["CONFIG"].cache_dir)
        built = ([*env["MATRIX"], *env["READY"]] or configs) if builds and toolchain.needed(targets) else []
        env["TOOLCHAINS"] = _toolchains(configs, built, env["ENV"])
        if builds and not (targets and _WITHOUT_LOCK.issuperset(targets)):
            _lock(env["CONFIG"].build_dir)
    except UserError as error:
        print(f"gcpt: {one_line(str(error))}", file=sys.stderr)
        Exit(2)
    SCons.SConsign.File(os.path.abspath(env["CONFIG"].build_dir / ".sconsign"), _Signatures)


def exists(env):
    return True
