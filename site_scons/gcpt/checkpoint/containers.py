"""Containers of checkpoint files: raw, gzip, zstd or ELF, identified by their first bytes, never by their names."""

import os
import shlex
import stat
from collections.abc import Collection, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from pathlib import Path
from typing import BinaryIO, NamedTuple

from gcpt.errors import UserError

#: The containers that files are written in.
CONTAINERS = ("raw", "gzip", "zstd")
#: The container of a file to write, by the ending of its name in lower case.
ENDINGS = {
    ".gz": "gzip",
    ".gzip": "gzip",
    ".zst": "zstd",
    ".zstd": "zstd",
    ".raw": "raw",
    ".bin": "raw",
    ".img": "raw",
}
#: The endings of files that are written as they are.
RAW_ENDINGS = tuple(ending for ending, container in ENDINGS.items() if container == "raw")
#: The first bytes of a file in each container; raw files have none.
MAGICS = {"gzip": b"\x1f\x8b", "zstd": b"\x28\xb5\x2f\xfd", "elf": b"\x7fELF"}
#: Bytes 1 to 3 of a zstd skippable frame; byte 0 is 0x50 to 0x5f (RFC 8878, section 3.1.2).
_SKIPPABLE = b"\x2a\x4d\x18"
#: Number of bytes at the start of a file that identify any container, foreign ones included.
HEAD_SIZE = 264


class _Foreign(NamedTuple):
    """A format that gcpt does not read: name, offset and value of its magic number, command that unpacks a file."""

    name: str
    at: int
    magic: bytes
    command: str


_FOREIGN = (
    _Foreign("xz", 0, b"\xfd7zXZ\0", "xz -dc < {} > OUT"),
    _Foreign("lz4", 0, b"\x04\x22\x4d\x18", "lz4 -dc < {} > OUT"),
    _Foreign("lz4", 0, b"\x02\x21\x4c\x18", "lz4 -dc < {} > OUT"),
    _Foreign("bzip2", 4, b"1AY&SY", "bzip2 -dc < {} > OUT"),
    _Foreign("lzip", 0, b"LZIP\1", "lzip -dc < {} > OUT"),
    _Foreign("lzo", 0, b"\x89LZO\0\r\n\x1a\n", "lzop -dc < {} > OUT"),
    _Foreign("compress", 0, b"\x1f\x9d\x90", "gzip -dc < {} > OUT"),
    # lc, lp and pb as all programs set them, and the size of the dictionary, of which the magic number is a part.
    *(
        _Foreign("lzma", 0, b"\x5d" + (1 << size).to_bytes(4, "little"), "xz --format=lzma -dc < {} > OUT")
        for size in range(16, 32)
    ),
    _Foreign("7z", 0, b"7z\xbc\xaf\x27\x1c", "7z x -so {} > OUT"),
    _Foreign("rar", 0, b"Rar!\x1a\x07", "unrar p -inul {} > OUT"),
    _Foreign("zip", 0, b"PK\x03\x04", "unzip {}"),
    _Foreign("qcow2", 0, b"QFI\xfb", "qemu-img convert -O raw {} OUT"),
    _Foreign("tar", 257, b"ustar", "tar -xf {}"),
)

#: Device, inode, size in bytes and time of the last change in ns of an open file.
Identity = tuple[int, int, int, int]
#: The identity of each file that was read, by its absolute path; None outside ``unchanging``.
_read_files: ContextVar[dict[str, Identity] | None] = ContextVar("_read_files", default=None)


def is_skippable(head: bytes) -> bool:
    """Check whether a zstd skippable frame starts with some bytes.

    Args:
        head: The first four bytes.

    Returns:
        Whether it does.
    """
    return head[1:4] == _SKIPPABLE and head[0] >> 4 == 5


def is_cut_magic(head: bytes, name: str) -> bool:
    """Check whether bytes at the end of a file are the start of a magic number.

    Args:
        head: The bytes.
        name: "gzip" or "zstd".

    Returns:
        Whether they are a proper prefix of the container's magic number or of that of a zstd skippable frame.
    """
    if len(head) < len(MAGICS[name]) and MAGICS[name].startswith(head):
        return True
    return name == "zstd" and len(head) < 4 and head[0] >> 4 == 5 and _SKIPPABLE.startswith(head[1:])


