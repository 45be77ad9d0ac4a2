"""What the readers and writers of other tools' checkpoints share: the state of a hart before and after the restore."""

from collections.abc import Callable, Collection, Iterator
from dataclasses import dataclass, replace
from pathlib import Path

from gcpt.checkpoint import extended
from gcpt.checkpoint.generators import leaves_by_mret
from gcpt.checkpoint.state import HartState
from gcpt.errors import UserError
from gcpt.isa import mstatus
from gcpt.isa.csrs import INVENTORY, When

#: The start of memory in these tools.
BASE = 0x8000_0000
#: A PMP entry that allows everything, for checkpoints of a machine without PMP.
ALLOW_ALL = {"pmpcfg0": 0x1F, "pmpaddr0": (1 << 54) - 1}


@dataclass(frozen=True)
class Folder:
    """A checkpoint of another tool.

    Attributes:
        harts: The state of each hart.
        losses: What a restore cannot bring back, one line each.
        memory: Reads the image of memory, in chunks.
        files: The files that were or will be read.
    """

    harts: list[HartState]
    losses: list[str]
    memory: Callable[[], Iterator[bytes]]
    files: tuple[Path, ...]


def create(folder: Path) -> None:
    """Create the folder of a checkpoint, unless it exists.

    Args:
        folder: The folder.

    Raises:
        UserError: It cannot be created.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise UserError(f"{folder}: {error.strerror}: choose another folder") from error


def running(state: HartState) -> HartState:
    """Compute the state of a hart when it has resumed.

    The generator prepared mstatus for an mret, and it saved fcsr and vcsr, their parts, or both.

    Args:
        state: The state in a checkpoint.

    Returns:
        Its CSRs as software reads them after the restore; everything else is the same.
    """
    result = replace(state, csr=list(state.csr))
    value = state.get("mstatus")
    if leaves_by_mret(state):
        value = mstatus.after_mret(mstatus.with_sie(value) if state.count == 0 else value)
    result.set("mstatus", mstatus.with_sd(value))
    fcsr = state.get("fcsr") | state.get("frm") << 5 | state.get("fflags")
    vcsr = state.get("vcsr") | state.get("vxrm") << 1 | state.get("vxsat")
    parts = {"fcsr": fcsr, "frm": fcsr >> 5, "fflags": fcsr & 0x1F}
    parts |= {"vcsr": vcsr, "vxrm": vcsr >> 1, "vxsat": vcsr & 1}
    for name, part in parts.items():
        result.set(name, part)
    return result


def allow_without_pmp(state: HartState) -> None:
    """Give a hart a PMP entry that allows everything, unless it has one: its machine may have no PMP.

    Args:
        state: The state, which may change.
    """
    if not any(csr.name.startswith("pmp") and state.get(csr.name) for csr in INVENTORY):
        for name, value in ALLOW_ALL.items():
            state.set(name, value)


def prepare(state: HartState, virtual: bool = False) -> list[str]:
    """Prepare mstatus and mepc of a running hart for an mret, as a generator does below M mode.

    Args:
        state: The state of the running hart, which changes.
        virtual: Whether the hart runs a guest (V = 1).

    Returns:
        What differs after the restore, one line each.
    """
    before = {name: state.get(name) for name in ("mstatus", "mepc")}
    if state.mode != mstatus.MACHINE:
        value = before["mstatus"] & ~(mstatus.MIE | mstatus.MPIE | mstatus.MPP | mstatus.MPV)
        interrupts = mstatus.MPIE if before["mstatus"] & mstatus.MIE else 0
        state.set("mstatus", value | interrupts | state.mode << 11 | (mstatus.MPV if virtual else 0))
        state.set("mepc", state.pc)
    after = {name: running(state).get(name) for name in before}
    return [
        f"{name} will be {after[name]:#x} instead of {value:#x}: the restorer leaves by mret"
        for name, value in before.items()
        if after[name] != (mstatus.with_sd(value) if name == "mstatus" else value)
    ]


def without_place(number: int, state: HartState, held: Collection[str], what: str) -> list[str]:
    """Name what a format cannot hold of a hart.

    Args:
        number: The hart.
        state: Its state.
        held: Names of the CSRs that the format holds.
        what: A file in this format, in words.

    Returns:
        One line for each CSR that a restorer would write and the format does not hold, and one for extended state.
    """
    lines = [
        f"hart {number}: {csr.name} is {state.get(csr.name):#x}: {what} has no place for it"
        for csr in INVENTORY
        if csr.when not in (When.ALIAS, When.NEVER) and csr.name not in held and state.get(csr.name)
    ]
    if extended.present(state):
        lines.append(f"hart {number}: extended state: {what} has no place for it")
    return lines
