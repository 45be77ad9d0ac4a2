"""Random legal states: every CSR that a hart of Spike has gets a random value, is restored, and is compared.

What a hart holds after random values were written is legal by definition. The CSRs are found by probing, so this sees
what the project's inventory lacks.
"""

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from random import Random
from typing import NamedTuple

from gcpt.checkpoint import output
from gcpt.checkpoint.generators import leaves_by_mret
from gcpt.checkpoint.layouts import MIB
from gcpt.checkpoint.places import Checkpoint
from gcpt.checkpoint.state import HartState
from gcpt.errors import SimulatorError
from gcpt.isa import mstatus
from gcpt.isa.csrs import BY_NUMBER, When
from gcpt.machines import boot, probe, spike, synthetic
from gcpt.machines.builds import BuiltRestorer
from gcpt.machines.comparison import Comparison, Mismatch, timer_mismatches
from gcpt.machines.observation import comparable
from gcpt.machines.probe import Step
from gcpt.machines.restores import PLACES
from gcpt.machines.spike import Spike
from gcpt.machines.synthetic import DRAM, Mode, Recipe
from gcpt.restorer import packing

_WORD = (1 << 64) - 1
#: Bits of mstatus that follow the mode, that would stop the probe, or that big-endian harts alone have.
_MODE_BITS = mstatus.MIE | mstatus.MPIE | mstatus.MPP | mstatus.MPV | mstatus.MPRV | mstatus.FS | mstatus.VS
_MSTATUS_FIXED = _MODE_BITS | 1 << 6 | 3 << 36 | 1 << 42
_MEMORY = 128 * MIB
_MSTATUS, _MTVEC = 0x300, 0x305
_LAST = ("mtvec", "mstatus")
#: Bits 11 and 10 of a read-only CSR's number.
_READ_ONLY = 3


class Exempt(NamedTuple):
    """CSRs that are not random, or not restored.

    Attributes:
        names: Regular expression for the whole name.
        reason: Why.
    """

    names: str
    reason: str


#: CSRs that get the value of the synthetic checkpoint instead of a random one.
NOT_RANDOM = (
    Exempt("mepc|mcause|mtval|mtval2|mtinst", "the probe's traps and the mode decide"),
    Exempt("stimecmp|vstimecmp|htimedelta", "a random time is due: its interrupt would depend on the clock"),
    Exempt("pmp(cfg|addr)[0-9]+", "random entries would lock M mode out of memory"),
    Exempt("mseccfg", "MML and MMWP lock the probe out of memory"),
    Exempt("mnstatus", "only a non-maskable interrupt clears NMIE"),
    Exempt("tdata1|tdata2|tdata3|tselect", "a random trigger would fire in the probe and in the restorer"),
)
#: CSRs that are not compared.
NOT_STATE = (
    Exempt(
        "misa|m(vendor|arch|imp|hart)id|mconfigptr|vlenb|tinfo|hgeip|scountovf", "read-only: they describe the hart"
    ),
    Exempt("sstatus", "a view of mstatus, which is compared"),
    Exempt("seed", "reading it changes it"),
    Exempt("(m|mhpm|hpm|)(counter[0-9]+|cycle|instret)|time", "counts on during the restore"),
    Exempt("[ms]?topi|vstopi|[ms]topei|vstopei", "a view of pending interrupts"),
)
#: Ratified extensions with state that Spike has, each of which is tried alone and with all others.
EXTENSIONS = (
    *("v", "h", "zicbom", "zicboz", "zkr", "zicfilp", "zicfiss", "svadu", "svpbmt", "sstc", "sscofpmf", "smcntrpmf"),
    *("smcdeleg", "smcsrind", "smstateen", "smepmp", "smdbltrp", "ssdbltrp", "smmpm", "smnpm", "ssnpm"),
    *("smrnmi", "ssqosid"),
)
#: Those that are not tried, with the reason.
NOT_TRIED = {
    "sscsrind": "a hart with M mode has its CSRs with Smcsrind; the restorer asks for miselect alone",
    "zcmt": "excludes C's floating-point loads, which the program that finds the CSRs is not built for",
    "smaia": "Spike 0.0.5.dev20 crashes without H; with H, bits of sie that mvien makes separate from mie are lost",
}


def reason(name: str, exceptions: tuple[Exempt, ...]) -> str:
    """Return the reason why a CSR is an exception.

    Args:
        name: Its name.
        exceptions: The exceptions.

    Returns:
        The reason; "" if it is none.
    """
    return next((item.reason for item in exceptions if re.fullmatch(item.names, name)), "")


