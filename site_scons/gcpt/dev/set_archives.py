"""Sizes of archives of synthetic workloads, against zstd of each image and against borg with chunks of a page.

python -m gcpt.dev.set_archives      a table; Debian's borgbackup must be installed
"""

import os
import random
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

from gcpt.checkout import ROOT
from gcpt.checkpoint import output, streams
from gcpt.checkpoint.layouts import MIB
from gcpt.console import print_table
from gcpt.dev import synthetic_sets
from gcpt.dev.figures import Figures
from gcpt.isa.paging import PAGE_SIZE

#: Shares of its pages that a workload rewrites between two points.
SHARES = (0.05, 0.3, 0.7)
#: Points of the workload, MiB that it uses, and MiB of zeros behind them.
_POINTS, _USED, _ZEROS = 8, 32, 96
_WORKLOAD = "mcf"


def _page(generator: random.Random, words: list[bytes]) -> bytes:
    return b"".join(generator.choices(words, k=1024))[:PAGE_SIZE]


def images(points: int, used: int, share: float, zeros: int = 1) -> Iterator[Iterator[bytes]]:
    """Generate the images of a workload, the same ones each time.

    Args:
        points: Their number.
        used: MiB of each image that is not zero; its pages compress to a third.
        share: The share of these pages that is new in each image.
        zeros: MiB of zeros behind them.

    Yields:
        Each image, in pieces of 1 MiB; to be read before the next one.
    """
    generator = random.Random(1)
    words = [generator.randbytes(generator.randrange(3, 12)) for _ in range(4096)]
    pages = [_page(generator, words) for _ in range(used * MIB // PAGE_SIZE)]
    for _ in range(points):
        for place in generator.sample(range(len(pages)), int(len(pages) * share)):
            pages[place] = _page(generator, words)
        in_piece = MIB // PAGE_SIZE
        pieces = [b"".join(pages[start : start + in_piece]) for start in range(0, len(pages), in_piece)]
        yield iter([*pieces, *[bytes(MIB)] * zeros])


def _set(folder: Path, share: float) -> list[Path]:
    """Write the set ``folder``; return its images."""
    synthetic = synthetic_sets.make(folder, points=_POINTS * len(synthetic_sets.WORKLOADS))
    paths = [path for key, path in synthetic.images.items() if key[0] == _WORKLOAD]
    for path, content in zip(paths, images(_POINTS, _USED, share, _ZEROS), strict=True):
        output.write(path, content, "raw")
    return paths


def _zstd(paths: list[Path]) -> int:
    """Bytes of all images, each compressed by the command zstd."""
    return sum(len(subprocess.run(["zstd", "-3cq", path], stdout=subprocess.PIPE, check=True).stdout) for path in paths)


def _archive(root: Path, out: Path) -> int:
    words = ["set", "archive", str(root), "--workload", _WORKLOAD, "-o", str(out)]
    environment = {**os.environ, "PYTHONPATH": str(ROOT / "site_scons")}
    command = [sys.executable, "-m", "gcpt", *words]
    subprocess.run(command, env=environment, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, check=True)
    return out.stat().st_size


def _borg(paths: list[Path], repository: Path) -> int:
    """Bytes of a borg repository with the images."""
    environment = {
        **os.environ,
        "BORG_BASE_DIR": str(repository.parent),
        "BORG_UNKNOWN_UNENCRYPTED_REPO_ACCESS_IS_OK": "y",
    }
    subprocess.run(["borg", "init", "-e", "none", repository], env=environment, check=True)
    words = ["--chunker-params", f"fixed,{PAGE_SIZE}", "--compression", "zstd,3"]
    subprocess.run(["borg", "create", *words, f"{repository}::set", *paths], env=environment, check=True)
    return sum(file.stat().st_size for file in repository.rglob("*") if file.is_file())


def measure(folder: Path) -> Figures:
    """Measure the size of archives, divided by that of the images compressed one by one by zstd -3.

    Args:
        folder: A temporary folder.

    Returns:
        The ratios.

    Raises:
        subprocess.CalledProcessError: A command fails.
    """
    ratios = {}
    for share in SHARES:
        paths = _set(folder / f"{share}", share)
        size = _archive(folder / f"{share}", folder / f"{share}.gcptset")
        ratios[f"set archive / zstd -3 of each, {share:.0%} of pages new"] = size / _zstd(paths)
    return {"ratio": ratios}


def main() -> None:
    """Print the sizes of archives, images compressed one by one, and borg's repositories."""
    rows = []
    with tempfile.TemporaryDirectory(prefix="gcpt-archives-") as name:
        folder = Path(name)
        for share in SHARES:
            paths = _set(folder / f"{share}", share)
            size = _archive(folder / f"{share}", folder / f"{share}.gcptset")
            each, borg = _zstd(paths), _borg(paths, folder / f"{share}.borg")
            raw = sum(len(chunk) for path in paths for chunk in streams.chunks(path))
            cells = (f"{number / MIB:.1f}" for number in (raw, each, borg, size))
            rows.append((f"{share:.0%}", *cells, f"{each / size:.2f}", f"{borg / size:.2f}"))
    columns = ("new pages", "raw MiB", "zstd -3 of each", "borg", "archive", "zstd / archive", "borg / archive")
    print_table(columns, rows)


if __name__ == "__main__":
    main()
