"""Rules that every linked restorer keeps. Each is a function from an ELF and its configuration to findings.

    python -m gcpt.build.audit ELF [OPTION=VALUE...]      with the options that the ELF was built with

Addresses are physical, in bytes; "the restorer" is all that is loaded but the payload.
"""

import struct
import sys
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from elftools.common.exceptions import ELFError
from elftools.elf.constants import P_FLAGS, SH_FLAGS
from elftools.elf.elffile import ELFFile
from elftools.elf.sections import SymbolTableSection

from gcpt import __version__
from gcpt.build import provenance
from gcpt.checkpoint import layouts, stamp
from gcpt.errors import UserError
from gcpt.restorer import budgets, trampoline
from gcpt.restorer.config import BuildConfig
from gcpt.restorer.linked import Linked, Span
from gcpt.restorer.resolution import resolve

#: Relocations that put an address into the image (RISC-V psABI, "Relocations"): R_RISCV_32, 64, HI20, LO12_I, LO12_S,
#: and those that only a dynamic linker resolves: RELATIVE, COPY, JUMP_SLOT, TLS_*, GOT_HI20, TLS_GOT_HI20, TLS_GD_HI20.
ABSOLUTE = {1, 2, 26, 27, 28}
DYNAMIC = {3, 4, 5, 6, 7, 8, 9, 10, 11, 20, 21, 22}
#: Sections that only shared or dynamically linked programs have.
DYNAMIC_SECTIONS = (
    ".got",
    ".plt",
    ".dynamic",
    ".dynsym",
    ".dynstr",
    ".interp",
    ".rela.dyn",
    ".rela.plt",
    ".hash",
    ".gnu.hash",
)


@dataclass(frozen=True)
class Violation:
    """A broken rule and what exactly breaks it."""

    rule: str
    what: str

    def __str__(self) -> str:
        return f"audit rule {self.rule}: {self.what}"


Rule = Callable[[Linked], Iterator[str]]


def segments_not_writable_and_executable(linked: Linked) -> Iterator[str]:
    """No segment is both, so that no linker warns of RWX and no stray store changes code."""
    for segment in linked.elf.iter_segments("PT_LOAD"):
        if segment["p_flags"] & P_FLAGS.PF_W and segment["p_flags"] & P_FLAGS.PF_X:
            yield f"the segment at {segment['p_vaddr']:#x} is writable and executable: split it in firmware/gcpt.ld"


def loaded_where_linked(linked: Linked) -> Iterator[str]:
    """Load and link address are the same, because gcpt.bin is laid out by the one and the code by the other.

    But for what a restorer in flash moves to its memory.
    """
    for segment in linked.elf.iter_segments("PT_LOAD"):
        if segment["p_paddr"] != segment["p_vaddr"] and segment["p_vaddr"] != linked.config.ram:
            yield f"the segment at {segment['p_vaddr']:#x} is loaded to {segment['p_paddr']:#x}"


def entry_is_first(linked: Linked) -> Iterator[str]:
    """The entry point is the lowest address that is loaded, and that is the base of memory."""
    lowest = min((span.start for span in linked.spans), default=None)
    if lowest != linked.base:
        yield f"the lowest loaded address is {lowest if lowest is None else hex(lowest)}, not {linked.base:#x}"
    if linked.elf["e_entry"] != linked.base:
        yield f"the entry point is {linked.elf['e_entry']:#x}, not {linked.base:#x}"


def starts_with_jump(linked: Linked) -> Iterator[str]:
    """The first instruction is a 4-byte jump, because the size word lies at offset 4."""
    first = linked.word(linked.base, 4)
    if first is None or first & 0xFFF != 0x6F:  # jal x0: opcode 0x6f, rd 0
        yield f"the first 4 bytes are {first if first is None else hex(first)}, not a jump of 4 bytes (jal zero)"


