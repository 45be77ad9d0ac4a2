"""Registers behind a selector: the windows through which a restorer writes them, and their names.

Sources: Smcsrind and Sscsrind for the windows; "The RISC-V Advanced Interrupt Architecture" (AIA) 2.3 for interrupt
priorities, 3.8 for the registers of an interrupt file; Smctr for the entries of control transfer records; Sdtrig 5.7
for triggers.
"""

from typing import NamedTuple

from gcpt.isa.csrs import BY_NAME


class Window(NamedTuple):
    """A window of indirect access.

    Attributes:
        name: Its name.
        selector: The CSR number of its selector.
        has_guest: Whether hstatus.VGEIN chooses among several files behind it.
    """

    name: str
    selector: int
    has_guest: bool


#: The windows that have registers on RV64, by CSR number. The others hold upper halves on RV32.
WINDOWS: dict[int, Window] = {
    BY_NAME[f"{level}ireg{number}"].number: Window(
        f"{level}ireg{number}", BY_NAME[f"{level}iselect"].number, level == "vs"
    )
    for level in ("m", "s", "vs")
    for number in ("", "2", "3")
} | {BY_NAME[name].number: Window(name, BY_NAME["tselect"].number, False) for name in ("tdata1", "tdata2", "tdata3")}
#: The windows of a trigger in the order of a restore, which arms it last.
TRIGGER = tuple(BY_NAME[name].number for name in ("tdata2", "tdata3", "tdata1"))

#: Selected registers of an interrupt file, and the first and last of each array: name, first, last. On RV64 only even
#: numbers exist.
EIDELIVERY, EITHRESHOLD = 0x70, 0x72
IPRIO, EIP, EIE = range(0x30, 0x40), range(0x80, 0xC0), range(0xC0, 0x100)
#: Smctr's entries, the newest first, each behind all windows of S level: source, target, data.
RECORDS = range(0x200, 0x300)
RECORD_PARTS = {
    BY_NAME[f"sireg{number}"].number: f"ctr{part}" for number, part in (("", "source"), ("2", "target"), ("3", "data"))
}
_SINGLE = {EIDELIVERY: "eidelivery", EITHRESHOLD: "eithreshold"}
_ARRAYS = {"iprio": IPRIO, "eip": EIP, "eie": EIE}


def name(csr: int, index: int) -> str:
    """Name a register behind a selector.

    Args:
        csr: Number of its window, one of WINDOWS.
        index: The value of the selector.

    Returns:
        The window with the index, and the register's own name if it is one of AIA or Smctr.
    """
    window = WINDOWS[csr].name
    if csr in RECORD_PARTS and index in RECORDS:
        return f"{window}[{index:#x}] ({RECORD_PARTS[csr]}{index - RECORDS.start})"
    own = _SINGLE.get(index) or next(
        (f"{array}{index - indices.start}" for array, indices in _ARRAYS.items() if index in indices), ""
    )
    is_aia = own and window.endswith("ireg")
    return f"{window}[{index:#x}]" + (f" ({own})" if is_aia else "")


def counts_in_machine_mode(csr: int, value: int) -> bool:
    """Tell whether a write arms a trigger in M mode, where it could stop the restorer.

    Args:
        csr: Number of its window.
        value: The value.

    Returns:
        Whether tdata1.m is 1, at its place in the types that have it.
    """
    return csr == TRIGGER[-1] and bool(value >> (6 if value >> 60 & 3 == 2 else 9) & 1)