@dataclass(frozen=True)
class Trial:
    """One random state.

    Attributes:
        recipe: The synthetic checkpoint that it starts from, with its seed.
        isa: Spike's --isa.
        program: Spike.
        restorer: ``mode=`` of the restorer.
    """

    recipe: Recipe
    isa: str
    program: str
    restorer: str = "single_core"

    def __str__(self) -> str:
        modes = ",".join(mode.value for mode in self.recipe.modes)
        return f"seed {self.recipe.seed}: {modes}, {self.recipe.harts} harts, {self.restorer}, --isa={self.isa}"


def isa(extensions: Sequence[str], vlen: int = 128) -> str:
    """Return Spike's --isa for a hart with some extensions.

    Args:
        extensions: Names of extensions, of one letter or more.
        vlen: VLEN in bits, if ``v`` is one of them.

    Returns:
        The argument of --isa.
    """
    letters = "".join(name for name in extensions if len(name) == 1)
    words = [name for name in extensions if len(name) > 1]
    return "_".join([f"rv64gc{letters}", *([f"zvl{vlen}b"] if "v" in letters else []), "zicntr", "zihpm", *words])


def trials(program: str, seed: int) -> Iterator[Trial]:
    """List trials: all extensions in each mode, with each VLEN, in each layout with several harts, and each one alone.

    Args:
        program: Spike.
        seed: Seed of all random values.

    Yields:
        The trials; each has a seed of its own.
    """
    random = Random(seed)

    def trial(
        extensions: Sequence[str], modes: tuple[Mode, ...], vlen: int = 128, harts: int = 1, mode: str = "single_core"
    ) -> Trial:
        guests, vectors = "h" in extensions, "v" in extensions
        recipe = Recipe(modes, harts, random.getrandbits(32), vlen, vector=vectors, hypervisor=guests, locks=False)
        return Trial(recipe, isa(extensions, vlen), program, mode)

    modes = list(Mode)
    yield from (trial(EXTENSIONS, (mode,)) for mode in modes)
    yield from (trial(EXTENSIONS, (random.choice(modes),), vlen) for vlen in (256, 512, 1024, 2048))
    for layout, harts in (("dual_core", 1), ("dual_core", 3), ("normal", 1), ("normal", 4)):
        yield trial(EXTENSIONS, tuple(random.choices(modes, k=harts)), 128, harts, layout)
    plain = [mode for mode in modes if not mode.virtual]
    yield trial((), (random.choice(plain),))
    for extension in EXTENSIONS:
        yield trial((extension,), (random.choice(modes if extension == "h" else plain),))


def legal_state(hart: Spike, names: dict[int, str], state: HartState, random: Random, folder: Path) -> None:
    """Change a hart's CSRs to random legal values.

    Args:
        hart: A machine with such a hart.
        names: Names of its CSRs by number.
        state: The state to change.
        random: The source of random values.
        folder: Folder for the probe's files.
    """
    writes = []
    for number, name in names.items():
        if number >> 10 == _READ_ONLY or name in _LAST or reason(name, NOT_STATE):
            continue
        value = random.getrandbits(64) & random.choice((_WORD, random.getrandbits(64)))
        writes.append(Step(number, state.csr[number] if reason(name, NOT_RANDOM) else value))
    writes.sort(key=lambda step: -(step.number >> 8 & 3))  # the higher levels limit the lower ones
    reads = [number for number, name in names.items() if name not in _LAST and not reason(name, NOT_STATE)]
    # The probe needs its mtvec, FS and VS until the others are read. What the mode decides stays in mstatus, and MPIE
    # is not written: the probe has no interrupts.
    kept = state.get("mstatus") & _MODE_BITS & ~mstatus.MIE
    status = kept | random.getrandbits(64) & ~_MSTATUS_FIXED
    last = [Step(_MTVEC, random.getrandbits(64)), Step(_MTVEC), Step(_MSTATUS, status & ~mstatus.MPIE), Step(_MSTATUS)]
    readings, _ = probe.run(hart, [*writes, *(Step(number) for number in reads), *last], folder)
    for number, held in zip([*reads, _MTVEC], readings, strict=False):
        entry = BY_NUMBER.get(number)
        if entry is None or entry.when is not When.VECTOR:
            state.csr[number] = held or 0
    state.set("mstatus", mstatus.with_sd((readings[-1] or 0) | kept & mstatus.MPIE))


