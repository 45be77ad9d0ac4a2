"""The ready restorers of an installed package: every mode on every platform, quiet and with messages, in one archive.

``scons restorers`` builds them, and a wheel that is made where SCons runs has the archive.
"""

import io
import tarfile
from collections.abc import Iterable
from functools import cache
from pathlib import Path

from gcpt.errors import UserError
from gcpt.restorer import packing
from gcpt.restorer.config import MODES, BuildConfig
from gcpt.restorer.packing import Restorer
from gcpt.restorer.platforms import BY_NAME

#: The archive's name in the build folder and beside this file.
ARCHIVE = "restorers.tar.xz"
INSTALLED = Path(__file__).with_name(ARCHIVE)
LOGS = ("quiet", "info")


def variants() -> list[dict[str, str]]:
    """List the options of the ready restorers.

    Returns:
        Values of ``platform=``, ``mode=`` and ``log=``.
    """
    return [{"platform": name, "mode": mode, "log": log} for name in BY_NAME for mode in MODES for log in LOGS]


def write(archive: Path, images: Iterable[tuple[str, Path]]) -> None:
    """Write an archive; the same images make the same bytes.

    Args:
        archive: The file to write.
        images: The restorers' files by variant.
    """
    with tarfile.open(archive, "w:xz", format=tarfile.USTAR_FORMAT) as tar:
        for variant, path in images:
            data = path.read_bytes()
            member = tarfile.TarInfo(f"{variant}.bin")
            member.size = len(data)
            tar.addfile(member, io.BytesIO(data))


@cache
def read(archive: Path) -> dict[str, Restorer]:
    """Read an archive.

    Args:
        archive: The file.

    Returns:
        The restorers by variant; none if there is no archive.

    Raises:
        UserError: The archive is damaged.
    """
    try:
        with tarfile.open(archive, "r:xz") as tar:
            files = {member.name.removesuffix(".bin"): tar.extractfile(member) for member in tar}
            images = {name: packing.embedded(file.read(), name) for name, file in files.items() if file}
            return {name: restorer for name, restorer in images.items() if restorer}
    except FileNotFoundError:
        return {}
    except (OSError, EOFError, tarfile.TarError) as error:
        raise UserError(f"{archive}: {error}: install gcpt again") from error


def find(config: BuildConfig) -> Restorer | None:
    """Find the installed restorer of a configuration.

    Args:
        config: The configuration.

    Returns:
        The restorer, or None.
    """
    return read(INSTALLED).get(config.variant)
