"""AuditedProgram(target, objects): links and audits an ELF file, then moves it and its map to their final names.

If the linker or the audit fails, the previous files stay; the rejected ELF file is gcpt.elf.rejected.
"""

import os
from pathlib import Path

from SCons.Errors import BuildError
from SCons.Script import Action, Builder, Scanner

from gcpt.build import sources, toolchain

_SCRIPT = "firmware/gcpt.ld"
_RULES = (
    *(
        "build/audit",
        "build/provenance",
        "checkpoint/layouts",
        "checkpoint/stamp",
        "restorer/budgets",
        "restorer/config",
    ),
    *("restorer/flash", "restorer/linked", "restorer/options", "restorer/parse", "restorer/payload"),
    *("restorer/platforms", "restorer/resolution", "restorer/trampoline"),
)


def _audit(target, source, env):
    from gcpt.build import audit

    linked = Path(f"{target[0].path}.rejected")
    violations = audit.audit(linked, env["CONFIG"])
    if violations:
        return BuildError(node=target, errstr="; ".join(map(str, violations)), status=1)
    linked.replace(target[0].path)
    Path(f"{target[1].path}.rejected").replace(target[1].path)
    return None


def _outputs(target, source, env):
    elf = target[0]
    map_file = env.File(f"{os.path.splitext(elf.path)[0]}.map")
    env.Precious([elf, map_file])
    env.Clean(elf, [f"{node.path}.rejected" for node in (elf, map_file)])
    env.Depends(elf, [env.File(f"site_scons/gcpt/{name}.py") for name in _RULES])
    env.Depends(elf, [env.File("site_scons/site_tools/linker.py"), *env["PROGRAMS"]["linker"]])
    return [elf, map_file], source


def _scripts(node, env, path):
    """The linker script and the files that it includes, some of which are generated."""
    script = env.File(_SCRIPT)
    included = [
        env.File(f"{folder}/{name}")
        for folder in env["LINKER_PATH"]
        for name in sources.linker_includes(script.get_text_contents())
    ]
    return [script, *(node for node in included if node.is_derived() or node.exists())]


def generate(env):
    config = env["CONFIG"]
    folder = config.variant_dir / "generated"
    env.Replace(
        LINKER_PATH=[str(folder)],
        LINK_FLAGS=[*toolchain.link_flags(config), f"-L{folder}", "-T", _SCRIPT],
        LINKCOMSTR="[ LD] $TARGET",
    )
    outputs = ["-Map=${TARGETS[1]}.rejected", "-o", "${TARGET}.rejected"]
    link = ["$LD", "$LINK_FLAGS", *outputs, "$SOURCES"]
    builder = Builder(
        action=[Action([link], "$LINKCOMSTR"), Action(_audit, "[AUD] $TARGET")],
        emitter=_outputs,
        target_scanner=Scanner(_scripts),
    )
    env.Append(BUILDERS={"AuditedProgram": builder})


def exists(env):
    return True
