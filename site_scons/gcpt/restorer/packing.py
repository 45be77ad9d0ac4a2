"""Embedding a restorer into a checkpoint image, and removing it again.

The restorer covers the start of the image that has the state: memory or flash. A protobuf header at the start moves to
the window behind the restorer's head; other data there, such as reset code, moves behind the restorer
(docs/formats.md, "An image that carries its restorer").
"""

import hashlib
import struct
import zlib
from collections.abc import Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

from gcpt.checkpoint import (
    containers,
    edits,
    elf_image,
    foreign,
    header,
    output,
    overwritten,
    search,
    stamp,
    streams,
    verilog_hex,
)
from gcpt.checkpoint.files import CheckpointFile, open_checkpoint
from gcpt.checkpoint.layouts import HEADER_WINDOW, HEADER_WINDOW_SIZE, RESERVED_SIZE
from gcpt.checkpoint.places import Place
from gcpt.checkpoint.reader import FileReader, Reader
from gcpt.checkpoint.search import HeaderError
from gcpt.checkpoint.stamp import Stamp
from gcpt.checkpoint.state import block_size
from gcpt.errors import UserError
from gcpt.restorer import htif, plan
from gcpt.restorer.config import BuildConfig

#: Formats of packed images; flash: the raw flash image of a pair.
FORMATS = ("raw", "gzip", "zstd", "flash", "elf", "hex")
_ENDINGS = {**containers.ENDINGS, ".elf": "elf", ".hex": "hex", ".mem": "hex"}
_WINDOW_END = HEADER_WINDOW + HEADER_WINDOW_SIZE
#: Header of the saved data that the restorer covers, at the next multiple of 8 behind the restorer: magic, number of
#: bytes, their CRC-32. The bytes follow.
_SAVED = struct.Struct("<8sII")
_SAVED_MAGIC = b"gcptkept"
#: Bytes at the image's start that may be reset code, which no restored workload executes again.
_RESET_CODE = 64
#: No image is longer, in bytes.
_LARGEST_IMAGE = 1 << 56


@dataclass(frozen=True)
class Restorer:
    """A built restorer.

    Attributes:
        name: Its file, or the image that it is embedded in.
        data: The bytes that a loader copies, with an empty header window.
        stamp: Its stamp; None for a restorer without a stamp, such as another project's.
        config: The configuration in its stamp; None without a stamp.
    """

    name: str
    data: bytes
    stamp: Stamp | None
    config: BuildConfig | None

    @property
    def sha256(self) -> str:
        """The SHA-256 of its bytes."""
        return hashlib.sha256(self.data).hexdigest()

    @property
    def window(self) -> bool:
        """Whether its stamp says that it has a window for a protobuf header."""
        return self.config is not None and self.config.protobuf

    @property
    def reach(self) -> int:
        """Bytes from its start that it uses when it runs; without a stamp, the size of its data."""
        if self.config is None:
            return len(self.data)
        return plan.restorer_end(self.config, len(self.data)) - self.config.load_address

    def __str__(self) -> str:
        if self.stamp is None:
            name = f"{project}'s, " if (project := foreign.project(self.data)) else ""
            return f"{len(self.data):,} bytes, {name}without a stamp"
        options = " ".join(f"{name}={value}" for name, value in self.stamp.options.items()) or "the default options"
        commit = f" ({self.stamp.commit}{'+dirty' * self.stamp.dirty})" if self.stamp.commit else ""
        return f"{len(self.data):,} bytes, gcpt {self.stamp.version}{commit}, {options}"


def _restorer(name: str, data: bytes) -> Restorer:
    built = stamp.find(data)
    if built is None:
        return Restorer(name, data, None, None)
    try:
        config = plan.built_from(built.options)
    except UserError as error:
        raise UserError(f"{name}: its stamp is from another version of gcpt ({built.version}): {error}") from error
    if config.protobuf:
        data = data[:HEADER_WINDOW] + bytes(HEADER_WINDOW_SIZE) + data[_WINDOW_END:]
    return Restorer(name, data, built, config)


