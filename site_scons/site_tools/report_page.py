"""Report(target, elf, image): the HTML page about a restorer, with figures from QEMU, and the alias "report"."""

import os
import subprocess
from pathlib import Path

from SCons.Errors import BuildError
from SCons.Script import Action, Builder

from gcpt.console import say

_TEMPLATES = ("page.html", "map.html", "report.html", "style.css")
_CODE = (
    *("build/audit", "machines/count", "machines/restores", "machines/steps", "report/drawing", "report/memory_map"),
    *("report/pages", "report/restorer_page", "restorer/linked", "restorer/phases"),
    "restorer/sizes",
)


def _write(target, source, env):
    from gcpt.build import audit, toolchains
    from gcpt.errors import UserError
    from gcpt.machines import qemu
    from gcpt.report import restorer_page

    elf, image = (Path(node.path) for node in source[:2])
    try:
        compiler = toolchains.versions(env["TOOLCHAIN"], env["ENV"])["compiler"]
        config, root = env["CONFIG"], Path(env.Dir("#").abspath)
        rules = audit.check_file(elf, config)
        restorer_page.write(Path(target[0].path), elf, image, config, root, rules, compiler)
    except FileNotFoundError as error:
        return BuildError(node=target, errstr=f"{error.filename}: not found: ./sconsw --setup-only installs it")
    except (UserError, qemu.QemuError, OSError, subprocess.CalledProcessError) as error:
        return BuildError(node=target, errstr=str(error), status=1)
    say(f"{target[0]}  {os.path.getsize(target[0].path):,} bytes")
    return None


def _report(env, target, elf, image):
    page = env.NoCache(env.ReportPage(target, [elf, image]))
    env.Depends(page, [env.File(f"site_scons/gcpt/{name}.py") for name in _CODE])
    env.Depends(page, [env.File(f"site_scons/gcpt/report/templates/{name}") for name in _TEMPLATES])
    return env.Alias("report", page)


def generate(env):
    env.Append(BUILDERS={"ReportPage": Builder(action=Action(_write, "[REP] $TARGET"))})
    env.AddMethod(_report, "Report")


def exists(env):
    return True
