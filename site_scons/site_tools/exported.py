"""ExportFolder(image, elf): the alias "export", the folder for other projects' builds.

The folder's make builds the alias "exported", which does not update configure, Makefile and options.
"""

import os
import sys
from pathlib import Path

from SCons.Script import Action, Exit

from gcpt.build import export
from gcpt.errors import UserError


def _executable(target, source, env):
    Path(target[0].abspath).chmod(0o755)


def _export_folder(env, image, elf):
    config = env["CONFIG"]
    folder = Path(env["OPTIONS"].get("export_dir") or config.build_dir / "export").expanduser()
    try:
        export.check(folder)
    except UserError as error:
        print(f"gcpt: {error}", file=sys.stderr)
        Exit(2)
    message, header = env.Nanopb(f"{config.common_dir}/checkpoint.pb.c", "proto/checkpoint.proto")
    copies = {
        "build/gcpt.bin": image,
        "build/gcpt": elf,
        "src/checkpoint.proto": "proto/checkpoint.proto",
        "src/checkpoint.pb.c": message,
        "export_include/checkpoint.pb.h": header,
    }
    files = [env.Copied(f"{folder}/{name}", source) for name, source in copies.items()]
    values = export.default_values(config.platform.dram)
    files += env.Rendered(f"{folder}/export_include/cpt_default_values.h", values)
    files += env.Rendered(f"{folder}/src/restore_rom_addr.h", export.restore_rom_addr())
    env.Alias("exported", files)
    root = Path(os.getcwd())
    script = env.Rendered(f"{folder}/configure", export.configure(root))
    env.AddPostAction(script, Action(_executable, None))
    makefile = env.Rendered(f"{folder}/Makefile", export.makefile(root))
    options = env.Rendered(f"{folder}/{export.OPTIONS}", export.options_text(config.options))
    return env.Alias("export", [files, script, makefile, options])


def generate(env):
    env.AddMethod(_export_folder, "ExportFolder")


def exists(env):
    return True
