"""FirmwareObject(source), LibraryObject(source): an object of the restorer.

An object depends on its source, on included and embedded files, on the compiler and on picolibc's version. Variants of
one run share equal objects.
env["PROGRAMS"]: the files of the toolchain's commands, as dependencies.
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

#: A quote within a word, escaped for the shell that SCons assumes.
_QUOTE = '\\"'
#: $DEBUG_MAP is separate from $COMPILE because it does not affect an object's signature.
_COMMAND = ["$COMPILE", "$DEBUG_MAP", "-c", "-o", "$TARGET", "$SOURCE"]


def _spawn(shell, escape, command, arguments, environment):
    """Run a command without the shell that SCons quotes it for, and print its output in one piece."""
    with subprocess.Popen(
        shlex.split(" ".join(arguments)),
        env=environment,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
    ) as command:
        _load_rules()
        output, _ = command.communicate()
    if output:
        sys.stderr.write(output.decode(errors="replace"))
    return command.returncode


@cache
def _load_rules():
    """Import the audit and its library while the first command runs; the audit runs after all of them."""
    Thread(target=import_module, args=["gcpt.build.audit"]).start()


def _compiled(env, target, source, folder=None):
    config = env["CONFIG"]
    name = os.path.basename(str(source))
    folders = [str(path) for path in toolchain.include_path(folder)]
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


def _library_object(env, source):
    node = env.File(f"{env['CONFIG'].common_dir}/picolibc/{os.path.basename(source)}.o")
    return node if node.has_builder() else _compiled(env, node, source)


def _changed(dependency, target, previous, repository_node=None):
    """Compare contents; of the toolchain's files, which have up to 200 MB, only times and sizes."""
    if dependency not in target.get_build_env()["TOOLCHAIN_FILES"]:
        return dependency.changed_content(target, previous, repository_node)
    later = dependency.changed_timestamp_match(target, previous, repository_node)
    return later or dependency.get_size() != previous.size  # times are in whole seconds


def _compile_command(env, node):
    """The words of an object's compile command; faster than SCons's expansion of its variables."""
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
        # Lists, because SCons splits strings at spaces.
        CC=list(tools.compiler),
        LD=list(tools.linker),
        OBJDUMP=list(tools.objdump),
        PROGRAMS={name: [env.File(str(path)) for path in paths] for name, paths in files.items()},
        C_FLAGS=toolchain.c_flags(tools.kind, config.debug, config.without_c),
        ASM_FLAGS=toolchain.asm_flags(tools.kind, config.debug, config.without_c),
        # $( and $) exclude the folder from the signature, so that checkouts share objects through cache_dir=.
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
    env.AddMethod(_library_object, "LibraryObject")
    env.AddMethod(_compile_command, "CompileCommand")
    env["TOOLCHAIN_FILES"] = [node for nodes in env["PROGRAMS"].values() for node in nodes]
    env["IMPLICIT_COMMAND_DEPENDENCIES"] = False  # PROGRAMS replaces them, and supports paths with spaces
    env.Decider(_changed)


def exists(env):
    return True
