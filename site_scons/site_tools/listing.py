"""Disassembly(target, elf): the code of an ELF file as text; nothing if the toolchain has no objdump."""

import subprocess
from pathlib import Path

from SCons.Script import Action, Builder


def _disassemble(target, source, env):
    with Path(target[0].path).open("wb") as file:
        command = [*env["OBJDUMP"], "-d", "-j", ".text", source[0].path]
        return subprocess.run(command, check=False, stdout=file, env=env["ENV"]).returncode


def _disassembly(env, target, elf):
    if not env["OBJDUMP"]:
        return []
    listing = env.Listing(target, elf)
    env.Depends(listing, env["PROGRAMS"]["objdump"])
    return listing


def generate(env):
    env.Append(BUILDERS={"Listing": Builder(action=Action(_disassemble, "[DIS] $TARGET", varlist=["OBJDUMP"]))})
    env.AddMethod(_disassembly, "Disassembly")


def exists(env):
    return True
