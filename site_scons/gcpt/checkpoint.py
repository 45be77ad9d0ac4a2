"""The library's way in: open a checkpoint file, read its state.

    from gcpt.checkpoint import open_checkpoint

    opened = open_checkpoint(Path("uboot.zst"))
    print(hex(opened.harts[0].pc), hex(opened.harts[0].get("satp")))

Only as much of the file is read as holds the state.
"""

from dataclasses import dataclass
from pathlib import Path

from gcpt import header, image, state
from gcpt.errors import UserError
from gcpt.header import Header
from gcpt.state import Checkpoint, HartState, Place, Prefix


@dataclass(frozen=True)
class CheckpointFile:
    """A checkpoint and the file that it was read from.

    path: the memory image. flash: the flash image that holds the state, of a pair; else None. container: of the file
    that holds the state, as ``image.container`` names it. header: the protobuf header, if there is one.
    """

    path: Path
    flash: Path | None
    container: str
    checkpoint: Checkpoint
    header: Header | None

    @property
    def place(self) -> Place:
        """Where the blocks are, relative to the image that holds them."""
        return self.checkpoint.place

    @property
    def harts(self) -> list[HartState]:
        return self.checkpoint.harts

    @property
    def state_file(self) -> Path:
        """The file that holds the state."""
        return self.flash or self.path


def open_checkpoint(path: Path, flash: Path | None = None, place: Place | None = None) -> CheckpointFile:
    """The checkpoint in the memory image ``path``, or the pair of it and a flash image.

    place: where the state is, where it is known; by default it is looked for as a restorer does (docs/formats.md).
    UserError names the file and what is wrong with it.
    """
    source = flash or path
    read = Prefix(source)
    try:
        found = state.read_checkpoint(read, place)
        head = None
        if found.place.header_at >= 0:
            head = header.decode(read(found.place.header_at, header.MAX_SIZE))[0]
    except UserError as error:
        text = str(error)
        raise UserError(text if text.startswith(str(source)) else f"{source}: {text}") from error
    return CheckpointFile(path, flash, image.container_of(source), found, head)
