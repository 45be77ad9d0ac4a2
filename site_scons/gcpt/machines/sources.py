"""The folder in which SCons builds restorers: the checkout, or a copy of the sources that an installed package carries.

The copy is in the user's cache folder, under a digest of its files. The package is copied, too: SConstruct and its
tools find it in site_scons/, as in a checkout.
"""

import fnmatch
import hashlib
import os
import shutil
import tomllib
from importlib.util import find_spec
from pathlib import Path

from gcpt import checkout
from gcpt.errors import UserError
from gcpt.scratch import remove_folder

_PACKAGE = Path(__file__).parents[1]
#: What an installed package carries besides itself, as in a checkout.
_PROJECT = _PACKAGE / "project"
#: Where it has picolibc's sources, unless pip built it from a repository.
_PICOLIBC = "build/third_party/picolibc"


def can_build() -> bool:
    """Return whether this Python can build restorers: it has SCons, and the project's sources."""
    return find_spec("SCons") is not None and (checkout.present() or (_PROJECT / "SConstruct").is_file())


def folder() -> Path:
    """Return the project's folder; without a checkout, the copy in the cache folder is made first.

    Raises:
        UserError: The copy cannot be written.
    """
    if checkout.present():
        return checkout.ROOT
    files = _files()
    digest = hashlib.sha256()
    for name, path in files.items():
        digest.update(f"{name}\0".encode() + hashlib.sha256(path.read_bytes()).digest())
    copy = checkout.cache_folder("project") / digest.hexdigest()[:16]
    try:
        if not copy.is_dir():
            _write(files, copy)
    except OSError as error:
        raise UserError(f"{copy.parent}: {error.strerror}: choose another cache folder with XDG_CACHE_HOME") from error
    return copy


def _files() -> dict[str, Path]:
    """The files of the copy by their names in it."""
    files = {}
    for path in sorted(_PACKAGE.rglob("*")):
        if path.is_file() and path.suffix != ".pyc":
            inside = path.is_relative_to(_PROJECT)
            files[str(path.relative_to(_PROJECT) if inside else "site_scons/gcpt" / path.relative_to(_PACKAGE))] = path
    return files if (_PROJECT / _PICOLIBC).is_dir() else files | _picolibc()


def _picolibc() -> dict[str, Path]:
    """Picolibc's sources of the package that is pinned for systems without apt-get; empty if it is not installed."""
    pin = tomllib.loads((_PROJECT / "third_party/picolibc.toml").read_text())
    package, _, data = pin["wheel"]["folder"].partition("/")
    spec = find_spec(package)
    if spec is None or spec.origin is None:
        return {}
    root = Path(spec.origin).parent / data
    names = sorted(str(path.relative_to(root)) for path in root.rglob("*") if path.is_file())
    chosen = [name for pattern in pin["files"] for name in fnmatch.filter(names, pattern)]
    return {f"{_PICOLIBC}/{name}": root / name for name in chosen}


def _write(files: dict[str, Path], copy: Path) -> None:
    """Write all files, or none if another process was faster."""
    partial = copy.with_name(f".{copy.name}.{os.getpid()}")
    for name, path in files.items():
        (partial / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(path, partial / name)
    try:
        partial.rename(copy)
    except OSError:
        remove_folder(partial)
        if not copy.is_dir():
            raise
