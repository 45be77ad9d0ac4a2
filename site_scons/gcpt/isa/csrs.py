"""The inventory of CSRs: which CSRs a restore writes, in which order, and why.

The order of ``INVENTORY`` is the order of restoring. The firmware (through ``render``), its display, the host tools and
the tests all read this table; a new CSR is one line here.

Sources: "priv" is the RISC-V privileged specification (20240411 and the ratified extensions after it), "unpriv" the
unprivileged one, "xs" the XiangShan user guide.
"""

from enum import Enum
from typing import NamedTuple


class When(Enum):
    """The phase of a restore that writes a CSR.

    Attributes:
        EARLY: Before the harts synchronize.
        TIMER: After mtime is written: a hart compares a compare value with mtime at once.
        LOCK: After the last device access, because PMP can restrict M mode too.
        LAST: After the last write that can trap, because a trap overwrites these CSRs.
        ALIAS: Shows bits of another CSR, which is written instead.
        VECTOR: Written by the vector section (vsetvl).
        NEVER: Not restored; the note gives the reason.
    """

    EARLY = "early"
    TIMER = "timer"
    LOCK = "lock"
    LAST = "last"
    ALIAS = "alias"
    VECTOR = "vector"
    NEVER = "never"


class Csr(NamedTuple):
    """One CSR of a hart.

    Attributes:
        number: 12-bit CSR address.
        name: The name that the specification gives it.
        group: The group by which ``csrs=`` and platforms select it.
        when: The phase that writes it.
        source: The specification and section that define it.
        after: Names of the CSRs that a restore writes before this one.
        of: For an alias, the CSR that is written instead.
        note: A remark for docs/csrs.md.
        merge: Set its bits in the present value instead of writing it: generators save this CSR, its parts, or both.
    """

    number: int
    name: str
    group: str
    when: When
    source: str
    after: tuple[str, ...] = ()
    of: str = ""
    note: str = ""
    merge: bool = False


class Loss(Enum):
    """What happens to software that was right before the checkpoint if a restorer leaves a group of CSRs out.

    The worst of what the group's CSRs do counts.

    Attributes:
        COMPUTES: The same instructions give other results, or interrupts arrive at other times or not at all.
        TRAPS: Instructions trap that did not.
        COUNTS: The CSRs count, tune or debug: results stay the same.
    """

    COMPUTES = "software computes differently"
    TRAPS = "software traps"
    COUNTS = "software computes the same"


class Group(NamedTuple):
    """CSRs that ``csrs=`` and platforms select together.

    Attributes:
        what: Its CSRs, in words.
        loss: What leaving it out does to software.
        why: What exactly its loss does.
        on_qemu: Whether a test shows the loss on QEMU 7.2. It lacks the other groups, except base, which every restorer
            writes.
    """

    what: str
    loss: Loss
    why: str
    on_qemu: bool = True


_COMPUTES, _TRAPS, _COUNTS = Loss.COMPUTES, Loss.TRAPS, Loss.COUNTS

