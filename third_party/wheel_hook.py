"""Adds to a wheel what is not in the package: the compiled checkpoint.proto, so that an installed package needs no
protoc; the sources with which ``gcpt build`` builds restorers; and the ready restorers, where SCons is installed.
"""

import os
import sys
from importlib.util import find_spec
from pathlib import Path

from hatchling.builders.hooks.plugin.interface import BuildHookInterface

#: The sources, with the names that they have in a checkout. picolibc's are those that ./sconsw fetched.
SOURCES = (
    *("SConstruct", "firmware", "proto", "site_scons/site_init.py", "site_scons/site_tools"),
    *("third_party/picolibc.h", "third_party/picolibc.toml", "build/third_party/picolibc"),
)


class CustomBuildHook(BuildHookInterface):
    def initialize(self, version, build_data):
        root = Path(self.root)
        sys.path.insert(0, str(root / "site_scons"))
        from gcpt.build import provenance
        from gcpt.checkpoint import header

        outputs, included = root / "build" / "wheel", build_data["force_include"]
        header.write_descriptors(outputs / header.DESCRIPTORS)
        included[str(outputs / header.DESCRIPTORS)] = f"gcpt/checkpoint/{header.DESCRIPTORS}"
        (outputs / provenance.RECORD).write_text(provenance.record(*provenance.source_state(root, os.environ)))
        included[str(outputs / provenance.RECORD)] = f"gcpt/project/{provenance.RECORD}"
        included.update({str(root / name): f"gcpt/project/{name}" for name in SOURCES if (root / name).exists()})
        if find_spec("SCons"):
            from gcpt.machines import restorers
            from gcpt.restorer import ready

            included[str(restorers.build_archive())] = f"gcpt/restorer/{ready.ARCHIVE}"
