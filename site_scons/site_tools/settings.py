"""The options of this run as env["CONFIG"], the variants of a matrix as env["MATRIX"].

And env["ENV"], the environment of commands, env["TEST_ENV"], that of tests; env["TOOLCHAINS"], what compiles and links
each configuration, by variant; and where SCons keeps signatures.
"""

import fcntl
import os
import sys
from pathlib import Path

import SCons.SConsign
from SCons import dblite
from SCons.Script import ARGLIST, ARGUMENTS, COMMAND_LINE_TARGETS, Exit, GetOption
from SCons.Variables import Variables

from gcpt.build import launch, toolchain, toolchains
from gcpt.errors import UserError
from gcpt.restorer.options import OPTIONS_FILE, TABLE, as_text, undashed
from gcpt.restorer.resolution import resolve

#: The only variables of the caller that commands see.
HOST_VARIABLES = (
    "PATH",  # where the toolchain, QEMU and dtc are
    "HOME",  # configuration of QEMU and gdb
    "TMPDIR",  # temporary files of the compiler and the tests
    "LANG", "LC_ALL", "TERM",  # how messages look
)  # fmt: skip

#: Targets that make nothing in the build folder, where what they start may build.
_APART = {"test", "lint", "mutants", "coverage", "bench", "toolchains"}

#: Those with which tests run for longer, or find real checkpoints, begin like this: only they see them.
_TEST_VARIABLES = "GCPT_"


def _given(env):
    """The options file's values and the command line's, which win, as text."""
    if message := undashed(sys.argv[1:]):
        raise UserError(message)
    for name in ARGUMENTS:
        if len({value for key, value in ARGLIST if key == name}) > 1:
            raise UserError(f"{name}= is given twice with different values: leave one out")
    file = ARGUMENTS.get("options_file") or OPTIONS_FILE
    if "options_file" in ARGUMENTS and not os.path.isfile(file):
        if os.path.exists(file):
            raise UserError(f"options_file={file}: this is not a file: name one that save_options=FILE made")
        raise UserError(f"options_file={file}: there is no such file: save_options={file} makes one")
    variables = Variables(file, ARGUMENTS)
    for option in TABLE:
        variables.Add(option.name, option.help, None)
    try:
        variables.Update(env)
    except Exception as error:
        raise UserError(f"{file}: {error}: want lines such as mode = 'dual_core'") from None
    chosen = {option.name: env[option.name] for option in TABLE if option.name in env}
    return {name: as_text(value) for name, value in {**variables.UnknownVariables(), **chosen}.items()}


def _matrix(given):
    """The configurations that the target "matrix" builds; none where it is not asked for."""
    if "matrix" not in COMMAND_LINE_TARGETS:
        return []
    from gcpt.build import matrix

    file = given.get("matrix")
    groups = matrix.load(Path(file).expanduser()) if file else matrix.DEFAULT
    return matrix.configurations(groups, given, f"matrix={file}" if file else "matrix")


def _lock(folder):
    """Wait until no other run builds in ``folder``, and keep it for this one, until it ends or becomes another program.

    Two that build the same file take it out of each other's hands. Where there are no locks, nothing is waited for.
    """
    try:
        os.makedirs(folder, exist_ok=True)
        lock = os.open(folder / ".sconsign.lock", os.O_WRONLY | os.O_CREAT, 0o666)
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            print(f"gcpt: another scons is at work in {folder}: waiting for its end", file=sys.stderr, flush=True)
            fcntl.flock(lock, fcntl.LOCK_EX)
    except OSError:
        return


def _cache(folder):
    """Makes the folder of cache_dir=, so that it can be said what is wrong with it."""
    try:
        os.makedirs(folder, exist_ok=True)
    except OSError as error:
        raise UserError(f"cache_dir={folder}: {error.strerror}: name another folder") from None


def _toolchains(configs, built, environment):
    """What compiles and links each of ``configs``, by variant. For those not ``built``, nothing is tried out."""
    chosen, said = {}, []
    for config in configs:
        if config in built:
            toolchain.check_sources(config)
            chosen[config.variant], rejected = toolchains.for_build(config, environment)
            name = chosen[config.variant].name
            said += [f"gcpt: {name} builds, because {reason} (scons toolchains tells more)" for reason in rejected[:1]]
        else:
            chosen[config.variant] = toolchains.presumed(config, environment)
    for line in dict.fromkeys(said):
        print(line)
    return chosen


class _Signatures:
    """SCons's file of signatures, in the build folder; neither is made by a run that builds nothing."""

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
    own = {name: value for name, value in os.environ.items() if name.startswith(_TEST_VARIABLES)}
    env["TEST_ENV"] = env["ENV"] | own
    try:
        given = _given(env)
        targets = COMMAND_LINE_TARGETS or (["ide"] if given.get("ide") else [])
        env["GIVEN"] = launch.with_defaults(given, targets)
        env["CONFIG"] = resolve(env["GIVEN"])
        env["MATRIX"] = _matrix(env["GIVEN"])
        asked = [*env["MATRIX"], env["CONFIG"]]
        looks_only = any(GetOption(name) for name in ("clean", "no_exec", "question"))
        if env["CONFIG"].cache_dir and not looks_only:
            _cache(env["CONFIG"].cache_dir)
        built = (env["MATRIX"] or asked) if toolchain.needed(targets) and not looks_only else []
        env["TOOLCHAINS"] = _toolchains(asked, built, env["ENV"])
        if not looks_only and not (targets and _APART.issuperset(targets)):
            _lock(env["CONFIG"].build_dir)
    except UserError as error:
        print(f"gcpt: {error}", file=sys.stderr)
        Exit(2)
    SCons.SConsign.File(os.path.abspath(env["CONFIG"].build_dir / ".sconsign"), _Signatures)


def exists(env):
    return True
