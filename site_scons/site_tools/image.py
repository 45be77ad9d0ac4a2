"""Image(target, elf): the bytes that are loaded. Disassembly(target, elf): the restorer's code as text."""

import subprocess
from pathlib import Path

from SCons.Script import Action, Builder


def _depend_on(program):
    def emitter(target, source, env):
        env.Depends(target, env.Programs(program))
        return target, source

    return emitter


def _list_code(target, source, env):
    with Path(target[0].path).open("wb") as file:
        command = [env["OBJDUMP"], "-d", "-j", ".text", source[0].path]
        return subprocess.run(command, check=False, stdout=file, env=env["ENV"]).returncode


def generate(env):
    env["IMAGECOMSTR"] = "[BIN] $TARGET"
    image = Action([["$OBJCOPY", "-O", "binary", "$SOURCE", "$TARGET"]], "$IMAGECOMSTR")
    listing = Action(_list_code, "[DIS] $TARGET", varlist=["OBJDUMP"])
    builders = {"Image": (image, "objcopy"), "Disassembly": (listing, "objdump")}
    env.Append(BUILDERS={name: Builder(action=act, emitter=_depend_on(of)) for name, (act, of) in builders.items()})


def exists(env):
    return True
