"""Writes checkpoint files in any container.

A target appears or changes only when its whole content is written. Raw files are sparse.
"""

import errno
import os
import stat
import sys
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import BinaryIO, Protocol

from isal import isal_zlib

from gcpt.checkpoint import containers, frames
from gcpt.checkpoint.layouts import RESERVED_SIZE
from gcpt.checkpoint.partials import Partial
from gcpt.checkpoint.streams import ZEROS, Watch, chunks
from gcpt.errors import UserError

if sys.version_info >= (3, 14):
    from compression import zstd
else:
    from backports import zstd

#: Sparse files have holes for zero blocks of this many bytes.
_HOLE = 1 << 16
#: NEMU's zstd loader needs a multiple of 128 KiB.
ZSTD_MULTIPLE = 1 << 17
_GZIP_LEVEL, _ZSTD_LEVEL = 2, 3
#: What copy_file_range answers where it cannot copy from this file to that one.
_NO_COPY = frozenset({errno.EXDEV, errno.EINVAL, errno.ENOSYS, errno.EOPNOTSUPP})
#: The path that stands for standard output.
STANDARD_OUTPUT = Path("-")
#: Writes content to a file, and returns the content's length in bytes.
Writer = Callable[[BinaryIO, Iterable[bytes]], int]


def _target(path: Path) -> Path:
    """The file that a path names, through symbolic links; UserError if it has none."""
    try:
        target = Path(os.path.realpath(path))
    except OSError as error:  # a relative path, and the working directory was deleted
        raise UserError(
            f"{path}: {error.strerror}: the working directory was deleted: give an absolute path"
        ) from error
    if target.is_symlink():
        raise UserError(f"{path}: {os.strerror(errno.ELOOP)}: choose another path")
    return target


class _Partial(Partial):
    """A new file, written beside the file that it replaces in the end."""

    def __init__(self, path: Path) -> None:
        target = _target(path)
        if target.exists() and not target.is_file():
            raise UserError(f"{path}: not a regular file, so it cannot be replaced: choose another path")
        super().__init__(target)

    def finish(self) -> None:
        """Complete the file on the disk, with the mode of the file that it replaces."""
        self.file.flush()
        os.fsync(self.file.fileno())
        if self._target.exists():
            os.fchmod(self.file.fileno(), stat.S_IMODE(self._target.stat().st_mode))
            containers.forget(self._target)


@contextmanager
def _partial(path: Path) -> Iterator[_Partial]:
    """Open a new file, which is removed after an exception; UserError if it cannot be written or replaced."""
    try:
        partial = _Partial(path)
        try:
            partial.open()
            yield partial
        except BaseException:
            partial.remove()
            raise
    except OSError as error:
        raise UserError(f"{path}: {error.strerror or error}: nothing was written") from error


@contextmanager
def replacing(path: Path) -> Iterator[BinaryIO]:
    """Open a new file that replaces another one when the ``with`` block ends without an exception.

    After an exception, ``path`` is as before.

    Args:
        path: The file to replace or create; a symbolic link stays a link.

    Yields:
        The new file, open for writing and reading.

    Raises:
        UserError: ``path`` cannot be replaced, or the new file cannot be written (full disk, missing folder).
    """
    _check_not_standard_output(path)
    with _partial(path) as partial:
        yield partial.file
        partial.finish()
        partial.replace()


def _check_not_standard_output(path: Path) -> None:
    if path == STANDARD_OUTPUT:
        raise UserError("standard output takes only raw, gzip and zstd images: name a file")


def check_standard_output() -> None:
    """Check that standard output can take an image.

    Raises:
        UserError: It is a terminal.
    """
    if sys.stdout.isatty():
        raise UserError("standard output is a terminal, which shows no images: redirect it, or name a file")


@contextmanager
def _standard_output() -> Iterator[BinaryIO]:
    """Standard output, for bytes; UserError if it is a terminal or cannot be written."""
    check_standard_output()
    try:
        yield sys.stdout.buffer
        sys.stdout.buffer.flush()
    except BrokenPipeError:
        raise
    except OSError as error:
        raise UserError(f"standard output: {error.strerror}: the image there is incomplete") from error


def write_sparse(file: BinaryIO, content: Iterable[bytes]) -> int:
    """Write content to a file from its start, with holes for zeros.

    Args:
        file: The file, which is empty.
        content: The content, in chunks.

    Returns:
        The length of the content in bytes.

    Raises:
        OSError: The file cannot be written.
    """
    length = 0
    for chunk in content:
        if chunk != ZEROS[: len(chunk)]:  # one fast comparison for a chunk that is a hole
            for start in range(0, len(chunk), _HOLE):
                block = chunk[start : start + _HOLE]
                if block != ZEROS[: len(block)]:
                    file.seek(length + start)
                    file.write(block)
        length += len(chunk)
    file.truncate(length)
    return length


def _copied(file: BinaryIO, content: Iterable[bytes]) -> int:
    length = 0
    for chunk in content:
        file.write(chunk)
        length += len(chunk)
    return length


class _Compressor(Protocol):
    def compress(self, data: bytes) -> bytes: ...
    def flush(self) -> bytes: ...


def _compressor(container: str) -> _Compressor:
    """The compressor of one frame or member."""
    if container == "gzip":
        member: _Compressor = isal_zlib.compressobj(level=_GZIP_LEVEL, wbits=31)
        return member
    parameter = zstd.CompressionParameter
    frame: _Compressor = zstd.ZstdCompressor(
        options={parameter.compression_level: _ZSTD_LEVEL, parameter.checksum_flag: 1}
    )
    return frame


