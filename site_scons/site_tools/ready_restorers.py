"""ReadyRestorers(products): the alias "restorers", an archive of ready restorers, each (configuration, outputs)."""

from pathlib import Path

from SCons.Script import Action, Builder

from gcpt.restorer import ready


def _write(target, source, env):
    paths = [Path(node.abspath) for node in source]
    restorers = zip(env["VARIANTS"], paths[::2], paths[1::2], strict=True)
    ready.write(Path(target[0].abspath), list(restorers))


def _ready_restorers(env, products):
    variants = [config.variant for config, _ in products]
    files = [outputs[kind] for _, outputs in products for kind in ("image", "elf")]
    archive = env.RestorerArchive(f"{env['CONFIG'].build_dir}/{ready.ARCHIVE}", files, VARIANTS=variants)
    env.Depends(archive, [env.Value(repr(variants)), env.File("site_scons/gcpt/restorer/ready.py")])
    return env.Alias("restorers", archive)


def generate(env):
    env.Append(BUILDERS={"RestorerArchive": Builder(action=Action(_write, "[TAR] $TARGET"))})
    env.AddMethod(_ready_restorers, "ReadyRestorers")


def exists(env):
    return True
