"""Adds to wheel and source archive what is not in git, and to the wheel what is not in the package.

Both record their commit. The wheel has the compiled checkpoint.proto, so that an installed package needs no protoc; the
sources with which ``gcpt build`` builds restorers; and, where SCons and picolibc's sources are, the ready restorers.
"""

import os
import sys
from importlib.util import find_spec
from pathlib import Path

from hatchling.builders.hooks.plugin.interface import BuildHookInterface

PICOLIBC = "build/third_party/picolibc"  # those of its sources that ./sconsw fetched
#: The sources, with the names that they have in a checkout.
SOURCES = (
    *("SConstruct", "firmware", "proto", "site_scons/site_init.py", "site_scons/site_tools"),
    *("third_party/picolibc.h", "third_party/picolibc.toml", PICOLIBC),
)


class CustomBuildHook(BuildHookInterface):
    def initialize(self, version, build_data):
        root = Path(self.root)
        sys.path.insert(0, str(root / "site_scons"))
        from gcpt.build import provenance
        from gcpt.checkpoint import header

        outputs, included = root / "build" / "wheel", build_data["force_include"]
        outputs.mkdir(parents=True, exist_ok=True)
        is_wheel = self.target_name == "wheel"
        record = outputs / provenance.RECORD
        record.write_text(provenance.record(*provenance.source_state(root, os.environ)))
        included[str(record)] = f"gcpt/project/{record.name}" if is_wheel else record.name
        if not is_wheel:
            return
        header.write_descriptors(outputs / header.DESCRIPTORS)
        included[str(outputs / header.DESCRIPTORS)] = f"gcpt/checkpoint/{header.DESCRIPTORS}"
        included.update({str(root / name): f"gcpt/project/{name}" for name in SOURCES if (root / name).exists()})
        if find_spec("SCons") and (root / PICOLIBC).is_dir():
            from gcpt.machines import restorers
            from gcpt.restorer import ready

            included[str(restorers.build_archive())] = f"gcpt/restorer/{ready.ARCHIVE}"
        else:
            self.app.display_warning("SCons or picolibc's sources are missing here: the wheel has no ready restorers")
