"""The alias "bench": measures restorers that it builds itself, see gcpt.dev.bench."""

import subprocess
import sys

from SCons.Errors import BuildError
from SCons.Script import Action

from gcpt.restorer.options import BENCH_JSON

#: Options of this run that its builds have too.
_PASSED_ON = ("toolchain", "cross_compile", "picolibc", "nanopb_dir")


def _run(target, source, env):
    given = env["GIVEN"]
    command = [sys.executable, "-m", "gcpt.dev.bench", "--json", given.get("bench_json") or BENCH_JSON]
    if earlier := given.get("bench_compare"):
        command += ["--compare", earlier]
    if given.get("bench_quick") == "1":
        command.append("--quick")
    command += [f"{name}={given[name]}" for name in _PASSED_ON if given.get(name)]
    environment = {**env["ENV"], "PYTHONPATH": "site_scons"}
    status = subprocess.run(command, check=False, env=environment).returncode
    return (
        BuildError(node=target, errstr=f"the bench failed (it ended with {status})", status=status) if status else None
    )


def generate(env):
    env.AlwaysBuild(env.Alias("bench", [], Action(_run, "[BEN] gcpt.dev.bench")))


def exists(env):
    return True
