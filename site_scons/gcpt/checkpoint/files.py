"""A checkpoint as a file: opened, its state read and changed, and written."""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from gcpt.checkpoint import blocks, containers, edits, header, output, search, streams
from gcpt.checkpoint.header import Header
from gcpt.checkpoint.layouts import MAX_HARTS, MIB, Layout
from gcpt.checkpoint.places import PLACES, Checkpoint, Place, own_size
from gcpt.checkpoint.reader import FileReader, Reader, read_word
from gcpt.checkpoint.search import NoCheckpointError
from gcpt.checkpoint.state import HartState, block_size, checked_vlenb, read_hart
from gcpt.errors import UserError
from gcpt.isa.csrs import BY_NAME

_VLENB = BY_NAME["vlenb"].number
#: The largest block that is read, in bytes.
_LARGEST_BLOCK = 16 * MIB


@dataclass(frozen=True)
class CheckpointFile:
    """A checkpoint and the file that it was read from.

    path: the memory image. flash: the flash image that holds the state, of a pair; else None. container: of the file
    that holds the state, as ``containers.container`` names it. header: the protobuf header, if there is one. taken: the
    bytes (begin, end) of the file that the state takes.
    """

    path: Path
    flash: Path | None
    container: str
    checkpoint: Checkpoint
    header: Header | None
    taken: list[edits.Range]

    @property
    def place(self) -> Place:
        """Where the blocks are, relative to the image that holds them."""
        return self.checkpoint.place

    @property
    def harts(self) -> list[HartState]:
        """The state of each hart, to be read and changed."""
        return self.checkpoint.harts

    @property
    def state_file(self) -> Path:
        """The file that holds the state."""
        return self.flash or self.path

    def memory(self) -> Iterator[bytes]:
        """The memory image in pieces, with zeros where the state is. UserError where the file is damaged."""
        content = streams.chunks(self.path)
        return content if self.flash else edits.cleared(content, self.taken)

    def flash_rest(self) -> Iterator[bytes]:
        """The flash image of a pair in pieces, with zeros where the state is."""
        return edits.cleared(streams.chunks(self.flash), self.taken) if self.flash else iter(())


def check_block(layout: Layout, harts: int) -> None:
    """UserError when a field of ``layout``, as a header has it, lies further away than any block is large."""
    if (size := block_size(layout, harts)) > _LARGEST_BLOCK:
        raise UserError(f"the protobuf header is damaged: an offset of a field leads to byte {size:#x}")


def read_checkpoint(read: Reader, place: Place | None = None) -> Checkpoint:
    """The checkpoint in an image; ``place`` where it is known. UserError when there is none, or it is not whole."""
    if place:
        count = search.count_harts(read, place)
    else:
        found = search.locate(read)
        place, count = found.place, found.harts
    if count > MAX_HARTS:
        raise UserError(f"its count of harts (csr_reserve) is {count:,}: want 1 to {MAX_HARTS}")
    check_block(place.layout, count)
    harts = []
    for hart in range(count):
        vlenb = checked_vlenb(hart, read_word(read, place.block(hart) + place.layout.csr(_VLENB)))
        block = read(place.block(hart), own_size(place, hart, vlenb))
        harts.append(read_hart(block, place.layout, hart))
    return Checkpoint(place, harts)


def load(path: Path, place: Place | None = None) -> Checkpoint:
    """The checkpoint in the file ``path``; UserError names the file."""
    try:
        return read_checkpoint(FileReader(path), place)
    except UserError as error:
        raise UserError(f"{path}: {error}") from error


def open_checkpoint(path: Path, flash: Path | None = None, place: Place | None = None) -> CheckpointFile:
    """The checkpoint in the memory image ``path``, or the pair of it and a flash image.

    place: where the state is, where it is known; by default it is looked for as a restorer does (docs/formats.md).
    UserError names the file and what is wrong with it.
    """
    source = flash or path
    read = FileReader(source)
    try:
        found = read_checkpoint(read, place)
        head, taken = None, blocks.ranges(found)
        if found.place.header_at >= 0:
            at = found.place.header_at
            head, size = header.decode(read(at, header.MAX_SIZE))
            taken = sorted([*taken, (at, at + size)])
    except UserError as error:
        text = str(error)
        kind = NoCheckpointError if isinstance(error, NoCheckpointError) else UserError
        raise kind(text if text.startswith(str(source)) else f"{source}: {text}") from error
    return CheckpointFile(path, flash, containers.container_of(source), found, head, taken)


def with_state(content: Iterable[bytes], harts: Sequence[HartState], place: Place) -> Iterator[bytes]:
    """The image ``content`` in pieces, with the state of ``harts`` in ``place`` over it.

    UserError where ``place`` cannot hold the state, or where something else than zeros lies there.
    """
    checkpoint = Checkpoint(place, list(harts))

    def refusal(at: int) -> UserError:
        name = next((name for name, one in PLACES.items() if one == place), place.kind.value)
        return UserError(f"byte {at:#x} of the image is in use, where layout {name} has the state: choose another")

    free = edits.free_in(content, blocks.ranges(checkpoint), refusal)
    return edits.patched(free, blocks.pieces(checkpoint))


def write_checkpoint(
    out: Path, harts: Sequence[HartState], memory: Iterable[bytes], place: Place, container: str | None = None
) -> int:
    """Write ``memory`` with the state of ``harts`` in ``place``; ``out`` appears, or changes, when all is written.

    memory: the workload's, in pieces. container: "raw", "gzip" or "zstd"; by default what ``out`` ends in, else
    raw. Returns the length of the image in bytes. UserError where the place cannot hold the state or is in use, and
    where the file cannot be written.
    """
    return output.write(out, with_state(memory, harts, place), container or containers.container_for(out, "raw"))
