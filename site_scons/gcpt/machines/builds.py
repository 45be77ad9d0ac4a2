"""Restorers that the project's own SCons builds, apart from the user's: no ``gcpt.options`` takes part."""

import os
import subprocess
import sys
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from gcpt.restorer.config import BuildConfig
from gcpt.restorer.resolution import resolve

#: What a user's shell does not have: the builds may keep the byte code of their Python files.
_FOREIGN = ("PYTHONDONTWRITEBYTECODE", "PYTHONPATH")


@dataclass(frozen=True)
class Built:
    """A restorer of ``config`` that SCons built in ``folder``."""

    folder: Path
    config: BuildConfig

    @property
    def image(self) -> Path:
        """What a loader copies."""
        return self.folder / "gcpt.bin"

    @property
    def elf(self) -> Path:
        """The same with symbols."""
        return self.folder / "gcpt.elf"


def environment() -> dict[str, str]:
    """The environment of SCons: the caller's, as a shell has it."""
    return {name: value for name, value in os.environ.items() if name not in _FOREIGN}


def build(
    root: Path,
    build_dir: Path,
    options: Mapping[str, str],
    common: Sequence[str] = (),
    scons: Sequence[str] = (sys.executable, "-m", "SCons"),
) -> Built:
    """Build a restorer of ``options``, and of these alone.

    Args:
        root: The project.
        build_dir: Where the outputs go; relative to ``root``.
        options: Options of the build and their values.
        common: More arguments of SCons, such as ``toolchain=llvm``, that say how to build.
        scons: The command that is SCons.

    Returns:
        The restorer.

    Raises:
        CalledProcessError: The build failed; its ``stdout`` and ``stderr`` say why.
    """
    settings = {**options, "build_dir": str(build_dir)}
    with tempfile.NamedTemporaryFile(prefix="gcpt-", suffix=".options") as nothing:
        arguments = ["-Q", f"options_file={nothing.name}", *common, *(f"{k}={v}" for k, v in settings.items())]
        subprocess.run([*scons, *arguments], cwd=root, env=environment(), capture_output=True, text=True, check=True)
    config = resolve(settings)
    return Built(root / config.variant_dir, config)
