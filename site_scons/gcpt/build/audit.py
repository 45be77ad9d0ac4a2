"""The audit: rules that every linked restorer obeys, each a function that yields violations.

    python -m gcpt.build.audit ELF [OPTION=VALUE...]      with the options that the ELF was built with

Addresses are physical, in bytes. "The restorer" is everything that is loaded except the payload. Docstrings of rules
appear in reports.
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
from gcpt.isa.paging import PAGE_SIZE
from gcpt.restorer import budgets, trampoline
from gcpt.restorer.config import BuildConfig
from gcpt.restorer.linked import Linked, Span
from gcpt.restorer.resolution import resolve

#: Relocations that store an absolute address (RISC-V psABI, "Relocations"): R_RISCV_32, 64, HI20, LO12_I, LO12_S; and
#: relocations for a dynamic linker: RELATIVE, COPY, JUMP_SLOT, TLS_*, GOT_HI20, TLS_GOT_HI20, TLS_GD_HI20.
ABSOLUTE = {1, 2, 26, 27, 28}
DYNAMIC = {3, 4, 5, 6, 7, 8, 9, 10, 11, 20, 21, 22}
#: Sections of shared or dynamically linked programs.
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


#: Symbols of memory that is not loaded.
_PER_HART = ("gcpt_stacks", "gcpt_trampolines")


@dataclass(frozen=True)
class Violation:
    """A violation of a rule.

    Attributes:
        rule: The rule's name.
        what: The cause.
    """

    rule: str
    what: str

    def __str__(self) -> str:
        return f"audit rule {self.rule}: {self.what}"


Rule = Callable[[Linked], Iterator[str]]


def segments_not_writable_and_executable(linked: Linked) -> Iterator[str]:
    """No segment is both writable and executable: linkers warn of RWX, and a stray store could change code."""
    for segment in linked.elf.iter_segments("PT_LOAD"):
        if segment["p_flags"] & P_FLAGS.PF_W and segment["p_flags"] & P_FLAGS.PF_X:
            yield f"the segment at {segment['p_vaddr']:#x} is writable and executable: split it in firmware/gcpt.ld"


def loaded_where_linked(linked: Linked) -> Iterator[str]:
    """Load and link addresses are equal: gcpt.bin uses load addresses, the code link addresses.

    Exception: data that a restorer in flash moves to its memory.
    """
    for segment in linked.elf.iter_segments("PT_LOAD"):
        if segment["p_paddr"] != segment["p_vaddr"] and segment["p_vaddr"] != linked.config.ram:
            yield f"the segment at {segment['p_vaddr']:#x} has the load address {segment['p_paddr']:#x}"


def entry_is_first(linked: Linked) -> Iterator[str]:
    """The entry point is the lowest loaded address, which is the base of memory or of flash."""
    lowest = min((span.start for span in linked.spans), default=None)
    if lowest != linked.base:
        yield f"the lowest loaded address is {lowest if lowest is None else hex(lowest)}, not {linked.base:#x}"
    if linked.elf["e_entry"] != linked.base:
        yield f"the entry point is {linked.elf['e_entry']:#x}, not {linked.base:#x}"


def starts_with_jump(linked: Linked) -> Iterator[str]:
    """The first instruction is a 4-byte jump, because the size word is at offset 4."""
    first = linked.word(linked.base, 4)
    if first is None or first & 0xFFF != 0x6F:  # jal x0: opcode 0x6f, rd 0
        yield f"the first 4 bytes are {first if first is None else hex(first)}, not a 4-byte jump (jal zero)"


def size_word(linked: Linked) -> Iterator[str]:
    """The word at offset 4 is the restorer's size in bytes, which is the size of a gcpt.bin without payload."""
    size, actual = linked.word(linked.base + 4, 4), linked.end - linked.base
    if size != actual:
        yield f"the size word is {size if size is None else hex(size)}, but the restorer has {actual:#x} bytes"


def complete_flag(linked: Linked) -> Iterator[str]:
    """The restorer's last 8 bytes are the completeness flag, by which it detects a truncated image."""
    flag = linked.word(linked.end - 8, 8)
    if flag != layouts.COMPLETE_FLAG:
        yield f"the last 8 bytes are {flag if flag is None else hex(flag)}, not {layouts.COMPLETE_FLAG:#x}"


