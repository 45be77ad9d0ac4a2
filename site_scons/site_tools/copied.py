"""Copied(target, source): a copy of a file. Latest(folder, files): copies of a configuration's files in a folder."""

import shutil

from SCons.Script import Action, Builder


def _copy(target, source, env):
    shutil.copyfile(source[0].path, target[0].path)


def _latest(env, folder, files):
    return [env.Copied(f"{folder}/{node.name}", node)[0] for node in env.Flatten(files)]


def generate(env):
    env.Append(BUILDERS={"Copied": Builder(action=Action(_copy, "[ CP] $TARGET"))})
    env.AddMethod(_latest, "Latest")


def exists(env):
    return True
