"""Run a machine until each hart is at its first restored instruction."""

import time
from collections.abc import Mapping

from gcpt.checkpoint.generators import leaves_by_mret
from gcpt.checkpoint.layouts import RESERVED_SIZE
from gcpt.checkpoint.state import HartState
from gcpt.isa.csrs import BY_NAME
from gcpt.machines.gdb import TIMEOUT, Gdb, GdbError, GdbTimeoutError
from gcpt.restorer import trampoline

#: The most harts that an error message lists.
_MAX_HARTS = 4


def run_to_first(gdb: Gdb, pcs: Mapping[int, int], timeout: float = TIMEOUT) -> None:
    """Run until each hart is at its pc, where it stays.

    Args:
        gdb: The stopped machine.
        pcs: The pc to reach by hart; other harts run along.
        timeout: Seconds for all harts together.

    Raises:
        GdbTimeoutError: Not all harts arrived in time; the text says where they are. The machine is stopped.
        GdbError: A hart stopped at another hart's pc, or the stub refused.
    """
    for pc in set(pcs.values()):
        gdb.set_breakpoint(pc)
    waiting = dict(pcs)
    unrestored = [hart for hart in range(len(gdb.threads)) if hart not in pcs]
    deadline = time.monotonic() + timeout
    while waiting:
        gdb.resume([*waiting, *unrestored])
        try:
            hart = gdb.wait_stop(max(0.0, deadline - time.monotonic()))
        except GdbTimeoutError as error:
            gdb.interrupt()
            where = _whereabouts(gdb, waiting)
            raise GdbTimeoutError(f"not all harts arrived within {timeout:g} s: {where}") from error
        if waiting.get(hart) == gdb.read_int(hart, "pc"):
            del waiting[hart]
        elif hart in unrestored:
            unrestored.remove(hart)  # at a restored hart's pc: it would only stop there again
        else:
            raise GdbError("a hart is at another hart's pc: " + _whereabouts(gdb, {hart: waiting[hart]}))
    for pc in set(pcs.values()):
        gdb.clear_breakpoint(pc)


def run_restored(gdb: Gdb, harts: Mapping[int, HartState], timeout: float = TIMEOUT, leave: int | None = None) -> None:
    """Run until each hart is at its first restored instruction, which it has not executed.

    Args:
        gdb: The stopped machine.
        harts: The states of the restored harts by number.
        timeout: Seconds for all harts together.
        leave: Physical address of the restorer's mret, if known. Each hart is then stopped before the restorer's last
            instructions and stepped over them without an interrupt, so a pending one does not change the state before
            it is compared.

    Raises:
        GdbTimeoutError: Not all harts arrived in time.
        GdbError: A hart arrived elsewhere, or the stub refused.
    """
    stops = {hart: (state.pc, 0) if leave is None else _last_stop(hart, state, leave) for hart, state in harts.items()}
    run_to_first(gdb, {hart: address for hart, (address, _) in stops.items()}, timeout)
    for hart, (_, steps) in stops.items():
        if steps:
            _step(gdb, hart, steps)
        if gdb.read_int(hart, "pc") != harts[hart].pc:
            raise GdbError("the restorer left to another address: " + _whereabouts(gdb, {hart: harts[hart].pc}))


def _step(gdb: Gdb, hart: int, steps: int) -> None:
    """Step instructions of the restorer with mie 0: where QEMU records, its steps take interrupts."""
    mie = BY_NAME["mie"].number
    enabled = gdb.read_csr(hart, mie) or 0
    gdb.write_csr(hart, mie, 0)
    for _ in range(steps):
        gdb.step_away(hart)
    gdb.write_csr(hart, mie, enabled)


def _last_stop(hart: int, state: HartState, leave: int) -> tuple[int, int]:
    """Return the last address before the workload's interrupts can interrupt the restorer, and the steps to the pc.

    If the hart leaves by mret, that is the mret; if by jump, the csrsi in its trampoline (docs/restore-path.md).
    """
    base = leave // RESERVED_SIZE * RESERVED_SIZE
    if leaves_by_mret(state) or not trampoline.reaches(base, hart, state.pc):
        return leave, 1
    return trampoline.address(base, hart) + 4, 2


def _whereabouts(gdb: Gdb, harts: Mapping[int, int]) -> str:
    def describe(hart: int) -> str:
        values = {name: gdb.read_csr(hart, BY_NAME[name].number) or 0 for name in ("mepc", "mcause", "mtval")}
        traps = " ".join(f"{name}={value:#x}" for name, value in values.items())
        return f"hart {hart} is at {gdb.read_int(hart, 'pc'):#x}, not {harts[hart]:#x} ({traps})"

    more = "; ..." if len(harts) > _MAX_HARTS else ""
    return "; ".join(describe(hart) for hart in list(harts)[:_MAX_HARTS]) + more
