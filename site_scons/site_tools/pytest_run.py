"""The alias "test": runs pytest. Restorers of the tests are built with this run's toolchain."""

import importlib.util
import subprocess
import sys

from SCons.Errors import BuildError
from SCons.Script import Action

from gcpt.restorer import parse

#: Options of this run for the restorers of the tests.
_BUILD_OPTIONS = ("toolchain", "cross_compile")


def _run(target, source, env):
    if not importlib.util.find_spec("pytest"):
        return BuildError(node=target, errstr="pytest is not installed: ./sconsw test installs it", status=1)
    options = env["OPTIONS"]
    arguments = [f"--build={name}={options[name]}" for name in _BUILD_OPTIONS if options.get(name)]
    arguments += parse.words("pytest_args", options.get("pytest_args", ""))
    status = subprocess.run(
        [sys.executable, "-m", "pytest", "-n", "2", *arguments], check=False, env=env["TEST_ENV"]
    ).returncode
    return BuildError(node=target, errstr=f"tests failed (exit status {status})", status=status) if status else None


def generate(env):
    env.AlwaysBuild(env.Alias("test", [], Action(_run, "[TST] pytest")))


def exists(env):
    return True
