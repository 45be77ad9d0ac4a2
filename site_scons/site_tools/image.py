"""Image(target, elf): the loaded bytes of an ELF file."""

from pathlib import Path

from SCons.Script import Action, Builder


def _load(target, source, env):
    from gcpt.build import binary

    Path(target[0].path).write_bytes(binary.loaded(Path(source[0].path)))


def _image(env, target, elf):
    image = env.LoadedBytes(target, elf)
    env.Depends(image, env.File("site_scons/gcpt/build/binary.py"))
    return image


def generate(env):
    env.Append(BUILDERS={"LoadedBytes": Builder(action=Action(_load, "[BIN] $TARGET"))})
    env.AddMethod(_image, "Image")


def exists(env):
    return True
