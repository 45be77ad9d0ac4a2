"""Matrix(products): the alias "matrix", which builds all variants and prints a line for each and a final table.

A variant that fails fails the run but does not stop the other variants. With QEMU, the instructions of a restore are
counted.
"""

import atexit
import os
import shutil
import tempfile
from pathlib import Path

import SCons.Node
import SCons.Script.Main
from SCons.Errors import BuildError
from SCons.Script import Action, Builder, GetOption

from gcpt.console import say
from gcpt.restorer.options import MATRIX_SUMS

_DONE = (SCons.Node.executed, SCons.Node.up_to_date)


def _count(target, source, env):
    from gcpt.machines import restores
    from gcpt.machines.qemu import QemuError

    with tempfile.TemporaryDirectory(prefix="gcpt-matrix-") as folder:
        try:
            instructions = restores.one_hart(Path(source[0].abspath), env["CONFIG"], Path(folder))
        except QemuError as error:
            return BuildError(node=target, errstr=f"does not restore on QEMU: {str(error).splitlines()[0]}", status=1)
    Path(target[0].abspath).write_text(f"{instructions}\n")
    return None


def _result(config, image, counts):
    from gcpt.build import matrix, sbom

    path = Path(image.abspath)
    instructions = int(Path(counts[0].abspath).read_text()) if counts else None
    return matrix.VariantResult(config.variant, path.stat().st_size, instructions, sbom.sha256(path))


def _matrix(env, products):
    from gcpt.build import matrix

    quiet = GetOption("no_exec") or GetOption("clean") or GetOption("question")
    SCons.Script.Main.OptionsParser.values.keep_going = True  # SetOption does not support it
    variants = {}
    for config, outputs in products:
        variant_env = env.Clone(CONFIG=config)
        [image], counts = outputs["image"], []
        if matrix.countable(config) and shutil.which(matrix.QEMU, path=env["ENV"].get("PATH", os.defpath)):
            counts = variant_env.InstructionCount(f"{config.variant_dir}/instructions", image)
        variants[config.variant] = (config, image, counts)

    def print_line(target, source, env):
        say(matrix.line(_result(*variants[env["VARIANT"]])))

    def result_of(variant):
        config, image, counts = variants[variant]
        done = all(node.get_state() in _DONE for node in [image, *counts])
        return _result(config, image, counts) if done else None

    lines = [
        env.Alias(f"matrix {name}", [image, *counts], Action(print_line, None), VARIANT=name)
        for name, (_, image, counts) in variants.items()
    ]
    if not quiet:
        env.AlwaysBuild(lines)
        atexit.register(lambda: print(matrix.summary(list(variants), result_of)))
    sums = env.Checksums(f"{env['CONFIG'].build_dir}/{MATRIX_SUMS}", [image for _, image, _ in variants.values()])
    return env.Alias("matrix", [lines, sums])


def generate(env):
    env.Append(BUILDERS={"InstructionCount": Builder(action=Action(_count, "[CNT] $SOURCE"))})
    env.AddMethod(_matrix, "Matrix")


def exists(env):
    return True
