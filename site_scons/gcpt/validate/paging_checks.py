"""Checks of a hart's virtual addresses: the page tables from its pc and its stack pointer to memory."""

from collections.abc import Iterable, Iterator, Mapping

from gcpt.checkpoint.reader import Reader
from gcpt.checkpoint.state import HartState
from gcpt.isa import mstatus
from gcpt.isa.fields import SATP_MODES
from gcpt.isa.paging import ENTRY_SIZE, PAGE_SIZE, Fault, Memory, Translation, stages, translate
from gcpt.isa.pmp import EXECUTE, WRITE
from gcpt.validate.pointer_checks import FETCH_SIZE, Root, roots
from gcpt.validate.subject import Finding, Subject, finding

#: The register that holds the stack pointer.
SP = 2


def _memory(pages: Mapping[int, bytes]) -> Memory:
    """The entries in ``pages``, which are by address."""

    def read(address: int) -> bytes | None:
        page = pages.get(address & -PAGE_SIZE, b"")
        entry = page[address % PAGE_SIZE :][:ENTRY_SIZE]
        return entry if len(entry) == ENTRY_SIZE else None

    return read


def is_translated(state: HartState) -> bool:
    """Return whether page tables of modes that exist translate the hart's fetches.

    Args:
        state: The hart's state.

    Returns:
        Whether ``walks`` reads page tables.
    """
    registers = list(stages(state, state.mode))
    known = all(state.get(name) >> 60 in SATP_MODES for name in registers)
    return bool(registers) and known and state.mode in (mstatus.USER, mstatus.SUPERVISOR)


def walks(state: HartState, pages: Mapping[int, bytes]) -> tuple[Translation, Translation]:
    """Translate a hart's pc and its stack pointer.

    Args:
        state: The hart's state. Its translation modes exist.
        pages: The page tables by physical address, as ``read_pages`` reads them.

    Returns:
        The translations for a fetch at the pc and for a store at the stack pointer.
    """
    memory = _memory(pages)
    return (
        translate(state, state.mode, state.pc, EXECUTE, memory),
        translate(state, state.mode, state.x[SP], WRITE, memory),
    )


def read_pages(read: Reader, dram: int, harts: Iterable[HartState]) -> dict[int, bytes]:
    """Read the page tables on the way from each hart's pc and stack pointer, and the page of the pc.

    All harts walk together, level by level, and each level reads its pages in the order of their addresses: a
    compressed image is decompressed at most once for each level.

    Args:
        read: Reads the memory image.
        dram: Address of the image.
        harts: The harts.

    Returns:
        The pages by physical address; b"" for a page outside the image.
    """
    pages: dict[int, bytes] = {}
    walking = [state for state in harts if is_translated(state)]
    while True:
        needed: set[int] = set()
        for state in walking:
            pc, sp = walks(state, pages)
            needed |= {walk.entries[-1] for walk in (pc, sp) if walk.fault is Fault.OUTSIDE}
            needed |= {pc.address} if not pc.fault else set()
        missing = sorted({address & -PAGE_SIZE for address in needed} - pages.keys())
        if not missing:
            return pages
        pages |= {page: read(page - dram, PAGE_SIZE) if page >= dram else b"" for page in missing}


def check_paging(subject: Subject, hart: int, state: HartState) -> Iterator[Finding]:
    """Report a virtual pc that is not mapped to code, and a stack pointer that is not mapped.

    A fault that ``check_translation`` reports, of a mode or a root, is not reported again.

    Args:
        subject: The checkpoint, its restorer and its machine.
        hart: The hart.
        state: Its state.

    Yields:
        The findings.
    """
    paging = (0, *subject.config.platform.paging)
    if not is_translated(state) or any(state.get(name) >> 60 not in paging for name in stages(state, state.mode)):
        return
    if any(root.used and _is_reported(subject, root) for root in roots(state)):
        return
    pc, sp = walks(state, subject.pages)
    problems = list(_check_pc(subject, hart, state, pc))
    yield from problems
    if state.x[SP] and not problems:
        yield from _check_stack(subject, hart, state, sp)


def _is_reported(subject: Subject, root: Root) -> bool:
    """Whether ``check_translation`` reports a root in use."""
    usable = subject.holds(root.address, root.size) and not subject.overwritten(root.address)
    return not usable or subject.empty(root.address, root.size)


def _may_be_absent(state: HartState, walk: Translation) -> bool:
    """Whether software may map the page when the access faults: that of a program, or of a guest."""
    return state.mode == mstatus.USER or walk.register == "hgatp"


def _describe(walk: Translation) -> str:
    assert walk.fault
    entry = f", at {walk.entries[-1]:#x}" if walk.entries and walk.fault is not Fault.ADDRESS else ""
    return f"{walk.register} does not translate {walk.address:#x}: {walk.fault.value}{entry}"


def _check_pc(subject: Subject, hart: int, state: HartState, walk: Translation) -> Iterator[Finding]:
    what = f"the pc is {state.pc:#x}"
    tables = [entry for entry in walk.entries if subject.overwritten(entry)]
    if tables:
        yield finding("table-overwritten", f"{what}, the entry is at {tables[0]:#x}", hart)
    elif walk.fault is Fault.OUTSIDE:
        if not subject.holds(walk.entries[-1], ENTRY_SIZE):
            yield finding(
                "table-outside", f"{what}: the entry is at {walk.entries[-1]:#x}, not in {subject.memory}", hart
            )
    elif walk.fault:
        absent = walk.fault is Fault.ABSENT and _may_be_absent(state, walk)
        yield finding("pc-absent" if absent else "pc-unmapped", f"{what}: {_describe(walk)}", hart)
    elif not subject.holds(walk.address, FETCH_SIZE):
        yield finding("pc-outside", f"{what}, physical {walk.address:#x}, memory is {subject.memory}", hart)
    elif subject.overwritten(walk.address):
        yield finding("pc-overwritten", f"{what}, physical {walk.address:#x}", hart)
    elif _is_zero(subject, walk.address):
        yield finding("pc-empty", f"{what}, physical {walk.address:#x}", hart)
    elif walk.fresh:
        yield finding("pc-absent", f"{what}: the A bit of its page is clear", hart)


def _check_stack(subject: Subject, hart: int, state: HartState, walk: Translation) -> Iterator[Finding]:
    what = f"sp is {state.x[SP]:#x}"
    if walk.fault is Fault.OUTSIDE and subject.holds(walk.entries[-1], ENTRY_SIZE):
        return  # in flash, which is not read
    if walk.fault and not (walk.fault is Fault.ABSENT and _may_be_absent(state, walk)):
        yield finding("stack-unmapped", f"{what}: {_describe(walk)}", hart)
    elif not walk.fault and not subject.holds(walk.address):
        yield finding("stack-unmapped", f"{what}, physical {walk.address:#x}, memory is {subject.memory}", hart)


def _is_zero(subject: Subject, address: int) -> bool:
    page = subject.pages.get(address & -PAGE_SIZE, b"")
    code = page[address % PAGE_SIZE :][:FETCH_SIZE]
    return len(code) == FETCH_SIZE and not any(code)
