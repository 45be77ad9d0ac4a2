"""What a build's stamp says: the commit of the sources, and the options as they matter to the image."""

import hashlib
import subprocess
from collections.abc import Mapping
from pathlib import Path

from gcpt import __version__, stamp
from gcpt.config import BuildConfig
from gcpt.stamp import Stamp

#: Options that say how or where to build, not what: the same image on another machine.
_HOW = ("toolchain", "cross_compile", "picolibc", "nanopb_dir", "build_dir")
#: Options that name a file: its name and a digest of its bytes are stamped, not the folder.
_FILES = ("gcpt_payload", "gcpt_dtb")


def _git(root: Path, env: Mapping[str, str], *arguments: str) -> str:
    command = ["git", "--no-optional-locks", *arguments]
    done = subprocess.run(command, cwd=root, env=dict(env), capture_output=True, text=True, check=True)
    return done.stdout


def source_state(root: Path, env: Mapping[str, str]) -> tuple[str, bool]:
    """The first 8 digits of the commit at ``root``, and whether tracked files differ from it.

    ("", False) where that is no git checkout of its own, or there is no git.
    """
    try:
        top, commit = _git(root, env, "rev-parse", "--show-toplevel", "HEAD").rstrip("\n").rsplit("\n", 1)
        if Path(top) != root.resolve():
            return "", False
        return commit[:8], bool(_git(root, env, "status", "--porcelain", "--untracked-files=no"))
    except (OSError, subprocess.CalledProcessError):
        return "", False


def stamped_options(config: BuildConfig) -> dict[str, str]:
    """The options of ``config`` that are not the default and change the image; reads the files that they name."""
    values = {name: value for name, value in config.given.items() if name not in _HOW}
    for name in _FILES:
        if name in values:
            path = Path(values[name])
            values[name] = f"{path.name}.{hashlib.sha256(path.read_bytes()).hexdigest()[:8]}"
    return values


def stamp_of(config: BuildConfig, commit: str, dirty: bool) -> Stamp:
    """The stamp of what is built of ``config`` from this version of the sources."""
    return Stamp(__version__, commit, dirty, stamped_options(config))


def linker_text(made: Stamp) -> str:
    """The stamp's bytes as commands of a linker script."""
    data = stamp.encode(made)
    words = (int.from_bytes(data[at : at + 8], "little") for at in range(0, len(data), 8))
    return ". = ALIGN(8);\n" + "".join(f"QUAD({word:#x});\n" for word in words)
