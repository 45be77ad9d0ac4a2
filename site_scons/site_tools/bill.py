"""Bill(target, elf, image): the bill of materials of a restorer."""

from pathlib import Path

from SCons.Script import Action, Builder

#: What a bill depends on besides its files.
_INPUTS = (
    "site_scons/gcpt/build/sbom.py",
    "site_scons/gcpt/checkpoint/stamp.py",
    "third_party/picolibc.toml",
)


def _write(target, source, env):
    from gcpt.build import sbom, toolchains

    elf, image = (Path(node.abspath) for node in source)
    versions = toolchains.versions(env["TOOLCHAIN"], env["ENV"])
    Path(target[0].abspath).write_text(sbom.text(env["CONFIG"], [elf, image], image.read_bytes(), versions))


def _bill(env, target, elf, image):
    bill = env.BillOfMaterials(target, [elf, image])
    env.Depends(bill, [env.File(name) for name in _INPUTS])
    return bill


def generate(env):
    env.Append(BUILDERS={"BillOfMaterials": Builder(action=Action(_write, "[BOM] $TARGET"))})
    env.AddMethod(_bill, "Bill")


def exists(env):
    return True
