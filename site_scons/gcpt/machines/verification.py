"""Verify a restore on QEMU: compare it, and find the reason of a mismatch on the hart itself."""

from collections.abc import Callable, Mapping
from dataclasses import replace

from gcpt.checkpoint.state import HartState
from gcpt.isa import mstatus
from gcpt.isa.csrs import BY_NAME, When
from gcpt.machines import extended_reading
from gcpt.machines.comparison import Comparison, Mismatch, compare_machine
from gcpt.machines.expectation import OPTIONAL_VIEWS, SEIP, STIP, VSTIP, compared_csrs
from gcpt.machines.gdb import Gdb
from gcpt.machines.observation import read_present
from gcpt.machines.qemu import Qemu
from gcpt.restorer.platforms import CLINT_MTIME

#: The L bits of a pmpcfg register.
_PMP_LOCKS = 0x8080_8080_8080_8080


def verify_machine(
    qemu: Qemu,
    harts: Mapping[int, HartState],
    groups: tuple[str, ...],
    clint: int,
    timeout: float,
    leave: int | None,
    is_extended: bool = False,
) -> Comparison:
    """Compare a machine as ``compare_machine`` does, with the reasons that the hart itself proves.

    CSRs that the checkpoint uses and the restorer does not write are compared as well.

    Args:
        qemu: The paused machine.
        harts: The states of the restored harts by number.
        groups: The CSR groups that the restorer writes.
        clint: Physical address of the CLINT.
        timeout: Seconds for all harts to arrive.
        leave: Physical address of the restorer's mret; None if unknown.
        is_extended: Whether the restorer writes the extended state.

    Returns:
        The comparison.

    Raises:
        QemuError: The harts did not arrive, or the stub refused.
    """

    def explain(gdb: Gdb, hart: int, comparison: Comparison) -> Comparison:
        explained = [_explain(gdb, hart, mismatch, clint) for mismatch in comparison.mismatches]

        def read(name: str) -> int | None:
            return gdb.read_csr(hart, BY_NAME[name].number)

        left_out = compare_left_out(read, hart, harts[hart], groups)
        parts = [replace(comparison, mismatches=explained), left_out]
        return Comparison.joined([*parts, extended_reading.compare(gdb, hart, harts[hart], is_extended)])

    return compare_machine(qemu, harts, groups, clint, timeout, explain, leave)


def _explain(gdb: Gdb, hart: int, mismatch: Mismatch, clint: int) -> Mismatch:
    """Add a reason that the hart shows: an interrupt that was raised, or WARL (a write of the value has no effect)."""
    if not mismatch.reason and mismatch.got != "none":
        rest = _without_signal(gdb, hart, mismatch)
        if rest.wanted == rest.got:
            return replace(mismatch, reason="a device raised an interrupt")
        if _came_due(gdb, hart, rest, clint):
            return replace(mismatch, reason="the compare value came due since then")
    entry = BY_NAME.get(mismatch.name)
    if mismatch.reason or entry is None or not _is_writable(gdb, hart, mismatch.name):
        return mismatch
    if entry.when == When.VECTOR or (entry.when == When.ALIAS and entry.name not in ("sstatus", *OPTIONAL_VIEWS)):
        return mismatch
    gdb.write_csr(hart, entry.number, int(mismatch.wanted, 16))
    again = gdb.read_csr(hart, entry.number)
    if entry.name in ("mstatus", "sstatus", "vsstatus") and again is not None:
        again = mstatus.with_sd(again)
    if again != int(mismatch.got, 16):
        return mismatch
    return replace(mismatch, reason="WARL: the hart cannot hold the whole value")


def _without_signal(gdb: Gdb, hart: int, mismatch: Mismatch) -> Mismatch:
    """Leave out SEIP if a controller signals it, such as for a console whose restored IER lets it interrupt at once."""
    if mismatch.name not in ("mip", "sip"):
        return mismatch
    wanted, got = int(mismatch.wanted, 16), int(mismatch.got, 16)
    if not got & ~wanted & SEIP or not extended_reading.signals(gdb, hart):
        return mismatch
    return replace(mismatch, got=f"{got & ~SEIP:#x}")


def _came_due(gdb: Gdb, hart: int, mismatch: Mismatch, clint: int) -> bool:
    """Return whether the mismatch is a timer interrupt that became pending as time passed after mtime was written."""
    wanted = int(mismatch.wanted, 16)
    bits = wanted ^ int(mismatch.got, 16)
    if mismatch.name not in ("mip", "sip", "hip", "hvip") or bits & ~(STIP | VSTIP) or bits & wanted:
        return False
    now = int.from_bytes(gdb.read_memory(clint + CLINT_MTIME, 8), "little")
    guest_time = (now + read_present(gdb, hart, "htimedelta")) % (1 << 64) if bits & VSTIP else 0
    return (not bits & STIP or read_present(gdb, hart, "stimecmp") <= now) and (
        not bits & VSTIP or read_present(gdb, hart, "vstimecmp") <= guest_time
    )


def _is_writable(gdb: Gdb, hart: int, name: str) -> bool:
    """Return whether the CSR takes a write: PMP's do unless an entry is locked."""
    return not name.startswith("pmp") or not any(
        (gdb.read_csr(hart, BY_NAME[f"pmpcfg{register}"].number) or 0) & _PMP_LOCKS for register in range(0, 16, 2)
    )


def left_out(group: str) -> str:
    """Return the reason of a mismatch of a CSR that the restorer does not write.

    Args:
        group: The CSR's group.
    """
    return f"the restorer leaves group {group} out (csrs=)"


def compare_left_out(
    read: Callable[[str], int | None], hart: int, state: HartState, groups: tuple[str, ...]
) -> Comparison:
    """Compare the CSRs that the checkpoint uses and the restorer does not write.

    Args:
        read: Returns a CSR of the hart by name; None: the hart has no such CSR.
        hart: The hart.
        state: Its state in the checkpoint.
        groups: The CSR groups that the restorer writes.

    Returns:
        The mismatches with their reasons.
    """
    used = [csr for csr in compared_csrs() if csr.group not in groups and state.get(csr.name)]
    mismatches = []
    for csr in used:
        got = read(csr.name)
        if got != state.get(csr.name):
            reason = "the hart has no such CSR" if got is None else left_out(csr.group)
            value = "none" if got is None else f"{got:#x}"
            mismatches.append(Mismatch(hart, csr.name, f"{state.get(csr.name):#x}", value, reason))
    return Comparison(len(used), mismatches)
