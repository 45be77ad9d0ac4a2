"""The fields of the CSRs in the inventory: names, bits, and the meaning of their values.

Sources, in the editions that ``csrs`` names: privileged specification chapters 3 (m...), 12 (s..., satp)
and 18 (h..., vs...); unprivileged 20 (fcsr), 30 (vtype, vcsr), 28.13 (jvt); Smstateen, Smepmp, Smrnmi, Smcntrpmf,
Sscofpmf, Smctr, Ssqosid, Smcdeleg, Sdtrig and Sdext 1.0, AIA 1.0; Zicfilp, Zicfiss, Smnpm and Ssdbltrp for their
bits in older registers; for XiangShan's custom CSRs, its user guide, "custom CSRs". A CSR that holds one number (a
scratch register, a counter, a pc) has no fields.
"""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field

from gcpt.isa.csrs import BY_NUMBER

_TOP = 63


@dataclass(frozen=True)
class Field:
    """A field of a CSR.

    Attributes:
        name: The name that the specification gives it.
        low: Its lowest bit.
        high: Its highest bit, included.
        words: The meaning of values that need one.
        shift: For an address, the shift left in bits from the field's value to the address; -1 for other fields.
        named: False for set bits that no field of the table covers.
    """

    name: str
    low: int
    high: int
    words: Mapping[int, str] = field(default_factory=dict, hash=False)
    shift: int = -1
    named: bool = True

    @property
    def width(self) -> int:
        """The width in bits."""
        return self.high - self.low + 1

    @property
    def bits(self) -> str:
        """The bits as specifications write them: "12:11" or "3"."""
        return f"{self.high}:{self.low}" if self.high > self.low else str(self.low)

    def of(self, value: int) -> int:
        """Extract the field.

        Args:
            value: The CSR's value.

        Returns:
            The field's bits, shifted to bit 0.
        """
        return value >> self.low & (1 << self.width) - 1


@dataclass(frozen=True)
class Decoded:
    """A field with its value.

    Attributes:
        field: The field.
        value: Its bits in the CSR's value, shifted to bit 0.
        words: The meaning of the value; "" if the number needs none.
    """

    field: Field
    value: int
    words: str

    @property
    def name(self) -> str:
        """The field's name."""
        return self.field.name

    def __str__(self) -> str:
        """The field as text: ``SIE`` for a bit that is set, else ``MPP=S`` or ``ASID=0x12``."""
        if self.field.width == 1 and self.value and not self.words:
            return self.name
        return f"{self.name}={self.words or (self.value if self.value < 10 else hex(self.value))}"


Fields = tuple[Field, ...]


def _bits(**positions: int) -> Fields:
    """Fields of one bit each."""
    return tuple(Field(name, low, low) for name, low in positions.items())


def _ordered(*parts: Field | Fields) -> Fields:
    """All fields, lowest bit first."""
    fields = [field for part in parts for field in ((part,) if isinstance(part, Field) else part)]
    return tuple(sorted(fields, key=lambda field: field.low))


# Meanings of values.

PRIVILEGES = {0: "U", 1: "S", 3: "M"}
_EXTENSION = {0: "Off", 1: "Initial", 2: "Clean", 3: "Dirty"}
_XLEN = {1: "32", 2: "64", 3: "128"}
SATP_MODES = {0: "Bare", 8: "Sv39", 9: "Sv48", 10: "Sv57"}
HGATP_MODES = {0: "Bare", 8: "Sv39x4", 9: "Sv48x4", 10: "Sv57x4"}
_VECTORS = {0: "Direct", 1: "Vectored"}
_CBIE = {0: "trap", 1: "flush", 3: "invalidate"}
_MASKING = {0: "off", 2: "7 bits", 3: "16 bits"}
PMP_MODES = {0: "OFF", 1: "TOR", 2: "NA4", 3: "NAPOT"}
_ROUNDING = {0: "RNE", 1: "RTZ", 2: "RDN", 3: "RUP", 4: "RMM", 7: "DYN"}
_FIXED_ROUNDING = {0: "rnu", 1: "rne", 2: "rdn", 3: "rod"}
_SEW = {0: "e8", 1: "e16", 2: "e32", 3: "e64"}
_LMUL = {0: "m1", 1: "m2", 2: "m4", 3: "m8", 5: "mf8", 6: "mf4", 7: "mf2"}

