"""Checksums(target, files): what sha256sum -c takes, names from the target's folder.

Certified(products): the bill of materials of a configuration's products and their checksums, as more products.
"""

import os
from pathlib import Path

from SCons.Script import Action, Builder


def _write_sums(target, source, env):
    from gcpt.build import sbom

    folder = Path(target[0].abspath).parent
    lines = [f"{sbom.sha256(Path(node.abspath))}  {os.path.relpath(node.abspath, folder)}\n" for node in source]
    Path(target[0].abspath).write_text("".join(lines))


def _write_bill(target, source, env):
    from gcpt.build import sbom, toolchains

    elf, image = (Path(node.abspath) for node in source)
    made = sbom.text(env["CONFIG"], [elf, image], image.read_bytes(), toolchains.versions(env["TOOLCHAIN"], env["ENV"]))
    Path(target[0].abspath).write_text(made)


def _certified(env, made):
    out = env["CONFIG"].variant_dir
    bill = env.Bill(f"{out}/gcpt.cdx.json", [made["elf"], made["image"]])
    own = [f"site_scons/gcpt/{name}.py" for name in ("build/sbom", "checkpoint/stamp")]
    env.Depends(bill, [env.File(name) for name in (*own, "third_party/nanopb.toml", "third_party/picolibc.toml")])
    files = [made["elf"], made["image"], made["map"], made["config"], bill]
    return {"bill": bill, "sums": env.Checksums(f"{out}/SHA256SUMS", files)}


def generate(env):
    builders = {
        "Checksums": Builder(action=Action(_write_sums, "[SUM] $TARGET")),
        "Bill": Builder(action=Action(_write_bill, "[BOM] $TARGET")),
    }
    env.Append(BUILDERS=builders)
    env.AddMethod(_certified, "Certified")


def exists(env):
    return True
