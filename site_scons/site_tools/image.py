"""Image(target, elf): the bytes that are loaded. Disassembly(target, elf): the restorer's code as text."""

import subprocess
from pathlib import Path

from SCons.Script import Action, Builder


def _list_code(target, source, env):
    with Path(target[0].path).open("wb") as file:
        return subprocess.run(
            [env["OBJDUMP"], "-d", "-j", ".text", source[0].path], stdout=file, env=env["ENV"]
        ).returncode


def generate(env):
    env["IMAGECOMSTR"] = "[BIN] $TARGET"
    image = Action([["$OBJCOPY", "-O", "binary", "$SOURCE", "$TARGET"]], "$IMAGECOMSTR")
    listing = Action(_list_code, "[DIS] $TARGET", varlist=["OBJDUMP"])
    env.Append(BUILDERS={"Image": Builder(action=image), "Disassembly": Builder(action=listing)})


def exists(env):
    return True
