"""Synthetic checkpoints: every register and CSR of every hart has a distinct, non-trivial, legal value.

Values are legal by the specifications and restricted to what QEMU 7.2 holds (``gcpt.machines.qemu.cpu``), so that a
restored hart can be compared bit for bit.
"""

import struct
from dataclasses import dataclass
from enum import Enum
from random import Random

from gcpt.checkpoint import header
from gcpt.checkpoint.layouts import BLOCK_SIZE, MULTI_CORE_OFFSET, PAYLOAD_OFFSET
from gcpt.checkpoint.places import Checkpoint
from gcpt.checkpoint.state import HartState, block_size, write_hart
from gcpt.isa import mstatus
from gcpt.isa.paging import GUEST_ROOT_SIZE, PAGE_SIZE

DRAM = 0x8000_0000


class Mode(Enum):
    """The mode that a hart was stopped in.

    M is as QEMU's generator writes it (mepc is not the pc), M_NEMU as NEMU does (an mret resumes it).
    """

    M = "m"
    M_NEMU = "m_nemu"
    S = "s"
    U = "u"
    VS = "vs"
    VU = "vu"

    @property
    def level(self) -> int:
        """The privilege level: 0 (U), 1 (S) or 3 (M)."""
        if self in (Mode.M, Mode.M_NEMU):
            return mstatus.MACHINE
        return mstatus.SUPERVISOR if self in (Mode.S, Mode.VS) else mstatus.USER

    @property
    def virtual(self) -> bool:
        """Whether V is 1."""
        return self in (Mode.VS, Mode.VU)


class Aliases(Enum):
    """Which aliases the generator wrote.

    PARTS are fflags, frm, vxsat and vxrm; WHOLE are fcsr, vcsr and views such as sstatus and sie.
    """

    BOTH = "both"
    PARTS = "parts"
    WHOLE = "whole"


@dataclass(frozen=True)
class Recipe:
    """Parameters of a synthetic checkpoint.

    Attributes:
        modes: Hart h is in ``modes[h % len(modes)]``.
        harts: Number of harts.
        seed: Seed of all random values.
        vlen: VLEN in bits.
        fs: mstatus.FS, 0 (Off) to 3 (Dirty).
        vs: mstatus.VS, 0 (Off) to 3 (Dirty).
        paging: Whether harts below M mode use Sv39 (and Sv39x4) rather than Bare.
        vector: Whether the harts have V.
        hypervisor: Whether the harts have H.
        vill: Whether vtype.vill is set, as on a hart that never executed a vsetvl.
        mprv: Whether mstatus.MPRV is set in M mode.
        aliases: Which aliases of CSRs are written.
        locks: Whether some PMP entries are locked.
    """

    modes: tuple[Mode, ...] = (Mode.S,)
    harts: int = 1
    seed: int = 1
    vlen: int = 128
    fs: int = 3
    vs: int = 3
    paging: bool = True
    vector: bool = True
    hypervisor: bool = True
    vill: bool = False
    mprv: bool = False
    aliases: Aliases = Aliases.BOTH
    locks: bool = True

    def mode(self, hart: int) -> Mode:
        """Return the mode of a hart.

        Args:
            hart: The hart.

        Returns:
            The mode it was stopped in.
        """
        return self.modes[hart % len(self.modes)]


#: Interrupts that a checkpoint of QEMU may have pending: SSIP, MSIP, SEIP; VSSIP, VSEIP.
_PENDING, _VS_PENDING = 0x20A, 0x404
_S_INTERRUPTS, _VS_INTERRUPTS, _INTERRUPTS = 0x222, 0x444, 0x1EEE
#: Exceptions that can be delegated to S mode and on to VS mode, as bits of medeleg and hedeleg.
_DELEGABLE, _VS_DELEGABLE = 0xF0B7FF, 0xB1FF
_STCE_PBMTE = 3 << 62
#: VSINH and VUINH of a mhpmevent CSR.
_GUEST_INHIBIT = 3 << 58
#: The least ticks until a timer of a synthetic checkpoint is due: about two hours.
_FAR = 1 << 36

_SV39, _GIB = 8 << 60, 1 << 30
#: Entries of a root table below this map the low half of the address space, the others the high half.
_HIGH_HALF = 256
#: GiB of guest memory that QEMU 7.2 translates: it treats bit 40 of a guest physical address as a sign bit.
_GUEST_PAGES = 1024
#: The A field of a PMP entry.
_OFF, _TOR, _NA4, _NAPOT = 0, 1, 2, 3
_LEAF = 0xCF  # D A X W R V
_USER_LEAF = _LEAF | 0x10
#: Bytes for the page tables of one hart: a root of 16 KiB for guest memory, then one of 4 KiB.
_TABLES_SIZE = 0x8000
#: ``j .``
_LOOP = struct.pack("<I", 0x0000006F)
#: Bytes for the code of one hart.
_CODE_SIZE = 0x40


