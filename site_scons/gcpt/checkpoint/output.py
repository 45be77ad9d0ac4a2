"""Checkpoint files written in a container. A target appears, or changes, only when all of it is written.

Raw files are written sparse.
"""

import os
import stat
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import BinaryIO

from backports import zstd
from isal import isal_zlib

from gcpt.checkpoint.streams import ZEROS, Watch, chunks
from gcpt.errors import UserError

#: What a hole in a sparse file is made of, in bytes.
_HOLE = 1 << 16
#: NEMU's zstd loader takes multiples of 128 KiB.
ZSTD_MULTIPLE = 1 << 17
_GZIP_LEVEL, _ZSTD_LEVEL = 2, 3


@contextmanager
def replacing(path: Path) -> Iterator[BinaryIO]:
    """A file to write that takes the place of ``path`` when the block ends well; else ``path`` stays as it was.

    UserError when it cannot be written: a full disk, a folder that is not there.
    """
    target = path.resolve()
    if target.exists() and not target.is_file():
        raise UserError(f"{path}: this is no file that can be replaced: name another")
    partial_path = target.with_name(f".{target.name}.{os.getpid()}.partial")
    try:
        try:
            with partial_path.open("w+b") as file:
                yield file
                file.flush()
                os.fsync(file.fileno())
            if target.exists():
                partial_path.chmod(stat.S_IMODE(target.stat().st_mode))
            partial_path.replace(target)
        finally:
            partial_path.unlink(missing_ok=True)
    except OSError as error:
        raise UserError(f"{path}: {error.strerror}: nothing was written") from error


def _sparse(file: BinaryIO, content: Iterable[bytes]) -> int:
    length = 0
    for chunk in content:
        if chunk != ZEROS[: len(chunk)]:  # no time at all where the chunk is a hole
            for start in range(0, len(chunk), _HOLE):
                block = chunk[start : start + _HOLE]
                if block != ZEROS[: len(block)]:
                    file.seek(length + start)
                    file.write(block)
        length += len(chunk)
    file.truncate(length)
    return length


def _compressed(file: BinaryIO, content: Iterable[bytes], compress: Callable[[bytes], bytes]) -> int:
    length = 0
    for chunk in content:
        file.write(compress(chunk))
        length += len(chunk)
    return length


def _write_zstd(file: BinaryIO, content: Iterable[bytes]) -> int:
    parameter = zstd.CompressionParameter
    options: dict[int, int] = {parameter.compression_level: _ZSTD_LEVEL, parameter.checksum_flag: 1}
    stream = zstd.ZstdCompressor(options=options)
    length = _compressed(file, content, stream.compress)
    padding = -length % ZSTD_MULTIPLE
    file.write(stream.compress(ZEROS[:padding]) + stream.flush())
    return length + padding


def _write(file: BinaryIO, content: Iterable[bytes], container: str) -> int:
    if container == "raw":
        return _sparse(file, content)
    if container == "zstd":
        return _write_zstd(file, content)
    stream = isal_zlib.compressobj(level=_GZIP_LEVEL, wbits=31)
    length = _compressed(file, content, stream.compress)
    file.write(stream.flush())
    return length


def write(out: Path, content: Iterable[bytes], container: str) -> int:
    """Write ``content`` to ``out`` in a container, all of it or nothing. Returns its length in bytes, uncompressed.

    zstd is padded with zeros to a multiple of 128 KiB, which NEMU's loader wants. The same content makes the same file.
    """
    return write_all([(out, content, container)])[0]


def write_all(files: Sequence[tuple[Path, Iterable[bytes], str]]) -> list[int]:
    """``write`` for several files that belong together (out, content, container): all of them or none."""
    with ExitStack() as stack:
        lengths = []
        for out, content, container in files:
            file = stack.enter_context(replacing(out))
            lengths.append(_write(file, content, container))
            file.flush()
            os.fsync(file.fileno())
        return lengths


def unpack(path: Path, out: Path, size: int = 0, watch: Watch = iter) -> int:
    """Write the uncompressed content of ``path`` to ``out`` as a sparse file of at least ``size`` bytes.

    Returns the length of the content in bytes.
    """
    with replacing(out) as file:
        length = _sparse(file, watch(chunks(path)))
        file.truncate(max(length, size))
        return length


def write_pieces(out: Path, pieces: Iterable[tuple[int, bytes]], size: int) -> None:
    """A sparse file of ``size`` bytes that holds ``pieces`` (offset, bytes) and is zero elsewhere."""
    with out.open("wb") as file:
        file.truncate(size)
        for offset, data in pieces:
            file.seek(offset)
            file.write(data)
