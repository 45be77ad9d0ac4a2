"""Stamped(folder): the linker scripts that put the stamp into the image. Git is asked when they are built, each time.

The answer is a file: only when that changes, the scripts are made anew and the restorer is linked again.
"""

from pathlib import Path

from SCons.Script import Action, Builder, GetOption

from gcpt.build import provenance, render


def _ask(target, source, env):
    commit, dirty = provenance.source_state(Path(env.Dir("#").abspath), env["ENV"])
    path, text = Path(target[0].abspath), f"{commit} {int(dirty)}\n"
    if not path.is_file() or path.read_text() != text:
        path.write_text(text)


def _write(target, source, env):
    commit, dirty = source[0].get_text_contents().rstrip("\n").split(" ")
    text = provenance.linker_text(provenance.stamp_of(env["CONFIG"], commit, dirty == "1"))
    for node in target:
        here = ("data" in node.name) == render.has_data(env["CONFIG"])
        Path(node.abspath).write_text(text if here else "/* The other section has it. */\n")


def _stamped(env, folder):
    config = env["CONFIG"]
    asked = env.Precious(env.NoCache(env.SourceState(f"{folder}/commit", [])))
    if not GetOption("question"):  # scons -q asks whether files are up to date: they are when the answer is
        env.AlwaysBuild(asked)
    scripts = env.StampScripts([f"{folder}/gcpt_stamp_{kind}.ld" for kind in ("text", "data")], asked)
    env.Depends(scripts, [env.Value(repr(provenance.stamp_of(config, "", False)))])
    env.Depends(scripts, [env.File(f"site_scons/gcpt/{name}.py") for name in ("checkpoint/stamp", "build/provenance")])
    env.Depends(scripts, [env.File(str(path)) for path in (config.payload, config.dtb) if path])
    return scripts


def generate(env):
    builders = {
        "SourceState": Builder(action=Action(_ask, None)),
        "StampScripts": Builder(action=Action(_write, "[GEN] $TARGET")),
    }
    env.Append(BUILDERS=builders)
    env.AddMethod(_stamped, "Stamped")


def exists(env):
    return True
