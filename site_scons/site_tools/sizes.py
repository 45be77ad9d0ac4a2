"""Sizes(name, files): an alias that builds files and prints their sizes."""

from SCons.Script import Action, GetOption

from gcpt.console import say
from gcpt.restorer import budgets


def _print_sizes(target, source, env):
    for node in source:
        say(budgets.line(node.path, node.get_size(), env["CONFIG"]))


def _sizes(env, name, files):
    alias = env.Alias(name, files, Action(_print_sizes, None))
    if not GetOption("question"):  # for scons -q, an alias with an action is never up to date
        env.AlwaysBuild(alias)
    return alias


def generate(env):
    env.AddMethod(_sizes, "Sizes")


def exists(env):
    return True
