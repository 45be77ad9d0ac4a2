"""Rendered(target, text): a file with a given text. Only a changed text rebuilds the file's users."""

from pathlib import Path

from SCons.Script import Action, Builder


def _write(target, source, env):
    Path(target[0].abspath).write_text(source[0].read())


def _rendered(env, target, text):
    return env.RenderedText(target, env.Value(text))  # SCons would expand variables in plain text


def generate(env):
    env.Append(BUILDERS={"RenderedText": Builder(action=Action(_write, "[GEN] $TARGET"))})
    env.AddMethod(_rendered, "Rendered")


def exists(env):
    return True
