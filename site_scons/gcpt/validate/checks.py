"""Would a checkpoint restore on a platform, and go on there? Findings of the kinds in ``findings``; nothing is run.

``Subject`` is what is looked at; a check is a function from it, and from one of its harts, to findings. They stand in
the order in which a restorer comes to these things: the first error with a signal is the one that it ends with.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

from gcpt.checkpoint import containers, output, search, streams
from gcpt.checkpoint.files import check_block
from gcpt.checkpoint.layouts import CSR_COUNT, DEFAULT_VLEN, MAX_HARTS, MAX_VLEN, PAYLOAD_OFFSET, RESERVED_SIZE
from gcpt.checkpoint.places import Place, PlaceKind
from gcpt.checkpoint.reader import FileReader
from gcpt.checkpoint.search import HeaderError, Location
from gcpt.checkpoint.state import HartState, block_size, read_hart
from gcpt.errors import UserError
from gcpt.isa import mstatus, pmp
from gcpt.isa.csrs import BY_NUMBER, INVENTORY, When
from gcpt.isa.fields import HGATP_MODES, SATP_MODES, decode
from gcpt.isa.paging import GUEST_ROOT_SIZE, PAGE_SIZE
from gcpt.restorer import plan, trampoline
from gcpt.restorer.codes import CODES
from gcpt.restorer.config import BuildConfig
from gcpt.restorer.resolution import resolve
from gcpt.validate.findings import BY_CODE, FindingKind, Severity

#: What ``platform=`` is by default.
_PLATFORM = "xiangshan"
_SIGNALS = {code.name: code.number for code in CODES}
#: Groups without which software computes the same: they count, tune or debug.
_MINOR = {"hpm3", "hpm", "counters", "smcntrpmf", "smctr", "sdtrig", "smrnmi", "xscustom"}
_VLENB, _READ_ONLY = 0xC22, 3
#: Modes of translation, by page tables.
_TABLES = SATP_MODES.keys() - {0}
#: An instruction has 2 bytes at least.
_FETCH = 2
_STCE, _STIE = 1 << 63, 1 << 5
_NEVER = (1 << 64) - 1
#: Registers by name that one line names at most.
_SHOWN = 6


@dataclass(frozen=True)
class Finding:
    """kind: what it means. what: of this checkpoint. hart: whose it is, None where it is of all."""

    kind: FindingKind
    what: str
    hart: int | None = None

    @property
    def severity(self) -> Severity:
        return self.kind.severity

    @property
    def signal(self) -> int:
        """The code with which the restorer ends, or that its line has; 0 where it says nothing."""
        return _SIGNALS[self.kind.signal] if self.kind.signal else 0


def _found(code: str, what: str, hart: int | None = None) -> Finding:
    return Finding(BY_CODE[code], what, hart)


@dataclass(frozen=True)
class Root:
    """A root of page tables. register: that names it. used: by the fetch at the pc."""

    register: str
    address: int
    size: int
    used: bool


@dataclass(frozen=True)
class Subject:
    """A checkpoint on its way to a machine; all addresses are physical.

    config: of the restorer. carried: the bytes of the one that the image brings, 0 if none. payload: where that one's
    is, 0 if none. base: the address of the image that holds the state. size, container: of the memory image, in bytes
    of content. counted, marked: harts as csr_reserve has it, and blocks with the magic. places: all that have marks.
    harts: by number, those that are restored. machine_harts: that the machine has, 0 as many as it takes. contents:
    bytes of the memory image by address.
    """

    config: BuildConfig
    found: Location
    base: int
    carried: int
    payload: int
    size: int
    container: str
    marked: int
    counted: int
    places: list[Place]
    harts: dict[int, HartState]
    machine_harts: int = 0
    contents: dict[int, bytes] = field(default_factory=dict)

    @property
    def dram(self) -> int:
        return self.config.platform.dram

    @property
    def own(self) -> range:
        """The MiB of the restorer."""
        start = self.config.load_address // RESERVED_SIZE * RESERVED_SIZE
        return range(start, start + RESERVED_SIZE)

    def block(self, hart: int) -> int:
        return self.base + self.found.place.block(hart)

    def state(self, hart: int) -> range:
        """What the hart's state takes."""
        low, high = self.found.place.layout.span(self.found.harts, len(self.harts[hart].v[0]))
        return range(self.block(hart) + low, self.block(hart) + high)

    def holds(self, address: int, size: int = 1) -> bool:
        """Whether the memory image has these bytes, or the platform's flash may."""
        flash = self.config.platform.flash
        in_flash = bool(flash) and flash <= address < flash + 2 * RESERVED_SIZE
        return in_flash or (self.dram <= address and address + size <= self.dram + self.size)

    def overwritten(self, address: int) -> bool:
        """Whether the restorer or a block is there, in memory."""
        return address in self.own or any(address in self.state(hart) for hart in self.harts)

    def empty(self, address: int, size: int) -> bool:
        """Whether the image is known to hold nothing but zeros there."""
        return address in self.contents and not any(self.contents[address][:size])


