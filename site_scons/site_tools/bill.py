"""Checksums(target, files): what sha256sum -c takes, names from the target's folder.

Certified(products): the bill of materials of a configuration's products and their checksums, as more products.
"""

import os
import subprocess
from pathlib import Path

from SCons.Script import Action, Builder


def _write_sums(target, source, env):
    from gcpt import sbom

    folder = Path(target[0].abspath).parent
    lines = [f"{sbom.sha256(Path(node.abspath))}  {os.path.relpath(node.abspath, folder)}\n" for node in source]
    Path(target[0].abspath).write_text("".join(lines))


def _version(env, *flags):
    run = subprocess.run([*env["CC"], *flags], capture_output=True, text=True, check=True, env=env["ENV"])
    return run.stdout.split("\n")[0]


def _write_bill(target, source, env):
    from gcpt import sbom

    elf, image, link_map = (Path(node.abspath) for node in source)
    # The compiler is asked for its linker, which goes by no fixed name.
    linker = _version(env, *env["LINK_FLAGS"], "-Wl,--version")
    commands = {"compiler": _version(env, "--version"), "linker": linker}
    made = sbom.text(env["CONFIG"], [elf, image], image.read_bytes(), link_map.read_text(), commands)
    Path(target[0].abspath).write_text(made)


def _certified(env, made):
    out = env["CONFIG"].variant_dir
    bill = env.Bill(f"{out}/gcpt.cdx.json", [made["elf"], made["image"], made["map"]])
    own = [f"site_scons/gcpt/{name}.py" for name in ("sbom", "stamp")]
    env.Depends(bill, [env.File(name) for name in (*own, "third_party/nanopb.toml", "third_party/debian.toml")])
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