GROUPS: dict[str, Group] = {
    "base": Group(
        "machine and supervisor state that every rv64 hart with S mode has",
        _COMPUTES,
        "nothing works without it: csrs=-base is refused",
        on_qemu=False,
    ),
    "envcfg": Group(
        "menvcfg, senvcfg (privileged 1.12)",
        _TRAPS,
        "stimecmp and cbo instructions trap below M mode, and PBMT bits in page tables fault",
    ),
    "f": Group("floating-point control and status", _COMPUTES, "results are rounded in another mode; flags are lost"),
    "v": Group("vector control and status", _COMPUTES, "vector registers, vl and vtype are lost"),
    "h": Group(
        "hypervisor and VS state",
        _COMPUTES,
        "hypervisors read other values; guests lose their translation (code 20)",
    ),
    "sstc": Group("supervisor timer compare", _COMPUTES, "the timer interrupt comes at another time"),
    "vstimer": Group("VS timer compare (H with Sstc)", _COMPUTES, "the guest's timer interrupt comes at another time"),
    "pmp16": Group(
        "physical memory protection, entries 0..15",
        _TRAPS,
        "on a hart with PMP, S and U mode may access nothing without an entry",
    ),
    "pmp64": Group(
        "physical memory protection, entries 16..63",
        _TRAPS,
        "S and U mode may not access what only these entries allow",
        on_qemu=False,
    ),
    "hpm3": Group(
        "the first event selector, which firmware leaves set (OpenSBI's PMU reset)", _COUNTS, "the event is not counted"
    ),
    "hpm": Group(
        "event selectors 4..31; off by default in a restorer without C, where they cost 290 instructions",
        _COUNTS,
        "the events are not counted",
    ),
    "counters": Group(
        "free-running counters; off by default, because they keep counting during the restore",
        _COUNTS,
        "counters go on from other values",
    ),
    "smstateen": Group(
        "state-enable registers",
        _TRAPS,
        "without mstateen0, senvcfg, fcsr of Zfinx, AIA's CSRs and others trap below M mode",
        on_qemu=False,
    ),
    "smepmp": Group(
        "machine security configuration",
        _COMPUTES,
        "locked PMP entries cannot be edited (RLB), rules have another meaning (MML, MMWP), seed traps (USEED, SSEED)",
    ),
    "smrnmi": Group(
        "resumable non-maskable interrupts",
        _COMPUTES,
        "with NMIE clear no interrupt is taken and the first trap goes astray; an NMI handler returns elsewhere",
        on_qemu=False,
    ),
    "smcntrpmf": Group(
        "mode filters of mcycle and minstret", _COUNTS, "the counters count in other modes", on_qemu=False
    ),
    "smctr": Group("control transfer records", _COUNTS, "nothing is recorded", on_qemu=False),
    "aia": Group(
        "advanced interrupt architecture: selection, virtual interrupts and priorities",
        _COMPUTES,
        "software accesses another indirect register; interrupts come in another order or not at all",
    ),
    "csrind": Group(
        "the other windows of indirect CSR access",
        _COUNTS,
        "they reach only counters (Smcdeleg) and control transfer records (Smctr)",
        on_qemu=False,
    ),
    "sdtrig": Group(
        "the trigger that tselect selects, and contexts", _COUNTS, "a debugger in the workload misses its breakpoint"
    ),
    "zcmt": Group("table jumps", _COMPUTES, "cm.jt and cm.jalt jump through another table", on_qemu=False),
    "zicfiss": Group("shadow stack pointer", _TRAPS, "the next access to the shadow stack faults", on_qemu=False),
    "ssqosid": Group("quality-of-service identifiers", _COUNTS, "other shares of caches and bandwidth", on_qemu=False),
    "xscustom": Group(
        "XiangShan's own control registers",
        _COUNTS,
        "predictors, prefetchers and buffers work differently",
        on_qemu=False,
    ),
}

_RV64GC = ("base", "envcfg", "f", "sstc", "pmp16", "hpm3")
_RVA22 = (*_RV64GC, "v", "h", "vstimer")
_RVA23 = (*_RVA22, "smstateen", "smcntrpmf", "aia", "zicfiss", "smrnmi", "smepmp")


class GroupSet(NamedTuple):
    """Groups under one name, which ``csrs=`` accepts.

    Attributes:
        what: The harts that it is for, in words.
        groups: Names of CSR groups.
        limit: Largest size in bytes of a direct restorer that writes these groups or fewer: what loaders copy by
            default (docs/consumers.md).
    """

    what: str
    groups: tuple[str, ...]
    limit: int


#: The sets of groups, each one contained in the next; restorers write the last one by default.
SETS: dict[str, GroupSet] = {
    "rv64gc": GroupSet("harts without V and H; for XS-GEM5 without V", _RV64GC, 0x700),
    "rva22": GroupSet("RVA22 with V, H and Sstc", _RVA22, 0x700),
    "rva23": GroupSet("RVA23 and what supervisors of such harts use; the default", _RVA23, 0xE00),
}
DEFAULT_SET = "rva23"

_E, _T, _P, _L = When.EARLY, When.TIMER, When.LOCK, When.LAST
_A, _V, _N = When.ALIAS, When.VECTOR, When.NEVER


def _pmp_addresses(first: int, last: int, group: str) -> list[Csr]:
    return [Csr(0x3B0 + i, f"pmpaddr{i}", group, _E, "priv 3.7.1") for i in range(first, last + 1)]