HartCheck = Callable[[Subject, int, HartState], Iterator[Finding]]


# Where the hart goes on.


def _virtual(state: HartState) -> bool:
    return state.mode != mstatus.MACHINE and bool(state.get("mstatus") & mstatus.MPV)


def physical_pc(state: HartState) -> bool:
    """Whether nothing translates the pc."""
    if state.mode == mstatus.MACHINE:
        return True
    registers = ("vsatp", "hgatp") if _virtual(state) else ("satp",)
    return not any(state.get(name) >> 60 for name in registers)


def roots(state: HartState) -> Iterator[Root]:
    """The roots of page tables that are physical addresses."""
    machine, virtual = state.mode == mstatus.MACHINE, _virtual(state)
    used = {"satp": not machine and not virtual, "vsatp": virtual, "hgatp": virtual}
    for name, size in (("satp", PAGE_SIZE), ("hgatp", GUEST_ROOT_SIZE), ("vsatp", PAGE_SIZE)):
        value = state.get(name)
        if value >> 60 in _TABLES and (name != "vsatp" or not state.get("hgatp") >> 60):
            yield Root(name, (value & (1 << 44) - 1) << 12, size, used[name])


# Checks of the whole.


def _image(subject: Subject) -> Iterator[Finding]:
    if len(subject.places) > 1:
        names = [f"{one.kind.value} at {one.base:#x}" for one in subject.places]
        yield _found("more-layouts", f"{', '.join(names)}; looked at is {subject.found.place.kind.value}")
    short = subject.size % output.ZSTD_MULTIPLE
    if subject.container == "zstd" and short and subject.config.platform.end == "nemu_trap":
        yield _found("zstd-length", f"the image is {subject.size:,} bytes, {short:,} more than such a multiple")


def _overlaps(subject: Subject) -> Iterator[Finding]:
    start = subject.config.load_address
    for hart in subject.harts:
        state = subject.state(hart)
        if subject.carried and state.start < start + subject.carried and start < state.stop:
            said = f"it ends at {start + subject.carried:#x}, the state begins at {state.start:#x}"
            yield _found("restorer-over-state", said, hart)
        if subject.payload in state:
            yield _found("payload-over-state", f"the payload is at {subject.payload:#x}", hart)


def _harts(subject: Subject) -> Iterator[Finding]:
    harts, place = subject.found.harts, subject.found.place
    if harts > subject.config.harts:
        yield _found("too-many-harts", f"{harts} harts; the restorer serves {subject.config.harts}")
    missing = [hart for hart in subject.harts if subject.machine_harts and hart >= subject.machine_harts]
    if missing:
        yield _found("harts-missing", f"{harts} harts; the machine has {subject.machine_harts}")
    if place.header_at >= 0:
        return
    if place.kind is PlaceKind.DUAL_CORE:
        for hart in range(subject.marked, min(harts, MAX_HARTS)):
            yield _found(
                "hart-unmarked", f"the count is {subject.counted}, the blocks with the magic {subject.marked}", hart
            )
        if subject.marked > harts:
            yield _found(
                "harts-uncounted", f"the count is {subject.counted}, the blocks with the magic {subject.marked}"
            )
        if subject.counted == 2 < subject.marked:
            yield _found("hart-count-2", f"{subject.marked} blocks are marked")
    elif subject.counted > 1:
        yield _found(
            "harts-uncounted", f"the count is {subject.counted}, and the layout {place.kind.value} has one hart"
        )


