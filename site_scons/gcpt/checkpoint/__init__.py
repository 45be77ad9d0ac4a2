"""The library's entry points: open a checkpoint file, read and change its state, write it. See docs/library.md.

::

    from pathlib import Path

    from gcpt.checkpoint import PLACES, open_checkpoint, write_checkpoint

    opened = open_checkpoint(Path("uboot.zst"))
    print(hex(opened.harts[0].pc), hex(opened.harts[0].get("satp")))
    opened.harts[0].set("mscratch", 0)
    write_checkpoint(Path("changed.gz"), opened.harts, opened.memory(), PLACES["protobuf"])

Opening a file reads only the part that holds the state; memory is streamed. The first use of a name loads its module:
the build needs the layouts only and starts without the other modules' libraries.
"""

from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from gcpt.checkpoint.files import CheckpointFile, open_checkpoint, with_state, write_checkpoint
    from gcpt.checkpoint.header import Header
    from gcpt.checkpoint.places import PLACES, Checkpoint, Place, place_for
    from gcpt.checkpoint.search import NoCheckpointError
    from gcpt.checkpoint.state import HartState

__all__ = [
    "PLACES",
    "Checkpoint",
    "CheckpointFile",
    "HartState",
    "Header",
    "NoCheckpointError",
    "Place",
    "open_checkpoint",
    "place_for",
    "with_state",
    "write_checkpoint",
]

#: The module of each name that the door gives.
_HOMES = {
    **dict.fromkeys(("CheckpointFile", "open_checkpoint", "with_state", "write_checkpoint"), "files"),
    **dict.fromkeys(("PLACES", "Checkpoint", "Place", "place_for"), "places"),
    "HartState": "state",
    "NoCheckpointError": "search",
    "Header": "header",
}


def __getattr__(name: str) -> object:
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    value = getattr(import_module(f"{__name__}.{_HOMES[name]}"), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
