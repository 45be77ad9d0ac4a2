"""The alias "release": runs gcpt.dev.release, which fills release/ in the build folder."""

import importlib.util
import subprocess
import sys

from SCons.Errors import BuildError
from SCons.Script import Action


def _run(target, source, env):
    if not importlib.util.find_spec("hatchling"):
        return BuildError(node=target, errstr="hatchling is not installed: ./sconsw release installs it", status=1)
    command = [sys.executable, "-m", "gcpt.dev.release", f"{env['CONFIG'].build_dir}/release"]
    status = subprocess.run(command, check=False, env={**env["ENV"], "PYTHONPATH": "site_scons"}).returncode
    return BuildError(node=target, errstr=f"release failed (exit status {status})", status=status) if status else None


def generate(env):
    env.AlwaysBuild(env.Alias("release", [], Action(_run, "[REL] gcpt.dev.release")))


def exists(env):
    return True
