"""Checksums(target, files): a file for sha256sum -c, with names relative to its folder."""

import os
from pathlib import Path

from SCons.Script import Action, Builder


def _write(target, source, env):
    from gcpt.build import sbom

    folder = Path(target[0].abspath).parent
    lines = [f"{sbom.sha256(Path(node.abspath))}  {os.path.relpath(node.abspath, folder)}\n" for node in source]
    Path(target[0].abspath).write_text("".join(lines))


def generate(env):
    env.Append(BUILDERS={"Checksums": Builder(action=Action(_write, "[SUM] $TARGET"))})


def exists(env):
    return True