def _clocks(subject: Subject) -> Iterator[Finding]:
    times = {hart: state.mtime for hart, state in subject.harts.items()}
    if len(set(times.values())) > 1:
        yield _found("mtime-differs", f"{min(times.values()):#x} to {max(times.values()):#x}")


# Checks of a hart.


def _vlen(subject: Subject, hart: int, state: HartState) -> Iterator[Finding]:
    vlenb, used = state.get("vlenb"), state.get("mstatus") & mstatus.VS
    if "v" not in subject.config.csr_groups or not used:
        return
    if vlenb and not _possible(vlenb):
        yield _found("vlenb", f"vlenb is {vlenb:#x}", hart)
        return
    vlen, (least, most) = 8 * vlenb or DEFAULT_VLEN, subject.config.platform.vlen
    if not least <= vlen <= most:
        has = f"{least}" if least == most else f"{least} to {most}"
        yield _found("vlen-platform", f"VLEN is {vlen} bits; {subject.config.platform.name} has {has}", hart)


def _possible(vlenb: int) -> bool:
    return DEFAULT_VLEN // 8 <= vlenb <= MAX_VLEN // 8 and not vlenb & vlenb - 1


def _leaving(subject: Subject, hart: int, state: HartState) -> Iterator[Finding]:
    """As the end of firmware/restore.S decides; the first finding is what it says."""
    value, mtvec = state.get("mstatus"), state.get("mtvec")
    if mtvec in subject.own:
        yield _found("mtvec-in-restorer", f"mtvec is {mtvec:#x}", hart)
    if state.mode not in (mstatus.USER, mstatus.SUPERVISOR, mstatus.MACHINE):
        yield _found("mode", f"mode is {state.mode:#x}", hart)
        return
    if state.mode == mstatus.MACHINE:
        yield from _leaving_to_m(subject, hart, state)
        return
    if mstatus.mpp(value) != state.mode:
        yield _found("mpp", f"the mode is {state.mode}, mstatus.MPP is {mstatus.mpp(value)}", hart)
    if value & mstatus.MPRV:
        yield _found("mprv", f"the mode is {state.mode}, mstatus is {value:#x}", hart)
    if state.get("mepc") != state.pc:
        yield _found("mepc", f"mepc is {state.get('mepc'):#x}, the pc {state.pc:#x}", hart)


def _leaving_to_m(subject: Subject, hart: int, state: HartState) -> Iterator[Finding]:
    value = state.get("mstatus")
    if state.pc in subject.own:
        yield _found("pc-in-restorer", f"the pc is {state.pc:#x}", hart)
    if value & mstatus.MPRV:
        yield _found("m-mode-mprv", f"mstatus is {value:#x}", hart)
    prepared = state.get("mepc") == state.pc and mstatus.mpp(value) == mstatus.MACHINE
    if prepared or value & mstatus.MPRV or state.pc in subject.own or _jump_reaches(subject, hart, state.pc):
        return
    code = "m-mode-far-exact" if subject.config.exact else "m-mode-far"
    yield _found(code, f"the pc is {state.pc:#x}, mepc {state.get('mepc'):#x}", hart)


def _jump_reaches(subject: Subject, hart: int, pc: int) -> bool:
    """Whether the jal at the end of the hart's trampoline gets there."""
    if subject.config.flash:
        return False  # with ram= the trampolines are there; whether they reach is not known before the build
    return trampoline.reaches(subject.dram, hart, pc)


