"""Random checkpoints that no generator writes: registers and headers with arbitrary values."""

from collections.abc import Callable
from dataclasses import dataclass, replace
from random import Random

from gcpt.checkpoint import header
from gcpt.checkpoint.header import Header
from gcpt.checkpoint.layouts import CSR_COUNT, DEFAULT, MIB, MULTI_CORE, MULTI_CORE_OFFSET, Layout
from gcpt.checkpoint.places import Checkpoint, Place, PlaceKind
from gcpt.checkpoint.state import HartState, write_hart
from gcpt.isa import mstatus
from gcpt.isa.csrs import BY_NAME
from gcpt.machines import synthetic
from gcpt.machines.synthetic import DRAM, Mode, Recipe

_WORD = 1 << 64
#: Values at the edges of what a field may hold.
_EDGES = (0, 1, 2, 3, 7, 8, 127, 128, 129, 1 << 12, 1 << 20, 1 << 30, 1 << 31, 1 << 32, 1 << 63, _WORD - 1, DRAM)
MOST_HARTS = 3


@dataclass(frozen=True)
class Hostile:
    """A checkpoint. pieces: memory (address, bytes). harts: of the machine. what: its faults, for failure messages."""

    pieces: list[tuple[int, bytes]]
    harts: int
    what: list[str]


def number(random: Random) -> int:
    """A random 64-bit number, with a preference for edge values, few bits and addresses."""
    return random.choice(
        (
            lambda: random.choice(_EDGES),
            lambda: random.getrandbits(64),
            lambda: random.getrandbits(random.randrange(1, 64)),
            lambda: _WORD - 1 - random.getrandbits(random.randrange(1, 64)),
            lambda: 1 << random.randrange(64),
            lambda: DRAM + random.getrandbits(24),
        )
    )()


def _elsewhere(state: HartState) -> None:
    """Move the pc and trap vectors out of QEMU's reset code, which would start the restorer again."""

    def moved(address: int) -> int:
        return DRAM + MIB + address % MIB if address >> 12 == 1 else address

    state.pc = moved(state.pc)
    for name in ("mtvec", "stvec", "vstvec"):
        state.set(name, moved(state.get(name)))


def _all_csrs(state: HartState, random: Random) -> None:
    for i in range(CSR_COUNT):
        if i != BY_NAME["vlenb"].number or not random.randrange(8):
            state.csr[i] = number(random)


def _some_csrs(state: HartState, random: Random) -> None:
    for name in random.sample(sorted(BY_NAME), random.randrange(1, 12)):
        state.set(name, number(random))


def _pmp(state: HartState, random: Random) -> None:
    """Set all entries; most locked ones are where no memory is, which the restorer must tolerate."""
    for entry in range(16):
        near = DRAM + random.getrandbits(22) >> 2
        state.set(f"pmpaddr{entry}", random.choice((number(random), near, 0x4000_0000 >> 2 | random.getrandbits(20))))
    for register in (0, 2):
        configs = random.getrandbits(64)
        state.set(f"pmpcfg{register}", configs if random.getrandbits(1) else configs & ~0x8080_8080_8080_8080)


def _one_lock(state: HartState, random: Random) -> None:
    entry = random.randrange(8)
    address = DRAM + random.choice((0, random.getrandbits(21), MULTI_CORE_OFFSET + random.getrandbits(21))) >> 2
    state.set(f"pmpaddr{entry}", address | (1 << random.randrange(20)) - 1)
    config = 0x80 | random.getrandbits(5)
    state.set("pmpcfg0", state.get("pmpcfg0") & ~(0xFF << 8 * entry) | config << 8 * entry)


def _vector(state: HartState, random: Random) -> None:
    for name in ("vtype", "vl", "vstart", "vcsr", "vxrm", "vxsat"):
        state.set(name, number(random))
    if not random.randrange(4):
        state.set("vlenb", number(random))


def _translation(state: HartState, random: Random) -> None:
    for name in ("satp", "vsatp", "hgatp", "hstatus"):
        state.set(name, number(random))


def _vectors_of_traps(state: HartState, random: Random) -> None:
    for name in ("mtvec", "stvec", "vstvec"):
        state.set(name, number(random))


def _interrupts(state: HartState, random: Random) -> None:
    for name in ("mie", "mip", "mideleg", "hideleg", "hvip", "menvcfg", "henvcfg", "stimecmp", "vstimecmp"):
        state.set(name, number(random))
    state.mtime, state.mtimecmp = number(random), number(random)
    enabled = state.get("mstatus") | mstatus.MIE | random.getrandbits(64) & (mstatus.MPIE | mstatus.SIE)
    state.set("mstatus", enabled)


def _triggers(state: HartState, random: Random) -> None:
    """Set a trigger of any type, mostly at the restorer or the state."""
    state.set("tselect", random.choice((0, 0, 1, number(random))))
    state.set("tdata1", random.randrange(8) << 60 | random.getrandbits(27))
    state.set("tdata2", random.choice((DRAM + random.getrandbits(20), DRAM + random.getrandbits(11), number(random))))
    state.set("tcontrol", random.choice((0, 8, 0x88, number(random))))


