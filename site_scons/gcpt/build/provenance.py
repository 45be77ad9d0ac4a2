"""What a build's stamp says: the commit of the sources, and the options as they matter to the image."""

import hashlib
import subprocess
from collections.abc import Mapping
from pathlib import Path

from gcpt import __version__
from gcpt.checkpoint import stamp
from gcpt.checkpoint.stamp import Stamp
from gcpt.restorer.config import BuildConfig

#: Options that say how or where to build, not what: the same image on another machine.
_HOW = ("toolchain", "cross_compile", "picolibc", "nanopb_dir", "build_dir")
#: Options that name a file: its name and a digest of its bytes are stamped, not the folder.
_FILES = ("gcpt_payload", "gcpt_dtb")
#: Of git's answer: the line with the commit.
_COMMIT = "# branch.oid "


def source_state(root: Path, env: Mapping[str, str]) -> tuple[str, bool]:
    """The first 8 digits of the commit at ``root``, and whether tracked files differ from it.

    ("", False) where that is no git checkout of its own, has no commit, or there is no git.
    """
    command = ["git", "--no-optional-locks", "status", "--porcelain=v2", "--branch", "--no-ahead-behind", "-uno"]
    if not (root / ".git").exists():
        return "", False
    # Git looks no further up, should this be none.
    environment = {**env, "GIT_CEILING_DIRECTORIES": str(root.resolve().parent)}
    try:
        done = subprocess.run(command, cwd=root, env=environment, capture_output=True, text=True, check=True)
    except (OSError, subprocess.CalledProcessError):
        return "", False
    lines = done.stdout.splitlines()
    commit = next(line.removeprefix(_COMMIT) for line in lines if line.startswith(_COMMIT))
    return ("", False) if commit == "(initial)" else (commit[:8], any(not line.startswith("#") for line in lines))


def stamped_options(config: BuildConfig) -> dict[str, str]:
    """The options of ``config`` that are not the default and change the image; reads the files that they name."""
    values = {name: value for name, value in config.options.items() if name not in _HOW}
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