def _last_writes(subject: Subject, hart: int, state: HartState) -> Iterator[Finding]:
    groups = subject.config.csr_groups
    if "smepmp" in groups and state.get("mseccfg") & 3:
        yield _found("mseccfg", f"mseccfg is {state.get('mseccfg'):#x}", hart)
    trigger = {one.name for one in decode("tdata1", state.get("tdata1")) if one.value}
    if "sdtrig" in groups and "m" in trigger:
        yield _found("trigger", f"tdata1 is {state.get('tdata1'):#x}", hart)
    if "pmp16" not in groups:
        return
    places = [subject.own.start]
    if not subject.config.direct:
        block = subject.block(hart)
        places += [block, block + subject.found.place.layout.int_reg]
    areas = (range(at, at + RESERVED_SIZE) for at in places)
    if entry := pmp.locking_out(state, areas, 64 if "pmp64" in groups else 16):
        yield _found("pmp-locked", f"entry {entry.number}, {entry.start:#x} to {entry.end:#x}", hart)


def _pmp_allows(subject: Subject, hart: int, state: HartState) -> Iterator[Finding]:
    machine = state.mode == mstatus.MACHINE
    if not any(pmp.entries(state)):
        if not machine:
            yield _found("pmp-off", f"the mode is {state.mode}", hart)
        return
    if physical_pc(state) and not pmp.allows(state, state.pc, _FETCH, pmp.EXECUTE, machine):
        yield _found("pmp-pc", f"the pc is {state.pc:#x}", hart)
    for root in roots(state):
        if root.used and not pmp.allows(state, root.address, 8, pmp.READ):
            yield _found("pmp-root", f"{root.register} names {root.address:#x}", hart)


def _pc(subject: Subject, hart: int, state: HartState) -> Iterator[Finding]:
    if not physical_pc(state):
        return
    machine = state.mode == mstatus.MACHINE
    if not subject.holds(state.pc, _FETCH):
        yield _found("pc-outside", f"the pc is {state.pc:#x}, memory {_memory(subject)}", hart)
    elif subject.overwritten(state.pc):
        if not machine or state.pc not in subject.own:  # of M mode, that is pc-in-restorer
            yield _found("pc-overwritten", f"the pc is {state.pc:#x}", hart)
    elif subject.empty(state.pc, _FETCH):
        yield _found("pc-empty", f"the pc is {state.pc:#x}", hart)


def _memory(subject: Subject) -> str:
    return f"{subject.dram:#x} to {subject.dram + subject.size:#x}"


def _translation(subject: Subject, hart: int, state: HartState) -> Iterator[Finding]:
    for name, modes in (("satp", SATP_MODES), ("vsatp", SATP_MODES), ("hgatp", HGATP_MODES)):
        mode = state.get(name) >> 60
        if mode not in modes:
            yield _found("translation-mode", f"{name} is {state.get(name):#x}", hart)
        elif mode not in (0, *subject.config.platform.paging):
            yield _found("translation-platform", f"{name} is {modes[mode]}", hart)
    for root in roots(state):
        said = f"{root.register} names {root.address:#x}"
        if not subject.holds(root.address, root.size):
            code = "root-outside" if root.used else "pointer-outside"
            yield _found(code, f"{said}, memory is {_memory(subject)}", hart)
        elif root.used and subject.overwritten(root.address):
            yield _found("root-overwritten", said, hart)
        elif root.used and subject.empty(root.address, root.size):
            yield _found("root-empty", said, hart)
    mtvec = state.get("mtvec") & ~3
    if mtvec and not subject.holds(mtvec):
        yield _found("pointer-outside", f"mtvec is {mtvec:#x}, memory {_memory(subject)}", hart)


def _csrs(subject: Subject, hart: int, state: HartState) -> Iterator[Finding]:
    groups, out = subject.config.csr_groups, (When.ALIAS, When.NEVER)
    left = [csr for csr in INVENTORY if csr.group not in groups and csr.when not in out and state.get(csr.name)]
    for code, minor in (("csrs-left-out", False), ("csrs-left-out-minor", True)):
        mine = [csr for csr in left if (csr.group in _MINOR) == minor]
        if mine:
            more = ",".join(f"+{group}" for group in dict.fromkeys(csr.group for csr in mine))
            yield _found(code, f"{_listed([csr.name for csr in mine])}: csrs={more}", hart)
    unknown = [n for n in range(CSR_COUNT) if state.csr[n] and n not in BY_NUMBER and n >> 10 != _READ_ONLY]
    if unknown:
        yield _found("csrs-unknown", _listed(list(map(hex, unknown))), hart)


