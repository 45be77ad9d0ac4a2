"""Write a stopped machine to a checkpoint file."""

from pathlib import Path

from gcpt.checkpoint import blocks, edits, output
from gcpt.checkpoint.convert import check_pair
from gcpt.checkpoint.files import with_state, write_checkpoint
from gcpt.checkpoint.layouts import MIB, RESERVED_SIZE
from gcpt.checkpoint.places import SINGLE_CORE, Checkpoint, Place, place_for
from gcpt.checkpoint.streams import Watch
from gcpt.errors import UserError
from gcpt.machines.snapshot import StoppedMachine


def write(
    machine: StoppedMachine,
    out: Path,
    container: str,
    layout: str = "auto",
    flash_out: Path | None = None,
    flash_container: str = "raw",
    force: bool = False,
    watch: Watch = iter,
) -> int:
    """Write the checkpoint, and for layout flash the flash image: both or none.

    Args:
        machine: The machine.
        out: The memory image to write.
        container: Its container.
        layout: One of LAYOUTS, or auto.
        flash_out: The flash image to write, for layout flash.
        flash_container: Its container.
        force: Overwrite data in the reserved MiB.
        watch: Wraps the content as it is written, such as for a progress bar.

    Returns:
        The length of the memory image in bytes.

    Raises:
        UserError: The layout cannot hold the state, memory that the state needs is in use, or a file cannot be written.
    """
    if layout == "flash":
        check_pair(len(machine.harts), flash_out)
        assert flash_out is not None
        state = with_state([bytes(RESERVED_SIZE)], machine.harts, SINGLE_CORE)
        files = [(flash_out, state, flash_container)]
        return output.write_all([*files, (out, watch(machine.content()), container)])[-1]
    place = place_for(layout, len(machine.harts))
    _check_free(machine, place, force)
    free = edits.cleared(machine.content(), blocks.ranges(Checkpoint(place, machine.harts)))
    return write_checkpoint(out, machine.harts, watch(free), place, container)


def _check_free(machine: StoppedMachine, place: Place, force: bool) -> None:
    """Raise UserError unless the memory that the restorer and the state occupy is zero; force: except the restorer."""
    for begin, end in _occupied(Checkpoint(place, machine.harts))[int(force) :]:
        for start in range(begin, end, MIB):
            piece = machine.read(start, min(MIB, end - start))
            if piece.strip(b"\0"):
                used = machine.dram + start + len(piece) - len(piece.lstrip(b"\0"))
                area = "the restorer's MiB" if begin == 0 else f"the place of the state ({place.kind.value})"
                raise UserError(
                    f"memory at {used:#x} is in use, in {area}: load the software elsewhere (firmware at "
                    f"{machine.dram + MIB:#x}), keep Linux out with reserved-memory (docs/linux.md), or choose another "
                    "--layout" + (", or overwrite it with --force" if begin == 0 else "")
                )


def _occupied(checkpoint: Checkpoint) -> list[tuple[int, int]]:
    """Return the bytes (begin, end) of the image that are needed: the reserved MiB, and the state beyond it."""
    state = blocks.ranges(checkpoint)
    return [(0, RESERVED_SIZE), *((max(begin, RESERVED_SIZE), end) for begin, end in state if end > RESERVED_SIZE)]
