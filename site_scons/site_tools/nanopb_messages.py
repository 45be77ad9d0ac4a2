"""Nanopb(target, proto): C source and header of the protobuf messages, generated once per run.

They depend on the .proto file, on nanopb's options file next to it if there is one, on the generator's version and on
the code that runs it.
"""

from pathlib import Path

from SCons.Errors import BuildError
from SCons.Script import Action, Builder

from gcpt.build import nanopb
from gcpt.packages import explain


def _generate(target, source, env):
    try:
        texts = nanopb.generate(Path(source[0].path))
    except ImportError as error:
        return BuildError(node=target, errstr=f"nanopb generator: {explain(error)}", status=1)
    except Exception as error:
        return BuildError(node=target, errstr=f"nanopb generator: {error}", status=1)
    for node, text in zip(target, texts, strict=True):
        Path(node.path).write_text(text)
    return None


def _outputs(target, source, env):
    stem = str(target[0]).removesuffix(".c")
    target = [env.File(f"{stem}.c"), env.File(f"{stem}.h")]
    options = env.File(str(source[0]).removesuffix(".proto") + ".options")
    code = [env.File(f"site_scons/{name}.py") for name in ("gcpt/build/nanopb", "site_tools/nanopb_messages")]
    env.Depends(target, code + [env.File(str(path)) for path in nanopb.inputs()])
    if options.exists():
        env.Depends(target, options)
    return target, source


def _messages(env, target, proto):
    node = env.File(target)
    return node.get_executor().get_all_targets() if node.has_builder() else env.NanopbMessages(target, proto)


def generate(env):
    env.Append(BUILDERS={"NanopbMessages": Builder(action=Action(_generate, "[ PB] $SOURCE"), emitter=_outputs)})
    env.AddMethod(_messages, "Nanopb")


def exists(env):
    return True
