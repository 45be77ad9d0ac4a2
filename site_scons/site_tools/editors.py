"""Editors(objects): the aliases "compiledb" and, with ide=, "ide", if this run needs them.

compile_commands.json in the project's folder has every source and header of the firmware; those that this configuration
leaves out have the command of a similar configuration. Generated headers are written, nothing is compiled.
"""

import json
import os
from pathlib import Path

from SCons.Errors import BuildError
from SCons.Script import BUILD_TARGETS, COMMAND_LINE_TARGETS, Action, GetOption

from gcpt.build import generated, launch, toolchain
from gcpt.console import say
from gcpt.restorer.resolution import resolve

_DATABASE = "compile_commands.json"


def _entry(env, node, file):
    words = [file if word == str(node.sources[0]) else word for word in env.CompileCommand(node)]
    words = toolchain.for_clangd(env["TOOLCHAIN"].kind, env["CC"], words)
    return {"directory": os.getcwd(), "file": file, "arguments": words}


def _database(env, objects):
    config = env["CONFIG"]
    nodes = {str(node.sources[0]): node for node in env.Flatten(objects)}
    for source in generated.all_sources():
        if source not in nodes:
            other = env.Clone(CONFIG=config.with_all_sources())
            [nodes[source]] = env.Flatten(other.FirmwareObject(source))
    entries = [_entry(env, node, source) for source, node in nodes.items()]
    entries += [_entry(env, nodes[source], file) for file, source in generated.includers().items()]
    database = env.Rendered(_DATABASE, json.dumps(entries, indent=1) + "\n")
    texts = [
        f"{node.dir}/{file}"
        for source, node in nodes.items()
        if source.startswith("firmware/")
        for file in generated.source_files(node.get_build_env()["CONFIG"], node.sources[0].name)
    ]
    return env.Alias("compiledb", [database, *texts])


def _write(target, source, env):
    from gcpt.build import vscode
    from gcpt.errors import UserError

    options = env["OPTIONS"]
    try:
        compiler = "" if env["TOOLCHAIN"].kind == "zig" else env["CC"][0]
        for line in vscode.write(vscode.FOLDER, resolve(launch.for_qemu(options)), options, compiler):
            say(line)
    except UserError as error:
        return BuildError(node=target, errstr=str(error), status=2)
    return None


def _editors(env, objects):
    wanted = bool(env["OPTIONS"].get("ide"))
    if not (wanted or "compiledb" in COMMAND_LINE_TARGETS):
        return
    database = _database(env, objects)
    if not wanted:
        return
    alias = env.AlwaysBuild(env.Alias("ide", database, Action(_write, None)))
    if GetOption("clean"):
        from gcpt.build import vscode

        env.Clean(alias, [str(Path(path)) for path in vscode.unchanged(vscode.FOLDER)])
    if COMMAND_LINE_TARGETS:
        BUILD_TARGETS.extend(alias)


def generate(env):
    env.AddMethod(_editors, "Editors")


def exists(env):
    return True
