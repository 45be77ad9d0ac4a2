"""The bits of mstatus, and what an mret makes of them (privileged specification 3.1.6)."""

SIE, MIE, SPIE, MPIE, SPP = 1 << 1, 1 << 3, 1 << 5, 1 << 7, 1 << 8
VS, MPP, FS, XS = 3 << 9, 3 << 11, 3 << 13, 3 << 15
MPRV, SUM, MXR, TVM, TW, TSR = 1 << 17, 1 << 18, 1 << 19, 1 << 20, 1 << 21, 1 << 22
UXL, SXL = 3 << 32, 3 << 34
GVA, MPV, SD = 1 << 38, 1 << 39, 1 << 63

#: What sstatus shows of mstatus, without SD.
SSTATUS = SIE | SPIE | SPP | VS | FS | XS | SUM | MXR | UXL

#: Privilege levels, as in MPP and in a checkpoint's mode field.
USER, SUPERVISOR, MACHINE = 0, 1, 3


def mpp(value: int) -> int:
    """The privilege level in MPP."""
    return (value & MPP) >> 11


def with_sd(value: int) -> int:
    """``value`` with SD as the hart shows it: set when FS, VS or XS is Dirty."""
    dirty = any(value & field == field for field in (FS, VS, XS))
    return value | SD if dirty else value & ~SD


def after_mret(value: int) -> int:
    """Mstatus after an mret: MIE takes MPIE, which is set; MPP and MPV fall to 0; MPRV does below M mode."""
    kept = value & ~(MIE | MPP | MPV)
    if mpp(value) != MACHINE:
        kept &= ~MPRV
    return kept | MPIE | (MIE if value & MPIE else 0)