#: Interrupts by number, without the suffix E (enable) or P (pending).
INTERRUPTS = {
    **dict(zip((1, 2, 3, 5, 6, 7), ("SSI", "VSSI", "MSI", "STI", "VSTI", "MTI"), strict=True)),
    **dict(zip(range(9, 14), ("SEI", "VSEI", "MEI", "SGEI", "LCOFI"), strict=True)),
}
#: Exceptions by number.
EXCEPTIONS = {
    0: "fetch misaligned",
    1: "fetch access fault",
    2: "illegal instruction",
    3: "breakpoint",
    4: "load misaligned",
    5: "load access fault",
    6: "store misaligned",
    7: "store access fault",
    8: "ecall from U",
    9: "ecall from S",
    10: "ecall from VS",
    11: "ecall from M",
    12: "fetch page fault",
    13: "load page fault",
    15: "store page fault",
    16: "double trap",
    18: "software check",
    19: "hardware error",
    20: "fetch guest-page fault",
    21: "load guest-page fault",
    22: "virtual instruction",
    23: "store guest-page fault",
}

# Fields that several registers share.

_SSTATUS = _ordered(
    _bits(SIE=1, SPIE=5, UBE=6, SPP=8, SUM=18, MXR=19, SPELP=23, SDT=24, SD=63),
    Field("VS", 9, 10, _EXTENSION),
    Field("FS", 13, 14, _EXTENSION),
    Field("XS", 15, 16, _EXTENSION),
    Field("UXL", 32, 33, _XLEN),
)
_MSTATUS = _ordered(
    _SSTATUS,
    _bits(MIE=3, MPIE=7, MPRV=17, TVM=20, TW=21, TSR=22, SBE=36, MBE=37, GVA=38, MPV=39, MPELP=41, MDT=42),
    Field("MPP", 11, 12, PRIVILEGES),
    Field("SXL", 34, 35, _XLEN),
)
_ENVCFG = _ordered(
    _bits(FIOM=0, LPE=2, SSE=3, CBCFE=6, CBZE=7), Field("CBIE", 4, 5, _CBIE), Field("PMM", 32, 33, _MASKING)
)
_VIRTUAL_ENVCFG = _ordered(_ENVCFG, _bits(DTE=59, ADUE=61, PBMTE=62, STCE=63))
_STATEEN = _bits(C=0, FCSR=1, JVT=2)
_GUEST_STATEEN = _ordered(_STATEEN, _bits(CTR=54, CONTEXT=57, IMSIC=58, AIA=59, CSRIND=60, ENVCFG=62, SE=63))
_COUNTERS = _ordered(_bits(CY=0, IR=2), tuple(Field(f"HPM{i}", i, i) for i in range(3, 32)))
_MODE_FILTERS = _bits(VUINH=58, VSINH=59, UINH=60, SINH=61, MINH=62)
_TRAP_VECTOR = (Field("MODE", 0, 1, _VECTORS), Field("BASE", 2, _TOP, shift=2))
_SATP = (Field("PPN", 0, 43, shift=12), Field("ASID", 44, 59), Field("MODE", 60, _TOP, SATP_MODES))
_FFLAGS = _bits(NX=0, UF=1, OF=2, DZ=3, NV=4)
_FRM, _VXRM = Field("frm", 0, 2, _ROUNDING), Field("vxrm", 0, 1, _FIXED_ROUNDING)
_TOPEI = (Field("priority", 0, 10), Field("identity", 16, 26))
_SUPERVISOR_RECORDS = _ordered(
    _bits(U=0, S=1, RASEMU=7, STE=8, BPFRZ=11, LCOFIFRZ=12, EXCINH=33, INTRINH=34, TRETINH=35, NTBREN=36, TKBRINH=37),
    _bits(INDCALLINH=40, DIRCALLINH=41, INDJMPINH=42, DIRJMPINH=43, CORSWAPINH=44, RETINH=45, INDLJMPINH=46),
    _bits(DIRLJMPINH=47),
)
#: The interrupts of S mode, which VS mode sees too, and the interrupts of guests in HS mode.
_S_INTERRUPTS, _HS_INTERRUPTS = (1, 5, 9, 13), (2, 6, 10, 12)


def _interrupts(suffix: str, numbers: tuple[int, ...] = tuple(INTERRUPTS)) -> Fields:
    return tuple(Field(INTERRUPTS[number] + suffix, number, number) for number in numbers)


_DELEGATED = tuple(Field(name, number, number) for number, name in EXCEPTIONS.items())