def _pmp_configs(first: int, last: int, group: str) -> list[Csr]:
    """The pmpcfg registers, written after their addresses: a locked entry ignores writes to its address."""
    return [
        Csr(
            0x3A0 + i // 4,
            f"pmpcfg{i // 4}",
            group,
            _P,
            "priv 3.7.1",
            after=tuple(f"pmpaddr{k}" for k in range(i, i + 8)),
            note="WARL; L locks until reset",
        )
        for i in range(first, last + 1, 8)
    ]


def _counters() -> list[Csr]:
    numbers = [(0xB00, "mcycle"), (0xB02, "minstret")] + [(0xB00 + i, f"mhpmcounter{i}") for i in range(3, 32)]
    return [Csr(number, name, "counters", _E, "priv 3.1.10", after=("mcountinhibit",)) for number, name in numbers]


def _indirect(level: str, select: int) -> list[Csr]:
    """The selector of indirect CSR access at a level, and its windows: a block holds the selected register only."""
    selector = f"{level}iselect"
    windows = [
        ("", 1, "aia"),
        ("2", 2, "csrind"),
        ("3", 3, "csrind"),
        ("4", 5, "csrind"),
        ("5", 6, "csrind"),
        ("6", 7, "csrind"),
    ]
    return [
        Csr(select, selector, "aia", _E, "AIA 2.1"),
        *(Csr(select + at, f"{level}ireg{n}", group, _E, "Smcsrind", after=(selector,)) for n, at, group in windows),
    ]


