"""Checkpoint files: open a file, read and change its state, write it."""

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
from gcpt.isa import mstatus
from gcpt.isa.csrs import BY_NAME

_VLENB = BY_NAME["vlenb"].number
#: The largest block that a header may describe, in bytes.
_LARGEST_BLOCK = 16 * MIB


@dataclass(frozen=True)
class CheckpointFile:
    """A checkpoint and the file that it was read from.

    Attributes:
        path: The memory image.
        flash: The flash image, if it holds the state; else None.
        container: Container of the file that holds the state, as ``containers.container`` names it.
        checkpoint: The state and its place.
        header: The protobuf header, if there is one.
        state_ranges: Parts of the image that the state and the header occupy.
    """

    path: Path
    flash: Path | None
    container: str
    checkpoint: Checkpoint
    header: Header | None
    state_ranges: list[edits.Range]

    @property
    def place(self) -> Place:
        """The place of the blocks in the image that holds the state."""
        return self.checkpoint.place

    @property
    def harts(self) -> list[HartState]:
        """The state of each hart; changes are kept."""
        return self.checkpoint.harts

    @property
    def state_file(self) -> Path:
        """The file that holds the state."""
        return self.flash or self.path

    def memory(self) -> Iterator[bytes]:
        """Read the memory image without the state.

        Returns:
            The image in chunks, with zeros in place of the state.

        Raises:
            UserError: The file cannot be read or is damaged.
        """
        content = streams.chunks(self.path)
        return content if self.flash else edits.cleared(content, self.state_ranges)

    def flash_rest(self) -> Iterator[bytes]:
        """Read the flash image of a pair without the state.

        Returns:
            The image in chunks, with zeros in place of the state; no chunk without a flash image.

        Raises:
            UserError: The file cannot be read or is damaged.
        """
        return edits.cleared(streams.chunks(self.flash), self.state_ranges) if self.flash else iter(())


def check_block(layout: Layout, harts: int) -> None:
    """Check the size of the block that a header describes.

    Args:
        layout: The layout in the header.
        harts: Number of harts in the header.

    Raises:
        UserError: The block is larger than any real one.
    """
    if (size := block_size(layout, harts)) > _LARGEST_BLOCK:
        raise UserError(f"the protobuf header is damaged: a block would have {size:#x} bytes")


def read_checkpoint(read: Reader, place: Place | None = None) -> Checkpoint:
    """Read the state from an image.

    Args:
        read: Reads the image.
        place: The place of the blocks, if it is known; by default, search for it as mode=auto does.

    Returns:
        The state of all harts and its place.

    Raises:
        NoCheckpointError: There is no checkpoint at any known place.
        HeaderError: The protobuf header is invalid.
        UserError: The state is incomplete or damaged.
    """
    if place:
        count = search.count_harts(read, place)
    else:
        location = search.locate(read)
        place, count = location.place, location.harts
    if count > MAX_HARTS:
        raise UserError(f"the number of harts (csr_reserve) is {count:,}: want 1 to {MAX_HARTS}")
    check_block(place.layout, count)
    harts, marked = [], search.needs_marks(read, place)
    for hart in range(count):
        vlenb = checked_vlenb(hart, read_word(read, place.block(hart) + place.layout.csr(_VLENB)))
        block = read(place.block(hart), own_size(place, hart, vlenb))
        state = read_hart(block, place.layout, hart)
        if marked and not search.is_marked(read, place, hart):
            raise UserError(
                f"hart {hart}: its block has no magic number, but the checkpoint counts {count} harts: "
                "take the checkpoint again"
            )
        _check_vectors(place, hart, count, state)
        harts.append(state)
    if len(harts) > 1:
        for state in harts:
            state.count = state.count or None  # NEMU has one hart
    return Checkpoint(place, harts)


def _check_vectors(place: Place, hart: int, harts: int, state: HartState) -> None:
    """Refuse a hart whose vector registers reach into another block."""
    if state.get("mstatus") & mstatus.VS and (fault := search.vector_overlap(place, hart, harts, len(state.v[0]))):
        raise UserError(f"hart {hart}: {fault}: take the checkpoint again with larger blocks")


def load(path: Path, place: Place | None = None) -> Checkpoint:
    """Read the state from a file.

    Args:
        path: The image, in any container.
        place: The place of the blocks, if it is known; by default, search for it as mode=auto does.

    Returns:
        The state of all harts and its place.

    Raises:
        UserError: The file cannot be read, or has no checkpoint, or is damaged. The message names the file.
    """
    try:
        return read_checkpoint(FileReader(path), place)
    except UserError as error:
        raise UserError(f"{path}: {error}") from error


def open_checkpoint(
    path: Path, flash: Path | None = None, place: Place | None = None, read: Reader | None = None
) -> CheckpointFile:
    """Open a checkpoint: a memory image, or a pair of a memory image and a flash image.

    Args:
        path: The memory image, in any container.
        flash: The flash image, which holds the state of a pair.
        place: The place of the blocks, if it is known; by default, search for it as a restorer does (docs/formats.md).
        read: Reads the image that holds the state, if the caller reads it, too, so that it is decompressed once.

    Returns:
        The open checkpoint.

    Raises:
        NoCheckpointError: There is no checkpoint at any known place.
        UserError: The file cannot be read or is damaged. The message names the file.
    """
    source = flash or path
    read = read or FileReader(source)
    try:
        checkpoint = read_checkpoint(read, place)
        head, state_ranges = None, blocks.ranges(checkpoint)
        if checkpoint.place.header_at >= 0:
            at = checkpoint.place.header_at
            head, size = header.decode(read(at, header.MAX_SIZE))
            state_ranges = sorted([*state_ranges, (at, at + size)])
    except UserError as error:
        text = str(error)
        kind = NoCheckpointError if isinstance(error, NoCheckpointError) else UserError
        raise kind(text if text.startswith(str(source)) else f"{source}: {text}") from error
    return CheckpointFile(path, flash, containers.container_of(source), checkpoint, head, state_ranges)


def with_state(content: Iterable[bytes], harts: Sequence[HartState], place: Place) -> Iterator[bytes]:
    """Put the state of harts into an image.

    Args:
        content: The image, in chunks, with zeros where the state goes.
        harts: The state of each hart.
        place: The place for it.

    Returns:
        The image with the state, in chunks.

    Raises:
        UserError: The place cannot hold the state, or is in use: a byte there is not zero.
    """
    checkpoint = Checkpoint(place, list(harts))

    def refusal(at: int) -> UserError:
        name = next((name for name, known in PLACES.items() if known == place), place.kind.value)
        return UserError(f"byte {at:#x} of the image is in use, but layout {name} needs it: choose another layout")

    free = edits.free_in(content, blocks.ranges(checkpoint), refusal)
    return edits.patched(free, blocks.pieces(checkpoint))


def write_checkpoint(
    out: Path, harts: Sequence[HartState], memory: Iterable[bytes], place: Place, container: str | None = None
) -> int:
    """Write a checkpoint file, completely or not at all.

    Args:
        out: The file.
        harts: The state of each hart.
        memory: The workload's memory, in chunks, with zeros where the state goes.
        place: The place for the state.
        container: "raw", "gzip" or "zstd"; by default, chosen by the ending of ``out``, else "raw".

    Returns:
        The length of the image in bytes.

    Raises:
        UserError: The place cannot hold the state or is in use, or the file cannot be written.
    """
    return output.write(out, with_state(memory, harts, place), container or containers.container_for(out, "raw"))
