"""Checks of the whole checkpoint: its image, what overlaps, how many harts it has, its clocks."""

from collections.abc import Iterator

from gcpt.checkpoint import output
from gcpt.checkpoint.layouts import MAX_HARTS
from gcpt.checkpoint.places import PlaceKind
from gcpt.checkpoint.search import SEVERAL, vector_overlap
from gcpt.isa import mstatus
from gcpt.validate.subject import Finding, Subject, finding


def check_image(subject: Subject) -> Iterator[Finding]:
    """Report further layouts in the image, and a length that NEMU's zstd loader refuses.

    Args:
        subject: The checkpoint, its restorer and its machine.

    Yields:
        The findings.
    """
    if len(subject.places) > 1:
        names = [f"{place.kind.value} at {place.base:#x}" for place in subject.places]
        yield finding("more-layouts", f"{', '.join(names)}; checked: {subject.location.place.kind.value}")
    excess = subject.size % output.ZSTD_MULTIPLE
    if subject.container == "zstd" and excess and subject.config.platform.end == "nemu_trap":
        yield finding("zstd-length", f"the image is {subject.size:,} bytes, {excess:,} more than such a multiple")


def check_overlaps(subject: Subject) -> Iterator[Finding]:
    """Report an embedded restorer, its payload, another block or the header that overlaps a hart's state.

    Args:
        subject: The checkpoint, its restorer and its machine.

    Yields:
        The findings.
    """
    start = subject.config.load_address
    end = start + subject.embedded
    for hart in subject.harts:
        state = subject.state(hart)
        if subject.embedded and state.start < end and start < state.stop:
            yield finding(
                "restorer-over-state", f"the restorer ends at {end:#x}, the state begins at {state.start:#x}", hart
            )
        if subject.payload in state:
            yield finding("payload-over-state", f"the payload is at {subject.payload:#x}", hart)
    location = subject.location
    for hart, registers in subject.harts.items():
        if "v" not in subject.config.csr_groups or not registers.get("mstatus") & mstatus.VS:
            continue
        if fault := vector_overlap(location.place, hart, location.harts, len(registers.v[0])):
            yield finding("blocks-overlap", fault, hart)


def check_hart_count(subject: Subject) -> Iterator[Finding]:
    """Compare the number of harts with the restorer, the machine and the marked blocks.

    Args:
        subject: The checkpoint, its restorer and its machine.

    Yields:
        The findings.
    """
    harts, place = subject.location.harts, subject.location.place
    if harts > subject.config.harts:
        yield finding("too-many-harts", f"{harts} harts; the restorer serves {subject.config.harts}")
    missing = [hart for hart in subject.harts if subject.machine_harts and hart >= subject.machine_harts]
    if missing:
        yield finding("harts-missing", f"{harts} harts; the machine has {subject.machine_harts}")
    counts = f"the count is {subject.counted or harts}, marked blocks: {len(subject.marked)}"
    for hart in range(min(harts, MAX_HARTS)):
        if subject.marked and hart not in subject.marked:
            yield finding("hart-unmarked", counts, hart)
    if place.header_at >= 0:
        return
    if place.kind is PlaceKind.DUAL_CORE:
        if any(hart >= harts for hart in subject.marked):
            yield finding("harts-uncounted", counts)
        if subject.counted == SEVERAL < harts:
            yield finding("hart-count-2", f"{len(subject.marked)} blocks are marked")
    elif subject.counted > 1:
        yield finding("harts-uncounted", f"the count is {subject.counted}, but layout {place.kind.value} has one hart")


def check_clocks(subject: Subject) -> Iterator[Finding]:
    """Report harts whose saved mtime differs.

    Args:
        subject: The checkpoint, its restorer and its machine.

    Yields:
        The findings.
    """
    times = {hart: state.mtime for hart, state in subject.harts.items()}
    if len(set(times.values())) > 1:
        yield finding("mtime-differs", f"{min(times.values()):#x} to {max(times.values()):#x}")