def _pmp_entries(register: int) -> Fields:
    """The eight entries of pmpcfgN, N even."""
    fields: list[Field] = []
    for index in range(8):
        entry, low = f"pmp{4 * register + index}cfg", 8 * index
        fields += [Field(f"{entry}.{letter}", low + bit, low + bit) for bit, letter in enumerate("RWX")]
        fields += [Field(f"{entry}.A", low + 3, low + 4, PMP_MODES), Field(f"{entry}.L", low + 7, low + 7)]
    return tuple(fields)


FIELDS: dict[str, Fields] = {
    "mstatus": _MSTATUS,
    "sstatus": _SSTATUS,
    "vsstatus": _SSTATUS,
    "hstatus": _ordered(
        _bits(VSBE=5, GVA=6, SPV=7, SPVP=8, HU=9, VTVM=20, VTW=21, VTSR=22),
        Field("VGEIN", 12, 17),
        Field("VSXL", 32, 33, _XLEN),
        Field("HUPMM", 48, 49, _MASKING),
    ),
    "misa": _ordered(tuple(Field(chr(ord("A") + bit), bit, bit) for bit in range(26)), Field("MXL", 62, 63, _XLEN)),
    "medeleg": _DELEGATED,
    "hedeleg": _DELEGATED,
    **{name: _interrupts("") for name in ("mideleg", "hideleg", "mvien", "hvien")},
    "mie": _interrupts("E"),
    "mip": _interrupts("P"),
    "mvip": _interrupts("P"),
    **{name: _interrupts("E", _S_INTERRUPTS) for name in ("sie", "vsie")},
    **{name: _interrupts("P", _S_INTERRUPTS) for name in ("sip", "vsip")},
    "hie": _interrupts("E", _HS_INTERRUPTS),
    "hip": _interrupts("P", _HS_INTERRUPTS),
    "hvip": _interrupts("P", _HS_INTERRUPTS[:3]),
    "hvictl": _ordered(_bits(IPRIOM=8, DPR=9, VTI=30), Field("IPRIO", 0, 7), Field("IID", 16, 27)),
    **dict.fromkeys(("mtopei", "stopei", "vstopei"), _TOPEI),
    **dict.fromkeys(("mtvec", "stvec", "vstvec"), _TRAP_VECTOR),
    "satp": _SATP,
    "vsatp": _SATP,
    "hgatp": (Field("PPN", 0, 43, shift=12), Field("VMID", 44, 57), Field("MODE", 60, _TOP, HGATP_MODES)),
    "menvcfg": _ordered(_VIRTUAL_ENVCFG, _bits(CDE=60)),
    "henvcfg": _VIRTUAL_ENVCFG,
    "senvcfg": _ENVCFG,
    "mcounteren": _ordered(_COUNTERS, _bits(TM=1)),
    "hcounteren": _ordered(_COUNTERS, _bits(TM=1)),
    "scounteren": _ordered(_COUNTERS, _bits(TM=1)),
    "mcountinhibit": _COUNTERS,
    "scountinhibit": _COUNTERS,
    "scountovf": tuple(Field(f"OF{i}", i, i) for i in range(3, 32)),
    **{f"mhpmevent{i}": _ordered(Field("event", 0, 55), _MODE_FILTERS, _bits(OF=63)) for i in range(3, 32)},
    "mcyclecfg": _MODE_FILTERS,
    "minstretcfg": _MODE_FILTERS,
    "mstateen0": _ordered(_GUEST_STATEEN, _bits(SRMCFG=55, P1P13=56)),
    "hstateen0": _GUEST_STATEEN,
    "sstateen0": _STATEEN,
    **{f"{level}stateen{i}": _bits(SE=63) for level in "mh" for i in (1, 2, 3)},
    **{f"pmpcfg{register}": _pmp_entries(register) for register in range(0, 16, 2)},
    **{f"pmpaddr{entry}": (Field("address", 0, 53, shift=2),) for entry in range(64)},
    "mseccfg": _ordered(_bits(MML=0, MMWP=1, RLB=2, USEED=8, SSEED=9, MLPE=10), Field("PMM", 32, 33, _MASKING)),
    "mnstatus": _ordered(_bits(NMIE=3, MNPV=7, MNPELP=9), Field("MNPP", 11, 12, PRIVILEGES)),
    "fflags": _FFLAGS,
    "frm": (_FRM,),
    "fcsr": (*_FFLAGS, Field("frm", 5, 7, _ROUNDING)),
    "vtype": _ordered(Field("vlmul", 0, 2, _LMUL), Field("vsew", 3, 5, _SEW), _bits(vta=6, vma=7, vill=63)),
    "vxsat": _bits(vxsat=0),
    "vxrm": (_VXRM,),
    "vcsr": (*_bits(vxsat=0), Field("vxrm", 1, 2, _FIXED_ROUNDING)),
    "jvt": (Field("mode", 0, 5), Field("base", 6, _TOP, shift=6)),
    "srmcfg": (Field("RCID", 0, 11), Field("MCID", 16, 27)),
    "mctrctl": _ordered(_SUPERVISOR_RECORDS, _bits(M=2, MTE=9)),
    "sctrctl": _SUPERVISOR_RECORDS,
    "vsctrctl": _SUPERVISOR_RECORDS,
    "sctrstatus": _ordered(Field("WRPTR", 0, 7), _bits(FROZEN=31)),
    "sctrdepth": (Field("DEPTH", 0, 2, {code: str(16 << code) for code in range(5)}),),
    "tcontrol": _bits(mte=3, mpte=7),
    "tinfo": (Field("types", 0, 15), Field("version", 24, 31)),
    "dcsr": _ordered(
        _bits(step=2, nmip=3, mprven=4, v=5, stoptime=9, stopcount=10, stepie=11, ebreaku=12, ebreaks=13, ebreakm=15),
        _bits(ebreakvu=16, ebreakvs=17, pelp=18, cetrig=19),
        Field("prv", 0, 1, PRIVILEGES),
        Field("cause", 6, 8, {1: "ebreak", 2: "trigger", 3: "halt request", 4: "step", 5: "reset", 6: "group"}),
        Field("extcause", 24, 26),
        Field("debugver", 28, 31),
    ),
    "mvendorid": (Field("offset", 0, 6), Field("bank", 7, 31)),
    "sbpctl": _bits(UBTB_ENABLE=0, BTB_ENABLE=1, BIM_ENABLE=2, TAGE_ENABLE=3, SC_ENABLE=4, RAS_ENABLE=5, LOOP_ENABLE=6),
    "spfctl": _ordered(
        _bits(L1I_PF_ENABLE=0, L2_PF_ENABLE=1, L1D_PF_ENABLE=2, L1D_PF_TRAIN_ON_HIT=3),
        _bits(L1D_PF_ENABLE_AGT=4, L1D_PF_ENABLE_PHT=5, L1D_PF_ENABLE_STRIDE=16, L2_PF_STORE_ONLY=17),
        _bits(L2_PF_RECV_ENABLE=18, L2_PF_PBOP_ENABLE=19, L2_PF_VBOP_ENABLE=20, L2_PF_TP_ENABLE=21),
        Field("L1D_PF_ACTIVE_THRESHOLD", 6, 9),
        Field("L1D_PF_ACTIVE_STRIDE", 10, 15),
    ),
    "slvpredctl": _ordered(
        _bits(LVPRED_DISABLE=0, NO_SPEC_LOAD=1, STORESET_WAIT_STORE=2, STORESET_NO_FAST_WAKEUP=3),
        Field("LVPRED_TIMEOUT", 4, 8),
    ),
    "smblockctl": _ordered(
        Field("SBUFFER_THRESHOLD", 0, 3),
        _bits(LDLD_VIO_CHECK_ENABLE=4, SOFT_PREFETCH_ENABLE=5, CACHE_ERROR_ENABLE=6),
        _bits(UNCACHE_WRITE_OUTSTANDING_ENABLE=7, HD_MISALIGN_ST_ENABLE=8, HD_MISALIGN_LD_ENABLE=9),
    ),
    "srnctl": _bits(FUSION_ENABLE=0, WFI_ENABLE=2),
}

