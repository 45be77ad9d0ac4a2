"""The alias "test": runs pytest with this Python, its output as it comes. Builds nothing itself."""

import shlex
import subprocess
import sys

from SCons.Errors import BuildError
from SCons.Script import Action


def _run(target, source, env):
    arguments = shlex.split(env["GIVEN"].get("pytest_args", ""))
    status = subprocess.run(
        [sys.executable, "-m", "pytest", "-n", "2", *arguments], check=False, env=env["ENV"]
    ).returncode
    return (
        BuildError(node=target, errstr=f"tests failed (pytest ended with {status})", status=status) if status else None
    )


def generate(env):
    env.AlwaysBuild(env.Alias("test", [], Action(_run, "[TST] pytest")))


def exists(env):
    return True
