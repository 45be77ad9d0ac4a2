"""The phases of a restore, and the symbols at which each phase's code starts."""

from collections.abc import Iterable
from dataclasses import dataclass


@dataclass(frozen=True)
class Phase:
    """A part of the restorer.

    Attributes:
        key: Identifier.
        title: Title in the report.
        what: Contents, in a few words.
        symbols: Symbols at which the part starts; it extends to the next symbol of another part.
        step: A restore executes this part; others are rare paths or data.
    """

    key: str
    title: str
    what: str
    symbols: tuple[str, ...]
    step: bool = True


#: The steps in the order of execution (docs/restore-path.md), then the other parts.
PHASES: tuple[Phase, ...] = (
    Phase("reset", "Reset", "trap vector, completeness flag, hart number", ("gcpt_base", "gcpt_boot")),
    Phase("plan", "Find and plan", "in C, on one hart: find the state and check it", ()),
    Phase("machine", "Machine CSRs", "FS and VS on; machine, VS and H CSRs", ("gcpt_restore",)),
    Phase("vector", "Vector", "vtype, vl, v0 to v31", ("vector_registers", "vlen_differs", "has_vectors")),
    Phase("float", "Floating point", "f0 to f31", ("float_registers",)),
    Phase("supervisor", "Supervisor CSRs", "vstart, vcsr, fcsr and the S CSRs", ("supervisor_csrs",)),
    Phase("extended", "Extended state", "device registers, registers behind selectors", ("gcpt_extended",), False),
    Phase(
        "meeting",
        "Meeting",
        "harts wait for each other; mtime",
        ("meeting", "sleep_until_planned", "wait_for_msip", "gcpt_meet", "gcpt_sleepers"),
    ),
    Phase("timers", "Timers", "compare values, mip, hvip, msip, mtimecmp", ("timers",)),
    Phase("way_out", "Way out", "how the hart leaves; refusals", ("way_out", "prepared_for_m")),
    Phase(
        "locks",
        "Locks",
        "PMP, mtval2, mtinst, sfence.vma",
        ("prepared", "look_at_locks", "locked_entries", "pmp_locks"),
    ),
    Phase("last", "Last CSRs", "mie, mcause, mtval, mepc, mtvec, mstatus", ("gcpt_skip_end", "note_skipped")),
    Phase("integer", "Integer registers", "x1 to x31", ("integer_registers",)),
    Phase("leave", "Leave", "the last two registers, mret", ("leave",)),
    Phase("trap", "Trap handler", "skips CSRs that the hart lacks", ("gcpt_trap",), False),
    Phase(
        "messages",
        "Messages and ends",
        "error lines, the finisher, the final sleep",
        ("gcpt_trap_fatal", "cut_short", "bad_mprv", "missing", "line_taken", "tohost"),
        False,
    ),
    Phase(
        "payload",
        "Next boot stage",
        "entry to the payload, its device tree",
        ("gcpt_boot_payload", "gcpt_dtb"),
        False,
    ),
    Phase("window", "Header window", "filled by gcpt pack", ("gcpt_header_window",), False),
    Phase("constants", "Constants", "tables and texts of the C code, padding", (), False),
    Phase("stamp", "Stamp and flag", "version, commit, options; the completeness flag", (), False),
)

BY_KEY: dict[str, Phase] = {phase.key: phase for phase in PHASES}
_OF_SYMBOL: dict[str, str] = {symbol: phase.key for phase in PHASES for symbol in phase.symbols}


def beginning(symbols: Iterable[str]) -> str:
    """Find the phase that starts at an address.

    Args:
        symbols: The names of all symbols at the address.

    Returns:
        The phase's key, or "" if no phase starts there.
    """
    return next((_OF_SYMBOL[symbol] for symbol in symbols if symbol in _OF_SYMBOL), "")
