"""The checkout that contains this package, if there is one, and the folder for files that are built on demand."""

import os
from pathlib import Path

#: The root folder of the project. For an installed package, it does not contain the project's files: check first.
ROOT = Path(__file__).resolve().parents[2]


def present() -> bool:
    """Return whether this package is part of a checkout, not installed."""
    return (ROOT / "sconsw").is_file()


def cache_folder(name: str) -> Path:
    """Return a folder for files that are built on demand.

    Args:
        name: What the folder holds.

    Returns:
        A folder in the checkout's build folder; without a checkout, in the user's cache folder. It need not exist.
    """
    if present():
        return ROOT / "build" / name
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "gcpt" / name
