"""How many workers fit into the memory that is free on this machine."""

import re
import sys
from contextlib import suppress
from pathlib import Path

from gcpt.errors import UserError

_MIB = 1 << 20
#: MiB that a worker needs, with the QEMU of a verify of 16 harts; a simulator of the user's comes on top.
NEED = 128


def _number(file: Path, name: str = "") -> int | None:
    """The number in a file, or behind a name in one of its lines; None if there is none, such as for ``max``."""
    with suppress(OSError, UnicodeDecodeError):
        match = re.search(rf"^{name}\s*(\d+)", file.read_text(encoding="ascii"), re.MULTILINE)
        return int(match[1]) if match else None
    return None


def free(root: Path = Path("/")) -> int | None:
    """Return the memory that new processes can have.

    Args:
        root: The folder of ``proc`` and ``sys``.

    Returns:
        Bytes: of the machine, or of the control group (version 2) of this process or one above it, whichever has less.
        None if Linux does not tell.
    """
    amounts = []
    if (available := _number(root / "proc/meminfo", "MemAvailable:")) is not None:
        amounts.append(available * 1024)
    groups = root / "sys/fs/cgroup"
    with suppress(OSError, UnicodeDecodeError):
        lines = (root / "proc/self/cgroup").read_text(encoding="utf-8").splitlines()
        own = next((line[3:].strip("/") for line in lines if line.startswith("0::")), "")
        folder = groups / own
        for group in (folder, *folder.parents):
            if group.is_relative_to(groups):
                amounts += _left(group)
    return min(amounts, default=None)


def _left(group: Path) -> list[int]:
    """What is left of the limit of a control group; cached files make room when memory is needed."""
    limit, used = _number(group / "memory.max"), _number(group / "memory.current")
    if limit is None or used is None:
        return []
    return [max(0, limit - used + (_number(group / "memory.stat", "inactive_file") or 0))]


def fitting(workers: int, available: int | None) -> int:
    """Return how many workers can start; say so on standard error if they are fewer than wanted.

    Args:
        workers: The number of workers that are wanted.
        available: Bytes of free memory; None if unknown.

    Returns:
        At most ``workers``.

    Raises:
        UserError: Not even one fits.
    """
    if available is None or workers * NEED * _MIB <= available:
        return workers
    count, room = available // (NEED * _MIB), f"{available // _MIB:,} MiB of memory are free"
    if not count:
        raise UserError(f"a worker needs {NEED} MiB, but only {room}: end other programs")
    print(f"gcpt: {count} of {workers} workers: each needs {NEED} MiB, and {room}", file=sys.stderr)
    return count