def _compressed(file: BinaryIO, content: Iterable[bytes], container: str) -> int:
    """Write two frames or members: one for the reserved MiB, so that it can be replaced alone, and one for the rest."""
    stream, length = _compressor(container), 0
    for chunk in _divided(content, RESERVED_SIZE):
        if length == RESERVED_SIZE:
            file.write(stream.flush())
            stream = _compressor(container)
        file.write(stream.compress(chunk))
        length += len(chunk)
    padding = -length % ZSTD_MULTIPLE if container == "zstd" else 0
    file.write(stream.compress(ZEROS[:padding]) + stream.flush())
    return length + padding


def _divided(content: Iterable[bytes], at: int) -> Iterator[bytes]:
    """``content``, with a chunk that ends at offset ``at``, and without empty chunks."""
    position = 0
    for chunk in content:
        cut = min(max(at - position, 0), len(chunk))
        yield from filter(None, (chunk[:cut], chunk[cut:]))
        position += len(chunk)


def _write(file: BinaryIO, content: Iterable[bytes], container: str, sparse: bool = True) -> int:
    if container == "raw":
        return write_sparse(file, content) if sparse else _copied(file, content)
    return _compressed(file, content, container)


def write(out: Path, content: Iterable[bytes], container: str) -> int:
    """Write a file, completely or not at all. The same content makes the same file.

    Args:
        out: The file; STANDARD_OUTPUT gets the content as far as it goes.
        content: Its uncompressed content, in chunks.
        container: One of CONTAINERS. For zstd, the content is padded with zeros to a multiple of ZSTD_MULTIPLE.

    Returns:
        The length of the uncompressed content in bytes, with padding.

    Raises:
        UserError: The file cannot be written.
    """
    return write_all([(out, content, container)])[0]


def write_all(files: Sequence[tuple[Path, Iterable[bytes], str | Writer]]) -> list[int]:
    """Write several files that belong together: each as ``write`` does, and either all of them or none.

    Args:
        files: The arguments of ``write`` for each file: path, content, container. For a format that is no container,
            the function that writes it.

    Returns:
        The length of the uncompressed content of each file in bytes, with padding.

    Raises:
        UserError: A file cannot be written.
    """
    with ExitStack() as stack:
        lengths, partials = [], []
        for out, content, container in files:
            if isinstance(container, str) and out == STANDARD_OUTPUT:
                file = stack.enter_context(_standard_output())
                lengths.append(_write(file, content, container, sparse=False))
                continue
            _check_not_standard_output(out)
            partial = stack.enter_context(_partial(out))
            if isinstance(container, str):
                lengths.append(_write(partial.file, content, container))
            else:
                lengths.append(container(partial.file, content))
            partial.finish()
            partials.append(partial)
        for partial in partials:  # all are complete: only a rename can fail from here on
            partial.replace()
        return lengths


def replace_start(path: Path, start: bytes) -> bool:
    """Replace the reserved MiB of a compressed file, completely or not at all, and copy the rest as it is.

    Args:
        path: The file.
        start: The reserved MiB.

    Returns:
        False if the file is not compressed or has no frame or member for the reserved MiB alone: nothing is written.

    Raises:
        UserError: The file cannot be read or replaced, or its first frame is damaged.
    """
    container = containers.container_of(path)
    if container not in ("gzip", "zstd") or len(start) != RESERVED_SIZE:
        return False
    with containers.opened(path) as file:
        before, rest = containers.identity_of(file), frames.end_of_start(file, container, RESERVED_SIZE)
    if rest is None:
        return False
    stream = _compressor(container)
    with replacing(path) as out, path.open("rb") as file:
        out.write(stream.compress(start) + stream.flush())
        out.flush()
        _copy_rest(file, out, rest)
        containers.check_unchanged(path, file, before)
    return True


def _copy_rest(source: BinaryIO, target: BinaryIO, at: int) -> None:
    """Copy a file from an offset on, in the kernel or, on a network file system, in the server where possible."""
    size = os.fstat(source.fileno()).st_size
    copy: Callable[[int, int, int, int], int] = os.copy_file_range
    while at < size:
        try:
            count = copy(source.fileno(), target.fileno(), size - at, at)
        except OSError as error:
            if error.errno not in _NO_COPY or copy is _sendfile:
                raise
            copy = _sendfile
            continue
        if not count:
            raise UserError(f"{source.name}: the file ends at byte {at:#x}: copy it again")
        at += count


def _sendfile(source: int, target: int, size: int, at: int) -> int:
    return os.sendfile(target, source, at, size)


def unpack(path: Path, out: Path, size: int = 0, watch: Watch = iter) -> int:
    """Write the uncompressed content of a file to a sparse file.

    Args:
        path: The file, in any container.
        out: The file to write.
        size: Minimum length of ``out`` in bytes: shorter content is padded with a hole.
        watch: Gets the chunks on their way, for a progress bar.

    Returns:
        The length of the content in bytes, without padding.

    Raises:
        UserError: ``path`` cannot be read or is damaged, or ``out`` cannot be written.
    """
    with replacing(out) as file:
        length = write_sparse(file, watch(chunks(path)))
        file.truncate(max(length, size))
        return length


def copy(content: Iterable[bytes], out: Path) -> None:
    """Write a sparse raw file for a machine of this process: not completed on the disk, as ``write`` does.

    Args:
        content: Its content, in chunks.
        out: The file.
    """
    with out.open("wb") as file:
        write_sparse(file, content)


def write_pieces(out: Path, pieces: Iterable[tuple[int, bytes]], size: int) -> None:
    """Write a sparse raw file from parts of its content.

    Args:
        out: The file.
        pieces: Offset and bytes of each part; the rest is zero.
        size: Length of the file in bytes.
    """
    with out.open("wb") as file:
        file.truncate(size)
        for offset, data in pieces:
            file.seek(offset)
            file.write(data)
