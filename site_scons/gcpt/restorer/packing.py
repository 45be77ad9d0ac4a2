"""An image that carries its restorer: what goes over its start, what would go wrong there, and how it comes off again.

A restorer lies at the start of the image that holds the state: memory, or flash. A protobuf header that lies there too
goes into the window behind the restorer's head; anything else, such as the code at which the machine reset, is kept
behind the restorer (docs/formats.md, "An image that carries its restorer").
"""

import struct
import zlib
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

from gcpt.checkpoint import containers, edits, elf_image, header, output, stamp, streams, verilog_hex
from gcpt.checkpoint.files import CheckpointFile, open_checkpoint
from gcpt.checkpoint.layouts import HEADER_WINDOW, HEADER_WINDOW_SIZE, RESERVED_SIZE
from gcpt.checkpoint.places import Place
from gcpt.checkpoint.reader import FileReader, Reader
from gcpt.checkpoint.search import HeaderError
from gcpt.checkpoint.stamp import Stamp
from gcpt.errors import UserError
from gcpt.restorer import plan
from gcpt.restorer.config import BuildConfig

#: What an image is written as; flash: raw, of the flash image of a pair.
FORMATS = ("raw", "gzip", "zstd", "flash", "elf", "hex")
_ENDINGS = {**containers.ENDINGS, ".elf": "elf", ".hex": "hex", ".mem": "hex"}
_WINDOW_END = HEADER_WINDOW + HEADER_WINDOW_SIZE
#: What was under a restorer, behind it at the next multiple of 8: this, its bytes and their CRC-32, then themselves.
_KEPT = struct.Struct("<8sII")
_KEPT_MAGIC = b"gcptkept"
#: So many bytes at the start may be code at which the machine reset: no restored workload goes back to it.
_RESET_CODE = 64


@dataclass(frozen=True)
class Restorer:
    """name: of its file, or of the image that carries it. data: all that a loader copies, its header window empty.

    stamp and config: what it says that it was built from; both None where it says nothing, as others' do.
    """

    name: str
    data: bytes
    stamp: Stamp | None
    config: BuildConfig | None

    @property
    def window(self) -> bool:
        """Whether it is known to have a window for a protobuf header."""
        return self.config is not None and self.config.protobuf

    @property
    def reach(self) -> int:
        """Bytes from its start that it occupies when it runs, as far as its stamp tells: no fewer."""
        if self.config is None:
            return len(self.data)
        return plan.restorer_end(self.config, len(self.data)) - self.config.load_address

    def __str__(self) -> str:
        if self.stamp is None:
            return f"{len(self.data):,} bytes, without a stamp"
        options = " ".join(f"{name}={value}" for name, value in self.stamp.options.items()) or "the default options"
        commit = f" ({self.stamp.commit}{'+dirty' * self.stamp.dirty})" if self.stamp.commit else ""
        return f"{len(self.data):,} bytes, gcpt {self.stamp.version}{commit}, {options}"


def _restorer(name: str, data: bytes) -> Restorer:
    found = stamp.find(data)
    if found is None:
        return Restorer(name, data, None, None)
    try:
        made = plan.built_from(found.options)
    except UserError as error:
        raise UserError(f"{name}: its stamp is of another version of gcpt ({found.version}): {error}") from error
    if made.protobuf:
        data = data[:HEADER_WINDOW] + bytes(HEADER_WINDOW_SIZE) + data[_WINDOW_END:]
    return Restorer(name, data, found, made)


def read(path: Path) -> Restorer:
    """The restorer in the file ``path``, without the payload that may follow it; UserError where there is none."""
    try:
        with path.open("rb") as file:
            head = file.read(HEADER_WINDOW)
            size = stamp.size(head)
            data = head + file.read((size or 0) - len(head)) if size else b""
    except OSError as error:
        raise UserError(f"{path}: {error.strerror}") from error
    if not size:
        raise UserError(f"{path}: this is no restorer: want a gcpt.bin, whose bytes 4 to 7 are its size")
    if len(data) < size:
        raise UserError(f"{path}: cut short: {len(data):,} bytes of the {size:,} that it says it has: copy it again")
    return _restorer(str(path), data)


def carried(head: bytes, name: str) -> Restorer | None:
    """The restorer that an image starts with, as far as its first MiB ``head`` tells: it ends with the flag."""
    return _restorer(name, head[: stamp.size(head)]) if stamp.complete(head) else None