def container(head: bytes) -> str:
    """Identify the container of a file.

    Args:
        head: The first four bytes of the file.

    Returns:
        "gzip", "zstd", "elf" or "raw".
    """
    if is_skippable(head):
        return "zstd"
    return next((name for name, magic in MAGICS.items() if head.startswith(magic)), "raw")


def foreign(head: bytes, path: Path) -> tuple[str, str] | None:
    """Recognise a format that gcpt does not read.

    Args:
        head: The first HEAD_SIZE bytes of the file, fewer if it is shorter.
        path: The file.

    Returns:
        The name of the format and the command that unpacks the file; None if it is not recognised.
    """
    for name, at, magic, command in _FOREIGN:
        if head.startswith(magic, at):
            return name, command.format(shlex.quote(str(path)))
    return None


def checked_container(head: bytes, path: Path) -> str:
    """Identify the container of a file, and refuse formats that gcpt does not read.

    Args:
        head: The first HEAD_SIZE bytes of the file, fewer if it is shorter.
        path: The file.

    Returns:
        "gzip", "zstd", "elf" or "raw".

    Raises:
        UserError: The file is in a format that gcpt does not read. The message has the command that unpacks it.
    """
    if match := foreign(head, path):
        raise UserError(f"{path}: {match[0]} is not a container that gcpt reads: unpack the file first: {match[1]}")
    return container(head)


def check_unpacked(head: bytes, name: str, path: Path) -> None:
    """Refuse a file that was compressed twice, or packed by another program before it was compressed.

    Args:
        head: The first HEAD_SIZE bytes of the content, fewer if it is shorter.
        name: The container of the file: "gzip" or "zstd".
        path: The file.

    Raises:
        UserError: The content is in a container again.
    """
    match = foreign(head, path)
    inner = match[0] if match else container(head)
    if inner != "raw":
        command = f"{name} -dc < {shlex.quote(str(path))} > OUT"
        raise UserError(f"{path}: the content is in a container again ({inner} in {name}): unpack it first: {command}")


def _identity(status: os.stat_result) -> Identity:
    if not stat.S_ISREG(status.st_mode):
        return status.st_dev, status.st_ino, 0, 0
    return status.st_dev, status.st_ino, status.st_size, status.st_mtime_ns


@contextmanager
def unchanging() -> Iterator[None]:
    """Refuse files that differ from one reading to the next within the ``with`` block.

    Commands read a file several times: its container, the state, the memory. All must come from the same content.
    """
    token = _read_files.set({})
    try:
        yield
    finally:
        _read_files.reset(token)


def forget(path: Path) -> None:
    """Allow a file to differ the next time that it is read, because gcpt itself replaces it.

    Args:
        path: The file, before it is replaced.
    """
    known = _read_files.get()
    if known and path.exists():
        status = path.stat()
        for name in [name for name, identity in known.items() if identity[:2] == (status.st_dev, status.st_ino)]:
            del known[name]


def identity_of(file: BinaryIO) -> Identity:
    """Return the identity of an open file, which differs after each change.

    Args:
        file: The file.

    Returns:
        Device, inode, size in bytes and time of the last change in ns; for files that are not regular, size and time
        are 0.
    """
    return _identity(os.fstat(file.fileno()))


def check_unchanged(path: Path, file: BinaryIO, before: Identity) -> None:
    """Check that a file is still the same, and still at its path.

    Args:
        path: The path that it was opened by.
        file: The open file.
        before: Its identity at an earlier time.

    Raises:
        UserError: It was changed, replaced or removed.
    """
    try:
        now = path.stat()
    except FileNotFoundError:
        now = None
    if now is None or not before == _identity(now) == identity_of(file):
        raise UserError(
            f"{path}: the file was changed, replaced or removed while it was read: run the command again when nothing "
            "writes to it"
        )


