"""Stamped(folder): the linker scripts with the image's stamp.

Each build asks git for the commit and writes it to a file; only a changed file leads to new scripts and a new link.
"""

from pathlib import Path

from SCons.Script import Action, Builder, GetOption

from gcpt.build import provenance, render


def _write_state(target, source, env):
    text = provenance.record(*provenance.source_state(Path(env.Dir("#").abspath), env["ENV"]))
    path = Path(target[0].abspath)
    if not path.is_file() or path.read_text() != text:
        path.write_text(text)


def _write(target, source, env):
    state = provenance.parse_record(source[0].get_text_contents())
    text = provenance.linker_text(provenance.stamp_of(env["CONFIG"], *state))
    for node in target:
        has_stamp = ("data" in node.name) == render.has_data(env["CONFIG"])
        Path(node.abspath).write_text(text if has_stamp else "/* The stamp is in the other section. */\n")


def _stamped(env, folder):
    config = env["CONFIG"]
    commit = env.Precious(env.NoCache(env.SourceState(f"{folder}/commit", [])))
    if not GetOption("question"):  # for scons -q, a file that is always built is never up to date
        env.AlwaysBuild(commit)
    scripts = env.StampScripts([f"{folder}/gcpt_stamp_{kind}.ld" for kind in ("text", "data")], commit)
    env.Depends(scripts, [env.Value(repr(provenance.stamp_of(config, "", False)))])
    env.Depends(scripts, [env.File(f"site_scons/gcpt/{name}.py") for name in ("checkpoint/stamp", "build/provenance")])
    env.Depends(scripts, [env.File(str(path)) for path in (config.payload, config.dtb) if path])
    return scripts


def generate(env):
    builders = {
        "SourceState": Builder(action=Action(_write_state, None)),
        "StampScripts": Builder(action=Action(_write, "[GEN] $TARGET")),
    }
    env.Append(BUILDERS=builders)
    env.AddMethod(_stamped, "Stamped")


def exists(env):
    return True
