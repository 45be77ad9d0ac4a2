"""A checkpoint into another layout or container: nothing is lost, or it is refused."""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from gcpt.checkpoint import containers, output, stamp, streams
from gcpt.checkpoint.files import CheckpointFile, open_checkpoint, with_state
from gcpt.checkpoint.layouts import RESERVED_SIZE
from gcpt.checkpoint.places import PLACES, SINGLE_CORE, place_for
from gcpt.checkpoint.search import NoCheckpointError
from gcpt.checkpoint.streams import Watch
from gcpt.errors import UserError


@dataclass(frozen=True)
class Source:
    """What is converted. flash: the flash image beside the memory image, whether that has the state or not."""

    opened: CheckpointFile
    flash: Path | None

    @property
    def layout(self) -> str | None:
        """By its name; None where no name stands for the place, such as that of another header."""
        if self.opened.flash:
            return "flash"
        return next((name for name, place in PLACES.items() if place == self.opened.place), None)

    def flash_rest(self) -> Iterator[bytes]:
        """The flash image without the state."""
        if self.opened.flash:
            return self.opened.flash_rest()
        return streams.chunks(self.flash) if self.flash else iter(())


def open_source(path: Path, flash: Path | None = None) -> Source:
    """The checkpoint in ``path``, or in the pair of it and ``flash``, whichever of the two has the state."""
    if flash:
        try:
            return Source(open_checkpoint(path, flash), flash)
        except NoCheckpointError:
            return Source(open_checkpoint(path), flash)
    return Source(open_checkpoint(path), None)


def convert(
    source: Source,
    out: Path,
    container: str,
    layout: str | None = None,
    flash_out: Path | None = None,
    watch: Watch = iter,
) -> int:
    """Write the checkpoint to ``out``, and its flash image to ``flash_out``: both, or nothing.

    layout: one of LAYOUTS, or None to leave the state where it is. Returns the length of the memory image in bytes.
    UserError where something would be lost, or the layout cannot hold the state.
    """
    opened, target = source.opened, layout or source.layout
    if target == "flash":
        check_pair(len(opened.harts), flash_out)
    else:
        _check_flash(source, flash_out)
    check_apart(out, flash_out)
    rest = source.flash_rest()
    if layout in (None, source.layout):
        memory, rest = streams.chunks(opened.path), streams.chunks(source.flash) if source.flash else rest
    else:
        _check_restorer(opened, target)
        memory = opened.memory()
        if target == "flash":
            rest = with_state(rest if source.flash else [bytes(RESERVED_SIZE)], opened.harts, SINGLE_CORE)
        else:
            memory = with_state(memory, opened.harts, place_for(str(target), len(opened.harts)))
    files = [(out, watch(memory), container)]
    if flash_out:
        if source.flash:
            name = containers.container_like(flash_out, source.flash)
        else:
            name = containers.container_for(flash_out, "raw")
        files.insert(0, (flash_out, rest, name))
    return output.write_all(files)[-1]


def check_pair(harts: int, flash_out: Path | None) -> None:
    """UserError unless so many harts can be in a flash image, and it has a file to go to."""
    if harts > 1:
        raise UserError(f"layout flash holds one hart, and there are {harts}: use another")
    if not flash_out:
        raise UserError("layout flash is a pair of images: name the second with --flash-out")


def check_apart(out: Path, flash_out: Path | None) -> None:
    """UserError where both images of a pair would be one file."""
    if flash_out and flash_out.resolve() == out.resolve():
        raise UserError(f"--flash-out {flash_out} is OUT too: two images need two files")


def _check_flash(source: Source, flash_out: Path | None) -> None:
    """UserError unless what is in a flash image has a file to go to, and a file for one something to hold."""
    if flash_out and not source.flash:
        raise UserError("--flash-out: neither this checkpoint nor the layout has a flash image: leave it out")
    if source.flash and not flash_out and any(chunk.strip(b"\0") for chunk in source.flash_rest()):
        raise UserError(f"{source.flash}: there is more than the state in it, which would be lost: give --flash-out")


def _check_restorer(opened: CheckpointFile, target: str | None) -> None:
    if stamp.complete(streams.read_prefix(opened.state_file, RESERVED_SIZE)):
        raise UserError(
            f"{opened.state_file}: it carries a restorer, which looks for the state where it is now and not in layout "
            f"{target}: gcpt unpack takes it out"
        )
