"""The alias "portability": runs gcpt.dev.portability in a process of its own."""

import os
import subprocess
import sys

from SCons.Errors import BuildError
from SCons.Script import Action

from gcpt.restorer import parse


def _command(options):
    yield from (sys.executable, "-m", "gcpt.dev.portability")
    yield from (f"--{name}={options[name]}" for name in ("systems", "commands") if options.get(name))
    yield from ("--", *parse.words("pytest_args", options.get("pytest_args", "")))


def _run(target, source, env):
    # The user's own environment: it may have pip's settings and proxies.
    environment = {**os.environ, "PYTHONPATH": "site_scons"}
    status = subprocess.run([*_command(env["OPTIONS"])], check=False, env=environment).returncode
    return (
        BuildError(node=target, errstr=f"portability failed (exit status {status})", status=status) if status else None
    )


def generate(env):
    env.AlwaysBuild(env.Alias("portability", [], Action(_run, "[POR] gcpt.dev.portability")))


def exists(env):
    return True
