"""Compare a restored machine with its checkpoint: every register, CSR and timer at each hart's first instruction."""

import time
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Self

from gcpt.checkpoint.state import HartState
from gcpt.isa import mstatus
from gcpt.isa.csrs import BY_NAME
from gcpt.machines.arrival import run_restored
from gcpt.machines.expectation import OPTIONAL_VIEWS, expected_csrs, explanation
from gcpt.machines.gdb import TIMEOUT, Gdb, GdbError
from gcpt.machines.observation import Observation, observe
from gcpt.machines.qemu import Qemu
from gcpt.restorer.platforms import CLINT_MTIME, CLINT_MTIMECMP

#: Frequency of mtime on QEMU's virt and spike machines, in Hz.
TIMEBASE = 10_000_000


@dataclass(frozen=True)
class Mismatch:
    """A value that is not what the checkpoint wants.

    Attributes:
        hart: The hart.
        name: The register, CSR or timer.
        wanted: The expected value, as text.
        got: The value of the machine, as text.
        reason: Why the restorer is not at fault; "" if unexplained.
    """

    hart: int
    name: str
    wanted: str
    got: str
    reason: str = ""

    def __str__(self) -> str:
        why = f" ({self.reason})" if self.reason else ""
        return f"hart {self.hart}: {self.name}: wanted {self.wanted}, got {self.got}{why}"


@dataclass(frozen=True)
class Comparison:
    """The result of a comparison.

    Attributes:
        items: Number of compared values.
        mismatches: The values that differ, explained or not.
    """

    items: int
    mismatches: list[Mismatch]

    @classmethod
    def joined(cls, parts: Iterable[Self]) -> Self:
        """Join comparisons of several parts of a machine.

        Args:
            parts: The comparisons.

        Returns:
            A comparison with the items and mismatches of all.
        """
        items, mismatches = 0, []
        for part in parts:
            items += part.items
            mismatches += part.mismatches
        return cls(items, mismatches)

    @property
    def unexplained(self) -> list[Mismatch]:
        """The mismatches without a reason."""
        return [mismatch for mismatch in self.mismatches if not mismatch.reason]


def compare_hart(
    hart: int, state: HartState, observation: Observation, groups: tuple[str, ...], qemu: bool = True
) -> Comparison:
    """Compare everything of one hart except its timers.

    Args:
        hart: The hart.
        state: Its state in the checkpoint.
        observation: Its registers at the first restored instruction.
        groups: The CSR groups to compare.
        qemu: Whether QEMU ran it.

    Returns:
        The mismatches, some with the reason that ``expectation.explanation`` gives.
    """
    numbers: dict[str, tuple[int, int | None]] = {
        "pc": (state.pc, observation.pc),
        "privilege": (state.mode, observation.privilege),
        "virtualisation": (state.is_guest, observation.virtual),
    }
    numbers |= {f"x{i}": (state.x[i], observation.x[i]) for i in range(1, 32)}
    numbers |= {f"f{i}": (state.f[i], observation.f[i]) for i in range(32)}
    numbers |= {name: (wanted, observation.csr.get(name)) for name, wanted in expected_csrs(state, groups).items()}
    items, mismatches = 0, []
    for name, (wanted, got) in numbers.items():
        if got is None and (wanted == 0 or name in OPTIONAL_VIEWS):
            continue  # a CSR that the hart does not have and the checkpoint does not use
        items += 1
        if got is None:
            mismatches.append(Mismatch(hart, name, f"{wanted:#x}", "none", "the hart has no such CSR"))
        elif wanted != got:
            reason = explanation(state, name, wanted ^ got, qemu)
            mismatches.append(Mismatch(hart, name, f"{wanted:#x}", f"{got:#x}", reason))
    if observation.v or any(any(register) for register in state.v):
        items += 32
        pairs = zip(state.v, observation.v or [b""] * 32, strict=True)
        wrong = [(i, wanted, got) for i, (wanted, got) in enumerate(pairs) if wanted != got]
        mismatches += [Mismatch(hart, f"v{i}", wanted.hex(), got.hex() or "none") for i, wanted, got in wrong]
    return Comparison(items, mismatches)


