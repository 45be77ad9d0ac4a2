"""Latest(folder, files): copies of a configuration's files in the build folder.
Sizes(name, files): an alias that builds files and prints their sizes.
"""

import shutil

from SCons.Script import Action, Builder, GetOption

from gcpt.console import say
from gcpt.restorer import budgets


def _copy(target, source, env):
    shutil.copyfile(source[0].path, target[0].path)


def _print_sizes(target, source, env):
    for node in source:
        say(budgets.line(node.path, node.get_size(), env["CONFIG"]))


def _latest(env, folder, files):
    return [env.Copied(f"{folder}/{node.name}", node)[0] for node in env.Flatten(files)]


def _sizes(env, name, files):
    alias = env.Alias(name, files, Action(_print_sizes, None))
    if not GetOption("question"):  # for scons -q, an alias with an action is never up to date
        env.AlwaysBuild(alias)
    return alias


def generate(env):
    env.Append(BUILDERS={"Copied": Builder(action=Action(_copy, "[ CP] $TARGET"))})
    env.AddMethod(_latest, "Latest")
    env.AddMethod(_sizes, "Sizes")


def exists(env):
    return True
