"""How fast containers are read and written, beside the command lines gzip and zstd on the same image, pair by pair."""

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
#: As checkpoints are: mostly zero, and a part that can be made a third of.
_ZEROS, _USED = 192, 64
#: What reads and what writes a container as fast as is asked for there; gcpt's levels are those of ``image``.
_COMMANDS = {"gzip": ("gzip -dc", "gzip -1c"), "zstd": ("zstd -dcq", "zstd -3cq")}


def content() -> Iterator[bytes]:
    """An image in pieces, always the same one."""
    made = random.Random(1)
    words = [made.randbytes(made.randrange(3, 12)) for _ in range(4096)]
    for _ in range(_USED):
        yield b"".join(made.choices(words, k=1 << 18))[:MIB]
    for _ in range(_ZEROS):
        yield bytes(MIB)


def _ours(run: Callable[[], object]) -> float:
    """Processor seconds of ``run``."""
    start = time.process_time()
    run()
    return time.process_time() - start


def _theirs(command: str, file: Path, out: Path) -> float:
    """Processor seconds of a command that reads ``file`` and writes ``out``."""
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    with out.open("wb") as target:
        subprocess.run([*command.split(), str(file)], stdout=target, check=True)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime


def _read(file: Path) -> None:
    for _ in streams.chunks(file):
        pass


def measure(folder: Path) -> Figures:
    """Medians of ratios: gcpt's processor time by that of the command just before it. And the ratio of the sizes.

    Processor time, of one thread or several, is what neither the start of Python nor the machine's other work changes.
    """
    raw, ours, theirs = folder / "image", folder / "ours", folder / "theirs"
    output.write(raw, content(), "raw")
    ratios: dict[str, list[float]] = defaultdict(list)
    for container, (reads, writes) in _COMMANDS.items():
        for _ in range(_ROUNDS):
            written = _theirs(writes, raw, theirs)
            mine = _ours(partial(output.write, ours, streams.chunks(raw), container))
            ratios[f"write {container} / {writes}"].append(mine / written)
            read = _theirs(reads, theirs, Path(os.devnull))
            ratios[f"read {container} / {reads}"].append(_ours(partial(_read, theirs)) / read)
        ratios[f"size of {container} / {writes}"].append(ours.stat().st_size / theirs.stat().st_size)
    return {"ratio": {f"containers: {name}": median(values) for name, values in ratios.items()}}
