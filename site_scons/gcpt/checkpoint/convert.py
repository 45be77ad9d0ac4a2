"""Convert a checkpoint to another layout or container: without loss, or not at all."""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from gcpt.checkpoint import apart, containers, output, stamp, streams
from gcpt.checkpoint.files import CheckpointFile, open_checkpoint, with_state
from gcpt.checkpoint.layouts import RESERVED_SIZE
from gcpt.checkpoint.places import PLACES, SINGLE_CORE, place_for
from gcpt.checkpoint.search import NoCheckpointError
from gcpt.checkpoint.streams import Watch
from gcpt.errors import UserError


@dataclass(frozen=True)
class Source:
    """A checkpoint to convert.

    Attributes:
        opened: The checkpoint.
        flash: The flash image of a pair, whether it holds the state or not.
    """

    opened: CheckpointFile
    flash: Path | None

    @property
    def layout(self) -> str | None:
        """The name of the layout; None if the place has none, for example after another header."""
        if self.opened.flash:
            return "flash"
        return next((name for name, place in PLACES.items() if place == self.opened.place), None)

    def flash_rest(self) -> Iterator[bytes]:
        """Read the flash image without the state.

        Returns:
            The image in chunks; no chunk without a flash image.

        Raises:
            UserError: The file cannot be read or is damaged.
        """
        if self.opened.flash:
            return self.opened.flash_rest()
        return streams.chunks(self.flash) if self.flash else iter(())


def open_source(path: Path, flash: Path | None = None) -> Source:
    """Open the checkpoint to convert.

    Args:
        path: The memory image.
        flash: The flash image of a pair. Either of the two may hold the state.

    Returns:
        The checkpoint.

    Raises:
        UserError: A file cannot be read or is damaged, or none has a checkpoint.
    """
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
    """Write a checkpoint in another layout or container, completely or not at all.

    Args:
        source: The checkpoint.
        out: The memory image to write.
        container: "raw", "gzip" or "zstd", for ``out``.
        layout: One of LAYOUTS; None keeps the place of the state.
        flash_out: The flash image to write.
        watch: Gets the chunks of the memory image on their way, for a progress bar.

    Returns:
        The length of the memory image in bytes.

    Raises:
        UserError: Data would be lost, the layout cannot hold the state, a file cannot be read or written, or an output
            is the other image of the source.
    """
    opened, target = source.opened, layout or source.layout
    if target == "flash":
        check_pair(len(opened.harts), flash_out)
    else:
        _check_flash(source, flash_out)
    check_apart(out, flash_out)
    apart.check("OUT", out, {"the flash image of IN": source.flash})
    apart.check("--flash-out", flash_out, {"IN": opened.path})
    rest = source.flash_rest()
    if layout in (None, source.layout):
        memory, rest = streams.chunks(opened.path), streams.chunks(source.flash) if source.flash else rest
    else:
        check_restorer(opened, str(target))
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


def check_pair(harts: int, flash_out: Path | None) -> Path:
    """Check the arguments of a conversion to layout flash.

    Args:
        harts: Number of harts.
        flash_out: The flash image to write.

    Returns:
        The flash image.

    Raises:
        UserError: There are several harts, or no flash image to write.
    """
    if harts > 1:
        raise UserError(f"layout flash holds one hart, but there are {harts}: choose another layout")
    if not flash_out:
        raise UserError("layout flash needs a second file for the flash image: give --flash-out")
    return flash_out


def check_apart(out: Path, flash_out: Path | None) -> None:
    """Check that the images of a pair go to two files.

    Args:
        out: The memory image to write.
        flash_out: The flash image to write, if there is one.

    Raises:
        UserError: Both are the same file.
    """
    apart.check("--flash-out", flash_out, {"the file for the memory image": out})


def _check_flash(source: Source, flash_out: Path | None) -> None:
    """Check that a flash image to write has a source, and that no data of a flash image would be lost."""
    if flash_out and not source.flash:
        raise UserError("--flash-out: neither this checkpoint nor the layout has a flash image: omit the option")
    if source.flash and not flash_out and any(chunk.strip(b"\0") for chunk in source.flash_rest()):
        raise UserError(f"{source.flash}: has data besides the state, which would be lost: give --flash-out")


def check_restorer(opened: CheckpointFile, target: str) -> None:
    """Check that an image has no restorer, which would not find the state after a conversion.

    Args:
        opened: The checkpoint.
        target: The layout or format to write, for messages.

    Raises:
        UserError: There is an embedded restorer.
    """
    if stamp.complete(streams.read_prefix(opened.state_file, RESERVED_SIZE)):
        raise UserError(
            f"{opened.state_file}: has an embedded restorer, which would not find the state in layout {target}: "
            "remove it with gcpt unpack"
        )
