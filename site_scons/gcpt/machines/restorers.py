"""Restorers by their options: built in a checkout; ready, or built from the carried sources, in an installation."""

import subprocess
from collections.abc import Mapping, Sequence
from pathlib import Path

from gcpt import checkout
from gcpt.errors import UserError
from gcpt.machines import builds, sources
from gcpt.machines.builds import BuiltRestorer
from gcpt.restorer import ready
from gcpt.restorer.packing import Restorer
from gcpt.restorer.resolution import resolve

#: Build folder of the restorers that are built on demand, in the project's folder.
_BUILD_DIR = Path("build/restorers")


def provide(options: Mapping[str, str], folder: Path) -> BuiltRestorer:
    """Provide the restorer with certain options: a ready one, or one that is built now.

    Args:
        options: Build options and their values.
        folder: An existing folder for copies of a ready restorer and its ELF file.

    Returns:
        The restorer, with its ELF file.

    Raises:
        UserError: An option is invalid, the build fails, or it is not possible here.
    """
    config = resolve(options)
    restorer = None if checkout.present() else ready.find(config)
    if restorer is None:
        return build(options)
    found = BuiltRestorer(folder, config)
    found.image.write_bytes(restorer.data)
    if elf := ready.find_elf(config):
        found.elf.write_bytes(elf)
    return found


def build(options: Mapping[str, str], targets: Sequence[str] = ()) -> BuiltRestorer:
    """Build a restorer: in the checkout, or with the sources that the installed package carries.

    Args:
        options: Build options and their values; paths are absolute.
        targets: Targets of SCons to build instead.

    Returns:
        The restorer.

    Raises:
        UserError: The build fails, or it is not possible here.
    """
    words = " ".join([*(f"{name}={value}" for name, value in options.items()), *targets])
    if not sources.can_build():
        if not ready.INSTALLED.is_file():
            raise _without_archive()
        raise UserError(f"no ready restorer has the options {words}: to build it, pip install 'gcpt[build]'")
    try:
        return builds.build(sources.folder(), _BUILD_DIR, options, targets)
    except subprocess.CalledProcessError as error:
        last_line = (error.stderr.strip() or error.stdout.strip() or "no output").splitlines()[-1]
        remedy = f": run ./sconsw {words} for details" if checkout.present() else ""
        raise UserError(f"cannot build the restorer ({words}): {last_line.removeprefix('gcpt: ')}{remedy}") from error


def list_ready() -> list[Restorer]:
    """List the ready restorers: those of the installed package; in a checkout, they are built first.

    Returns:
        The restorers.

    Raises:
        UserError: The build fails, or the package has none.
    """
    restorers = ready.read(build_archive() if checkout.present() else ready.INSTALLED)
    if not restorers:
        raise _without_archive()
    return list(restorers.values())


def _without_archive() -> UserError:
    return UserError(
        "this installation of gcpt has no ready restorers, because pip built it from source: install a released wheel, "
        "or one that ./sconsw release makes in a checkout"
    )


def build_archive() -> Path:
    """Build the archive of the ready restorers.

    Returns:
        The archive.

    Raises:
        UserError: The build fails.
    """
    build({}, ["restorers"])
    return sources.folder() / _BUILD_DIR / ready.ARCHIVE
