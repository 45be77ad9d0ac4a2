"""The aliases "lint", "mutants", "coverage" and "random": run modules of gcpt.dev in processes of their own."""

import importlib.util
import subprocess
import sys

from SCons.Errors import BuildError
from SCons.Script import Action

from gcpt.restorer import parse
from gcpt.restorer.options import TOOL_OPTIONS


def _lint(options):
    yield "gcpt.dev.lint"
    yield from ["--fix"] if options.get("lint_fix") == "1" else []
    yield from [options["lint"]] if options.get("lint") else []
    yield from (f"{name}={options[name]}" for name in TOOL_OPTIONS if options.get(name))


def _mutants(options):
    if options.get("sample"):
        yield "gcpt.dev.mutation"
        yield from [f"--seed={options['sample_seed']}"] if options.get("sample_seed") else []
        yield options["sample"]
    else:
        yield "gcpt.dev.mutants"
    yield from [options["mutant"]] if options.get("mutant") else []


def _coverage(options):
    yield "gcpt.dev.coverage"
    yield from (f"--build={name}={options[name]}" for name in ("toolchain", "cross_compile") if options.get(name))
    yield from parse.words("pytest_args", options.get("pytest_args", ""))


def _random(options):
    yield "gcpt.dev.random_states"
    names = ("minutes", "count", "seed")
    yield from (f"--{name}={options[f'random_{name}']}" for name in names if options.get(f"random_{name}"))
    yield from (f"{name}={options[name]}" for name in (*TOOL_OPTIONS, "csrs", "generator") if options.get(name))


_CHECKS = {"lint": _lint, "mutants": _mutants, "coverage": _coverage, "random": _random}
#: A Python module that each runs. All of them are in requirements-test.txt. random names its program itself.
_RUNS = {"lint": "ruff", "mutants": "pytest", "coverage": "coverage"}


def _action(name):
    def run(target, source, env):
        if name in _RUNS and not importlib.util.find_spec(_RUNS[name]):
            missing = f"{_RUNS[name]} is not installed: ./sconsw {name} installs it"
            return BuildError(node=target, errstr=missing, status=1)
        command = [sys.executable, "-m", *_CHECKS[name](env["OPTIONS"])]
        environment = {**env["TEST_ENV"], "PYTHONPATH": "site_scons"}
        status = subprocess.run(command, check=False, env=environment).returncode
        return (
            BuildError(node=target, errstr=f"{name} failed (exit status {status})", status=status) if status else None
        )

    return run


def generate(env):
    for name in _CHECKS:
        env.AlwaysBuild(env.Alias(name, [], Action(_action(name), f"[{name[:3].upper()}] gcpt.dev.{name}")))


def exists(env):
    return True
