"""Times of ``gcpt verify`` of a large image, beside those of ``zstd -d``.

python -m gcpt.dev.verify_times [ROUNDS]      a table (3 rounds, in turn); zstd must be installed
"""

import os
import subprocess
import sys
import tempfile
import time
from argparse import ArgumentParser
from collections.abc import Sequence
from pathlib import Path
from statistics import median

from gcpt.checkout import ROOT
from gcpt.checkpoint.files import open_checkpoint
from gcpt.console import print_table
from gcpt.dev import swap_times
from gcpt.machines import restorers
from gcpt.restorer import packing

#: MiB of the images, and of their part that is not zero, so that the larger file has 145 MB.
_SIZES, _USED = (128, 2048), 340


def _times(command: Sequence[str | Path]) -> tuple[float, float]:
    """Seconds of a command that finds nothing: elapsed, and processor time with child processes."""
    environment = {**os.environ, "PYTHONPATH": str(ROOT / "site_scons")}
    start = time.monotonic()
    process = subprocess.Popen(command, env=environment, stdout=subprocess.DEVNULL)
    _, status, usage = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode:
        raise subprocess.CalledProcessError(process.returncode, command)
    return time.monotonic() - start, usage.ru_utime + usage.ru_stime


def measure(folder: Path, restorer: Path, size: int, rounds: int) -> list[tuple[str, ...]]:
    """Measure one image.

    Args:
        folder: A temporary folder.
        restorer: A restorer for a single-core checkpoint on QEMU.
        size: MiB of the image.
        rounds: How often each command is measured.

    Returns:
        Rows of a table: the command, and medians of its elapsed and processor time.

    Raises:
        subprocess.CalledProcessError: A command fails, or a register differs.
    """
    plain, packed = folder / "plain.zstd", folder / "packed.zstd"
    swap_times.write_image(plain, size, min(size * 7 // 8, _USED))
    packing.write((packing.Output(packed, "zstd"), packing.pack(packing.read(restorer), open_checkpoint(plain), False)))
    commands: dict[str, Sequence[str | Path]] = {
        "gcpt verify": (sys.executable, "-m", "gcpt", "verify", packed),
        "zstd -d": ("zstd", "-dcq", packed),
    }
    times = [{name: _times(command) for name, command in commands.items()} for _ in range(rounds)]
    title = f"of {size:,} MiB, {packed.stat().st_size / 1e6:,.0f} MB as zstd"
    return [
        (f"{name} {title}", *(f"{median(part):.2f}" for part in zip(*(row[name] for row in times), strict=True)))
        for name in commands
    ]


def main(arguments: Sequence[str] | None = None) -> None:
    """Print the times.

    Args:
        arguments: The arguments; by default those of the process.
    """
    parser = ArgumentParser(prog="python -m gcpt.dev.verify_times", description="Print times of gcpt verify.")
    parser.add_argument("rounds", type=int, nargs="?", default=3, help="number of rounds")
    rounds: int = max(parser.parse_args(arguments).rounds, 1)
    rows: list[tuple[str, ...]] = []
    for size in _SIZES:
        with tempfile.TemporaryDirectory(prefix="gcpt-verify-") as name:
            restorer = restorers.provide({"mode": "single_core", "platform": "qemu-virt"}, Path(name)).image
            rows += measure(Path(name), restorer, size, rounds)
    print_table(("seconds", "elapsed", "processor"), rows)


if __name__ == "__main__":
    main()