@dataclass(frozen=True)
class Synthetic:
    """A synthetic checkpoint.

    Attributes:
        harts: The harts' states.
        memory: Pieces of memory (physical address, bytes) that their workload needs.
    """

    harts: list[HartState]
    memory: list[tuple[int, bytes]]

    @property
    def end(self) -> int:
        """The first physical address after the memory that it uses."""
        return max(address + len(data) for address, data in self.memory)


def make(recipe: Recipe) -> Synthetic:
    """Generate a checkpoint.

    Args:
        recipe: Its parameters; the same recipe gives the same checkpoint.

    Returns:
        The checkpoint.
    """
    harts, memory = [], []
    clock = Random(recipe.seed).getrandbits(44) | 1 << 40
    for hart in range(recipe.harts):
        random = Random(f"{recipe.seed}.{hart}")
        code = DRAM + PAYLOAD_OFFSET + hart * _CODE_SIZE + 4 * random.randrange(_CODE_SIZE // 4)
        memory.append((code, _LOOP))
        state = HartState(pc=code, mode=recipe.mode(hart).level, mtime=clock)
        state.mtimecmp = clock + _FAR + random.getrandbits(40)
        state.x = [0] + [random.getrandbits(64) for _ in range(31)]
        state.f = [random.getrandbits(64) for _ in range(32)]
        if recipe.vector:
            state.v = [random.randbytes(recipe.vlen // 8) for _ in range(32)]
        _machine(state, random, recipe)
        _supervisor(state, random)
        _pmp(state, random, recipe)
        if recipe.hypervisor:
            _hypervisor(state, random, recipe)
        _vector(state, random, recipe)
        memory += _translation(state, random, recipe, hart)
        _privilege(state, random, recipe, hart)
        _aliases(state, recipe)
        if recipe.harts == 1:
            state.count = 0 if recipe.mode(hart) is Mode.M_NEMU else 1
        harts.append(state)
    return Synthetic(harts, memory)


def _set(state: HartState, **values: int) -> None:
    for name, value in values.items():
        state.set(name, value)


def _machine(state: HartState, random: Random, recipe: Recipe) -> None:
    pending = random.getrandbits(12) & (_PENDING | (_VS_PENDING if recipe.hypervisor else 0)) or 0x2
    implemented = _INTERRUPTS if recipe.hypervisor else _INTERRUPTS & ~(_VS_INTERRUPTS | 0x1000)
    _set(
        state,
        medeleg=random.getrandbits(24) & (_DELEGABLE if recipe.hypervisor else _VS_DELEGABLE) | 1 << 8,
        mideleg=random.getrandbits(12) & _S_INTERRUPTS | (0x1444 if recipe.hypervisor else 0),
        mie=random.getrandbits(13) & implemented & ~pending | 0x80,
        mip=pending,
        hvip=pending & _VS_INTERRUPTS,
        menvcfg=_STCE_PBMTE | _envcfg(random),
        mcounteren=random.getrandbits(32) | 7,
        mcountinhibit=random.getrandbits(32) & ~2 | 1 << 17,
        mscratch=random.getrandbits(64),
        mtvec=random.getrandbits(64) & ~3 | random.getrandbits(1),
        mepc=random.getrandbits(64) & ~1,
        mcause=random.getrandbits(1) << 63 | random.randrange(1, 16),
        mtval=random.getrandbits(64),
        misa=0x8000_0000_0034_11AD,
        marchid=0x70216,
        mimpid=0x70216,
    )
    for counter in range(3, 32):
        event = random.getrandbits(58) << 4 | 0xF
        _set(state, **{f"mhpmevent{counter}": event if recipe.hypervisor else event & ~_GUEST_INHIBIT})


def _envcfg(random: Random) -> int:
    """Return random FIOM, CBIE, CBCFE and CBZE: not 0, and without the reserved value of CBIE."""
    return 1 | random.choice((0x00, 0x10, 0x30)) | random.getrandbits(2) << 6


def _supervisor(state: HartState, random: Random) -> None:
    _set(
        state,
        stvec=random.getrandbits(64) & ~3 | random.getrandbits(1),
        scounteren=random.getrandbits(32) | 1,
        senvcfg=_envcfg(random),
        sscratch=random.getrandbits(64),
        sepc=random.getrandbits(64) & ~1,
        scause=random.getrandbits(1) << 63 | random.randrange(1, 16),
        stval=random.getrandbits(64),
        stimecmp=state.mtime + _FAR + random.getrandbits(40),
    )


def _pmp(state: HartState, random: Random, recipe: Recipe) -> None:
    """Set 14 entries of all kinds from 0x40000000, where no memory is, some locked, and one that allows the rest."""
    configs = []
    for entry in range(14):
        kind = random.choice((_OFF, _TOR, _NA4, _NAPOT)) if entry else _NAPOT
        access = random.choice((0, 1, 3, 4, 5, 7))
        locked = random.getrandbits(1) if kind and recipe.locks else 0
        address = (0x4000_0000 >> 2) + random.getrandbits(24)
        _set(state, **{f"pmpaddr{entry}": address | (0xFF if kind == _NAPOT else 1)})
        configs.append(locked << 7 | kind << 3 | access)
    _set(state, pmpaddr14=random.getrandbits(53) | 1, pmpaddr15=(1 << 54) - 1)
    configs += [0x07, 0x1F]  # off; all of memory, readable, writable and executable
    for register, start in ((0, 0), (2, 8)):
        _set(state, **{f"pmpcfg{register}": int.from_bytes(bytes(configs[start : start + 8]), "little")})


def _hypervisor(state: HartState, random: Random, recipe: Recipe) -> None:
    delta = random.getrandbits(48) | 1 << 47
    vsstatus = random.getrandbits(64) & (mstatus.SSTATUS & ~(mstatus.UXL | mstatus.XS)) | 2 << 32
    vsstatus &= -1 if recipe.vector else ~mstatus.VS
    _set(
        state,
        hstatus=2 << 32 | random.getrandbits(64) & 0x7003C0 | 0x200,
        hedeleg=random.getrandbits(16) & _VS_DELEGABLE | 1,
        hideleg=random.choice((0x004, 0x040, 0x404, 0x440, 0x444)),
        hcounteren=random.getrandbits(32) | 1,
        htimedelta=delta,
        henvcfg=_STCE_PBMTE | _envcfg(random),
        htval=random.getrandbits(62) | 1,
        mtval2=random.getrandbits(62) | 1,
        mtinst=random.getrandbits(32) | 1,
        vsstatus=mstatus.with_sd(vsstatus),
        vstvec=random.getrandbits(64) & ~3 | random.getrandbits(1),
        vsscratch=random.getrandbits(64),
        vsepc=random.getrandbits(64) & ~1,
        vscause=random.getrandbits(1) << 63 | random.randrange(1, 16),
        vstval=random.getrandbits(64),
        vstimecmp=state.mtime + delta + _FAR + random.getrandbits(40),
    )


def _vector(state: HartState, random: Random, recipe: Recipe) -> None:
    _set(state, fflags=random.randrange(1, 32), frm=random.randrange(1, 5))
    _set(state, fcsr=state.get("frm") << 5 | state.get("fflags"))
    if not recipe.vector:
        return
    sew = random.randrange(4)
    lmul = random.choice((0, 1, 2, 3))
    vlmax = (recipe.vlen << lmul) >> (sew + 3)
    vtype = random.getrandbits(2) << 6 | sew << 3 | lmul
    _set(
        state,
        vtype=1 << 63 if recipe.vill else vtype,
        vl=0 if recipe.vill else random.randrange(1, vlmax + 1),
        vstart=random.randrange(1, recipe.vlen),
        vxsat=random.getrandbits(1),
        vxrm=random.randrange(1, 4),
        vlenb=recipe.vlen // 8,
    )
    _set(state, vcsr=state.get("vxrm") << 1 | state.get("vxsat"))


def _translation(state: HartState, random: Random, recipe: Recipe, hart: int) -> list[tuple[int, bytes]]:
    """Set satp, vsatp, hgatp and the virtual pc; return the page tables of the hart's mode.

    In each table one leaf of 1 GiB maps the memory at DRAM; the other entries are empty.
    """
    mode = recipe.mode(hart)
    satp = [_SV39 | random.getrandbits(60) for _ in range(2)]
    # A VMID has 14 bits, and hgatp's root is a multiple of 16 KiB.
    hgatp = _SV39 | random.getrandbits(14) << 44 | random.getrandbits(42) << 2
    tables: list[tuple[int, bytes]] = []
    root = DRAM + MULTI_CORE_OFFSET + (recipe.harts + 1) * BLOCK_SIZE + hart * _TABLES_SIZE
    asid = random.getrandbits(16) << 44
    if mode.level != mstatus.MACHINE and not recipe.paging:
        satp[mode.virtual] = 0
        hgatp = 0 if mode.virtual else hgatp
    elif mode.level != mstatus.MACHINE:
        page = random.randrange(3, _HIGH_HALF) + (0 if mode.level == mstatus.USER else _HIGH_HALF)
        leaf = _USER_LEAF if mode.level == mstatus.USER else _LEAF
        low = DRAM
        if mode.virtual:
            guest_page = random.randrange(3, _GUEST_PAGES)
            tables.append(_root(root, GUEST_ROOT_SIZE, guest_page, DRAM, _USER_LEAF))
            hgatp = _SV39 | random.getrandbits(14) << 44 | root // PAGE_SIZE
            low = guest_page * _GIB
        tables.append(_root(root + GUEST_ROOT_SIZE, PAGE_SIZE, page, low, leaf))
        satp[mode.virtual] = _SV39 | asid | (low + root + GUEST_ROOT_SIZE - DRAM) // PAGE_SIZE
        offset = state.pc - DRAM
        state.pc = (page * _GIB + offset) | (0 if page < _HIGH_HALF else (1 << 64) - (1 << 39))
    _set(state, satp=satp[0])
    if recipe.hypervisor:
        _set(state, vsatp=satp[1], hgatp=hgatp)
    return tables


def _root(address: int, size: int, page: int, target: int, leaf: int) -> tuple[int, bytes]:
    """Return a page table of ``size`` bytes at ``address`` whose entry ``page`` maps 1 GiB at ``target``."""
    table = bytearray(size)
    struct.pack_into("<Q", table, 8 * page, (target // PAGE_SIZE) << 10 | leaf)
    return address, bytes(table)


def _privilege(state: HartState, random: Random, recipe: Recipe, hart: int) -> None:
    """Set mstatus and mepc as the generator writes them."""
    mode = recipe.mode(hart)
    value = random.getrandbits(64) & (mstatus.SIE | mstatus.SPIE | mstatus.SPP | mstatus.SUM | mstatus.MXR)
    value |= random.getrandbits(64) & (mstatus.TVM | mstatus.TW | mstatus.TSR | mstatus.MPIE)
    value |= 0xA << 32 | recipe.fs << 13 | (recipe.vs << 9 if recipe.vector else 0)
    if mode is Mode.M:
        value |= random.getrandbits(1) * mstatus.MIE | random.choice((0, 1, 3)) << 11
        value |= (random.getrandbits(64) & (mstatus.MPV | mstatus.GVA)) if recipe.hypervisor else 0
        value |= mstatus.MPRV if recipe.mprv else 0
    else:
        value |= mode.level << 11 | (mstatus.MPV if mode.virtual else 0)
        _set(state, mepc=state.pc)
    _set(state, mstatus=mstatus.with_sd(value))


def _aliases(state: HartState, recipe: Recipe) -> None:
    """Set the views of other CSRs, then clear the aliases that the generator did not write."""
    value, mie, mip = state.get("mstatus"), state.get("mie"), state.get("mip")
    delegated, guest = state.get("mideleg"), state.get("hideleg")
    _set(state, sstatus=value & (mstatus.SSTATUS | mstatus.SD))
    _set(state, sie=mie & delegated & _S_INTERRUPTS, sip=mip & delegated & _S_INTERRUPTS)
    if recipe.hypervisor:
        _set(state, vsie=(mie & guest) >> 1, vsip=(mip & guest) >> 1, hie=mie & 0x1444, hip=mip & 0x1444)
    dropped = {
        Aliases.BOTH: (),
        Aliases.PARTS: ("fcsr", "vcsr", "sstatus", "sie", "sip", "vsie", "vsip", "hie", "hip"),
        Aliases.WHOLE: ("fflags", "frm", "vxsat", "vxrm"),
    }[recipe.aliases]
    _set(state, **dict.fromkeys(dropped, 0))
    if recipe.aliases is Aliases.PARTS:
        _set(state, mip=mip & ~_VS_INTERRUPTS)  # they are in hvip


def blocks(checkpoint: Checkpoint, dram: int = DRAM) -> list[tuple[int, bytes]]:
    """Encode the blocks of a checkpoint, and the header if its place has one.

    Args:
        checkpoint: The harts and the place of their blocks.
        dram: Physical address of the image's first byte.

    Returns:
        Pieces of memory (physical address, bytes).
    """
    place, harts = checkpoint.place, checkpoint.harts
    pieces = []
    for hart, state in enumerate(harts):
        block = bytearray(block_size(place.layout, len(harts)))
        count = len(harts) if state.count is None else state.count
        write_hart(block, place.layout, hart, state, count)
        pieces.append((dram + place.block(hart), bytes(block)))
    if place.header_at >= 0:
        offset = (place.base - place.header_at) % (1 << 64)
        encoded = header.encode(header.Header(offset, len(harts), place.stride, layout=place.layout))
        pieces.append((dram + place.header_at, encoded))
    return pieces
