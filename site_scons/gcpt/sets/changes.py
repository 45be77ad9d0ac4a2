"""The work of ``gcpt set convert``, ``pack`` and ``swap``: what the single commands do, for one point."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from gcpt.checkpoint import containers
from gcpt.errors import UserError
from gcpt.restorer import packing
from gcpt.restorer.packing import Restorer
from gcpt.sets import results
from gcpt.sets.checks import Check, point_result
from gcpt.sets.points import Point
from gcpt.sets.results import Result

#: The ending of an image's name by container.
_ENDINGS = {"raw": ".bin", "gzip": ".gz", "zstd": ".zstd"}


@dataclass(frozen=True)
class Destination:
    """A new set.

    Attributes:
        root: The folder of the old set, absolute.
        folder: Its own folder, absolute.
        container: The container of its images; "" for that of the old image.
    """

    root: Path
    folder: Path
    container: str

    def image(self, old: Path) -> Path:
        """Return the path of an image: where the old one lies in its set, with the ending of the container.

        Args:
            old: The old image.

        Raises:
            UserError: The old image lies outside its set.
        """
        if not old.is_relative_to(self.root):
            raise UserError(f"{old}: lies outside the set, so it has no place in another one: copy it into the set")
        path = self.folder / old.relative_to(self.root)
        return path.with_suffix(_ENDINGS[self.container]) if self.container else path

    def container_of(self, old: Path) -> str:
        """Return the container of the image that replaces an old one.

        Args:
            old: The old image; an ELF file stands for raw.

        Raises:
            UserError: It cannot be read.
        """
        name = self.container or containers.container_of(old)
        return name if name in containers.CONTAINERS else "raw"


def flash_of(memory: Path) -> Path:
    """Return the path of the flash image that belongs to a memory image.

    Args:
        memory: The memory image, such as ``_7_0.5_memory_.zstd`` or ``_7_0.5_.gz``.
    """
    return memory.with_name(memory.stem.removesuffix("memory_") + "flash_" + memory.suffix)


def _written(*files: Path) -> dict[str, Any]:
    """The files that were written, to know later whether they are still there."""
    return {"files": {str(file): results.identity(file) for file in files}}


@dataclass(frozen=True)
class _Copy(Check):
    """What changes have in common that write images to a new set."""

    destination: Destination

    def holds(self, earlier: Result) -> bool:
        """Return whether the images of an earlier result are still there.

        Args:
            earlier: The earlier result.
        """
        try:
            return all(results.identity(Path(path)) == known for path, known in earlier.facts["files"].items())
        except (OSError, KeyError):
            return False


@dataclass(frozen=True)
class Convert(_Copy):
    """Write a point in another layout or container.

    Attributes:
        destination: The new set.
        layout: The layout; "" keeps the place of the state.
    """

    layout: str

    def identity(self) -> dict[str, Any]:
        """Return what the result depends on besides files, as JSON."""
        return {"convert": [self.layout, self.destination.container, str(self.destination.folder)]}

    def __call__(self, point: Point, folder: Path) -> Result:
        """Convert the point.

        Args:
            point: The point.
            folder: The point's folder.

        Returns:
            The result: the files that were written.

        Raises:
            UserError: The point cannot be read, or the layout cannot hold it.
        """
        from gcpt.checkpoint.convert import convert, open_source

        source = open_source(point.path, point.flash)
        out = self.destination.image(point.path)
        container = self.destination.container_of(point.path)
        if point.flash:
            flash: Path | None = self.destination.image(point.flash)
        else:
            flash = flash_of(out) if self.layout == "flash" else None
        out.parent.mkdir(parents=True, exist_ok=True)
        length = convert(source, out, container, self.layout or None, flash)
        layout = self.layout or source.layout or source.opened.place.kind.value
        facts = {"file": str(out), "flash": str(flash) if flash else None, "container": container, "layout": layout}
        written = _written(out, *([flash] if flash else []))
        return point_result(point, "", "", {**facts, "bytes": length, **written})


@dataclass(frozen=True)
class Pack(_Copy):
    """Embed a restorer into a point.

    Attributes:
        destination: The new set.
        restorer: The restorer.
        force: Overwrite data under the restorer.
    """

    restorer: Restorer
    force: bool

    def identity(self) -> dict[str, Any]:
        """Return what the result depends on besides files, as JSON."""
        return {"pack": [self.restorer.sha256, self.force, self.destination.container, str(self.destination.folder)]}

    def __call__(self, point: Point, folder: Path) -> Result:
        """Pack the point.

        Args:
            point: The point.
            folder: The point's folder.

        Returns:
            The result: the files that were written.

        Raises:
            UserError: The point cannot be read, or the restorer cannot start it.
        """
        from gcpt.checkpoint.files import open_checkpoint

        opened = open_checkpoint(point.path, point.flash)
        packed = packing.pack(self.restorer, opened, point.flash is not None, self.force)
        images = [(opened.state_file, packed)]
        if point.flash:
            images.append((point.path, packing.memory_of_pair(point.path)))
        outputs = []
        for old, image in images:
            out = packing.Output(self.destination.image(old), self.destination.container_of(old))
            out.path.parent.mkdir(parents=True, exist_ok=True)
            outputs.append((out, image))
        sizes = packing.write(*outputs)
        files = [out.path for out, _ in outputs]
        facts = {"file": str(files[0]), "memory": str(files[1]) if point.flash else None, "bytes": sizes[0]}
        return point_result(point, "", "", {**facts, "notes": packed.notes, **_written(*files)})


@dataclass(frozen=True)
class Swap(Check):
    """Replace the embedded restorer of a point, in place.

    Attributes:
        restorer: The new restorer.
        force: Overwrite data under the restorer.
    """

    restorer: Restorer
    force: bool

    def identity(self) -> dict[str, Any]:
        """Return what the result depends on besides files, as JSON."""
        return {"swap": [self.restorer.sha256, self.force]}

    def __call__(self, point: Point, folder: Path) -> Result:
        """Swap the restorer.

        Args:
            point: The point.
            folder: The point's folder.

        Returns:
            The result: whether the image changed, and the old restorer.

        Raises:
            UserError: The point has no embedded restorer, or the new one cannot start it.
        """
        image = point.flash or point.path
        old, notes = packing.swap(image, self.restorer, self.force)
        facts = {"file": str(image), "changed": old.data != self.restorer.data, "replaced": str(old), "notes": notes}
        return point_result(point, "", "", facts)
