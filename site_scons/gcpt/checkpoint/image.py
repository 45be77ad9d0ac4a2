"""Checkpoint files in and out: raw, gzip or zstd, told apart by their first bytes and never by their name.

Images decompress to gigabytes, nearly all zero: everything here streams, and raw files are written sparse. A target
appears, or changes, only when all of it is written.
"""

import os
import stat
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from functools import partial
from itertools import chain
from pathlib import Path
from typing import BinaryIO, Protocol

from backports import zstd
from isal import igzip_lib, isal_zlib

from gcpt.checkpoint import elf_image
from gcpt.errors import UserError
from gcpt.isa.paging import PAGE_SIZE

#: What the content goes through on its way.
Watch = Callable[[Iterable[bytes]], Iterable[bytes]]

CONTAINERS = ("raw", "gzip", "zstd")
#: A container by the ending of a file that is to be written.
ENDINGS = {".gz": "gzip", ".zst": "zstd", ".zstd": "zstd", ".raw": "raw", ".bin": "raw", ".img": "raw"}
_MAGICS = {"gzip": b"\x1f\x8b", "zstd": b"\x28\xb5\x2f\xfd", "elf": elf_image.MAGIC}
#: Bytes of a compressed file taken at once, and of content made of them at once: 4 bytes of zstd can stand for 128 KiB.
_COMPRESSED_PIECE, _PIECE = 1 << 16, 1 << 20
#: What a hole in a sparse file is made of, in bytes.
_HOLE = 1 << 16
_ZEROS = bytes(_PIECE)
#: The longest zstd window that is decompressed, as a power of two: what the command zstd takes without being asked.
_WINDOW_LOG = 27
#: NEMU's zstd loader takes multiples of 128 KiB.
ZSTD_MULTIPLE = 1 << 17
_GZIP_LEVEL, _ZSTD_LEVEL = 2, 3


class _Decompressor(Protocol):
    @property
    def eof(self) -> bool: ...
    @property
    def needs_input(self) -> bool: ...
    @property
    def unused_data(self) -> bytes: ...
    def decompress(self, data: bytes, max_length: int = -1) -> bytes: ...


def container(head: bytes) -> str:
    """ "gzip", "zstd", "elf" or "raw", by the first four bytes of a file."""
    return next((name for name, magic in _MAGICS.items() if head.startswith(magic)), "raw")


@contextmanager
def _opened(path: Path) -> Iterator[BinaryIO]:
    """The file ``path``; UserError when it cannot be read, or only once, as a pipe."""
    try:
        with path.open("rb") as file:
            if not file.seekable():
                raise UserError(f"{path}: this is a pipe, and the file is read more than once: save it first")
            yield file
    except OSError as error:
        raise UserError(f"{path}: {error.strerror}") from error


def container_of(path: Path) -> str:
    """The container of the file ``path``; UserError when it cannot be read."""
    with _opened(path) as file:
        return container(file.read(4))


# Reading.


def _decompressor(name: str) -> _Decompressor:
    if name == "zstd":
        made: _Decompressor = zstd.ZstdDecompressor(options={zstd.DecompressionParameter.window_log_max: _WINDOW_LOG})
    else:
        made = igzip_lib.IgzipDecompressor(flag=igzip_lib.DECOMP_GZIP)
    return made


def _decompress(file: BinaryIO, name: str) -> Iterator[bytes]:
    """The content of all frames (members) of ``file``; UserError when the last one is incomplete."""
    stream, data = _decompressor(name), file.read(_COMPRESSED_PIECE)
    while True:
        if stream.eof:
            data = stream.unused_data or file.read(_COMPRESSED_PIECE)
            if len(data) < 4:
                data += file.read(4)
            if not data.startswith(_MAGICS[name]):
                return  # padding after the last frame
            stream = _decompressor(name)
        elif stream.needs_input and not data and not (data := file.read(_COMPRESSED_PIECE)):
            raise UserError(f"{file.name}: the file ends in the middle of its {name} stream: copy it again")
        try:
            content, data = stream.decompress(data, _PIECE), b""
        except (igzip_lib.IsalError, zstd.ZstdError) as error:  # type: ignore[misc]  # isal types it as an instance
            raise UserError(f"{file.name}: damaged: {error}") from error
        if content:
            yield content


def _extents(file: BinaryIO) -> Iterator[bytes]:
    """A raw file; its holes are zeros that nobody reads from a disk."""
    size, at = os.fstat(file.fileno()).st_size, 0
    while at < size:
        try:
            data = os.lseek(file.fileno(), at, os.SEEK_DATA)
        except OSError:
            data = size  # nothing but a hole is left
        for start in range(at, data, _PIECE):
            yield _ZEROS[: min(_PIECE, data - start)]
        end = os.lseek(file.fileno(), data, os.SEEK_HOLE) if data < size else size
        for start in range(data, end, _PIECE):
            if not (piece := os.pread(file.fileno(), min(_PIECE, end - start), start)):
                return  # somebody cut the file meanwhile
            yield piece
        at = end


