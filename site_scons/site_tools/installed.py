"""InstallFiles(products): the alias "install". scons -c install removes the files again, and folders left empty."""

import atexit
from contextlib import suppress
from pathlib import Path

from SCons.Script import GetOption

from gcpt.restorer.options import PREFIX

#: The project's pages, below share/doc.
_PAGES = ("README.md", "CHANGELOG.md", "LICENSE", "docs/*.md")


def _root(given):
    prefix = Path(given.get("prefix") or PREFIX).expanduser().absolute()
    destination = given.get("destdir")
    return Path(destination).expanduser().absolute() / prefix.relative_to("/") if destination else prefix


def _remove_empty(folders):
    for folder in sorted(folders, reverse=True):  # the inner ones first
        with suppress(OSError):
            folder.rmdir()


def _install_files(env, products):
    share = _root(env["GIVEN"]) / "share"
    targets = []
    for config, made in products:
        for node in env.Flatten([made[what] for what in ("elf", "image", "map", "config", "bill", "sums")]):
            targets += env.Copied(f"{share}/gcpt/{config.variant}/{node.name}", node)
    for page in env.Flatten([env.Glob(pattern) for pattern in _PAGES]):
        targets += env.Copied(f"{share}/doc/gcpt/{page.path}", page)
    if GetOption("clean") and not GetOption("no_exec"):
        own = {Path(node.abspath).parent for node in targets}
        atexit.register(_remove_empty, own | {share / "gcpt", share / "doc/gcpt"})
    return env.Alias("install", targets)


def generate(env):
    env.AddMethod(_install_files, "InstallFiles")


def exists(env):
    return True
