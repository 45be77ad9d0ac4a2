"""Launchers(image, elf): the aliases "run", "debug" and "debug-server".

After a successful build, the command replaces the SCons process, so that it has the terminal and sets the exit status.
"""

import atexit
import os
import sys
from pathlib import Path

from SCons.Script import Action, Builder, GetBuildFailures

from gcpt.build import launch


def _demo(target, source, env):
    from gcpt.checkpoint import edits, output
    from gcpt.machines import demo

    output.write(Path(target[0].abspath), edits.patched([], demo.image().items()), "zstd")


def _take_over(command, environment):
    if GetBuildFailures():
        return
    sys.stdout.flush()
    os.execve(command[0], command, environment)


def _launch(target, source, env):
    command = launch.command(str(target[0]), env["CONFIG"], env["CHECKPOINT"], env["OPTIONS"].get("gdb_port", ""))
    atexit.register(_take_over, command, {**env["ENV"], "PYTHONPATH": str(Path("site_scons").resolve())})


def _launchers(env, image, elf):
    needed = [image, elf]
    env["CHECKPOINT"] = env["OPTIONS"].get("ckpt")  # not a node: SCons would read all of it for its signature
    if not env["CHECKPOINT"]:
        [demo] = env.Demo(f"{env['CONFIG'].build_dir}/demo.zst", "site_scons/gcpt/machines/demo.py")
        env["CHECKPOINT"] = str(demo)
        needed.append(demo)
    for name in launch.TARGETS:
        env.AlwaysBuild(env.Alias(name, needed, Action(_launch, "[RUN] $CHECKPOINT")))


def generate(env):
    env.Append(BUILDERS={"Demo": Builder(action=Action(_demo, "[GEN] $TARGET"))})
    env.AddMethod(_launchers, "Launchers")


def exists(env):
    return True
