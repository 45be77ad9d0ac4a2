"""Take the checkpoints of ``gcpt snapshot``: stop the machine, write the files, report them."""

from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, ExitStack, closing, contextmanager, nullcontext
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from gcpt.checkpoint import containers
from gcpt.checkpoint.places import place_for
from gcpt.checkpoint.points import Point
from gcpt.cli.output import Advance, progress, say_json, track
from gcpt.errors import UserError, system_error
from gcpt.installing import remedy
from gcpt.machines.gdb import GdbError
from gcpt.machines.qemu import QemuError
from gcpt.machines.snapshot import GuestError, MachineSetup, Moment, StoppedMachine, attach, counted, replayed
from gcpt.machines.snapshot_file import write
from gcpt.report.description import harts as summaries
from gcpt.scratch import scratch_folder


@dataclass(frozen=True)
class Files:
    """The files to write.

    Attributes:
        output: The checkpoint, or the folder of several.
        container: Container of the memory image.
        layout: One of LAYOUTS, or auto.
        flash: The flash image, for layout flash.
        force: Whether to overwrite data in the reserved MiB.
    """

    output: Path
    container: str
    layout: str
    flash: Path | None
    force: bool

    def write(self, machine: StoppedMachine, path: Path) -> int:
        """Write a checkpoint.

        Args:
            machine: The machine.
            path: The memory image to write.

        Returns:
            The length of the memory image in bytes.

        Raises:
            UserError: It cannot be written.
        """
        flash_container = containers.container_for(self.flash, "raw") if self.flash else "raw"
        with progress(f"writing {path}", machine.size) as advance:
            watch = partial(track, advance=advance)
            return write(machine, path, self.container, self.layout, self.flash, flash_container, self.force, watch)

    def chosen_layout(self, harts: int) -> str:
        """Return the layout of a number of harts."""
        return place_for(self.layout, harts).kind.value if self.layout == "auto" else self.layout


def take_one(
    setup: MachineSetup | None,
    addresses: tuple[str, str],
    moment: Moment,
    is_replayed: bool,
    files: Files,
    say: Callable[[str], None],
    as_json: bool,
) -> None:
    """Take one checkpoint.

    Args:
        setup: The machine to start; None: it runs already.
        addresses: The running machine's gdb stub and QMP socket.
        moment: When to take it.
        is_replayed: Whether to count its instructions by record and replay.
        files: The files to write.
        say: Prints a line.
        as_json: Whether to print JSON.

    Raises:
        UserError: The machine did not reach the moment, or a file cannot be written.
    """
    with one_line_errors(), scratch_folder() as folder, ExitStack() as stack:
        if setup is None:
            with _counting("stepping", moment.after) as advance:
                machine = stack.enter_context(attach(*addresses, moment, folder, advance))
        else:
            machine = _start(stack, setup, moment, is_replayed, folder)
        length = files.write(machine, files.output)
    count = len(machine.harts)
    if as_json:
        flash = str(files.flash) if files.flash else None
        names = {"file": str(files.output), "flash": flash, "container": files.container}
        layout = files.chosen_layout(count)
        say_json({**names, "layout": layout, "bytes": length, "harts": summaries(machine.harts)})
        return
    for number, state in enumerate(machine.harts):
        say(f"hart {number}: pc {state.pc:#x} mode {'US?M'[state.mode]}")
    if setup is None and moment.after and count > 1:
        say(
            f"note: --after stepped hart {moment.hart or 0} only, the others stayed where they were: no plugin counts "
            "in a machine that already runs (docs/snapshot.md)"
        )
    say(f"{files.output}: {count} hart{'s' * (count > 1)}, {machine.size >> 20} MiB, {files.container}")


def _start(stack: ExitStack, setup: MachineSetup, moment: Moment, is_replayed: bool, folder: Path) -> StoppedMachine:
    """Start a machine that ``stack`` ends, and run it to the moment."""
    points, option = [moment.after or 0], f"--after {moment.after or 0}"
    with _counting("recording" if is_replayed else "running", moment.after) as advance:
        take = replayed if is_replayed else counted
        machines = stack.enter_context(closing(take(setup, moment, points, option, folder, advance)))
        try:
            return next(machines)
        except GuestError:
            if moment.marker:
                raise
    return _start(stack, setup, moment, False, folder)


def take_points(
    setup: MachineSetup,
    moment: Moment,
    points: Sequence[Point],
    is_replayed: bool,
    files: Files,
    say: Callable[[str], None],
    as_json: bool,
) -> None:
    """Take a checkpoint at each of several points, in one run.

    Args:
        setup: The machine to start.
        moment: When to start counting.
        points: The points in ascending order.
        is_replayed: Whether to count instructions by record and replay.
        files: The files to write.
        say: Prints a line.
        as_json: Whether to print JSON.

    Raises:
        UserError: The machine did not reach a point, or a file cannot be written.
    """
    summary: list[dict[str, object]] = []
    counts = [point.instructions for point in points]
    option = f"the last point, {counts[-1]}"
    with ExitStack() as stack:
        stack.enter_context(one_line_errors())
        folder = stack.enter_context(scratch_folder())
        advance = stack.enter_context(_counting("recording" if is_replayed else "running", counts[-1]))
        take = replayed if is_replayed else counted
        machines = stack.enter_context(closing(take(setup, moment, counts, option, folder, advance)))
        for point, machine in zip(points, machines, strict=True):
            path = point.path(files.output, files.container)
            try:
                path.parent.mkdir(parents=True, exist_ok=True)
            except OSError as error:
                raise UserError(f"-o {files.output}: {error.strerror}: choose another folder") from error
            length = files.write(machine, path)
            pc = machine.harts[moment.hart or 0].pc
            say(f"{path}: point {point.number}, {point.instructions} instructions, pc {pc:#x}")
            summary.append(
                {
                    "file": str(path),
                    "point": point.number,
                    "instructions": point.instructions,
                    "weight": point.weight,
                    "harts": summaries(machine.harts),
                }
            )
    if as_json:
        names = {"folder": str(files.output), "container": files.container, "layout": files.chosen_layout(setup.harts)}
        say_json({**names, "bytes": length, "points": summary})


def _counting(label: str, instructions: int | None) -> AbstractContextManager[Advance]:
    """Show a progress bar of instructions, if there are any."""
    return progress(label, instructions, "instructions") if instructions else nullcontext(lambda _: None)


@contextmanager
def one_line_errors() -> Iterator[None]:
    """Turn failures of QEMU and its gdb stub, and of temporary files, into errors of one line.

    Raises:
        UserError: QEMU, its gdb stub or a system call failed.
    """
    try:
        yield
    except FileNotFoundError as error:
        raise UserError(f"{error.filename}: not found: {remedy('QEMU')}") from error
    except (QemuError, GdbError) as error:
        raise UserError(str(error).splitlines()[0]) from error
    except BrokenPipeError:
        raise
    except OSError as error:
        raise UserError(system_error(error)) from error
