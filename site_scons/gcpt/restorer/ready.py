"""The ready restorers of an installed package: every mode on every platform, quiet and with messages, in one archive.

The archive has their ELF files, too, for gdb. ``scons restorers`` builds them, and a wheel that is made where
SCons runs has the archive.
"""

import io
import tarfile
from collections.abc import Iterator, Sequence
from functools import cache
from itertools import takewhile
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
#: The endings of the files in the archive.
_IMAGE, _ELF = ".bin", ".elf"


def variants() -> list[dict[str, str]]:
    """List the options of the ready restorers.

    Returns:
        Values of ``platform=``, ``mode=`` and ``log=``.
    """
    return [{"platform": name, "mode": mode, "log": log} for name in BY_NAME for mode in MODES for log in LOGS]


def write(archive: Path, restorers: Sequence[tuple[str, Path, Path]]) -> None:
    """Write an archive; the same restorers make the same bytes.

    Args:
        archive: The file to write.
        restorers: Variant, image and ELF file of each. The images come first: few commands read the ELF files.
    """
    images = [(f"{variant}{_IMAGE}", image) for variant, image, _ in restorers]
    with tarfile.open(archive, "w:xz", format=tarfile.USTAR_FORMAT) as tar:
        for name, path in images + [(f"{variant}{_ELF}", elf) for variant, _, elf in restorers]:
            data = path.read_bytes()
            member = tarfile.TarInfo(name)
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
    images = takewhile(lambda file: file[0].endswith(_IMAGE), _files(archive))
    restorers = {name.removesuffix(_IMAGE): packing.embedded(data, name) for name, data in images}
    return {variant: restorer for variant, restorer in restorers.items() if restorer}


def _files(archive: Path) -> Iterator[tuple[str, bytes]]:
    """Names and contents of an archive's files; none if there is no archive, UserError if it is damaged."""
    try:
        with tarfile.open(archive, "r:xz") as tar:
            for member in tar:
                if file := tar.extractfile(member):
                    yield member.name, file.read()
    except FileNotFoundError:
        return
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


def find_elf(config: BuildConfig) -> bytes | None:
    """Find the ELF file of an installed restorer, which has its symbols.

    Args:
        config: The configuration.

    Returns:
        The content of the file, or None.
    """
    return next((data for name, data in _files(INSTALLED) if name == f"{config.variant}{_ELF}"), None)
