"""Archive a set, each page of its images once; extract it, each image bit for bit."""

import hashlib
import os
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

from backports import zstd

from gcpt.checkpoint import apart, output
from gcpt.checkpoint.containers import CONTAINERS, container_of, opened
from gcpt.checkpoint.output import ZSTD_MULTIPLE, replacing
from gcpt.checkpoint.streams import chunks, raw_chunks
from gcpt.errors import UserError
from gcpt.sets import archive_index, manifest
from gcpt.sets.archive_index import Entry
from gcpt.sets.archive_pages import PageReader
from gcpt.sets.points import Point, PointSet
from gcpt.sets.tree import check_whole, resolved_inside, walk

_LEVEL = 3


@dataclass(frozen=True)
class Sizes:
    """Sizes of a set and its archive, in bytes.

    Attributes:
        files: Number of files.
        before: Size of the files.
        content: Size of their uncompressed content.
        pages: Number of different pages that are not zero.
        after: Size of the archive.
    """

    files: int
    before: int
    content: int
    pages: int
    after: int


@dataclass(frozen=True)
class _Source:
    """A file to archive: an image, or with an empty key an index or the restorer."""

    file: Path
    key: tuple[str, str] = ("", "")
    weight: float | None = None


def _sources(whole: PointSet, points: Sequence[Point], allow_outside: bool) -> Iterator[_Source]:
    """The files of a set: images, the restorer and the indexes."""
    for point in points:
        for file in (point.path, point.flash):
            if file:
                yield _Source(file, point.key, point.weight)
    if whole.restorer and whole.restorer.is_relative_to(whole.root):
        yield _Source(whole.restorer)
    tree = walk(whole.root, allow_outside)
    check_whole(whole.root, (*whole.findings, *tree.findings), "the archive")
    for path in tree.indexes:
        if not manifest.is_manifest(whole.root / path):
            yield _Source(whole.root / path)


def _stored_as(source: _Source) -> str:
    """The container that is undone; other files, ELF among them, are stored as they are."""
    container = container_of(source.file) if source.key[0] else "raw"
    return container if container in CONTAINERS else "raw"


def create(
    out: Path,
    whole: PointSet,
    points: Sequence[Point],
    allow_outside: bool = False,
    advance: Callable[[int], object] = lambda _: None,
) -> Sizes:
    """Write an archive, completely or not at all.

    Args:
        out: The archive.
        whole: The set.
        points: The points whose images it gets; neighbours should be alike.
        allow_outside: Follow symbolic links that leave the set's folder.
        advance: Gets 1 after each file.

    Returns:
        What was saved.

    Raises:
        UserError: An image is missing or damaged, a path cannot be in an archive, or the archive cannot be written.
    """
    entries: list[Entry] = []
    before = 0
    sources = list(_sources(whole, points, allow_outside))
    for source in sources:
        if not source.file.is_file():
            raise UserError(f"{source.file}: has no image: copy it, or choose other points")
        relative = os.path.relpath(source.file, whole.root)
        if not archive_index.is_path(relative):
            raise UserError(f"{source.file}: is outside {whole.root}, or has no name for an archive: copy or rename it")
        apart.check("-o", out, {"a file of the set": source.file})
    with replacing(out) as file:
        writer = archive_index.begin(file)
        for source in sources:
            container = _stored_as(source)
            content = raw_chunks(source.file) if container == "raw" else chunks(source.file)
            stored = writer.add(content, str(source.file))
            relative = os.path.relpath(source.file, whole.root)
            entries.append(Entry(relative, container, stored, *source.key, source.weight))
            before += source.file.stat().st_size
            advance(1)
        archive_index.finish(writer, entries)
        return Sizes(len(entries), before, sum(entry.stored.size for entry in entries), writer.pages, writer.at)


def _write_zstd(file: BinaryIO, content: Iterable[bytes]) -> int:
    """Write zstd without the padding that ``output`` adds: the image keeps its length."""
    stream, length = zstd.ZstdCompressor(_LEVEL), 0
    for chunk in content:
        file.write(stream.compress(chunk))
        length += len(chunk)
    file.write(stream.flush())
    return length


def _is_whole(path: Path, entry: Entry) -> bool:
    """Whether a file that exists has the content of an entry."""
    digest = hashlib.sha256()
    try:
        for chunk in raw_chunks(path) if entry.container == "raw" else chunks(path):
            digest.update(chunk)
    except UserError:
        return False
    return digest.hexdigest() == entry.stored.sha256


class Archive:
    """An archive that is open for reading.

    Attributes:
        entries: Its files.
    """

    def __init__(self, path: Path, entries: Sequence[Entry], reader: PageReader) -> None:
        self.path, self.entries, self._reader = path, entries, reader

    def chosen(self, workloads: Sequence[str]) -> list[Entry]:
        """Choose files: the images of workloads, and all indexes.

        Args:
            workloads: The workloads; empty for all.

        Returns:
            The files.

        Raises:
            UserError: The archive has no such workload.
        """
        known = {entry.workload for entry in self.entries if entry.workload}
        for name in workloads:
            if name not in known:
                raise UserError(f"{self.path}: {name}: the archive has no such workload")
        return [entry for entry in self.entries if not workloads or entry.workload in ("", *workloads)]

    def check(self, entry: Entry) -> None:
        """Read a file without writing it.

        Args:
            entry: The file.

        Raises:
            UserError: It is damaged.
        """
        for _ in self._reader.content(entry.stored, entry.path):
            pass

    def missing_in(self, folder: Path, entries: Sequence[Entry]) -> list[Entry]:
        """Find out which files are not yet in a folder, and that nothing is in their way.

        Args:
            folder: The folder.
            entries: The files.

        Returns:
            The files to extract.

        Raises:
            UserError: A file of another content is there, or a symbolic link leads out of the folder.
        """
        missing = []
        for entry in entries:
            target = folder / entry.path
            if resolved_inside(folder, entry.path) != entry.path:
                raise UserError(f"{target}: a symbolic link is in the way: choose another folder")
            if not os.path.lexists(target):
                missing.append(entry)
            elif not target.is_file() or not _is_whole(target, entry):
                raise UserError(f"{target}: exists with another content: choose another folder")
        return missing

    def extract(self, entry: Entry, folder: Path) -> None:
        """Write a file, completely or not at all.

        Args:
            entry: The file.
            folder: The folder of the set.

        Raises:
            UserError: It is damaged, or cannot be written.
        """
        target = folder / entry.path
        try:
            target.parent.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise UserError(f"{target.parent}: {error.strerror}: choose another folder") from error
        is_short = entry.container == "zstd" and entry.stored.size % ZSTD_MULTIPLE
        content = self._reader.content(entry.stored, entry.path)
        output.write_all([(target, content, _write_zstd if is_short else entry.container)])


@contextmanager
def open_archive(path: Path) -> Iterator[Archive]:
    """Open an archive.

    Args:
        path: The archive.

    Yields:
        The archive.

    Raises:
        UserError: It cannot be read, is no archive, or is damaged.
    """
    with opened(path) as file:
        yield Archive(path, *archive_index.read(path, file))