# Registers whose fields depend on their value.

_INTERRUPT = Field("interrupt", _TOP, _TOP)
_EXCEPTION_CAUSE = (Field("code", 0, _TOP - 1, EXCEPTIONS), _INTERRUPT)
_INTERRUPT_CAUSE = (Field("code", 0, _TOP - 1, INTERRUPTS), _INTERRUPT)

_TRIGGER_TYPES = {
    **dict(zip(range(8), ("none", "legacy", "mcontrol", "icount", "itrigger", "etrigger", "mcontrol6"), strict=False)),
    7: "tmexttrigger",
    15: "disabled",
}
_TRIGGER = (Field("dmode", 59, 59), Field("type", 60, _TOP, _TRIGGER_TYPES))
_ACTION = {0: "breakpoint", 1: "debug mode"}
_MATCH = {0: "equal", 1: "napot", 2: "ge", 3: "lt", 4: "mask low", 5: "mask high"}
_ACCESSES = _ordered(
    _bits(load=0, store=1, execute=2, u=3, s=4, m=6, chain=11),
    Field("match", 7, 10, _MATCH),
    Field("action", 12, 15, _ACTION),
)
_TRAPS = _ordered(Field("action", 0, 5, _ACTION), _bits(u=6, s=7, m=9, vu=11, vs=12, hit=58))
_TRIGGERS: dict[int, Fields] = {
    2: _ordered(
        _ACCESSES,
        _bits(timing=18, select=19, hit=20),
        Field("sizelo", 16, 17),
        Field("sizehi", 21, 22),
        Field("maskmax", 53, 58),
    ),
    3: _ordered(
        Field("action", 0, 5, _ACTION), _bits(u=6, s=7, pending=8, m=9, hit=24, vu=25, vs=26), Field("count", 10, 23)
    ),
    4: _ordered(_TRAPS, _bits(nmi=10)),
    5: _TRAPS,
    6: _ordered(
        _ACCESSES,
        _bits(uncertainen=5, select=21, hit0=22, vu=23, vs=24, hit1=25, uncertain=26),
        Field("size", 16, 18),
    ),
}


