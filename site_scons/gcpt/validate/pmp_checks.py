"""Checks of a hart's PMP: the fetch at the pc, the stack pointer, and the page tables on the way to both."""

from collections.abc import Iterator

from gcpt.checkpoint.state import HartState
from gcpt.isa import mstatus, pmp
from gcpt.isa.paging import ENTRY_SIZE, Translation
from gcpt.validate.paging_checks import SP, is_translated, walks
from gcpt.validate.pointer_checks import FETCH_SIZE, has_physical_pc, roots
from gcpt.validate.subject import Finding, Subject, finding


def check_pmp(subject: Subject, hart: int, state: HartState) -> Iterator[Finding]:
    """Report PMP entries that the platform's harts lack, that forbid the next fetch or a push, or that none is on.

    Only those that the restorer writes count. Page tables are read with the privilege of S mode, whatever translates
    their addresses (privileged specification 3.7.1).

    Args:
        subject: The checkpoint, its restorer and its machine.
        hart: The hart.
        state: Its state.

    Yields:
        The findings.
    """
    machine, count = state.mode == mstatus.MACHINE, subject.pmp_entries
    platform = subject.config.platform
    if lost := [str(entry.number) for entry in pmp.entries(state, count) if entry.number >= platform.pmp_entries]:
        what = f"entries on: {', '.join(lost)}; harts of {platform.name} have {platform.pmp_entries}"
        yield finding("pmp-platform", what, hart)
    if not any(pmp.entries(state, count)):
        if not machine and count:
            yield finding("pmp-off", f"the mode is {state.mode}", hart)
        elif not machine and not any(pmp.entries(state)):
            yield finding("pmp-off-left-out", f"the mode is {state.mode}", hart)
        return
    if not is_translated(state) and not has_physical_pc(state):
        return  # by a mode that does not exist
    pc, sp = walks(state, subject.pages)
    problems = list(_check_fetch(subject, hart, state, pc))
    yield from problems
    if state.x[SP] and not problems:
        yield from _check_push(subject, hart, state, sp)


def _denied_table(subject: Subject, state: HartState, walk: Translation) -> int | None:
    """The physical address of the first page table entry that PMP forbids to read."""
    count = subject.pmp_entries
    denied = (entry for entry in walk.entries if not pmp.allows(state, entry, ENTRY_SIZE, pmp.READ, count=count))
    return next(denied, None)


def _permits(subject: Subject, state: HartState, walk: Translation, size: int, access: int) -> bool:
    """Whether PMP permits the access to the memory that the walk leads to; after a fault there is none."""
    machine = state.mode == mstatus.MACHINE
    return bool(walk.fault) or pmp.allows(state, walk.address, size, access, machine, subject.pmp_entries)


def _check_fetch(subject: Subject, hart: int, state: HartState, walk: Translation) -> Iterator[Finding]:
    what = f"the pc is {state.pc:#x}"
    table = _denied_table(subject, state, walk)
    root = next((root for root in roots(state) if root.used and table in range(root.address, root.end)), None)
    if root:
        yield finding("pmp-root", f"{root.register} points to {root.address:#x}", hart)
    elif table is not None:
        yield finding("pmp-table", f"{what}, the entry is at {table:#x}", hart)
    elif not _permits(subject, state, walk, FETCH_SIZE, pmp.EXECUTE):
        yield finding("pmp-pc", what if walk.address == state.pc else f"{what}, physical {walk.address:#x}", hart)


def _check_push(subject: Subject, hart: int, state: HartState, walk: Translation) -> Iterator[Finding]:
    what = f"sp is {state.x[SP]:#x}"
    table = _denied_table(subject, state, walk)
    if table is not None:
        yield finding("pmp-stack", f"{what}, the page table entry is at {table:#x}", hart)
    elif subject.holds(walk.address) and not _permits(subject, state, walk, 1, pmp.WRITE):  # else no stack is there
        yield finding("pmp-stack", what if walk.address == state.x[SP] else f"{what}, physical {walk.address:#x}", hart)