def size_word(linked: Linked) -> Iterator[str]:
    """The word at offset 4 is the number of bytes to load: the restorer's, and gcpt.bin's if there is no payload."""
    size, real = linked.word(linked.base + 4, 4), linked.end - linked.base
    if size != real:
        yield f"the size word at offset 4 is {size if size is None else hex(size)}, but the restorer is {real:#x} bytes"


def complete_flag(linked: Linked) -> Iterator[str]:
    """The restorer's last 8 bytes are the flag by which it sees that it was loaded whole."""
    flag = linked.word(linked.end - 8, 8)
    if flag != layouts.COMPLETE_FLAG:
        yield f"the last 8 bytes are {flag if flag is None else hex(flag)}, not {layouts.COMPLETE_FLAG:#x}"


def stamped(linked: Linked) -> Iterator[str]:
    """The stamp is there, and says this version and these options; what git said is not asked again."""
    found = stamp.find(linked.read_all())
    if found is None:
        yield "there is no stamp before the completeness flag (site_scons/gcpt/checkpoint/stamp.py)"
        return
    wanted = provenance.stamped_options(linked.config)
    if (found.version, found.options) != (__version__, wanted):
        yield f"the stamp says {found.version} {found.options}, not {__version__} {wanted}"


def _homes(linked: Linked) -> list[Span]:
    """Where the restorer may be: the MiB that workloads leave free, and the memory of ram=."""
    homes = [Span("the reserved MiB", linked.base, linked.base + layouts.RESERVED_SIZE)]
    if linked.config.ram is not None:
        homes.append(Span("the MiB at ram=", linked.config.ram, linked.config.ram + layouts.RESERVED_SIZE))
    return homes


def position_independent(linked: Linked) -> Iterator[str]:
    """No address is stored in what is loaded, because the image runs wherever a loader puts it."""
    for section, relocations in linked.relocations:
        target = linked.elf.get_section(section["sh_info"])
        symbols = linked.elf.get_section(section["sh_link"])
        if not target["sh_flags"] & SH_FLAGS.SHF_ALLOC or not isinstance(symbols, SymbolTableSection):
            continue
        for relocation in relocations:
            if relocation.type not in ABSOLUTE:
                continue
            symbol = symbols.get_symbol(relocation.symbol)
            # By value: the size is a number that may be defined in a section, and an absolute symbol may be an address.
            if any(home.start <= symbol["st_value"] < home.end for home in _homes(linked)):
                where = f"{target.name} at {relocation.offset:#x}"
                yield f"{where} holds the absolute address of {symbol.name or 'a section'}: reach it relative to pc"


def statically_linked(linked: Linked) -> Iterator[str]:
    """Nothing is left to a dynamic linker, and no symbol is missing."""
    for section in linked.sections:
        if section.name in DYNAMIC_SECTIONS and section["sh_size"]:
            yield f"there is a section {section.name}, which a program without a loader cannot use"
    for section, relocations in linked.relocations:
        kinds = {relocation.type for relocation in relocations} & DYNAMIC
        if kinds:
            yield f"{section.name} holds relocations of types {sorted(kinds)}, which only a dynamic linker resolves"
    for name in linked.undefined:
        yield f"the symbol {name} is not defined"


def _taken(linked: Linked) -> Iterator[Span]:
    """What the restorer has to leave alone in the first MiB: the state that may lie there and the trampolines.

    The state from the first field on; NEMU's protobuf checkpoints have it 168 bytes higher.
    """
    base, end = linked.base, linked.base + layouts.RESERVED_SIZE
    state = layouts.DEFAULT.magic_number
    if linked.config.mode != "dual_core":
        yield Span("the checkpoint's state", base + state, end)
    else:
        yield Span("the M-mode trampolines", end - trampoline.REGION, end)
    if linked.config.ram is not None and linked.config.mode != "single_core":
        blocks = linked.config.platform.dram + layouts.MULTI_CORE_OFFSET
        yield Span("the checkpoint's state", blocks, blocks + linked.config.harts * layouts.BLOCK_SIZE)


