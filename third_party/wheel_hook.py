"""Adds the compiled checkpoint.proto to a wheel, so that an installed package needs no protoc."""

import sys
from pathlib import Path

from hatchling.builders.hooks.plugin.interface import BuildHookInterface


class CustomBuildHook(BuildHookInterface):
    def initialize(self, version, build_data):
        root = Path(self.root)
        sys.path.insert(0, str(root / "site_scons"))
        from gcpt.checkpoint import header

        descriptors = root / "build" / "wheel" / header.DESCRIPTORS
        header.write_descriptors(descriptors)
        build_data["force_include"][str(descriptors)] = f"gcpt/checkpoint/{header.DESCRIPTORS}"