def stamped(linked: Linked) -> Iterator[str]:
    """The image has a stamp with this version and these options; the commit is not checked."""
    actual = stamp.find(linked.read_all())
    if actual is None:
        yield "there is no stamp before the completeness flag (site_scons/gcpt/checkpoint/stamp.py)"
        return
    expected = provenance.stamped_options(linked.config)
    if (actual.version, actual.options) != (__version__, expected):
        yield f"the stamp has {actual.version} {actual.options}, not {__version__} {expected}"


def _homes(linked: Linked) -> list[Span]:
    """The areas that the restorer may use: the reserved MiB and the MiB at ram=."""
    homes = [Span("the reserved MiB", linked.base, linked.base + layouts.RESERVED_SIZE)]
    if linked.config.ram is not None:
        homes.append(Span("the MiB at ram=", linked.config.ram, linked.config.ram + layouts.RESERVED_SIZE))
    return homes


def position_independent(linked: Linked) -> Iterator[str]:
    """The loaded bytes contain no absolute address, because the image runs at any load address."""
    for section, relocations in linked.relocations:
        target = linked.elf.get_section(section["sh_info"])
        symbols = linked.elf.get_section(section["sh_link"])
        if not target["sh_flags"] & SH_FLAGS.SHF_ALLOC or not isinstance(symbols, SymbolTableSection):
            continue
        for relocation in relocations:
            if relocation.type not in ABSOLUTE:
                continue
            symbol = symbols.get_symbol(relocation.symbol)
            # Check the value, not the section: the size may be defined in a section, and an absolute symbol may be an
            # address.
            if any(home.start <= symbol["st_value"] < home.end for home in _homes(linked)):
                where = f"{target.name} at {relocation.offset:#x}"
                yield f"{where} has the absolute address of {symbol.name or 'a section'}: use a pc-relative address"


def statically_linked(linked: Linked) -> Iterator[str]:
    """The ELF file needs no dynamic linker and has no undefined symbol."""
    for section in linked.sections:
        if section.name in DYNAMIC_SECTIONS and section["sh_size"]:
            yield f"the section {section.name} needs a dynamic linker"
    for section, relocations in linked.relocations:
        kinds = {relocation.type for relocation in relocations} & DYNAMIC
        if kinds:
            yield f"{section.name} has relocations of types {sorted(kinds)}, which need a dynamic linker"
    for name in linked.undefined:
        yield f"the symbol {name} is not defined"


def _state_areas(linked: Linked) -> Iterator[Span]:
    """The areas that the restorer must not overlap: the checkpoint's state and the trampolines.

    The state counts from its first field; NEMU's protobuf checkpoints have it 168 bytes higher.
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
    """The restorer, including unloaded sections, does not overlap the state that it restores."""
    for area in _state_areas(linked):
        for span in linked.spans:
            if span.overlaps(area):
                yield f"{span} overlaps {area}"


def within_reserved(linked: Linked) -> Iterator[str]:
    """Everything except the payload is in the reserved MiB or in the MiB at ram=."""
    homes = _homes(linked)
    for span in linked.spans:
        is_payload = linked.config.payload and span.start == linked.config.payload_position
        if not is_payload and not any(home.start <= span.start and span.end <= home.end for home in homes):
            yield f"{span} is outside {' and '.join(map(str, homes))}"


def payload_in_place(linked: Linked) -> Iterator[str]:
    """The payload's bytes are at the configured position; without a payload, nothing is loaded there."""
    sections = [s for s in linked.loaded if linked.load_address(s) >= linked.base + layouts.RESERVED_SIZE]
    path, position = linked.config.payload, linked.config.payload_position
    if path is None:
        for section in sections:
            yield f"{section.name} is at {section['sh_addr']:#x} like a payload, but the configuration has none"
        return
    expected = path.read_bytes()
    if not any(section["sh_addr"] == position and section.data() == expected for section in sections):
        actual = ", ".join(f"{s['sh_size']} bytes at {s['sh_addr']:#x}" for s in sections) or "nothing"
        yield f"{path} ({len(expected)} bytes) is not at {position:#x}; found {actual}"


