"""Times of reading and writing containers, as ratios to the commands gzip and zstd on the same image."""

import os
import random
import resource
import subprocess
import time
from collections import defaultdict
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from statistics import median

from gcpt.checkpoint import output, streams
from gcpt.checkpoint.layouts import MIB
from gcpt.dev.figures import Figures

_ROUNDS = 5
#: MiB of the test image: like a checkpoint mostly zeros, the rest compressible to a third.
_ZEROS, _USED = 192, 64
#: The commands that read and write each container, at the levels of gcpt.
_COMMANDS = {"gzip": ("gzip -dc", "gzip -1c"), "zstd": ("zstd -dcq", "zstd -3cq")}


def content() -> Iterator[bytes]:
    """Generate the test image, the same bytes each time.

    Yields:
        Pieces of 1 MiB.
    """
    generator = random.Random(1)
    words = [generator.randbytes(generator.randrange(3, 12)) for _ in range(4096)]
    for _ in range(_USED):
        yield b"".join(generator.choices(words, k=1 << 18))[:MIB]
    for _ in range(_ZEROS):
        yield bytes(MIB)


def _ours(run: Callable[[], object]) -> float:
    """The processor time of ``run``, in seconds."""
    start = time.process_time()
    run()
    return time.process_time() - start


def _theirs(command: str, file: Path, out: Path) -> float:
    """The processor time of a command that reads ``file`` and writes ``out``, in seconds."""
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    with out.open("wb") as target:
        subprocess.run([*command.split(), str(file)], stdout=target, check=True)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime


def _read(file: Path) -> None:
    for _ in streams.chunks(file):
        pass


def measure(folder: Path) -> Figures:
    """Measure the ratio of gcpt's processor time to that of the command run just before it, and the ratio of the sizes.

    The start of Python and other load on the machine do not change the processor time.

    Args:
        folder: A temporary folder.

    Returns:
        Medians of the ratios.

    Raises:
        subprocess.CalledProcessError: A command fails.
    """
    raw, ours, theirs = folder / "image", folder / "ours", folder / "theirs"
    output.write(raw, content(), "raw")
    ratios: dict[str, list[float]] = defaultdict(list)
    for container, (reads, writes) in _COMMANDS.items():
        for _ in range(_ROUNDS):
            written = _theirs(writes, raw, theirs)
            own = _ours(partial(output.write, ours, streams.chunks(raw), container))
            ratios[f"write {container} / {writes}"].append(own / written)
            read = _theirs(reads, theirs, Path(os.devnull))
            ratios[f"read {container} / {reads}"].append(_ours(partial(_read, theirs)) / read)
        ratios[f"size of {container} / {writes}"].append(ours.stat().st_size / theirs.stat().st_size)
    return {"ratio": {f"containers: {name}": median(values) for name, values in ratios.items()}}
