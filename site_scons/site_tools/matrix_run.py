"""Matrix(products): the alias "matrix": all variants, a line for each, and at the end of the run what became of them.

A variant that fails fails the run, but not the others. Where QEMU is there, the instructions of a restore are counted.
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
            counted = restores.one_hart(Path(source[0].abspath), env["CONFIG"], Path(folder))
        except QemuError as error:
            return BuildError(node=target, errstr=f"does not restore on QEMU: {str(error).splitlines()[0]}", status=1)
    Path(target[0].abspath).write_text(f"{counted}\n")
    return None


def _result(config, image, counted):
    from gcpt.build import matrix, sbom

    path = Path(image.abspath)
    instructions = int(Path(counted[0].abspath).read_text()) if counted else None
    return matrix.VariantResult(config.variant, path.stat().st_size, instructions, sbom.sha256(path))


def _matrix(env, products):
    from gcpt.build import matrix

    quiet = GetOption("no_exec") or GetOption("clean") or GetOption("question")
    SCons.Script.Main.OptionsParser.values.keep_going = True  # SetOption does not know it
    variants = {}
    for config, made in products:
        own = env.Clone(CONFIG=config)
        [image], counted = made["image"], []
        if matrix.countable(config) and shutil.which(matrix.QEMU, path=env["ENV"].get("PATH", os.defpath)):
            counted = own.Counted(f"{config.variant_dir}/instructions", image)
        variants[config.variant] = (config, image, counted)

    def say_line(target, source, env):
        say(matrix.line(_result(*variants[env["VARIANT"]])))

    def result_of(variant):
        config, image, counted = variants[variant]
        done = all(node.get_state() in _DONE for node in [image, *counted])
        return _result(config, image, counted) if done else None

    lines = [
        env.Alias(f"matrix {name}", [image, *counted], Action(say_line, None), VARIANT=name)
        for name, (_, image, counted) in variants.items()
    ]
    if not quiet:
        env.AlwaysBuild(lines)
        atexit.register(lambda: print(matrix.summary(list(variants), result_of)))
    sums = env.Checksums(f"{env['CONFIG'].build_dir}/{MATRIX_SUMS}", [image for _, image, _ in variants.values()])
    return env.Alias("matrix", [lines, sums])


def generate(env):
    env.Append(BUILDERS={"Counted": Builder(action=Action(_count, "[CNT] $SOURCE"))})
    env.AddMethod(_matrix, "Matrix")


def exists(env):
    return True