def read(path: Path) -> Restorer:
    """Read a restorer from a gcpt.bin.

    Args:
        path: The file.

    Returns:
        The restorer, without a payload that follows it.

    Raises:
        UserError: The file cannot be read or contains no complete restorer.
    """
    try:
        with path.open("rb") as file:
            head = file.read(HEADER_WINDOW)
            size = stamp.size(head)
            data = head + file.read((size or 0) - len(head)) if size else b""
    except OSError as error:
        raise UserError(f"{path}: {error.strerror or error}") from error
    if not size:
        raise UserError(f"{path}: not a restorer: want a gcpt.bin, whose bytes 4 to 7 are its size")
    if len(data) < size:
        raise UserError(f"{path}: truncated: {len(data):,} of {size:,} bytes: copy the file again")
    return _restorer(str(path), data)


def embedded(head: bytes, name: str) -> Restorer | None:
    """Find the complete restorer at the start of an image.

    Args:
        head: The image's first MiB.
        name: The image's name, for messages.

    Returns:
        The restorer, or None.

    Raises:
        UserError: Another version of gcpt built the restorer.
    """
    return _restorer(name, head[: stamp.size(head)]) if stamp.complete(head) else None


def _saved_at(restorer: Restorer) -> int:
    """The image offset of the saved data."""
    return -(-len(restorer.data) // 8) * 8


def bare(head: bytes, name: str) -> tuple[Restorer | None, bytes]:
    """Remove an embedded restorer, or the rest of one behind a protobuf header, from the start of an image.

    Args:
        head: The image's first MiB.
        name: The image's name, for messages.

    Returns:
        The embedded restorer, if it is complete, and the first MiB without it.

    Raises:
        UserError: Another version of gcpt built the restorer.
    """
    old = embedded(head, name)
    if old is None:
        return None, overwritten.removed(head)
    at = _saved_at(old)
    magic, size, check = _SAVED.unpack(head[at : at + _SAVED.size].ljust(_SAVED.size, b"\0"))
    under, end = head[at + _SAVED.size :][:size], at + _SAVED.size + size
    if magic != _SAVED_MAGIC or (len(under), zlib.crc32(under)) != (size, check):
        window, end = head[HEADER_WINDOW:_WINDOW_END], len(old.data)
        under = window[: header.decode(window)[1]] if old.window and header.present(window) else b""
    return old, under.ljust(end, b"\0") + head[end:]


def _header(place: Place, before: bytes) -> bytes:
    """The protobuf header at the image's start, which a restorer overwrites; b"" if there is none."""
    if place.header_at not in (0, HEADER_WINDOW):
        return b""
    return before[: header.decode(before[: header.MAX_SIZE])[1]]


@dataclass(frozen=True)
class Start:
    """The start of a packed image.

    Attributes:
        data: The first MiB.
        kept: Number of covered bytes that are saved behind the restorer.
        lost: Number of covered bytes that are overwritten.
    """

    data: bytes
    kept: int = 0
    lost: int = 0


def start(restorer: Restorer, place: Place, before: bytes) -> Start:
    """Embed a restorer into the start of an image.

    Args:
        restorer: The restorer.
        place: Where the image keeps its blocks.
        before: The image's first MiB without a restorer.

    Returns:
        The first MiB with the restorer.
    """
    data, head = restorer.data, _header(place, before)
    in_window = head if restorer.window and len(head) <= HEADER_WINDOW_SIZE else b""
    if in_window:
        data = data[:HEADER_WINDOW] + in_window.ljust(HEADER_WINDOW_SIZE, b"\0") + data[_WINDOW_END:]
    under = before[: len(data)].rstrip(b"\0")
    if under == in_window.rstrip(b"\0"):
        return Start(data + before[len(data) :])
    at = _saved_at(restorer)
    record = _SAVED.pack(_SAVED_MAGIC, len(under), zlib.crc32(under)) + under
    end = at + len(record)
    if end > place.base + place.layout.span(1)[0] or before[len(data) : end].strip(b"\0"):
        return Start(data + before[len(data) :], lost=len(under))
    return Start(data.ljust(at, b"\0") + record + before[end:], kept=len(under))


def overwrite(raw: Path, offset: int, data: bytes) -> None:
    """Overwrite bytes of a raw image in place.

    Args:
        raw: The image.
        offset: Image offset of the first byte.
        data: The new bytes.
    """
    with raw.open("r+b") as file:
        file.seek(offset)
        file.write(data)


def place(raw: Path, gcpt_bin: Path, offset: int = 0) -> None:
    """Overwrite bytes of a raw image with a restorer, in place, as a loader does.

    Args:
        raw: The image.
        gcpt_bin: The restorer's file.
        offset: Image offset of the restorer.

    Raises:
        UserError: The file cannot be read or contains no complete restorer.
    """
    overwrite(raw, offset, read(gcpt_bin).data)


# Whole files.


def format_for(path: Path) -> str:
    """Choose a format by a file name's suffix.

    Args:
        path: The file.

    Returns:
        One of FORMATS; raw for a name without a suffix.

    Raises:
        UserError: The suffix is unknown.
    """
    return containers.by_ending(path, _ENDINGS, "--format") or "raw"


def first_mib(path: Path) -> bytes:
    """Read the part of an image in which a restorer can lie.

    Args:
        path: The image, in any container.

    Returns:
        Its first MiB, or all of a smaller image.
    """
    return streams.read_prefix(path, RESERVED_SIZE)


@dataclass(frozen=True)
class Packed:
    """A packed image, or the memory image of a packed pair.

    Attributes:
        content: The image's bytes in chunks, to be read once.
        old: The restorer that was embedded before.
        notes: Sentences for the user.
        htif: Offsets in the image of HTIF's words by name, if the restorer uses them.
        reads: Parts of the image that the restorer reads or that hold it: offsets of the first byte and after the last.
        start: The first MiB, if a restorer is embedded in it.
    """

    content: Iterator[bytes]
    old: Restorer | None = None
    notes: list[str] = field(default_factory=list)
    htif: dict[str, int] = field(default_factory=dict)
    reads: Sequence[tuple[int, int]] = ()
    start: bytes = b""


class _Recorder:
    """A Reader that remembers which parts of an image it read."""

    def __init__(self, read: Reader) -> None:
        self._read = read
        self.ranges: list[tuple[int, int]] = []

    def __call__(self, offset: int, size: int) -> bytes:
        self.ranges.append((offset, offset + size))
        return self._read(offset, size)


def _searched(read: Reader) -> list[tuple[int, int]]:
    """The parts of an image in which a restorer with mode=auto looks for a checkpoint."""
    recorder = _Recorder(read)
    with suppress(HeaderError):
        search.find(recorder)
    return recorder.ranges


def _reads(restorer: Restorer, checkpoint: CheckpointFile, start: bytes) -> list[tuple[int, int]]:
    """The parts of a packed image that hold the restorer, that it searches, and all blocks."""
    place, harts = checkpoint.place, len(checkpoint.harts)
    sizes = [block_size(place.layout, hart + 1) for hart in range(harts)]
    blocks = [(place.block(hart), place.block(hart) + size) for hart, size in enumerate(sizes)]
    return [(0, len(restorer.data)), *_searched(_reader(start, checkpoint.state_file)), *blocks]


def memory_of_pair(path: Path) -> Packed:
    """Read the memory image of a pair whose flash image is packed.

    Args:
        path: The memory image.

    Returns:
        The image, as it is: the restorer and the state are in flash.
    """
    return Packed(streams.chunks(path), reads=_searched(FileReader(path)))


def pack(restorer: Restorer, checkpoint: CheckpointFile, flash: bool, force: bool = False) -> Packed:
    """Embed a restorer into the image with a checkpoint's state.

    Args:
        restorer: The restorer.
        checkpoint: The checkpoint's files.
        flash: The image with the state is flash.
        force: Overwrite data under the restorer.

    Returns:
        The packed image.

    Raises:
        UserError: The restorer cannot start the checkpoint, or would overwrite data without ``force``.
    """
    file = checkpoint.state_file
    first = first_mib(file)
    old, before = bare(first, str(file))
    check(restorer, checkpoint, before, flash, force)
    packed = start(restorer, checkpoint.place, before)
    check_finds(restorer, checkpoint, packed.data)
    if packed.lost and not force:
        raise UserError(
            f"{file}: the restorer covers {packed.lost} bytes, and the space behind it is in use, so they cannot be "
            "saved there: --force overwrites them"
        )
    notes = _assumptions(restorer, flash)
    if overwritten.find(first):
        notes.append("removed the rest of a restorer whose head the protobuf header had overwritten")
    if packed.kept:
        notes.append(f"the restorer covers {packed.kept} bytes, saved behind it: gcpt unpack puts them back")
    if packed.lost:
        notes.append(f"the restorer overwrote {packed.lost} bytes")
    content = edits.patched(streams.chunks(file), [(0, packed.data)])
    return Packed(
        content, old, notes, htif.words(restorer.data), _reads(restorer, checkpoint, packed.data), packed.data
    )


@dataclass(frozen=True)
class Output:
    """A file to write.

    Attributes:
        path: The file.
        form: One of FORMATS.
        base: Physical address of the image's first byte (elf), or its address in the memory that loads the file (hex).
        width: Bytes of a word (hex).
        all_pages: Write all pages, not only those that the restorer reads or that are not zero (hex).
    """

    path: Path
    form: str
    base: int = 0
    width: int = 1
    all_pages: bool = False


def write(*files: tuple[Output, Packed]) -> list[int]:
    """Write images to files: each completely or not at all, and none if one of them fails.

    Args:
        files: Each file and its image.

    Returns:
        The size of each image in bytes, uncompressed.
    """
    return output.write_all([(out.path, image.content, _form(out, image)) for out, image in files])


def _form(out: Output, image: Packed) -> str | output.Writer:
    """The container of an output, or the function that writes its format."""
    if out.form == "elf":
        symbols = {name: out.base + offset for name, offset in image.htif.items()}
        return lambda file, content: elf_image.write(file, streams.pages(content), out.base, symbols)
    if out.form == "hex":
        keep = [(0, _LARGEST_IMAGE)] if out.all_pages else image.reads
        return lambda file, content: verilog_hex.write(file, streams.pages(content, keep), out.width, out.base)
    return "raw" if out.form == "flash" else out.form


def swap(path: Path, restorer: Restorer, force: bool = False) -> tuple[Restorer, list[str]]:
    """Replace the embedded restorer of an image, in the same container.

    The file is replaced after all of the new one is written; it stays unchanged if it has the same restorer already. If
    the first MiB has a frame or member of its own, the rest is copied without being read.

    Args:
        path: The image.
        restorer: The new restorer.
        force: Overwrite data under the restorer.

    Returns:
        The old restorer, and sentences for the user.

    Raises:
        UserError: The image has no embedded restorer, or the new one cannot start the checkpoint.
    """
    old = embedded(first_mib(path), str(path))
    if old is None:
        raise UserError(f"{path}: no embedded restorer: gcpt pack GCPT_BIN {path} -o OUT embeds one")
    packed = pack(restorer, open_checkpoint(path), restorer.config is not None and restorer.config.flash, force)
    if old.data != restorer.data and not output.replace_start(path, packed.start):
        container = containers.container_of(path)
        write((Output(path, container, elf_image.base_of(path) if container == "elf" else 0), packed))
    return old, packed.notes


# Checks.


def check(restorer: Restorer, checkpoint: CheckpointFile, before: bytes, flash: bool, force: bool = False) -> None:
    """Check that a restorer can run at the start of a checkpoint's image.

    Args:
        restorer: The restorer.
        checkpoint: The checkpoint's files.
        before: The image's first MiB without a restorer.
        flash: The image is flash.
        force: Overwrite data under the restorer.

    Raises:
        UserError: The restorer is truncated, is of the wrong kind, or covers the state or data in use.
    """
    if not stamp.complete(restorer.data):
        raise UserError(f"{restorer.name}: the last 8 bytes are not the flag 0xcaff: truncated, or not a gcpt.bin")
    if restorer.config is not None:
        _check_kind(restorer.name, restorer.config, flash)
    _check_free(restorer, checkpoint, before, flash, force)


def _check_kind(name: str, config: BuildConfig, flash: bool) -> None:
    if flash and not config.direct and config.ram is None:
        raise UserError(
            f"{name}: the restorer writes to memory behind its code, but flash is read-only: "
            "build it with mode=single_core, or with flash=1 ram=ADDR"
        )
    if config.ram is not None and not flash:
        raise UserError(
            f"{name}: flash=1 ram={config.ram:#x} runs only from flash: build it without these, or give --flash"
        )


def _reader(start: bytes, path: Path) -> Reader:
    """A reader of the image ``path`` whose start is replaced by ``start``."""
    rest = FileReader(path)

    def read(offset: int, size: int) -> bytes:
        first = start[offset : offset + size]
        return first + rest(offset + len(first), size - len(first)) if len(first) < size else first

    return read


def check_finds(restorer: Restorer, checkpoint: CheckpointFile, start: bytes) -> None:
    """Check that a restorer finds the checkpoint in a packed image. A restorer without a stamp passes.

    Args:
        restorer: The restorer.
        checkpoint: The checkpoint's files.
        start: The packed image's first MiB.

    Raises:
        UserError: The restorer finds no or another checkpoint, or supports fewer harts.
    """
    config, place, name = restorer.config, checkpoint.place, restorer.name
    if config is None:
        return
    try:
        match = plan.find(_reader(start, checkpoint.state_file), config, len(restorer.data))
    except HeaderError as error:
        raise UserError(f"{name}: the restorer refuses the header of {checkpoint.state_file}: {error.what}") from error
    if not match or (match.place.base, match.place.layout) != (place.base, place.layout):
        raise UserError(
            f"{name}: mode={config.mode} does not find the state of {checkpoint.state_file}, whose layout is "
            f"{place.kind.value}: build it with mode={plan.MODES[place.kind]}, or auto"
        )
    if match.harts > config.harts:
        raise UserError(
            f"{name}: harts={config.harts}, but {checkpoint.state_file} has {match.harts} harts: "
            f"build it with harts={match.harts} or more"
        )


def _check_free(restorer: Restorer, checkpoint: CheckpointFile, before: bytes, flash: bool, force: bool) -> None:
    file, place = checkpoint.state_file, checkpoint.place
    begin = place.base + place.layout.span(len(checkpoint.harts))[0]
    reach = len(restorer.data) if flash else restorer.reach
    if reach > begin:
        raise UserError(
            f"{restorer.name}: the restorer uses the first {reach:,} bytes, but the state of {file} starts at byte "
            f"{begin:,}: build a smaller restorer: log=quiet, or a lower harts="
        )
    head = _header(place, before)
    if restorer.window and len(head) > HEADER_WINDOW_SIZE:
        raise UserError(f"{file}: the header has {len(head)} bytes, but the restorer's window {HEADER_WINDOW_SIZE}")
    if force:
        return
    if head and restorer.config is None:
        raise UserError(
            f"{file}: the restorer covers the protobuf header, and {restorer.name} has no window for it: "
            "build a restorer with mode=normal, or use --force if yours finds the state without the header"
        )
    used = before[:reach].rstrip(b"\0")
    if len(used) > max(len(head), _RESET_CODE):
        at = next(at for at in range(len(head) or _RESET_CODE, len(used)) if used[at])
        raise UserError(
            f"{file}: the workload uses byte {at:#x}, but the restorer needs the first {reach:#x} bytes: take the "
            "checkpoint with its first MiB free, build a smaller restorer, or use --force to overwrite the data"
        )


def _assumptions(restorer: Restorer, flash: bool) -> list[str]:
    if restorer.config is None:
        return [
            f"{restorer.name} has no stamp: its layout, number of harts and platform are assumed to fit the checkpoint"
        ]
    if flash and not restorer.config.flash:
        return [f"{restorer.name} is not built with flash=1: it loads vectors from flash, which NEMU does not support"]
    return []