INVENTORY: tuple[Csr, ...] = (
    # Machine level first: delegation and environment registers mask the bits of the lower levels.
    Csr(0x302, "medeleg", "base", _E, "priv 3.1.8"),
    Csr(0x303, "mideleg", "base", _E, "priv 3.1.8"),
    Csr(0x306, "mcounteren", "base", _E, "priv 3.1.11"),
    Csr(0x320, "mcountinhibit", "base", _E, "priv 3.1.12"),
    Csr(0x323, "mhpmevent3", "hpm3", _E, "priv 3.1.10", after=("mcountinhibit",)),
    *(Csr(0x320 + i, f"mhpmevent{i}", "hpm", _E, "priv 3.1.10", after=("mcountinhibit",)) for i in range(4, 32)),
    Csr(0x340, "mscratch", "base", _E, "priv 3.1.13", note="the restorer's trap handler does not use it"),
    *_pmp_addresses(0, 15, "pmp16"),
    *_pmp_addresses(16, 63, "pmp64"),
    # Newer than menvcfg (privileged 1.12): a hart without it has none of these.
    Csr(0x30A, "menvcfg", "envcfg", _E, "priv 3.1.18"),
    Csr(0x321, "mcyclecfg", "smcntrpmf", _E, "Smcntrpmf"),
    Csr(0x322, "minstretcfg", "smcntrpmf", _E, "Smcntrpmf"),
    Csr(0x30C, "mstateen0", "smstateen", _E, "Smstateen"),
    Csr(0x30D, "mstateen1", "smstateen", _E, "Smstateen"),
    Csr(0x30E, "mstateen2", "smstateen", _E, "Smstateen"),
    Csr(0x30F, "mstateen3", "smstateen", _E, "Smstateen"),
    Csr(0x10C, "sstateen0", "smstateen", _E, "Smstateen", after=("mstateen0",)),
    Csr(0x60C, "hstateen0", "smstateen", _E, "Smstateen", after=("mstateen0",)),
    Csr(0x60D, "hstateen1", "smstateen", _E, "Smstateen", after=("mstateen1",)),
    Csr(0x60E, "hstateen2", "smstateen", _E, "Smstateen", after=("mstateen2",)),
    Csr(0x60F, "hstateen3", "smstateen", _E, "Smstateen", after=("mstateen3",)),
    Csr(0x34E, "mctrctl", "smctr", _E, "Smctr"),
    Csr(0x14E, "sctrctl", "smctr", _E, "Smctr", after=("mctrctl",)),
    Csr(0x14F, "sctrstatus", "smctr", _E, "Smctr"),
    Csr(0x15F, "sctrdepth", "smctr", _E, "Smctr"),
    Csr(0x24E, "vsctrctl", "smctr", _E, "Smctr"),
    *_indirect("m", 0x350),
    *_indirect("s", 0x150),
    *_indirect("vs", 0x250),
    Csr(0x308, "mvien", "aia", _E, "AIA 5.3", after=("mideleg",)),
    Csr(0x309, "mvip", "aia", _E, "AIA 5.3", after=("mvien",)),
    Csr(0x608, "hvien", "aia", _E, "AIA 6.3"),
    Csr(0x609, "hvictl", "aia", _E, "AIA 6.3"),
    Csr(0x646, "hviprio1", "aia", _E, "AIA 6.3"),
    Csr(0x647, "hviprio2", "aia", _E, "AIA 6.3"),
    Csr(0x5C0, "sbpctl", "xscustom", _E, "xs", note="branch predictors"),
    Csr(0x5C1, "spfctl", "xscustom", _E, "xs", note="prefetchers"),
    Csr(0x5C2, "slvpredctl", "xscustom", _E, "xs", note="load-violation predictor"),
    Csr(0x5C3, "smblockctl", "xscustom", _E, "xs", note="memory blocks"),
    Csr(0x5C4, "srnctl", "xscustom", _E, "xs", note="rename"),
    Csr(0x600, "hstatus", "h", _E, "priv 18.2.1"),
    Csr(0x602, "hedeleg", "h", _E, "priv 18.2.2", after=("medeleg",)),
    Csr(0x603, "hideleg", "h", _E, "priv 18.2.2", after=("mideleg",)),
    Csr(0x605, "htimedelta", "h", _E, "priv 18.2.7"),
    Csr(0x606, "hcounteren", "h", _E, "priv 18.2.6"),
    Csr(0x607, "hgeie", "h", _E, "priv 18.2.4"),
    Csr(0x60A, "henvcfg", "h", _E, "priv 18.2.5", after=("menvcfg",), note="bits that are 0 in menvcfg are 0 here"),
    Csr(0x643, "htval", "h", _E, "priv 18.2.8"),
    Csr(0x64A, "htinst", "h", _E, "priv 18.2.9"),
    Csr(0x680, "hgatp", "h", _E, "priv 18.2.11", note="WARL: mode"),
    Csr(0x200, "vsstatus", "h", _E, "priv 18.2.10", after=("henvcfg",), note="SDT needs henvcfg.DTE"),
    Csr(0x205, "vstvec", "h", _E, "priv 18.2.12"),
    Csr(0x240, "vsscratch", "h", _E, "priv 18.2.13"),
    Csr(0x241, "vsepc", "h", _E, "priv 18.2.14"),
    Csr(0x242, "vscause", "h", _E, "priv 18.2.15"),
    Csr(0x243, "vstval", "h", _E, "priv 18.2.16"),
    Csr(0x280, "vsatp", "h", _E, "priv 18.2.17", note="WARL: mode"),
    Csr(0x740, "mnscratch", "smrnmi", _E, "Smrnmi"),
    Csr(0x741, "mnepc", "smrnmi", _E, "Smrnmi"),
    Csr(0x742, "mncause", "smrnmi", _E, "Smrnmi"),
    Csr(0x744, "mnstatus", "smrnmi", _E, "Smrnmi", note="NMIE cannot be cleared by software"),
    *_counters(),
    Csr(0xC20, "vl", "v", _V, "unpriv 30.3.5"),
    Csr(0xC21, "vtype", "v", _V, "unpriv 30.3.4"),
    Csr(0xC22, "vlenb", "v", _N, "unpriv 30.3.3", note="read-only: compared with the hart's; 0 means 128 bits"),
    Csr(0x008, "vstart", "v", _E, "unpriv 30.3.7", note="after the vector section: vsetvl clears it"),
    Csr(0x009, "vxsat", "v", _E, "unpriv 30.3.9", note="part of vcsr"),
    Csr(0x00A, "vxrm", "v", _E, "unpriv 30.3.8", note="part of vcsr"),
    Csr(0x00F, "vcsr", "v", _E, "unpriv 30.3.10", after=("vxsat", "vxrm"), merge=True),
    Csr(0x001, "fflags", "f", _E, "unpriv 20.2", note="part of fcsr"),
    Csr(0x002, "frm", "f", _E, "unpriv 20.2", note="part of fcsr"),
    Csr(0x003, "fcsr", "f", _E, "unpriv 20.2", after=("fflags", "frm"), merge=True),
    Csr(0x011, "ssp", "zicfiss", _E, "Zicfiss", after=("menvcfg",)),
    Csr(0x017, "jvt", "zcmt", _E, "unpriv 28.13"),
    Csr(0x105, "stvec", "base", _E, "priv 12.1.2"),
    Csr(0x106, "scounteren", "base", _E, "priv 12.1.5"),
    Csr(0x10A, "senvcfg", "envcfg", _E, "priv 12.1.10", after=("menvcfg",)),
    Csr(0x140, "sscratch", "base", _E, "priv 12.1.6"),
    Csr(0x141, "sepc", "base", _E, "priv 12.1.7"),
    Csr(0x142, "scause", "base", _E, "priv 12.1.8"),
    Csr(0x143, "stval", "base", _E, "priv 12.1.9"),
    Csr(0x180, "satp", "base", _E, "priv 12.1.11", note="WARL: mode"),
    Csr(0x181, "srmcfg", "ssqosid", _E, "Ssqosid"),
    # The harts synchronize here, and the last one writes mtime.
    Csr(0x14D, "stimecmp", "sstc", _T, "Sstc", after=("menvcfg",)),
    Csr(0x24D, "vstimecmp", "vstimer", _T, "Sstc", after=("henvcfg", "htimedelta")),
    # A compare value that is due raises STIP or VSTIP (in QEMU 7.2 even with STCE=0): write pending bits after it.
    Csr(
        0x344,
        "mip",
        "base",
        _T,
        "priv 3.1.9",
        after=("stimecmp", "vstimecmp", "mideleg"),
        note="MSIP, MTIP are read-only",
    ),
    # The restorer refuses a trigger that fires in M mode before it writes these: the trigger could match the restorer.
    Csr(0x5A8, "scontext", "sdtrig", _T, "Sdtrig 5.7"),
    Csr(0x7A8, "mcontext", "sdtrig", _T, "Sdtrig 5.7"),
    Csr(
        0x6A8, "hcontext", "sdtrig", _T, "Sdtrig 5.7", after=("mcontext",), note="another name of mcontext", merge=True
    ),
    Csr(0x7A0, "tselect", "sdtrig", _T, "Sdtrig 5.7.1"),
    Csr(0x7A2, "tdata2", "sdtrig", _T, "Sdtrig 5.7.3", after=("tselect",)),
    Csr(0x7A3, "tdata3", "sdtrig", _T, "Sdtrig 5.7.4", after=("tselect",)),
    Csr(0x7A1, "tdata1", "sdtrig", _T, "Sdtrig 5.7.2", after=("tdata2", "tdata3"), note="arms the trigger"),
    Csr(0x7A5, "tcontrol", "sdtrig", _T, "Sdtrig 5.7.7"),
    # No device accesses from here on.
    Csr(0x747, "mseccfg", "smepmp", _P, "Smepmp", note="RLB cannot be set after an entry was locked"),
    *_pmp_configs(0, 15, "pmp16"),
    *_pmp_configs(16, 63, "pmp64"),
    Csr(0x645, "hvip", "h", _P, "priv 18.2.3", after=("mip", "hideleg"), note="overrides mip.VSSIP, hip and vsip"),
    # TRAP_VALUES trap where H is absent; no later write may trap.
    Csr(0x34B, "mtval2", "h", _P, "priv 18.4.4"),
    Csr(0x34A, "mtinst", "h", _P, "priv 18.4.3"),
    Csr(0x304, "mie", "base", _L, "priv 3.1.9", note="only MSIE is set while the restorer sleeps"),
    Csr(0x305, "mtvec", "base", _L, "priv 3.1.7", note="until here, the restorer's trap handler"),
    Csr(0x342, "mcause", "base", _L, "priv 3.1.15"),
    Csr(0x343, "mtval", "base", _L, "priv 3.1.16"),
    Csr(0x341, "mepc", "base", _L, "priv 3.1.14", note="the restored pc, when the restore ends with mret"),
    Csr(0x300, "mstatus", "base", _L, "priv 3.1.6", note="FS and VS are on until here"),
    # Views of CSRs that are written above, and CSRs that are not state.
    Csr(0x100, "sstatus", "base", _A, "priv 12.1.1", of="mstatus"),
    Csr(0x104, "sie", "base", _A, "priv 12.1.3", of="mie"),
    Csr(0x144, "sip", "base", _A, "priv 12.1.3", of="mip"),
    Csr(0x120, "scountinhibit", "base", _A, "Smcdeleg", of="mcountinhibit"),
    Csr(0x204, "vsie", "h", _A, "priv 18.2.12", of="mie"),
    Csr(0x244, "vsip", "h", _A, "priv 18.2.12", of="hvip"),
    Csr(0x604, "hie", "h", _A, "priv 18.2.3", of="mie"),
    Csr(0x644, "hip", "h", _A, "priv 18.2.3", of="hvip"),
    Csr(0x301, "misa", "base", _N, "priv 3.1.1", note="describes the hart, is not state"),
    Csr(0x015, "seed", "base", _N, "Zkr", note="reading it changes it"),
    Csr(0x10D, "sstateen1", "smstateen", _N, "Smstateen", note="no bit is defined"),
    Csr(0x10E, "sstateen2", "smstateen", _N, "Smstateen", note="no bit is defined"),
    Csr(0x10F, "sstateen3", "smstateen", _N, "Smstateen", note="no bit is defined"),
    Csr(0x35C, "mtopei", "aia", _N, "AIA 3.10", note="a write claims an interrupt"),
    Csr(0x15C, "stopei", "aia", _N, "AIA 3.10", note="a write claims an interrupt"),
    Csr(0x25C, "vstopei", "aia", _N, "AIA 3.10", note="a write claims an interrupt"),
    Csr(0x7A4, "tinfo", "sdtrig", _N, "Sdtrig 5.7.5", note="read-only"),
    Csr(0x7B0, "dcsr", "sdtrig", _N, "Sdext 4.9.1", note="exists in debug mode only"),
    Csr(0x7B1, "dpc", "sdtrig", _N, "Sdext 4.9.2", note="exists in debug mode only"),
    Csr(0xDA0, "scountovf", "hpm", _N, "Sscofpmf", note="read-only view of the OF bits of mhpmevent"),
    Csr(0xE12, "hgeip", "h", _N, "priv 18.2.4", note="read-only: interrupt-controller inputs"),
    Csr(0xF11, "mvendorid", "base", _N, "priv 3.1.2", note="read-only"),
    Csr(0xF12, "marchid", "base", _N, "priv 3.1.3", note="read-only"),
    Csr(0xF13, "mimpid", "base", _N, "priv 3.1.4", note="read-only"),
    Csr(0xF14, "mhartid", "base", _N, "priv 3.1.5", note="read-only"),
    Csr(0xF15, "mconfigptr", "base", _N, "priv 3.1.17", note="read-only"),
)

