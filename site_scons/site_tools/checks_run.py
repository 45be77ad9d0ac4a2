"""The aliases "lint", "mutants" and "coverage": modules of gcpt in processes of their own, their output as it comes."""

import importlib.util
import subprocess
import sys

from SCons.Errors import BuildError
from SCons.Script import Action

from gcpt.restorer import parse

#: Options of this run that builds of a check have too.
_PASSED_ON = ("toolchain", "cross_compile", "picolibc", "nanopb_dir")


def _lint(given):
    yield "gcpt.dev.lint"
    yield from ["--fix"] if given.get("lint_fix") == "1" else []
    yield from [given["lint"]] if given.get("lint") else []
    yield from (f"{name}={given[name]}" for name in _PASSED_ON if given.get(name))


def _mutants(given):
    yield "gcpt.dev.mutants"
    yield from [given["mutant"]] if given.get("mutant") else []


def _coverage(given):
    yield "gcpt.dev.coverage"
    yield from (f"--build={name}={given[name]}" for name in ("toolchain", "cross_compile") if given.get(name))
    yield from parse.words("pytest_args", given.get("pytest_args", ""))


_CHECKS = {"lint": _lint, "mutants": _mutants, "coverage": _coverage}
#: A Python module that each runs. All of them are in requirements-test.txt.
_RUNS = {"lint": "ruff", "mutants": "pytest", "coverage": "coverage"}


def _action(name):
    def run(target, source, env):
        if not importlib.util.find_spec(_RUNS[name]):
            missing = f"{_RUNS[name]} is not installed: ./sconsw {name} installs it"
            return BuildError(node=target, errstr=missing, status=1)
        command = [sys.executable, "-m", *_CHECKS[name](env["GIVEN"])]
        environment = {**env["TEST_ENV"], "PYTHONPATH": "site_scons"}
        status = subprocess.run(command, check=False, env=environment).returncode
        return BuildError(node=target, errstr=f"{name} ended with {status}", status=status) if status else None

    return run


def generate(env):
    for name in _CHECKS:
        env.AlwaysBuild(env.Alias(name, [], Action(_action(name), f"[{name[:3].upper()}] gcpt.dev.{name}")))


def exists(env):
    return True
