"""Checks of a hart's physical addresses: the pc, the roots of page tables, and mtvec."""

from collections.abc import Iterator
from dataclasses import dataclass

from gcpt.checkpoint.state import HartState
from gcpt.isa import mstatus
from gcpt.isa.fields import HGATP_MODES, SATP_MODES
from gcpt.isa.paging import GUEST_ROOT_SIZE, PAGE_SIZE
from gcpt.validate.subject import Finding, Subject, finding

#: Modes of satp, vsatp and hgatp that translate with page tables.
_PAGED_MODES = SATP_MODES.keys() - {0}
#: Bytes of the shortest instruction.
FETCH_SIZE = 2


@dataclass(frozen=True)
class Root:
    """The root of page tables.

    Attributes:
        register: The CSR that points to it.
        address: Its physical address.
        size: Its size in bytes.
        used: Whether the fetch at the pc uses it.
    """

    register: str
    address: int
    size: int
    used: bool

    @property
    def end(self) -> int:
        """The physical address after it."""
        return self.address + self.size


def has_physical_pc(state: HartState) -> bool:
    """Return whether the pc is a physical address: no translation applies to it.

    Args:
        state: The hart's state.

    Returns:
        Whether no page table applies to its fetches.
    """
    if state.mode == mstatus.MACHINE:
        return True
    registers = ("vsatp", "hgatp") if state.is_guest else ("satp",)
    return not any(state.get(name) >> 60 for name in registers)


def roots(state: HartState) -> Iterator[Root]:
    """List the roots of page tables that have physical addresses.

    Args:
        state: The hart's state.

    Yields:
        The roots of satp and hgatp, and that of vsatp if no second stage translates it.
    """
    machine, virtual = state.mode == mstatus.MACHINE, state.is_guest
    used = {"satp": not machine and not virtual, "vsatp": virtual, "hgatp": virtual}
    for name, size in (("satp", PAGE_SIZE), ("hgatp", GUEST_ROOT_SIZE), ("vsatp", PAGE_SIZE)):
        value = state.get(name)
        if value >> 60 in _PAGED_MODES and (name != "vsatp" or not state.get("hgatp") >> 60):
            yield Root(name, (value & (1 << 44) - 1) << 12, size, used[name])


def pointers(state: HartState) -> Iterator[tuple[int, int]]:
    """List the memory whose content the checks need.

    Args:
        state: The hart's state.

    Yields:
        Physical address and size in bytes.
    """
    if has_physical_pc(state):
        yield state.pc, FETCH_SIZE
    for root in roots(state):
        if root.used:
            yield root.address, root.size


def check_pc(subject: Subject, hart: int, state: HartState) -> Iterator[Finding]:
    """Report a physical pc outside memory, in overwritten memory, or at zeros.

    Args:
        subject: The checkpoint, its restorer and its machine.
        hart: The hart.
        state: Its state.

    Yields:
        The findings.
    """
    if not has_physical_pc(state):
        return
    machine = state.mode == mstatus.MACHINE
    if not subject.holds(state.pc, FETCH_SIZE):
        yield finding("pc-outside", f"the pc is {state.pc:#x}, memory is {subject.memory}", hart)
    elif subject.overwritten(state.pc):
        if not machine or state.pc not in subject.reserved:  # M mode: check_leaving reports pc-in-restorer
            yield finding("pc-overwritten", f"the pc is {state.pc:#x}", hart)
    elif subject.empty(state.pc, FETCH_SIZE):
        yield finding("pc-empty", f"the pc is {state.pc:#x}", hart)


def check_translation(subject: Subject, hart: int, state: HartState) -> Iterator[Finding]:
    """Report translation modes that do not exist, roots of page tables and mtvec that point to the wrong memory.

    Args:
        subject: The checkpoint, its restorer and its machine.
        hart: The hart.
        state: Its state.

    Yields:
        The findings.
    """
    for name, modes in (("satp", SATP_MODES), ("vsatp", SATP_MODES), ("hgatp", HGATP_MODES)):
        mode = state.get(name) >> 60
        if mode not in modes:
            yield finding("translation-mode", f"{name} is {state.get(name):#x}", hart)
        elif mode not in (0, *subject.config.platform.paging):
            yield finding("translation-platform", f"{name} is {modes[mode]}", hart)
    for root in roots(state):
        target = f"{root.register} points to {root.address:#x}"
        if not subject.holds(root.address, root.size):
            code = "root-outside" if root.used else "pointer-outside"
            yield finding(code, f"{target}, memory is {subject.memory}", hart)
        elif root.used and subject.overwritten(root.address):
            yield finding("root-overwritten", target, hart)
        elif root.used and subject.empty(root.address, root.size):
            yield finding("root-empty", target, hart)
    mtvec = state.get("mtvec") & ~3
    if mtvec and not subject.holds(mtvec):
        yield finding("pointer-outside", f"mtvec is {mtvec:#x}, memory is {subject.memory}", hart)
