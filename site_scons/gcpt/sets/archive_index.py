"""The index of an archive: its files, and where their pages are. An index that is read may be hostile."""

import hashlib
import json
import re
import struct
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO

from backports import zstd

from gcpt.checkpoint.containers import CONTAINERS
from gcpt.errors import UserError
from gcpt.isa.paging import PAGE_SIZE
from gcpt.sets import names
from gcpt.sets.archive_pages import FRAME_PAGES, MAX_RUNS, PageReader, PageWriter, Stored, most_packed
from gcpt.sets.indexes import parse_json

#: The start of an archive: magic number, version of the format, bytes of a page.
_HEAD = struct.Struct("<8sII")
#: Its end: offset, compressed size and size of the index, SHA-256 of the compressed index, magic number.
_TAIL = struct.Struct("<QQQ32s8s")
_MAGIC, _END, _VERSION = b"gcptset\0", b"\0gcptend", 1
#: The largest index, in bytes: enough for 200,000 files.
_MAX_INDEX = 128 << 20
#: The largest file in an archive, in bytes.
_MAX_FILE = 1 << 41
#: The largest number of pages: they have 32 bits.
_MAX_PAGES = (1 << 32) - 1
_LONGEST_PATH, _LONGEST_NAME = 1024, 255
_SHA256 = re.compile(r"[0-9a-f]{64}", re.ASCII)


@dataclass(frozen=True)
class Entry:
    """A file of an archive.

    Attributes:
        path: Its path in the set's folder.
        container: The container of the file; what is stored is the uncompressed content.
        stored: Where its pages are.
        workload: The workload of an image; "" for other files.
        point: The point of an image; "" for other files.
        weight: The weight of the point; None if unknown.
    """

    path: str
    container: str
    stored: Stored
    workload: str = ""
    point: str = ""
    weight: float | None = None


def begin(file: BinaryIO) -> PageWriter:
    """Write the start of an archive.

    Args:
        file: The archive.

    Returns:
        The writer of its pages.
    """
    head = _HEAD.pack(_MAGIC, _VERSION, PAGE_SIZE)
    file.write(head)
    return PageWriter(file, len(head))


def finish(writer: PageWriter, entries: Sequence[Entry]) -> None:
    """Write the index and the end of an archive.

    Args:
        writer: The writer of its pages.
        entries: Its files.
    """
    writer.flush()
    described = {"pages": writer.pages, "frames": writer.frames, "files": list(map(_described, entries))}
    text = json.dumps(described, separators=(",", ":")).encode()
    data = zstd.compress(text)
    at = writer.write(data)
    writer.write(_TAIL.pack(at, len(data), len(text), hashlib.sha256(data).digest(), _END))


def _described(entry: Entry) -> dict[str, Any]:
    described = {"path": entry.path, "container": entry.container, **vars(entry.stored)}
    if entry.workload:
        described |= {"workload": entry.workload, "point": entry.point, "weight": entry.weight}
    return described


