"""The alias "toolchains": tests the toolchains of this machine and prints a table."""

from SCons.Script import Action

from gcpt.build import toolchains
from gcpt.console import say


def _print_table(target, source, env):
    say(toolchains.report(env["CONFIG"], env["ENV"]))


def generate(env):
    env.AlwaysBuild(env.Alias("toolchains", [], Action(_print_table, None)))


def exists(env):
    return True
