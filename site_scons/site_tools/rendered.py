"""Rendered(target, text): a file with this text. Being a Value node, only a changed text rebuilds its users."""

from pathlib import Path

from SCons.Script import Action, Builder


def _write(target, source, env):
    Path(target[0].abspath).write_text(source[0].read())


def _rendered(env, target, text):
    return env.RenderedText(target, env.Value(text))  # a node: SCons would expand what looks like its variables


def generate(env):
    env.Append(BUILDERS={"RenderedText": Builder(action=Action(_write, "[GEN] $TARGET"))})
    env.AddMethod(_rendered, "Rendered")


def exists(env):
    return True