class _Reader:
    """Checks the values of an index."""

    def __init__(self, path: Path, file: BinaryIO) -> None:
        self.path, self.file = path, file

    def fail(self, what: str) -> UserError:
        return UserError(f"{self.path}: {what}: copy the archive again")

    def open(self) -> tuple[list[Entry], PageReader]:
        size = self.file.seek(0, 2)
        self.file.seek(0)
        head = self.file.read(_HEAD.size)
        if len(head) < _HEAD.size or not head.startswith(_MAGIC):
            raise UserError(f"{self.path}: is no archive of gcpt set archive: give one")
        if head != _HEAD.pack(_MAGIC, _VERSION, PAGE_SIZE):
            raise UserError(f"{self.path}: is an archive of another version of gcpt: extract it with that one")
        self.file.seek(max(_HEAD.size, size - _TAIL.size))
        tail = self.file.read()
        if len(tail) != _TAIL.size or not tail.endswith(_END):
            raise self.fail("the archive ends early")
        self.index_at, packed, length, digest, _ = _TAIL.unpack(tail)
        if self.index_at + packed != size - _TAIL.size or self.index_at < _HEAD.size:
            raise self.fail("damaged: the index is elsewhere")
        if length > _MAX_INDEX or packed > most_packed(length):
            raise self.fail("damaged: the index has no such size")
        self.file.seek(self.index_at)
        if hashlib.sha256(self.file.read(packed)).digest() != digest:
            raise self.fail("damaged: the index has another SHA-256")
        text = PageReader(self.path, self.file, [], 0).unpack(self.index_at, packed, length, "the index")
        try:
            content = parse_json(text.decode())
        except ValueError as error:
            raise self.fail(f"damaged: the index cannot be read: {error}") from error
        if not isinstance(content, dict) or not isinstance(content.get("files"), list):
            raise self.fail("damaged: the index has no files")
        pages = self.number(content, "pages", _MAX_PAGES)
        frames = self.frames(content.get("frames"), pages)
        return self.entries(content["files"]), PageReader(self.path, self.file, frames, pages)

    def number(self, values: dict[str, Any], name: str, most: int) -> int:
        value = values.get(name)
        if type(value) is not int or not 0 <= value <= most:
            raise self.fail(f"damaged: {name} is {value!r:.40}")
        return value

    def place(self, at: object, size: object) -> bool:
        """Whether a part of the archive lies between its start and its index."""
        return type(at) is int and type(size) is int and at >= _HEAD.size and 0 <= size <= self.index_at - at

    def frames(self, frames: object, pages: int) -> list[int]:
        if not isinstance(frames, list) or len(frames) != 2 * -(-pages // FRAME_PAGES):
            raise self.fail("damaged: the number of frames is not that of the pages")
        if not all(map(self.place, frames[::2], frames[1::2])):
            raise self.fail("damaged: a frame is outside the archive")
        return frames

    def entries(self, files: list[Any]) -> list[Entry]:
        entries = [self.entry(values) for values in files]
        folders: set[str] = set()
        paths: set[str] = set()
        for entry in entries:
            if entry.path in paths:
                raise self.fail(f"damaged: {entry.path!r} is in it twice")
            paths.add(entry.path)
            folders.update(str(folder) for folder in Path(entry.path).parents)
        if both := paths & folders:
            raise self.fail(f"damaged: {min(both)!r} is a file and a folder")
        return entries

    def entry(self, values: object) -> Entry:
        if not isinstance(values, dict):
            raise self.fail("damaged: a file is no object")
        path, container, digest = (values.get(name) for name in ("path", "container", "sha256"))
        if not isinstance(path, str) or not is_path(path):
            raise self.fail(f"the path {path!r:.200} leaves the folder, or is none")
        if container not in CONTAINERS:
            raise self.fail(f"damaged: {path}: the container is {container!r:.40}")
        if not isinstance(digest, str) or not _SHA256.fullmatch(digest):
            raise self.fail(f"damaged: {path}: the SHA-256 is none")
        if not self.place(values.get("runs_at"), values.get("runs_size")):
            raise self.fail(f"damaged: {path}: its runs are outside the archive")
        size, runs = self.number(values, "size", _MAX_FILE), self.number(values, "runs", MAX_RUNS)
        stored = Stored(size, digest, values["runs_at"], values["runs_size"], runs)
        if "workload" not in values:
            return Entry(path, container, stored)
        workload, point, weight = values["workload"], values.get("point"), values.get("weight")
        if not isinstance(workload, str) or not isinstance(point, str):
            raise self.fail(f"damaged: {path}: it has no workload and point")
        if not (names.is_workload(workload) and names.is_point(point)):
            raise self.fail(f"damaged: {path}: {workload!r:.80}, {point!r:.80} are no workload and point")
        if weight is not None and not (type(weight) in (int, float) and 0 <= weight <= 1):
            raise self.fail(f"damaged: {path}: the weight is {weight!r:.40}")
        return Entry(path, container, stored, workload, point, weight)


def is_path(path: str) -> bool:
    """Return whether a path stays in the folder of a set and has names that a terminal can show.

    Args:
        path: The path.
    """
    if not path.isprintable() or len(path) > _LONGEST_PATH:
        return False
    return all(part not in ("", ".", "..") and len(part.encode()) <= _LONGEST_NAME for part in path.split("/"))


def read(path: Path, file: BinaryIO) -> tuple[list[Entry], PageReader]:
    """Read the index of an archive.

    Args:
        path: The archive, for messages.
        file: The archive, open.

    Returns:
        Its files, and the reader of their pages.

    Raises:
        UserError: It is no archive, or is damaged, or has names that leave a folder.
    """
    return _Reader(path, file).open()