@contextmanager
def opened(path: Path, remember: bool = True) -> Iterator[BinaryIO]:
    """Open a file for reading.

    Args:
        path: The file.
        remember: Within ``unchanging``, compare the file with earlier readings.

    Yields:
        The open file, at its start.

    Raises:
        UserError: The file cannot be read, or is a pipe, which can be read only once, or is also standard output, or
            changes before the ``with`` block ends.
    """
    try:
        with path.open("rb") as file:
            if not file.seekable():
                raise UserError(f"{path}: is a pipe, but gcpt reads the file more than once: save it to a file first")
            status = os.fstat(file.fileno())
            if stat.S_ISREG(status.st_mode) and _is_standard_output(status):
                raise UserError(f"{path}: is also standard output: write to another file")
            before = _identity(status)
            if remember and (known := _read_files.get()) is not None:
                before = known.setdefault(os.path.abspath(path), before)
            check_unchanged(path, file, before)
            try:
                yield file
            except UserError:
                check_unchanged(path, file, before)  # the cause of the error
                raise
            check_unchanged(path, file, before)
    except OSError as error:
        raise UserError(f"{path}: {error.strerror or error}") from error


def _is_standard_output(status: os.stat_result) -> bool:
    try:
        output = os.fstat(1)
    except OSError:
        return False
    return (output.st_dev, output.st_ino) == (status.st_dev, status.st_ino)


def read_exactly(file: BinaryIO, size: int, offset: int) -> bytes:
    """Read bytes at an offset of a file.

    Args:
        file: The file.
        size: Number of bytes.
        offset: File offset of the first byte.

    Returns:
        The bytes.

    Raises:
        UserError: The file ends before the last byte.
        OSError: The file cannot be read.
    """
    data = os.pread(file.fileno(), size, offset)
    while len(data) < size:
        if not (more := os.pread(file.fileno(), size - len(data), offset + len(data))):
            raise UserError(f"{file.name}: the file ends at byte {offset + len(data):#x}: copy it again")
        data += more
    return data


def container_of(path: Path) -> str:
    """Identify the container of a file.

    Args:
        path: The file.

    Returns:
        "gzip", "zstd", "elf" or "raw".

    Raises:
        UserError: The file cannot be read, or is in a format that gcpt does not read.
    """
    with opened(path) as file:
        return checked_container(file.read(HEAD_SIZE), path)


def check_ending(path: Path, endings: Collection[str], exact: bool = False, remedy: str = "") -> None:
    """Check the ending of the name of a file to write: it promises a format.

    Args:
        path: The file to write.
        endings: The endings of its formats.
        exact: Whether the name must have one of them, as it is written; otherwise in any case, or none.
        remedy: What else to do, for the message.

    Raises:
        UserError: The ending is another one.
    """
    ending = path.suffix if exact else path.suffix.lower()
    if ending not in endings and (ending or exact):
        what = f"unknown ending {path.suffix}" if path.suffix else "no ending"
        known = ", ".join(endings)
        raise UserError(f"{path}: {what}: choose {f'one of {known}' if len(endings) > 1 else known}{remedy}")


def by_ending(path: Path, endings: dict[str, str], option: str) -> str | None:
    """Choose the container or format of a file to write by the ending of its name, in any case.

    Args:
        path: The file to write.
        endings: The choice for each ending.
        option: The option that makes the choice for other endings, for messages.

    Returns:
        The choice; None if the name has no ending.

    Raises:
        UserError: The ending is unknown.
    """
    check_ending(path, endings, remedy=f", or give {option}")
    return endings.get(path.suffix.lower())


def container_for(path: Path, default: str) -> str:
    """Choose the container of a file to write by the ending of its name.

    Args:
        path: The file to write.
        default: The container for names without an ending; "elf" stands for "raw".

    Returns:
        One of CONTAINERS.

    Raises:
        UserError: The ending is unknown.
    """
    return by_ending(path, ENDINGS, "--container") or (default if default in CONTAINERS else "raw")


def container_like(path: Path, source: Path) -> str:
    """Choose the container of a file to write by the ending of its name, else use that of another file.

    Args:
        path: The file to write.
        source: The other file; an ELF file stands for "raw".

    Returns:
        One of CONTAINERS.

    Raises:
        UserError: ``source`` cannot be read, or the ending is unknown.
    """
    return container_for(path, container_of(source))
