"""InstallFiles(products): the alias "install". scons -c install removes the files and empty folders."""

import atexit
from contextlib import suppress
from pathlib import Path

from SCons.Script import GetOption

from gcpt.restorer.options import PREFIX

#: Pages to install in share/doc/gcpt.
_PAGES = ("README.md", "CHANGELOG.md", "LICENSE", "docs/*.md")


def _root(options):
    prefix = Path(options.get("prefix") or PREFIX).expanduser().absolute()
    stage = options.get("destdir")
    return Path(stage).expanduser().absolute() / prefix.relative_to("/") if stage else prefix


def _remove_empty(folders):
    for folder in sorted(folders, reverse=True):  # inner folders first
        with suppress(OSError):
            folder.rmdir()


def _install_files(env, products):
    share = _root(env["OPTIONS"]) / "share"
    targets = []
    for config, outputs in products:
        for node in env.Flatten([outputs[kind] for kind in ("elf", "image", "map", "config", "bill", "sums")]):
            targets += env.Copied(f"{share}/gcpt/{config.variant}/{node.name}", node)
    for page in env.Flatten([env.Glob(pattern) for pattern in _PAGES]):
        targets += env.Copied(f"{share}/doc/gcpt/{page.path}", page)
    if GetOption("clean") and not GetOption("no_exec"):
        folders = {Path(node.abspath).parent for node in targets}
        atexit.register(_remove_empty, folders | {share / "gcpt", share / "doc/gcpt"})
    return env.Alias("install", targets)


def generate(env):
    env.AddMethod(_install_files, "InstallFiles")


def exists(env):
    return True
