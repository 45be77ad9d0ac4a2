"""FirmwareObject(source), NanopbObject(source), LibraryObject(source): one file, compiled for the restorer.

An object depends on its source, on what that includes or embeds, on the compiler and on picolibc's version. Variants
of one run that agree on it share it: the first one that asks makes it known.
env["PROGRAMS"]: the files of the toolchain's commands, to depend on.
"""

import os
import shlex
import subprocess
import sys
from functools import cache
from importlib import import_module
from threading import Thread

from SCons.Scanner import ClassicCPP
from SCons.Script import Action, Builder

from gcpt.build import generated, sources, toolchain

#: A quote within a word, as it has to be for the shell that SCons thinks of.
_QUOTE = '\\"'
#: $DEBUG_MAP is not part of $COMPILE, because it is none of what makes an object another one.
_COMMAND = ["$COMPILE", "$DEBUG_MAP", "-c", "-o", "$TARGET", "$SOURCE"]


def _spawn(shell, escape, command, arguments, environment):
    """Run one command without the shell that SCons quotes it for; what it prints appears in one piece."""
    with subprocess.Popen(
        shlex.split(" ".join(arguments)),
        env=environment,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
    ) as command:
        _load_rules()
        said, _ = command.communicate()
    if said:
        sys.stderr.write(said.decode(errors="replace"))
    return command.returncode


@cache
def _load_rules():
    """Start to load the audit and its library beside the first command: what that makes is audited at the end."""
    Thread(target=import_module, args=["gcpt.build.audit"]).start()


def _compiled(env, target, source, folder=None):
    config = env["CONFIG"]
    name = os.path.basename(str(source))
    folders = [str(path) for path in toolchain.include_path(config, name, folder)]
    version = toolchain.library_version(config, name)
    library = toolchain.library_includes(config) if version else []
    words = [
        *env["CC"],
        *env["ASM_FLAGS" if name.endswith(".S") else "C_FLAGS"],
        *(f"-I{folder}" for folder in folders),
        *(word for folder in library for word in ("-isystem", str(folder))),
        *toolchain.defines(config, name),
    ]
    [node] = env.CompiledObject(
        target, source, WORDS=words, COMPILE=[word.replace('"', _QUOTE) for word in words], CPPPATH=folders
    )
    inputs = [*version, *toolchain.embedded(config, name).values()]
    env.Depends(node, [env.File(str(path)) for path in inputs] + env["PROGRAMS"]["compiler"])
    return node


def _firmware_object(env, source):
    config = env["CONFIG"]
    name = os.path.basename(source)
    folder = generated.source_folder(config, name, toolchain.defines(config, name))
    node = env.File(f"{folder}/{name}.o")
    if node.has_builder():
        return node
    for file, text in generated.source_files(config, name).items():
        env.Rendered(f"{folder}/{file}", text)
    return _compiled(env, node, source, folder)


def _nanopb_object(env, source):
    node = env.File(f"{env['CONFIG'].common_dir}/{os.path.basename(str(source))}.o")
    return node if node.has_builder() else _compiled(env, node, source)


def _library_object(env, source):
    node = env.File(f"{env['CONFIG'].common_dir}/picolibc/{os.path.basename(source)}.o")
    return node if node.has_builder() else _compiled(env, node, source)


def _changed(dependency, target, previous, repository_node=None):
    """By content, but for the toolchain: up to 200 MB, which are replaced whole and bear another time or size then."""
    if dependency not in target.get_build_env()["TOOLCHAIN_FILES"]:
        return dependency.changed_content(target, previous, repository_node)
    later = dependency.changed_timestamp_match(target, previous, repository_node)
    return later or dependency.get_size() != previous.size  # times are in whole seconds


def _compile_command(env, node):
    """The words of the command that makes an object. SCons would take a while to put in what is known here."""
    return [*node.get_build_env()["WORDS"], *env["DEBUG_WORDS"], "-c", "-o", str(node), str(node.sources[0])]


def generate(env):
    config = env["CONFIG"]
    tools = env["TOOLCHAINS"][config.variant]
    files = tools.files(env["ENV"].get("PATH", os.defpath))
    env["ENV"] |= tools.environment(config.build_dir)
    debug = [toolchain.debug_map(os.getcwd())] if config.debug else []
    env.Replace(
        SPAWN=_spawn,
        TOOLCHAIN=tools,
        # Lists, because SCons cuts a word at its spaces.
        CC=list(tools.compiler),
        LD=list(tools.linker),
        OBJDUMP=list(tools.objdump),
        PROGRAMS={name: [env.File(str(path)) for path in paths] for name, paths in files.items()},
        C_FLAGS=toolchain.c_flags(tools.kind, config.debug),
        ASM_FLAGS=toolchain.asm_flags(tools.kind, config.debug),
        # Within $( and $), which other folders' objects need not have the same: cache_dir= serves them all.
        DEBUG_WORDS=debug,
        DEBUG_MAP=["$(", *(word.replace("$", "$$") for word in debug), "$)"],
        CCCOMSTR="[ CC] $SOURCE",
        ASCOMSTR="[ AS] $SOURCE",
    )
    builder = Builder(
        action={
            ".c": Action([_COMMAND], "$CCCOMSTR"),
            ".S": Action([_COMMAND], "$ASCOMSTR"),
        },
        source_scanner=ClassicCPP("firmware", [".c", ".S", ".h", ".inc"], "CPPPATH", sources.INCLUDE),
        single_source=True,
    )
    env.Append(BUILDERS={"CompiledObject": builder})
    env.AddMethod(_firmware_object, "FirmwareObject")
    env.AddMethod(_nanopb_object, "NanopbObject")
    env.AddMethod(_library_object, "LibraryObject")
    env.AddMethod(_compile_command, "CompileCommand")
    env["TOOLCHAIN_FILES"] = [node for nodes in env["PROGRAMS"].values() for node in nodes]
    env["IMPLICIT_COMMAND_DEPENDENCIES"] = False  # PROGRAMS has those with a space in their path, too
    env.Decider(_changed)


def exists(env):
    return True