def leaves_state_alone(linked: Linked) -> Iterator[str]:
    """Nothing of the restorer, loaded or not, overlaps the state that it is there to restore."""
    for taken in _taken(linked):
        for span in linked.spans:
            if span.overlaps(taken):
                yield f"{span} overlaps {taken}"


def within_reserved(linked: Linked) -> Iterator[str]:
    """All but the payload lies in the MiB that workloads leave free, or in what ram= gave."""
    homes = _homes(linked)
    for span in linked.spans:
        is_payload = linked.config.payload and span.start == linked.config.payload_position
        if not is_payload and not any(home.start <= span.start and span.end <= home.end for home in homes):
            yield f"{span} lies outside {' and '.join(map(str, homes))}"


def payload_in_place(linked: Linked) -> Iterator[str]:
    """The payload's bytes lie where they were asked to, and nowhere if there is none."""
    sections = [s for s in linked.loaded if linked.load_address(s) >= linked.base + layouts.RESERVED_SIZE]
    path, position = linked.config.payload, linked.config.payload_position
    if path is None:
        for section in sections:
            yield f"{section.name} lies at {section['sh_addr']:#x} like a payload, but none was asked for"
        return
    wanted = path.read_bytes()
    if not any(section["sh_addr"] == position and section.data() == wanted for section in sections):
        found = ", ".join(f"{s['sh_size']} bytes at {s['sh_addr']:#x}" for s in sections) or "nothing"
        yield f"{path} ({len(wanted)} bytes) is not byte for byte at {position:#x}; found {found}"


def budget(linked: Linked) -> Iterator[str]:
    """The restorer is no larger than its kind may be, see budgets."""
    size = linked.end - linked.base - (linked.config.dtb.stat().st_size if linked.config.dtb else 0)
    limit = budgets.budget(linked.config)
    if size > limit:
        yield f"{size} bytes are {size - limit} more than the budget of {limit} (site_scons/gcpt/restorer/budgets.py)"


RULES: tuple[Rule, ...] = (
    segments_not_writable_and_executable,
    loaded_where_linked,
    entry_is_first,
    starts_with_jump,
    size_word,
    complete_flag,
    stamped,
    position_independent,
    statically_linked,
    leaves_state_alone,
    within_reserved,
    payload_in_place,
    budget,
)


@dataclass(frozen=True)
class CheckedRule:
    """A rule, what it demands in a sentence, and what breaks it."""

    rule: str
    demands: str
    broken: tuple[str, ...]


def check(linked: Linked) -> list[CheckedRule]:
    """Every rule with what breaks it."""
    return [CheckedRule(rule.__name__, " ".join((rule.__doc__ or "").split()), tuple(rule(linked))) for rule in RULES]


def check_file(path: Path, config: BuildConfig) -> list[CheckedRule]:
    """Every rule with what breaks it in the ELF at ``path``, linked for ``config``."""
    with path.open("rb") as file:
        return check(Linked(ELFFile(file), config))


def audit(path: Path, config: BuildConfig) -> list[Violation]:
    """All that breaks a rule in the ELF at ``path``, linked for ``config``."""
    try:
        return [Violation(one.rule, what) for one in check_file(path, config) for what in one.broken]
    except (ELFError, struct.error) as error:
        return [Violation("readable", f"{path} is not an ELF file that can be read: {error}")]


def main(argv: Sequence[str] | None = None) -> int:
    """0: all rules kept, 1: findings on stdout, 2: wrong usage."""
    arguments = sys.argv[1:] if argv is None else list(argv)
    if not arguments or "=" in arguments[0]:
        print("usage: python -m gcpt.build.audit ELF [OPTION=VALUE...]", file=sys.stderr)
        return 2
    path = Path(arguments[0])
    try:
        findings = audit(path, resolve(dict(word.partition("=")[::2] for word in arguments[1:])))
    except (OSError, UserError) as error:
        print(f"gcpt.build.audit: {error}", file=sys.stderr)
        return 2
    for finding in findings:
        print(f"{path}: {finding}")
    return 1 if findings else 0


if __name__ == "__main__":
    sys.exit(main())
