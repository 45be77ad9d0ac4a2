"""The alias "bench": runs gcpt.dev.bench, which builds and measures restorers."""

import subprocess
import sys

from SCons.Errors import BuildError
from SCons.Script import Action

from gcpt.restorer.options import BENCH_JSON, TOOL_OPTIONS


def _run(target, source, env):
    options = env["OPTIONS"]
    command = [sys.executable, "-m", "gcpt.dev.bench", "--json", options.get("bench_json") or BENCH_JSON]
    if earlier := options.get("bench_compare"):
        command += ["--compare", earlier]
    if options.get("bench_quick") == "1":
        command.append("--quick")
    command += [f"{name}={options[name]}" for name in TOOL_OPTIONS if options.get(name)]
    environment = {**env["ENV"], "PYTHONPATH": "site_scons"}
    status = subprocess.run(command, check=False, env=environment).returncode
    return BuildError(node=target, errstr=f"the bench failed (exit status {status})", status=status) if status else None


def generate(env):
    env.AlwaysBuild(env.Alias("bench", [], Action(_run, "[BEN] gcpt.dev.bench")))


def exists(env):
    return True