def _listed(names: list[str]) -> str:
    more = f" and {len(names) - _SHOWN} more" if len(names) > _SHOWN else ""
    return ", ".join(names[:_SHOWN]) + more


def _vectors(subject: Subject, hart: int, state: HartState) -> Iterator[Finding]:
    dirty = state.get("mstatus") & mstatus.VS == mstatus.VS
    if dirty and any(map(any, state.v[:4])) and not any(map(any, state.v[4:])):
        yield _found("vectors-4-only", "mstatus.VS is Dirty", hart)


def _timers(subject: Subject, hart: int, state: HartState) -> Iterator[Finding]:
    csr = state.get
    if state.mtimecmp <= state.mtime:
        yield _found("mtimecmp-due", f"mtimecmp is {state.mtimecmp:#x}, mtime {state.mtime:#x}", hart)
    if not csr("menvcfg") & _STCE:
        return
    if csr("stimecmp") <= state.mtime:
        yield _found("stimecmp-due", f"stimecmp is {csr('stimecmp'):#x}, mtime {state.mtime:#x}", hart)
    if csr("stimecmp") not in (0, _NEVER) and not csr("mie") & _STIE:
        yield _found("stie-clear", f"stimecmp is {csr('stimecmp'):#x}, mie {csr('mie'):#x}", hart)
    guest = (state.mtime + csr("htimedelta")) % (1 << 64)
    if csr("henvcfg") & _STCE and csr("vstimecmp") <= guest:
        yield _found("vstimecmp-due", f"vstimecmp is {csr('vstimecmp'):#x}, the guest's time {guest:#x}", hart)


BEFORE: tuple[Callable[[Subject], Iterator[Finding]], ...] = (_image, _overlaps, _harts)
OF_HARTS: tuple[HartCheck, ...] = (
    *(_vlen, _leaving, _last_writes),
    *(_pc, _translation, _pmp_allows, _csrs, _vectors, _timers),
)


def checked(subject: Subject) -> Iterator[Finding]:
    """All findings, each check for every hart before the next."""
    for check in BEFORE:
        yield from check(subject)
    for of_hart in OF_HARTS:
        for hart, state in subject.harts.items():
            yield from of_hart(subject, hart, state)
    yield from _clocks(subject)


# From files.


@dataclass(frozen=True)
class Report:
    """findings: in the order in which a restorer would come to them. config: of the restorer that they are about.

    found: None where that restorer takes none from the image.
    """

    findings: list[Finding]
    config: BuildConfig
    found: Location | None

    def of(self, severity: Severity) -> list[Finding]:
        return [found for found in self.findings if found.severity is severity]