def compare_timers(gdb: Gdb, harts: Mapping[int, HartState], clint: int, elapsed: float) -> Comparison:
    """Compare mtimecmp of each hart, and mtime.

    Args:
        gdb: The stopped machine.
        harts: The states of the restored harts by number.
        clint: Physical address of the CLINT.
        elapsed: Seconds that the machine ran at most: mtime may be later by as much.

    Returns:
        The mismatches.

    Raises:
        GdbError: The stub refused.
    """
    compares = {hart: int.from_bytes(gdb.read_memory(clint + CLINT_MTIMECMP + 8 * hart, 8), "little") for hart in harts}
    mtime = int.from_bytes(gdb.read_memory(clint + CLINT_MTIME, 8), "little")
    return timer_mismatches(harts, compares, mtime, elapsed)


def timer_mismatches(
    harts: Mapping[int, HartState], compares: Mapping[int, int], mtime: int, elapsed: float
) -> Comparison:
    """Compare timers that were read.

    Args:
        harts: The states of the restored harts by number.
        compares: mtimecmp by hart.
        mtime: mtime.
        elapsed: Seconds that the machine ran at most: mtime may be later by as much.

    Returns:
        The mismatches.
    """
    mismatches = []
    for hart, state in harts.items():
        if compares[hart] != state.mtimecmp:
            mismatches.append(Mismatch(hart, "mtimecmp", f"{state.mtimecmp:#x}", f"{compares[hart]:#x}"))
    saved = next(iter(harts.values())).mtime
    latest = saved + int(elapsed * TIMEBASE)
    if not saved <= mtime <= latest:
        mismatches.append(Mismatch(min(harts), "mtime", f"{saved:#x}..{latest:#x}", f"{mtime:#x}"))
    return Comparison(len(harts) + 1, mismatches)


def compare_machine(
    qemu: Qemu,
    harts: Mapping[int, HartState],
    groups: tuple[str, ...],
    clint: int,
    timeout: float = TIMEOUT,
    explain: Callable[[Gdb, int, Comparison], Comparison] = lambda gdb, hart, comparison: comparison,
    leave: int | None = None,
) -> Comparison:
    """Run a paused machine to each hart's first restored instruction and compare it with the checkpoint.

    Args:
        qemu: The paused machine.
        harts: The states of the restored harts by number.
        groups: The CSR groups to compare.
        clint: Physical address of the CLINT.
        timeout: Seconds for all harts to arrive.
        explain: Called with each hart's comparison while the hart can still be examined; returns the one to report.
        leave: Physical address of the restorer's mret, as for ``run_restored``.

    Returns:
        The comparison of all harts and timers.

    Raises:
        QemuError: The harts did not arrive, or the stub refused.
    """
    with qemu.gdb() as gdb:
        start = time.monotonic()
        try:
            run_restored(gdb, harts, timeout, leave)
            parts = [compare_timers(gdb, harts, clint, time.monotonic() - start)]
            for hart, state in harts.items():
                parts.append(explain(gdb, hart, compare_hart(hart, state, observe(gdb, hart, groups), groups)))
        except GdbError as error:
            raise qemu.failure(_lost_guest(gdb, harts) or str(error)) from error
    return Comparison.joined(parts)


def _lost_guest(gdb: Gdb, harts: Mapping[int, HartState]) -> str:
    """Say that a hart cannot go on as the guest that it is; "" if no hart is one, or if each can."""
    number = BY_NAME["mstatus"].number
    guests = (hart for hart, state in harts.items() if state.is_guest)
    try:
        for hart in guests:
            before = gdb.read_csr(hart, number) or 0
            gdb.write_csr(hart, number, before | mstatus.MPV)
            held = gdb.read_csr(hart, number) or 0
            gdb.write_csr(hart, number, before)
            if not held & mstatus.MPV:
                return f"hart {hart} is a guest, but this QEMU cannot hold mstatus.MPV: give another, or use Spike"
    except GdbError:  # the machine ended
        pass
    return ""
