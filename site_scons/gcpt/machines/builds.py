"""Build restorers with the project's own SCons, apart from the user's build: ``gcpt.options`` is not read."""

import os
import subprocess
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from gcpt.restorer.config import BuildConfig
from gcpt.restorer.options import NO_OPTIONS_FILE
from gcpt.restorer.resolution import resolve

#: Variables that builds do not inherit: without the first two they may cache the byte code of their Python files, and
#: SCONSFLAGS has options of the user's own builds, such as -n.
_FOREIGN_VARIABLES = ("PYTHONDONTWRITEBYTECODE", "PYTHONPATH", "SCONSFLAGS")


@dataclass(frozen=True)
class BuiltRestorer:
    """A restorer that SCons built.

    Attributes:
        folder: The folder of its outputs.
        config: Its build options.
    """

    folder: Path
    config: BuildConfig

    @property
    def image(self) -> Path:
        """The bytes that a loader copies."""
        return self.folder / "gcpt.bin"

    @property
    def elf(self) -> Path:
        """The linked file with symbols."""
        return self.folder / "gcpt.elf"


def environment() -> dict[str, str]:
    """Return the environment for SCons: the caller's without variables that change builds."""
    return {name: value for name, value in os.environ.items() if name not in _FOREIGN_VARIABLES}


def build(
    root: Path,
    build_dir: Path,
    options: Mapping[str, str],
    common: Sequence[str] = (),
    scons: Sequence[str] = (sys.executable, "-m", "SCons"),
) -> BuiltRestorer:
    """Build a restorer of ``options`` alone.

    Args:
        root: The project.
        build_dir: Folder for the outputs; relative to ``root``.
        options: Build options and their values.
        common: Further arguments of SCons that do not configure the restorer, such as ``toolchain=llvm``.
        scons: The command that runs SCons.

    Returns:
        The restorer.

    Raises:
        CalledProcessError: The build failed; ``stdout`` and ``stderr`` hold its output.
    """
    settings = {**options, "build_dir": str(build_dir)}
    arguments = ["-Q", NO_OPTIONS_FILE, *common, *(f"{k}={v}" for k, v in settings.items())]
    subprocess.run([*scons, *arguments], cwd=root, env=environment(), capture_output=True, text=True, check=True)
    config = resolve(settings)
    return BuiltRestorer(root / config.variant_dir, config)