def raw_chunks(path: Path) -> Iterator[bytes]:
    """The content of a file that is known to be raw, whatever its first bytes look like."""
    with _opened(path) as file:
        yield from _extents(file)


def read_at(path: Path, offset: int, size: int) -> bytes:
    """Bytes of a file that is known to be raw, fewer where it ends."""
    with _opened(path) as file:
        file.seek(offset)
        return file.read(size)


def chunks(path: Path) -> Iterator[bytes]:
    """The uncompressed content of ``path``, in pieces of 1 byte to 1 MiB; UserError when it cannot be read."""
    with _opened(path) as file:
        name = container(file.read(4))
        file.seek(0)
        if name == "elf":
            yield from elf_image.chunks(file, _PIECE)
        elif name != "raw":
            yield from _decompress(file, name)
        elif stat.S_ISREG(os.fstat(file.fileno()).st_mode):
            yield from _extents(file)
        else:
            yield from iter(partial(file.read, _PIECE), b"")


def read_prefix(path: Path, size: int) -> bytes:
    """The first ``size`` bytes of the uncompressed content, fewer when it is shorter."""
    prefix = bytearray()
    for chunk in chunks(path):
        prefix += chunk[: size - len(prefix)]
        if len(prefix) == size:
            break
    return bytes(prefix)


def _at_least(content: Iterable[bytes], size: int) -> Iterator[bytes]:
    """``content``, with zeros after it up to ``size`` bytes."""
    at = 0
    for chunk in content:
        yield chunk
        at += len(chunk)
    for start in range(at, size, _PIECE):
        yield _ZEROS[: min(_PIECE, size - start)]


def patched(content: Iterable[bytes], pieces: Iterable[tuple[int, bytes]]) -> Iterator[bytes]:
    """``content`` with ``pieces`` (offset, bytes) over it, a later one over an earlier; zeros where it is too short."""
    over = [(offset, data) for offset, data in pieces if data]
    begin = min((offset for offset, _ in over), default=0)
    finish = max((offset + len(data) for offset, data in over), default=0)
    at = 0
    for chunk in _at_least(content, finish):
        end = at + len(chunk)
        if end <= begin or finish <= at:
            yield chunk
            at = end
            continue
        mine = [(offset, data) for offset, data in over if offset < end and at < offset + len(data)]
        changed = bytearray(chunk) if mine else chunk
        for offset, data in mine:
            first, last = max(offset, at), min(offset + len(data), end)
            changed[first - at : last - at] = data[first - offset : last - offset]  # type: ignore[index]
        yield bytes(changed)
        at = end


#: Begin and end of a part of an image, in bytes.
Range = tuple[int, int]


def cleared(content: Iterable[bytes], ranges: Iterable[Range]) -> Iterator[bytes]:
    """``content`` with zeros in ``ranges``."""
    return patched(content, [(begin, bytes(end - begin)) for begin, end in ranges])


def free_in(content: Iterable[bytes], ranges: Sequence[Range], refusal: Callable[[int], UserError]) -> Iterator[bytes]:
    """``content`` as it is; raises what ``refusal`` makes of the first byte in ``ranges`` that is not zero."""
    first, last = min((begin for begin, _ in ranges), default=0), max((end for _, end in ranges), default=0)
    at = 0
    for chunk in content:
        if first < at + len(chunk) and at < last:
            for begin, end in ranges:
                begin = max(begin, at)
                part = chunk[begin - at : max(0, end - at)]
                if used := part.lstrip(b"\0"):
                    raise refusal(begin + len(part) - len(used))
        yield chunk
        at += len(chunk)


def pages(content: Iterable[bytes]) -> Iterator[tuple[int, bytes]]:
    """The pages of ``content`` that are not zero, with their offsets; the last one, which may be shorter, always."""
    rest, at, last = bytearray(), 0, -1
    for chunk in chain(content, [b""]):
        rest += chunk
        whole = len(rest) - len(rest) % PAGE_SIZE if chunk else len(rest)
        if rest[:whole] != bytes(whole):
            for start in range(0, whole, PAGE_SIZE):
                page = bytes(rest[start : min(start + PAGE_SIZE, whole)])
                if page != _ZEROS[: len(page)]:
                    last = at + start
                    yield last, page
        at += whole
        del rest[:whole]
    end = max(0, at - 1) // PAGE_SIZE * PAGE_SIZE
    if last != end:
        yield end, _ZEROS[: at - end]


# Writing.


def container_for(path: Path, default: str) -> str:
    """The container that the name ``path`` asks for by its ending; ``default`` for any other ending."""
    return ENDINGS.get(path.suffix, default if default in CONTAINERS else "raw")


def container_like(path: Path, source: Path) -> str:
    """The container that the name ``path`` asks for by its ending; else that of ``source``, raw for an ELF."""
    own = container_of(source)
    return container_for(path, own if own in CONTAINERS else "raw")


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
        if chunk != _ZEROS[: len(chunk)]:  # no time at all where the chunk is a hole
            for start in range(0, len(chunk), _HOLE):
                block = chunk[start : start + _HOLE]
                if block != _ZEROS[: len(block)]:
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
    file.write(stream.compress(_ZEROS[:padding]) + stream.flush())
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
