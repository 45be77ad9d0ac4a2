"""The contents of a build's stamp: the commit of the sources and the options that affect the image."""

import hashlib
import subprocess
from collections.abc import Mapping
from pathlib import Path

from gcpt import __version__
from gcpt.checkpoint import stamp
from gcpt.checkpoint.stamp import Stamp
from gcpt.restorer.config import BuildConfig
from gcpt.restorer.options import TOOL_OPTIONS

#: Options of the build environment, which the stamp leaves out.
_ENVIRONMENT = (*TOOL_OPTIONS, "build_dir")
#: Options that name a file: the stamp has the file's name and a digest of its content, not its folder.
_FILES = ("gcpt_payload", "gcpt_dtb")
#: The file that has the commit in the sources that a wheel carries.
RECORD = "commit"
#: Prefix of the commit's line in git's output.
_COMMIT = "# branch.oid "


def source_state(root: Path, env: Mapping[str, str]) -> tuple[str, bool]:
    """Ask git for the commit of a checkout; the sources that a wheel carries have a record of theirs.

    Args:
        root: The checkout's folder.
        env: Environment of the git command.

    Returns:
        The first 8 digits of the commit, and whether tracked files differ from it; ("", False) without git, without a
        commit, or if ``root`` is neither the top of a checkout nor has a record.
    """
    command = ["git", "--no-optional-locks", "status", "--porcelain=v2", "--branch", "--no-ahead-behind", "-uno"]
    if not (root / ".git").exists():
        return parse_record((root / RECORD).read_text()) if (root / RECORD).is_file() else ("", False)
    # Keep git from searching parent folders if .git is invalid.
    environment = {**env, "GIT_CEILING_DIRECTORIES": str(root.resolve().parent)}
    try:
        done = subprocess.run(command, cwd=root, env=environment, capture_output=True, text=True, check=True)
    except (OSError, subprocess.CalledProcessError):
        return "", False
    lines = done.stdout.splitlines()
    commit = next(line.removeprefix(_COMMIT) for line in lines if line.startswith(_COMMIT))
    return ("", False) if commit == "(initial)" else (commit[:8], any(not line.startswith("#") for line in lines))


def record(commit: str, dirty: bool) -> str:
    """Format the result of ``source_state`` as a line of a file.

    Args:
        commit: The first 8 digits of the commit, or "".
        dirty: Tracked files differ from the commit.

    Returns:
        The line.
    """
    return f"{commit} {int(dirty)}\n"


def parse_record(text: str) -> tuple[str, bool]:
    """Parse a line that ``record`` formatted.

    Args:
        text: The line.

    Returns:
        Commit, and whether tracked files differ from it.
    """
    commit, dirty = text.rstrip("\n").split(" ")
    return commit, dirty == "1"


def stamped_options(config: BuildConfig) -> dict[str, str]:
    """The options in a stamp: those that differ from their defaults and affect the image.

    Args:
        config: The configuration; the files that it names are read.

    Returns:
        Values by name; a file is its name and the start of its SHA-256.
    """
    values = {name: value for name, value in config.options.items() if name not in _ENVIRONMENT}
    for name in _FILES:
        if name in values:
            path = Path(values[name])
            values[name] = f"{path.name}.{hashlib.sha256(path.read_bytes()).hexdigest()[:8]}"
    return values


def stamp_of(config: BuildConfig, commit: str, dirty: bool) -> Stamp:
    """Make the stamp of a build with this version of the sources.

    Args:
        config: The configuration.
        commit: The first 8 digits of the commit, or "".
        dirty: Tracked files differ from the commit.

    Returns:
        The stamp.
    """
    return Stamp(__version__, commit, dirty, stamped_options(config))


def linker_text(contents: Stamp) -> str:
    """Format a stamp as linker script commands.

    Args:
        contents: The stamp.

    Returns:
        ``QUAD`` commands with the stamp's bytes.
    """
    data = stamp.encode(contents)
    words = (int.from_bytes(data[at : at + 8], "little") for at in range(0, len(data), 8))
    return ". = ALIGN(8);\n" + "".join(f"QUAD({word:#x});\n" for word in words)