def _of_cause(value: int) -> Fields:
    return _INTERRUPT_CAUSE if value >> _TOP & 1 else _EXCEPTION_CAUSE


def _of_trigger(value: int) -> Fields:
    return (*_TRIGGERS.get(value >> 60 & 15, ()), *_TRIGGER)


#: The function from a value to the fields, for a register whose fields depend on its value.
DEPENDENT: dict[str, Callable[[int], Fields]] = {
    **dict.fromkeys(("mcause", "scause", "vscause", "mncause"), _of_cause),
    "tdata1": _of_trigger,
}


def fields_of(csr: int | str, value: int = 0) -> Fields:
    """Look up the fields of a CSR.

    Args:
        csr: Its number or its name.
        value: Its value: the fields of a few registers depend on it.

    Returns:
        The fields, lowest bit first; empty if the register holds one number or is not in the inventory.
    """
    name = csr if isinstance(csr, str) else BY_NUMBER[csr].name if csr in BY_NUMBER else ""
    return DEPENDENT[name](value) if name in DEPENDENT else FIELDS.get(name, ())


def _unnamed(fields: Fields, value: int) -> Iterator[Field]:
    """Runs of bits that are set in ``value`` and that no field covers."""
    rest = value & ~sum((1 << field.width) - 1 << field.low for field in fields)
    while rest:
        low = (rest & -rest).bit_length() - 1
        width = (~(rest >> low) & (rest >> low) + 1).bit_length() - 1
        yield Field(f"bit{'s' * (width > 1)} {Field('', low, low + width - 1).bits}", low, low + width - 1, named=False)
        rest &= ~((1 << width) - 1 << low)


def decode(csr: int | str, value: int) -> list[Decoded]:
    """Split a CSR's value into fields.

    Set bits that no field of the table covers become fields named like "bits 47:45".

    Args:
        csr: The CSR's number or name.
        value: Its 64-bit value.

    Returns:
        The fields with their values, lowest bit first; empty for a CSR without fields.
    """
    fields = fields_of(csr, value)
    if not fields:
        return []
    fields = tuple(sorted((*fields, *_unnamed(fields, value)), key=lambda field: field.low))
    return [Decoded(field, field.of(value), _words(field, field.of(value))) for field in fields]


def _words(field: Field, value: int) -> str:
    if field.shift >= 0:
        return hex(value << field.shift)
    return field.words.get(value, "")


def text(csr: int | str, value: int) -> str:
    """Describe a CSR's value in one line.

    Fields that are 0 are left out unless 0 has a meaning; PMP entries that are OFF are left out.

    Args:
        csr: The CSR's number or name.
        value: Its 64-bit value.

    Returns:
        The fields as text, separated by commas; "" for 0 or a CSR without fields.
    """
    if not value:
        return ""
    return ", ".join(str(field) for field in decode(csr, value) if field.value or field.words not in ("", PMP_MODES[0]))
