"""Copy the indexes of a set to a new set whose images may have other names."""

import os
import re
from collections.abc import Mapping
from pathlib import Path

from gcpt.checkpoint import output
from gcpt.errors import UserError
from gcpt.sets import manifest, tree
from gcpt.sets.indexes import read_text

#: The name and the path in a line of a list.
_LINE = re.compile(r"^([ \t]*[^\s#]\S*[ \t]+)(\S+)", re.MULTILINE)


def check_folders(root: Path, folder: Path, own: str) -> None:
    """Check that a new set can be written.

    Args:
        root: The folder of the old set, absolute.
        folder: The folder of the new set, absolute.
        own: The folder in it that tells that an earlier run wrote it.

    Raises:
        UserError: One of them lies in the other, or the new one has other files.
    """
    real_root, real = Path(os.path.realpath(root)), Path(os.path.realpath(folder))
    if real.is_relative_to(real_root) or real_root.is_relative_to(real):
        raise UserError(f"-o {folder}: lies in the set, or the set in it: choose another folder")
    try:
        if folder.exists() and any(folder.iterdir()) and not (folder / own).is_dir():
            raise UserError(f"-o {folder}: has other files: choose an empty folder")
    except OSError as error:
        raise UserError(f"-o {folder}: {error.strerror}: choose another folder") from error


def copy_indexes(root: Path, folder: Path, renamed: Mapping[Path, Path]) -> None:
    """Copy JSONs, lists and SimPoint's files; manifests describe only the images of their set, and stay there.

    Args:
        root: The folder of the old set, absolute.
        folder: The folder of the new set, absolute.
        renamed: The new path of each image.

    Raises:
        UserError: An index cannot be read or written.
    """
    for name in tree.walk(root).indexes:
        source, target = root / name, folder / name
        if manifest.is_manifest(source):
            continue
        text = read_text(source)
        if name.endswith(".lst"):

            def renew(line: re.Match[str], base: Path = source.parent) -> str:
                return line[1] + _renewed(line[2], base, root, folder, renamed)

            text = _LINE.sub(renew, text)
        try:
            target.parent.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise UserError(f"{target.parent}: {error.strerror}: choose another folder") from error
        with output.replacing(target) as file:
            file.write(text.encode())


def _renewed(path: str, base: Path, root: Path, folder: Path, renamed: Mapping[Path, Path]) -> str:
    """A path of a list in ``base``, so that it leads to the same image, or folder, of the new set."""
    old = Path(os.path.normpath(base / path))
    if not old.is_relative_to(root):
        return path
    new = renamed.get(old, folder / old.relative_to(root))
    return str(new) if os.path.isabs(path) else os.path.relpath(new, folder / base.relative_to(root))
