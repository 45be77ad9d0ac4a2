"""Image(target, elf): the loaded bytes of an ELF file.
Disassembly(target, elf): the code as text; nothing if the toolchain has no objdump.
"""

import subprocess
from pathlib import Path

from SCons.Script import Action, Builder


def _load(target, source, env):
    from gcpt.build import binary

    Path(target[0].path).write_bytes(binary.loaded(Path(source[0].path)))


def _list_code(target, source, env):
    with Path(target[0].path).open("wb") as file:
        command = [*env["OBJDUMP"], "-d", "-j", ".text", source[0].path]
        return subprocess.run(command, check=False, stdout=file, env=env["ENV"]).returncode


def _image(env, target, elf):
    image = env.LoadedBytes(target, elf)
    env.Depends(image, env.File("site_scons/gcpt/build/binary.py"))
    return image


def _disassembly(env, target, elf):
    if not env["OBJDUMP"]:
        return []
    listing = env.Listing(target, elf)
    env.Depends(listing, env["PROGRAMS"]["objdump"])
    return listing


def generate(env):
    actions = {
        "LoadedBytes": Action(_load, "[BIN] $TARGET"),
        "Listing": Action(_list_code, "[DIS] $TARGET", varlist=["OBJDUMP"]),
    }
    env.Append(BUILDERS={name: Builder(action=action) for name, action in actions.items()})
    env.AddMethod(_image, "Image")
    env.AddMethod(_disassembly, "Disassembly")


def exists(env):
    return True
