"""The bits of mstatus, and how mret changes them (privileged specification 3.1.6)."""

SIE, MIE, SPIE, MPIE, SPP = 1 << 1, 1 << 3, 1 << 5, 1 << 7, 1 << 8
VS, MPP, FS, XS = 3 << 9, 3 << 11, 3 << 13, 3 << 15
MPRV, SUM, MXR, TVM, TW, TSR = 1 << 17, 1 << 18, 1 << 19, 1 << 20, 1 << 21, 1 << 22
UXL, SXL = 3 << 32, 3 << 34
GVA, MPV, SD = 1 << 38, 1 << 39, 1 << 63
#: Ssdbltrp's and Smdbltrp's traps in progress, and Zicfilp's landing pad that M mode expected.
SDT, MPELP, MDT = 1 << 24, 1 << 41, 1 << 42

#: The mstatus bits that sstatus shows, without SD.
SSTATUS = SIE | SPIE | SPP | VS | FS | XS | SUM | MXR | UXL

#: Privilege levels, encoded as in MPP and in a block's mode field.
USER, SUPERVISOR, MACHINE = 0, 1, 3


def mpp(value: int) -> int:
    """Extract the privilege level in MPP.

    Args:
        value: An mstatus value.

    Returns:
        USER, SUPERVISOR or MACHINE (2 is reserved).
    """
    return (value & MPP) >> 11


def with_sd(value: int) -> int:
    """Set SD as hardware does: 1 when FS, VS or XS is Dirty, else 0.

    Args:
        value: An mstatus value.

    Returns:
        The value with the right SD.
    """
    dirty = any(value & field == field for field in (FS, VS, XS))
    return value | SD if dirty else value & ~SD


def with_sie(value: int) -> int:
    """Restore SIE from SPIE, where NEMU moved it.

    Args:
        value: mstatus as NEMU writes it.

    Returns:
        The value with SIE set if SPIE is; but a write that sets SDT (Ssdbltrp) clears SIE.
    """
    return value | SIE if value & SPIE and not value & SDT else value


def after_mret(value: int) -> int:
    """Compute mstatus after an mret.

    MIE gets the value of MPIE, and MPIE becomes 1. MPP, MPV, MPELP (Zicfilp) and MDT (Smdbltrp) become 0, and so do
    MPRV when mret leaves M mode and SDT when it enters U, VS or VU mode (Ssdbltrp).

    Args:
        value: mstatus before the mret.

    Returns:
        mstatus after it.
    """
    result = value & ~(MIE | MPP | MPV | MPELP | MDT)
    if mpp(value) != MACHINE:
        result &= ~MPRV
    if mpp(value) == USER or (mpp(value) == SUPERVISOR and value & MPV):
        result &= ~SDT
    return result | MPIE | (MIE if value & MPIE else 0)
