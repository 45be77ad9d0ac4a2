"""The alias "docs": the documentation site, in the build folder; built again when a page or the package changes."""

import importlib.util
import subprocess
import sys
from pathlib import Path

from SCons.Errors import BuildError
from SCons.Script import Action, Builder

#: What the site is made of.
_PAGES = ("docs/*.md", "docs/conf.py", "docs/_static/*", "CHANGELOG.md", "CONTRIBUTING.md", "third_party/README.md")
_PACKAGE = "site_scons/gcpt"


def _run(target, source, env):
    if not importlib.util.find_spec("sphinx"):
        return BuildError(node=target, errstr="sphinx is not installed: ./sconsw docs installs it", status=1)
    command = [sys.executable, "-m", "gcpt.dev.docs_site", str(target[0].dir.dir)]
    status = subprocess.run(command, check=False, env={**env["ENV"], "PYTHONPATH": "site_scons"}).returncode
    return BuildError(node=target, errstr=f"docs ended with {status}", status=status) if status else None


def generate(env):
    out = f"{env['CONFIG'].build_dir}/docs"
    sources = [env.Glob(pattern) for pattern in _PAGES]
    sources += [env.File(str(path)) for path in sorted(Path(_PACKAGE).rglob("*.py"))]
    env.Append(BUILDERS={"Site": Builder(action=Action(_run, "[DOC] gcpt.dev.docs_site"))})
    # Precious: the site stays where the new one has a fault.
    page = env.Precious(env.NoCache(env.Site(f"{out}/html/index.html", env.Flatten(sources))))
    env.Clean(page, out)
    env.Alias("docs", page)


def exists(env):
    return True
