"""Rendered(target, text): a file with this text. Being a Value node, only a changed text rebuilds its users."""

from pathlib import Path

from SCons.Script import Action, Builder


def _write(target, source, env):
    Path(target[0].abspath).write_text(source[0].read())


def generate(env):
    builder = Builder(action=Action(_write, "[GEN] $TARGET"), source_factory=env.Value)
    env.Append(BUILDERS={"Rendered": builder})


def exists(env):
    return True