def validate(
    path: Path,
    platform: str = "",
    machine_harts: int = 0,
    flash: Path | None = None,
    advance: Callable[[int], None] = lambda size: None,
) -> Report:
    """Whether the checkpoint ``path`` would restore: with the restorer that it carries, or one built for its layout.

    platform: by default the carried restorer's, or xiangshan. machine_harts: how many the machine has; 0 is enough.
    flash: the flash image that holds the state, of a pair. advance: told of bytes of content as they are read.
    UserError when a file cannot be read, or the platform has no flash.
    """
    read = FileReader(flash or path)
    carried = plan.embedded(read(0, RESERVED_SIZE))
    asked = platform or _PLATFORM
    early = []
    if carried and not carried.whole:
        early.append(_found("restorer-cut", f"its size word says {carried.size:#x} bytes"))
    options = carried.options if carried else None
    if options is not None:
        config = plan.built_from(options)
        if platform and config.platform.name != platform:
            early.append(_found("other-platform", f"it is for {config.platform.name}, not {platform}"))
    elif flash:
        config = resolve({"mode": "single_core", "platform": asked, "flash": "1"})
    else:
        config = resolve({"mode": "auto", "platform": asked})
    try:
        found = plan.find(read, config, carried.size if carried and options is not None else None)
    except HeaderError as error:
        return Report([*early, _found(error.code, error.what)], config, None)
    if found is None:
        return Report([*early, _found("no-checkpoint", f"looked for as mode={config.mode} does")], config, None)
    if options is None and not flash:
        config = resolve({"mode": plan.MODES[found.place.kind], "platform": asked})
    try:
        check_block(found.place.layout, min(found.harts, MAX_HARTS))
    except UserError as error:
        raise UserError(f"{flash or path}: {error}") from error
    harts, cut = _read(read, found, config)
    wanted = {address: size for state in harts.values() for address, size in _pointers(state)}
    length, contents = _scan(path, wanted, config.platform.dram, advance)
    subject = Subject(
        config=config,
        found=found,
        base=config.load_address,
        carried=carried.size if carried else 0,
        payload=_payload(options or {}, config),
        size=length,
        container=containers.container_of(path),
        marked=search.count_marked(read, found.place) if found.place.kind is PlaceKind.DUAL_CORE else 1,
        counted=0 if found.header else search.written_count(read, found.place),
        places=search.find_all(read),
        harts=harts,
        machine_harts=machine_harts,
        contents=contents,
    )
    unmarked = [
        _found("magic-missing", "there is none", hart)
        for hart in harts
        if found.header and not search.is_marked(read, found.place, hart)
    ]
    return Report([*early, *cut, *unmarked, *checked(subject)], config, found)


def _payload(options: dict[str, str], config: BuildConfig) -> int:
    """Where the payload of a carried restorer is, by its options; 0 if none."""
    if "gcpt_payload" not in options:
        return 0
    return int(options.get("gcpt_payload_position", str(config.platform.dram + PAYLOAD_OFFSET)), 0)


def _read(read: FileReader, found: Location, config: BuildConfig) -> tuple[dict[int, HartState], list[Finding]]:
    """The harts that are restored and whose blocks are whole, and findings of those that are not."""
    layout, harts, cut = found.place.layout, {}, []
    for hart in range(min(found.harts, MAX_HARTS)):
        if hart in config.stop_cpu:
            continue
        start = found.place.block(hart)
        size = block_size(layout, hart + 1)
        block = bytearray(read(start, size) if start >= 0 else b"")
        if len(block) < layout.span(found.harts)[1]:
            cut.append(_found("block-cut", f"the block is at {start:#x} of the image", hart))
            continue
        at = layout.csr(_VLENB)
        vlenb = int.from_bytes(block[at : at + 8], "little")
        if not _possible(vlenb):
            block[at : at + 8] = bytes(8)  # its vector registers are read as of 128 bits
        state = read_hart(block.ljust(size, b"\0"), layout, hart)
        state.set("vlenb", vlenb)
        harts[hart] = state
    return harts, cut


def _pointers(state: HartState) -> Iterator[tuple[int, int]]:
    """Addresses in memory whose content is looked at, and how many bytes."""
    if physical_pc(state):
        yield state.pc, _FETCH
    for root in roots(state):
        if root.used:
            yield root.address, root.size


def _scan(
    path: Path, wanted: dict[int, int], dram: int, advance: Callable[[int], None]
) -> tuple[int, dict[int, bytes]]:
    """Read all of an image: its length, and the bytes at ``wanted`` (size by address) as far as they are in it."""
    contents = {address: bytearray() for address in wanted}
    at = dram
    for chunk in streams.chunks(path):
        for address, size in wanted.items():
            first, last = max(address, at), min(address + size, at + len(chunk))
            if first < last:
                contents[address] += chunk[first - at : last - at]
        at += len(chunk)
        advance(len(chunk))
    return at - dram, {address: bytes(data) for address, data in contents.items() if len(data) == wanted[address]}