def shared_data_is_loaded(linked: Linked) -> Iterator[str]:
    """Data that harts share is in .data, which the loader initializes: .bss holds what each hart has for itself."""
    areas = {index: section for index, section in enumerate(linked.sections) if section["sh_type"] == "SHT_NOBITS"}
    for symbol in linked.symbols:
        section = areas.get(symbol["st_shndx"])
        if section is None or symbol["st_info"]["type"] == "STT_SECTION" or symbol.name in _PER_HART:
            continue
        if symbol.name.startswith(("$", ".L")):
            continue  # mapping symbols and local labels
        if section["sh_addr"] <= symbol["st_value"] < section["sh_addr"] + section["sh_size"]:
            yield f"{symbol.name} is in {section.name}, which holds garbage at first: put it into .data"


def no_code_beside_htif(linked: Linked) -> Iterator[str]:
    """No instruction reaches into the page of tohost: QEMU 7.2 aborts there. The only page of an image is exempt."""
    for symbol in linked.symbols:
        if symbol.name != "tohost" or linked.end - linked.base <= PAGE_SIZE:
            continue
        page = symbol["st_value"] & -PAGE_SIZE
        for section in linked.loaded:
            start, end = section["sh_addr"], section["sh_addr"] + section["sh_size"]
            if section["sh_flags"] & SH_FLAGS.SHF_EXECINSTR and start < page + PAGE_SIZE and page < end:
                yield f"{section.name} reaches into the page of tohost at {page:#x}: align .data to a page"


def budget(linked: Linked) -> Iterator[str]:
    """The restorer does not exceed the budget of its kind."""
    size = linked.end - linked.base - (linked.config.dtb.stat().st_size if linked.config.dtb else 0)
    limit = budgets.budget(linked.config)
    if size > limit:
        yield f"{size} bytes exceed the budget of {limit} by {size - limit} (site_scons/gcpt/restorer/budgets.py)"


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
    shared_data_is_loaded,
    no_code_beside_htif,
    budget,
)


@dataclass(frozen=True)
class CheckedRule:
    """The result of a rule.

    Attributes:
        rule: The rule's name.
        demands: The requirement, in a sentence.
        broken: The causes of violations.
    """

    rule: str
    demands: str
    broken: tuple[str, ...]


def check(linked: Linked) -> list[CheckedRule]:
    """Check all rules.

    Args:
        linked: The restorer.

    Returns:
        One result per rule.
    """
    return [CheckedRule(rule.__name__, " ".join((rule.__doc__ or "").split()), tuple(rule(linked))) for rule in RULES]


def check_file(path: Path, config: BuildConfig) -> list[CheckedRule]:
    """Check all rules on a file.

    Args:
        path: The ELF file.
        config: The configuration that it was linked for.

    Returns:
        One result per rule.

    Raises:
        ELFError: The file is not an ELF file.
        OSError: The file cannot be read.
    """
    with path.open("rb") as file:
        return check(Linked(ELFFile(file), config))


def audit(path: Path, config: BuildConfig) -> list[Violation]:
    """List the violations in a file.

    Args:
        path: The ELF file.
        config: The configuration that it was linked for.

    Returns:
        The violations; an unreadable ELF file is one of the rule "readable".

    Raises:
        OSError: The file cannot be read.
    """
    try:
        return [Violation(result.rule, what) for result in check_file(path, config) for what in result.broken]
    except (ELFError, struct.error) as error:
        return [Violation("readable", f"{path} is not a readable ELF file: {error}")]


def main(argv: Sequence[str] | None = None) -> int:
    """Run the audit as a command; violations go to stdout.

    Args:
        argv: Command-line arguments without the program's name; None for those of the process.

    Returns:
        Exit status: 0 no violations, 1 violations, 2 bad usage.
    """
    arguments = sys.argv[1:] if argv is None else list(argv)
    if not arguments or "=" in arguments[0]:
        print("usage: python -m gcpt.build.audit ELF [OPTION=VALUE...]", file=sys.stderr)
        return 2
    path = Path(arguments[0])
    try:
        violations = audit(path, resolve(dict(word.partition("=")[::2] for word in arguments[1:])))
    except (OSError, UserError) as error:
        print(f"gcpt.build.audit: {error}", file=sys.stderr)
        return 2
    for violation in violations:
        print(f"{path}: {violation}")
    return 1 if violations else 0


if __name__ == "__main__":
    sys.exit(main())