def run(trial: Trial, built: BuiltRestorer, folder: Path, timeout: float = 60) -> Comparison:
    """Restore a random legal state and compare every CSR that the hart has, and all registers.

    Args:
        trial: The state's parameters.
        built: The restorer.
        folder: Folder for files.
        timeout: Seconds for each hart to arrive.

    Returns:
        The comparison; a mismatch in a group that the restorer leaves out has that as its reason.

    Raises:
        SimulatorError: A hart did not arrive, or the probe failed.
    """
    recipe = trial.recipe
    machine = Spike(trial.program, trial.isa, recipe.harts, _MEMORY)
    names = probe.existing(machine, folder)
    random = Random(recipe.seed)
    checkpoint = synthetic.make(recipe)
    for state in checkpoint.harts:
        prepared = leaves_by_mret(state)
        legal_state(machine, names, state, random, folder)
        if prepared:
            state.set("mepc", state.pc)
    memory = folder / "memory"
    place = PLACES[trial.restorer]
    pieces = [*synthetic.blocks(Checkpoint(place, checkpoint.harts)), *checkpoint.memory]
    output.write_pieces(memory, [(address - DRAM, data) for address, data in pieces], _MEMORY)
    packing.place(memory, built.image)
    leave = boot.leave_address(packing.read(built.image), built.config, False)
    elf = folder / "memory.elf"
    spike.write_elf(elf, memory, DRAM, spike.symbols(built.elf if built.elf.exists() else None))
    compared = [name for number, name in names.items() if not reason(name, NOT_STATE)]
    parts = []
    for hart, state in enumerate(checkpoint.harts):
        virtual = recipe.mode(hart).virtual
        reading = spike.read(machine, elf, hart, state.pc, compared, folder, timeout, leave if virtual else None)
        csr = comparable(
            {**reading.numbers, **{name: value for name, value in reading.higher.items() if name != "mstatus"}}
        )
        parts.append(_compare(hart, state, names, compared, csr, reading, built.config.csr_groups))
        compare, now = (reading.numbers[name] or 0 for name in ("mtimecmp", "mtime"))
        parts.append(timer_mismatches({hart: state}, {hart: compare}, now, timeout))
    return Comparison.joined(parts)


def losses(trial: Trial, built: BuiltRestorer, folder: Path) -> list[str]:
    """Restore a random legal state and describe what went wrong.

    Args:
        trial: The state's parameters.
        built: The restorer.
        folder: Folder for files.

    Returns:
        A line for each value that is lost without a reason, or for a hart that did not arrive; empty if all is well.
    """
    try:
        return [str(mismatch) for mismatch in run(trial, built, folder).unexplained]
    except SimulatorError as error:
        return [str(error)]


def _compare(
    hart: int,
    state: HartState,
    names: dict[int, str],
    compared: list[str],
    csr: dict[str, int | None],
    reading: spike.Reading,
    groups: tuple[str, ...],
) -> Comparison:
    status = state.get("mstatus")
    if leaves_by_mret(state):
        status = mstatus.after_mret(mstatus.with_sie(status) if state.count == 0 else status)
    status = mstatus.with_sd(status)
    numbers = {name: number for number, name in names.items()}
    wanted = comparable({name: state.csr[numbers[name]] for name in compared}) | {"mstatus": status}
    wanted |= {"pc": state.pc}
    wanted |= {f"x{number}": state.x[number] for number in range(1, 32)}
    csr |= {f"f{number}": (csr[f"f{number}"] or 0) & _WORD for number in range(32)}
    wanted |= {f"f{number}": state.f[number] for number in range(32)}
    mismatches = [
        Mismatch(
            hart,
            name,
            f"{value or 0:#x}",
            "none" if csr.get(name) is None else f"{csr[name]:#x}",
            _left_out(numbers.get(name), groups),
        )
        for name, value in wanted.items()
        if csr.get(name) != value
    ]
    mismatches += [
        Mismatch(hart, f"v{number}", want.hex(), got.hex())
        for number, (want, got) in enumerate(zip(state.v, reading.v, strict=False))
        if want != got
    ]
    mode = reading.privilege, reading.virtual
    level = state.mode, state.is_guest
    if mode != level:
        mismatches.append(Mismatch(hart, "mode", f"{level}", f"{mode}"))
    return Comparison(len(wanted) + len(reading.v) + 1, mismatches)


def _left_out(number: int | None, groups: tuple[str, ...]) -> str:
    """Return why a restorer of ``groups`` loses the CSR of that number; "" if it must not."""
    entry = None if number is None else BY_NUMBER.get(number)
    if entry and entry.group not in groups:
        return f"the restorer leaves group {entry.group} out (csrs=)"
    return ""