def _security(state: HartState, random: Random) -> None:
    state.set("mseccfg", random.choice((random.getrandbits(3), number(random))))


def _mstatus(state: HartState, random: Random) -> None:
    """Set a random mstatus; half of the time MPP and MPRV fit the mode."""
    value = number(random)
    if random.getrandbits(1):
        value = value & ~(3 << 11 | mstatus.MPRV) | (state.mode & 3) << 11
    state.set("mstatus", value)


def _mode(state: HartState, random: Random) -> None:
    state.mode = random.choice((0, 1, 2, 3, 4, number(random)))


def _pc(state: HartState, random: Random) -> None:
    state.pc = number(random)
    if random.getrandbits(1):
        state.set("mepc", state.pc)


_CHANGES: tuple[Callable[[HartState, Random], None], ...] = (
    *(_all_csrs, _some_csrs, _pmp, _one_lock, _vector, _translation, _vectors_of_traps, _interrupts),
    *(_mstatus, _mode, _pc, _triggers, _security),
)


def _change(state: HartState, random: Random) -> list[str]:
    chosen = random.sample(_CHANGES, random.choice((1, 1, 2, 3)))
    if _all_csrs in chosen:
        # A random mstatus or vlenb would usually be refused before any other CSR matters.
        chosen = [_all_csrs, _mstatus, *(change for change in chosen if change is not _all_csrs)]
    for change in chosen:
        change(state, random)
    _elsewhere(state)
    return [change.__name__.strip("_") for change in chosen]


def registers(random: Random, place: Place) -> Hostile:
    """A checkpoint with one hart whose registers are wrong."""
    harts = 1 if place.kind is PlaceKind.SINGLE_CORE else random.randrange(1, MOST_HARTS + 1)
    modes = random.sample(tuple(Mode), harts)
    checkpoint = synthetic.make(Recipe(tuple(modes), harts=harts, seed=random.getrandbits(32), locks=False))
    odd = random.randrange(harts)
    what = [f"hart {odd} of {[mode.value for mode in modes]}", *_change(checkpoint.harts[odd], random)]
    pieces = synthetic.blocks(Checkpoint(place, checkpoint.harts))
    if place.kind is PlaceKind.DUAL_CORE and not random.randrange(6):
        count = random.choice((0, harts, 129, 1 << 32, 1 << 63, _WORD - 1))
        pieces.append((DRAM + place.block(0) + place.layout.csr_reserve, count.to_bytes(8, "little")))
        what.append(f"csr_reserve {count:#x}")
    return Hostile([*pieces, *checkpoint.memory], harts, what)


def _layout(random: Random, layout: Layout) -> Layout:
    names = random.sample(sorted(layout.items()), random.randrange(3))
    offsets = (lambda: number(random), lambda: 8 * random.getrandbits(20), lambda: random.getrandbits(12))
    return replace(layout, **{name: random.choice(offsets)() for name in names})


def _damage(random: Random, data: bytes) -> bytes:
    """Change, insert, repeat or delete bytes."""
    out = bytearray(data)
    for _ in range(random.choice((0, 0, 1, 2))):
        at = random.randrange(6, len(out))
        kind = random.randrange(5)
        if kind == 0:
            out[at] ^= 1 << random.randrange(8)
        elif kind == 1:
            out[at:at] = random.randbytes(random.randrange(1, 12))
        elif kind == 2:
            out[at:at] = out[random.randrange(at) :][: random.randrange(12)]
        elif kind == 3:
            out[at:at] = b"\xff" * random.choice((9, 10, 200))
        else:
            del out[at : at + random.randrange(1, 9)]
    return bytes(out)


def with_header(random: Random) -> Hostile:
    """A checkpoint with a wrong or damaged protobuf header, and blocks at its offsets as far as memory reaches."""
    layout = random.choice((DEFAULT, MULTI_CORE))
    harts = random.randrange(1, MOST_HARTS + 1)
    value = Header(
        cpt_offset=random.choice((160, 168, 168, number(random), number(random) - MULTI_CORE_OFFSET + MIB)) % _WORD,
        cpu_num=random.choice((harts, harts, harts, 0, 129, 1 << 63, _WORD - 1)),
        single_core_size=random.choice((MIB, MIB, 0x14000, 0, number(random))),
        version=random.choice((*header.HEADER_VERSIONS,) * 4 + (0, number(random))),
        layout=_layout(random, layout),
    )
    checkpoint = synthetic.make(Recipe(tuple(random.sample(tuple(Mode), harts)), harts=harts, locks=False))
    what = [str(value)]
    if not random.randrange(3):
        what += _change(checkpoint.harts[0], random)
    base = MULTI_CORE_OFFSET + value.cpt_offset
    pieces = [*checkpoint.memory]
    for hart, state in enumerate(checkpoint.harts):
        start = (base + hart * value.single_core_size) % _WORD
        if MIB <= start < 8 * MIB:
            block = bytearray(MIB)
            write_hart(block, layout, hart, state, harts)
            pieces.append((DRAM + start, bytes(block)))
    data = _damage(random, header.encode(value))
    return Hostile([*pieces, (DRAM + MULTI_CORE_OFFSET, data)], harts, [*what, data.hex()])