def _behind(restorer: Restorer) -> int:
    """Where the record of what was under it is."""
    return -(-len(restorer.data) // 8) * 8


def bare(head: bytes, name: str) -> tuple[Restorer | None, bytes]:
    """The restorer that an image carries, if it does, and the image's first MiB ``head`` as it was without."""
    old = carried(head, name)
    if old is None:
        return None, head
    at = _behind(old)
    magic, size, check = _KEPT.unpack(head[at : at + _KEPT.size].ljust(_KEPT.size, b"\0"))
    under, end = head[at + _KEPT.size :][:size], at + _KEPT.size + size
    if magic != _KEPT_MAGIC or (len(under), zlib.crc32(under)) != (size, check):
        window, end = head[HEADER_WINDOW:_WINDOW_END], len(old.data)
        under = window[: header.decode(window)[1]] if old.window and header.present(window) else b""
    return old, under.ljust(end, b"\0") + head[end:]


def _header(place: Place, before: bytes) -> bytes:
    """The protobuf header at the very start, which any restorer overwrites; or nothing."""
    if place.header_at not in (0, HEADER_WINDOW):
        return b""
    return before[: header.decode(before[: header.MAX_SIZE])[1]]


@dataclass(frozen=True)
class Start:
    """The first MiB of a packed image, and how many bytes that the restorer covers are kept behind it, or are lost."""

    data: bytes
    kept: int = 0
    lost: int = 0


def start(restorer: Restorer, place: Place, before: bytes) -> Start:
    """What an image starts with that carries ``restorer``, and started with ``before`` without."""
    data, found = restorer.data, _header(place, before)
    in_window = found if restorer.window and len(found) <= HEADER_WINDOW_SIZE else b""
    if in_window:
        data = data[:HEADER_WINDOW] + in_window.ljust(HEADER_WINDOW_SIZE, b"\0") + data[_WINDOW_END:]
    under = before[: len(data)].rstrip(b"\0")
    if under == in_window.rstrip(b"\0"):
        return Start(data + before[len(data) :])
    at = _behind(restorer)
    record = _KEPT.pack(_KEPT_MAGIC, len(under), zlib.crc32(under)) + under
    end = at + len(record)
    if end > place.base + place.layout.span(1)[0] or before[len(data) : end].strip(b"\0"):
        return Start(data + before[len(data) :], lost=len(under))
    return Start(data.ljust(at, b"\0") + record + before[end:], kept=len(under))


def overwrite(raw: Path, offset: int, data: bytes) -> None:
    """Write ``data`` into a raw image, in place."""
    with raw.open("r+b") as file:
        file.seek(offset)
        file.write(data)


def place(raw: Path, gcpt_bin: Path, offset: int = 0) -> None:
    """Write the restorer in ``gcpt_bin`` over a raw image, in place, as a loader does: what lies there is lost."""
    overwrite(raw, offset, read(gcpt_bin).data)


# Whole files.


def format_for(path: Path) -> str:
    """The format that the name ``path`` asks for by its ending."""
    return _ENDINGS.get(path.suffix, "raw")


def first_mib(path: Path) -> bytes:
    """What an image starts with, as far as a restorer can reach."""
    return streams.read_prefix(path, RESERVED_SIZE)


@dataclass(frozen=True)
class Packed:
    """content: of the image with its restorer, once. old: the restorer that was there. notes: what one should know."""

    content: Iterator[bytes]
    old: Restorer | None
    notes: list[str]


def pack(restorer: Restorer, checkpoint: CheckpointFile, flash: bool, force: bool = False) -> Packed:
    """The image that holds the checkpoint's state, with ``restorer`` at its start; UserError where that cannot work.

    flash: whether that image is flash. force: whatever lies under the restorer is not needed any more.
    """
    file = checkpoint.state_file
    old, before = bare(first_mib(file), str(file))
    check(restorer, checkpoint, before, flash, force)
    made = start(restorer, checkpoint.place, before)
    check_finds(restorer, checkpoint, made.data)
    if made.lost and not force:
        raise UserError(
            f"{file}: {made.lost} bytes lie under the restorer, and what is behind it is in use too, so that they "
            "cannot be kept there: --force to lose them"
        )
    notes = _assumed(restorer, flash)
    if made.kept:
        notes.append(f"{made.kept} bytes that the restorer covers are kept behind it: gcpt unpack puts them back")
    if made.lost:
        notes.append(f"{made.lost} bytes that the restorer covers are lost")
    return Packed(edits.patched(streams.chunks(file), [(0, made.data)]), old, notes)


def write(out: Path, content: Iterable[bytes], form: str, base: int, width: int) -> int:
    """Write an image as ``form``, one of FORMATS, all of it or nothing; returns its length in bytes, uncompressed.

    base: the physical address of its first byte (elf), or its place in the memory that reads it (hex). width: bytes of
    a word (hex).
    """
    if form not in ("elf", "hex"):
        return output.write(out, content, "raw" if form == "flash" else form)
    with output.replacing(out) as file:
        if form == "elf":
            return elf_image.write(file, streams.pages(content), base)
        return verilog_hex.write(file, streams.pages(content), width, base)


def swap(path: Path, restorer: Restorer, force: bool = False) -> tuple[Restorer, list[str]]:
    """Put ``restorer`` into the place of the one that the image ``path`` carries, in the same container.

    The file is replaced when all of it is written, and left alone where it carries the same bytes. Returns the
    restorer that was there, and what one should know. UserError where there was none, or where the new one cannot work.
    """
    old = carried(first_mib(path), str(path))
    if old is None:
        raise UserError(f"{path}: it carries no restorer: gcpt pack GCPT_BIN {path} -o OUT makes an image that does")
    made = pack(restorer, open_checkpoint(path), restorer.config is not None and restorer.config.flash, force)
    if old.data != restorer.data:
        container = containers.container_of(path)
        write(path, made.content, container, elf_image.base_of(path) if container == "elf" else 0, 0)
    return old, made.notes


# What would go wrong.


def check(restorer: Restorer, checkpoint: CheckpointFile, before: bytes, flash: bool, force: bool = False) -> None:
    """UserError unless ``restorer`` can start the checkpoint from the start of its image.

    before: the image's first MiB, without a restorer. flash: whether that image is flash. force: whatever lies under
    the restorer is not needed any more.
    """
    if not stamp.complete(restorer.data):
        raise UserError(f"{restorer.name}: its last 8 bytes are not the flag 0xcaff: it is cut short, or no gcpt.bin")
    if restorer.config is not None:
        _check_kind(restorer.name, restorer.config, flash)
    _check_free(restorer, checkpoint, before, flash, force)


def _check_kind(name: str, made: BuildConfig, flash: bool) -> None:
    if flash and not made.direct and made.ram is None:
        raise UserError(
            f"{name}: it writes to memory next to itself, which flash does not take: "
            "build it with mode=single_core, or with flash=1 ram=ADDR"
        )
    if made.ram is not None and not flash:
        raise UserError(f"{name}: flash=1 ram={made.ram:#x} runs from flash only: build it without, or give --flash")


def _reader(start: bytes, path: Path) -> Reader:
    """Reads the image ``path`` with ``start`` over its start."""
    rest = FileReader(path)

    def read(offset: int, size: int) -> bytes:
        first = start[offset : offset + size]
        return first + rest(offset + len(first), size - len(first)) if len(first) < size else first

    return read


def check_finds(restorer: Restorer, checkpoint: CheckpointFile, start: bytes) -> None:
    """UserError unless a restorer, by its stamp, finds the checkpoint in an image that begins with ``start``."""
    made, place, name = restorer.config, checkpoint.place, restorer.name
    if made is None:
        return
    try:
        found = plan.find(_reader(start, checkpoint.state_file), made, len(restorer.data))
    except HeaderError as error:
        raise UserError(f"{name}: it refuses the header of {checkpoint.state_file}: {error.what}") from error
    if not found or (found.place.base, found.place.layout) != (place.base, place.layout):
        raise UserError(
            f"{name}: mode={made.mode} does not find the state of {checkpoint.state_file}, whose layout is "
            f"{place.kind.value}: build it with mode={plan.MODES[place.kind]}, or auto"
        )
    if found.harts > made.harts:
        raise UserError(
            f"{name}: harts={made.harts}, and {checkpoint.state_file} has {found.harts}: "
            f"build it with harts={found.harts} or more"
        )


def _check_free(restorer: Restorer, checkpoint: CheckpointFile, before: bytes, flash: bool, force: bool) -> None:
    file, place = checkpoint.state_file, checkpoint.place
    begin = place.base + place.layout.span(len(checkpoint.harts))[0]
    reach = len(restorer.data) if flash else restorer.reach
    if reach > begin:
        raise UserError(
            f"{restorer.name}: it takes the first {reach:,} bytes, and the state of {file} begins at byte {begin:,}: "
            "build a smaller one: log=quiet, or a lower harts="
        )
    found = _header(place, before)
    if restorer.window and len(found) > HEADER_WINDOW_SIZE:
        raise UserError(f"{file}: its header has {len(found)} bytes, and a restorer's window {HEADER_WINDOW_SIZE}")
    if force:
        return
    if found and restorer.config is None:
        raise UserError(
            f"{file}: its protobuf header lies under the restorer, and {restorer.name} has no window for it: "
            "build one with mode=normal, or --force if it finds the state without"
        )
    used = before[:reach].rstrip(b"\0")
    if len(used) > max(len(found), _RESET_CODE):
        at = next(at for at in range(len(found) or _RESET_CODE, len(used)) if used[at])
        raise UserError(
            f"{file}: byte {at:#x} is in use, by the workload, and the restorer takes the first {reach:#x}: take the "
            "checkpoint with its first MiB free, build a smaller restorer, or --force if it is not needed any more"
        )


def _assumed(restorer: Restorer, flash: bool) -> list[str]:
    if restorer.config is None:
        return [
            f"{restorer.name} has no stamp: taken for a restorer by its head and its flag; "
            "that it finds this layout, serves as many harts and fits the machine is assumed"
        ]
    if flash and not restorer.config.flash:
        return [f"{restorer.name} is not built with flash=1: it loads vectors from flash, which NEMU does not"]
    return []
