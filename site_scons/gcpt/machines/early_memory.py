"""The memory that a machine reads until its harts are at their first restored instructions: the rest can be zero.

A restorer reads the start of the image and the blocks; a fetch at a hart's pc reads page tables and the page of the pc.
"""

import os
from collections.abc import Iterable, Iterator
from typing import BinaryIO

from gcpt.checkpoint.files import CheckpointFile
from gcpt.checkpoint.layouts import MIB
from gcpt.checkpoint.state import HartState, block_size
from gcpt.checkpoint.streams import ZEROS
from gcpt.isa.fields import SATP_MODES
from gcpt.isa.paging import ENTRY_SIZE, PAGE_SIZE, Fault, stages, translate
from gcpt.isa.pmp import EXECUTE

#: Bytes from the start of the image that are always kept: restorers search them for a header and for blocks.
_START = 8 * MIB


class _Walks:
    """The harts whose page tables are not all known, and the parts of the image that are needed."""

    def __init__(self, checkpoint: CheckpointFile, dram: int, file: BinaryIO) -> None:
        self._dram, self._file, self._end = dram, file, 0
        self.kept = [(0, _START)]
        if not checkpoint.flash:
            place, harts = checkpoint.place, len(checkpoint.harts)
            self.kept += [
                (place.block(hart), place.block(hart) + block_size(place.layout, harts)) for hart in range(harts)
            ]
            self.kept += checkpoint.state_ranges
        #: Each hart with the image offset from which on its walk can go on; None: never.
        self.waiting: list[tuple[HartState, int | None]] = [(state, 0) for state in checkpoint.harts]

    def _entry(self, address: int) -> bytes | None:
        """A page table entry in the part of the image that the file has."""
        at = address - self._dram
        if not 0 <= at <= self._end - ENTRY_SIZE:
            return None
        return os.pread(self._file.fileno(), ENTRY_SIZE, at).ljust(ENTRY_SIZE, b"\0")

    def follow(self, end: int) -> None:
        """Let the walks go on, now that the file has the image up to offset ``end``."""
        self._file.flush()
        self._end = end
        self.waiting = [entry for state, start in self.waiting for entry in self._walk(state, start)]

    def _walk(self, state: HartState, start: int | None) -> Iterator[tuple[HartState, int | None]]:
        """Walk the page tables for a hart's pc: yield the hart if it has to wait."""
        if start is None or start > self._end:
            yield state, start
        elif any(state.get(name) >> 60 not in SATP_MODES for name in stages(state, state.mode)):
            yield state, None
        else:
            walk = translate(state, state.mode, state.pc, EXECUTE, self._entry)
            if not walk.fault:
                page = (walk.address - self._dram) & -PAGE_SIZE
                self.kept.append((page, page + 2 * PAGE_SIZE))  # an instruction may end in the next page
            else:
                outside = walk.entries[-1] - self._dram + ENTRY_SIZE if walk.fault is Fault.OUTSIDE else 0
                yield state, outside if outside > self._end else None


def without_rest(content: Iterable[bytes], checkpoint: CheckpointFile, dram: int, file: BinaryIO) -> Iterator[bytes]:
    """Replace what no hart needs by zeros, in units of chunks.

    Page tables may lie anywhere: as long as a walk waits for one, all memory stays. A walk that faults waits for ever.

    Args:
        content: The memory image, in chunks.
        checkpoint: The checkpoint.
        dram: Physical address of the image.
        file: The file that the caller writes these chunks to, open for reading, too.

    Yields:
        The chunks.
    """
    walks, at = _Walks(checkpoint, dram, file), 0
    walks.follow(0)
    for chunk in content:
        end = at + len(chunk)
        if walks.waiting:
            yield chunk
            walks.follow(end)
        elif any(first < end and at < last for first, last in walks.kept):
            yield chunk
        else:
            yield ZEROS[: len(chunk)]
        at = end