#: The CSRs of indirect access: each hart with AIA has them, and a hart with Smcsrind may lack the rest of AIA.
INDIRECT = frozenset(csr.name for csr in INVENTORY if csr.source == "Smcsrind" or csr.name.endswith("iselect"))

#: Groups that nothing but a trap tells the absence of: if the write of the first CSR of each traps, a restorer skips
#: the rest, and so for INDIRECT. All but PMP are newer than menvcfg, and a restorer skips them on a hart that lacks it.
PROBED = ("pmp16", "pmp64", "smstateen", "smcntrpmf", "aia", "smctr")
#: Those of which no hart has a part, and in which no other CSR is lost if the second traps.
WHOLE = ("smcntrpmf",)

#: CSRs that a trap into M mode writes on a hart with H and that the restore does not write last (priv 18.4).
TRAP_VALUES = ("mtval2", "mtinst")

#: The inventory by CSR name and by CSR number.
BY_NAME: dict[str, Csr] = {csr.name: csr for csr in INVENTORY}
BY_NUMBER: dict[int, Csr] = {csr.number: csr for csr in INVENTORY}


def chosen(groups: tuple[str, ...], when: When) -> list[Csr]:
    """Select the CSRs that one phase of a restore handles.

    Args:
        groups: Names of the CSR groups that the restorer handles.
        when: The phase.

    Returns:
        The CSRs, in the order of restoring.
    """
    return [csr for csr in INVENTORY if csr.when is when and csr.group in groups]
