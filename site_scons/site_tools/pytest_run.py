"""The alias "test": runs pytest with this Python, its output as it comes. Builds nothing itself.

What the tests build is built with this run's toolchain.
"""

import importlib.util
import subprocess
import sys

from SCons.Errors import BuildError
from SCons.Script import Action

from gcpt.restorer import parse

#: Options of this run that the restorers of the tests have too.
_PASSED_ON = ("toolchain", "cross_compile")


def _run(target, source, env):
    if not importlib.util.find_spec("pytest"):
        return BuildError(node=target, errstr="pytest is not installed: ./sconsw test installs it", status=1)
    given = env["GIVEN"]
    arguments = [f"--build={name}={given[name]}" for name in _PASSED_ON if given.get(name)]
    arguments += parse.words("pytest_args", given.get("pytest_args", ""))
    status = subprocess.run(
        [sys.executable, "-m", "pytest", "-n", "2", *arguments], check=False, env=env["TEST_ENV"]
    ).returncode
    return (
        BuildError(node=target, errstr=f"tests failed (pytest ended with {status})", status=status) if status else None
    )


def generate(env):
    env.AlwaysBuild(env.Alias("test", [], Action(_run, "[TST] pytest")))


def exists(env):
    return True
