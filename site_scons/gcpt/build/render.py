"""Generated sources of the firmware, from the configuration, the layouts and the inventories. Pure functions."""

from collections.abc import Iterable
from itertools import chain, cycle, groupby
from typing import NamedTuple

from gcpt.checkpoint import extended, layouts
from gcpt.isa import csrs
from gcpt.isa.csrs import Csr, When
from gcpt.isa.paging import PAGE_SIZE
from gcpt.restorer import budgets, platforms, trampoline
from gcpt.restorer.codes import CODES, Code
from gcpt.restorer.config import STACK_SHIFT, BuildConfig
from gcpt.restorer.htif import HTIF_ALIGNMENT

#: CSR numbers of the base registers from which a restorer loads the values of CSRs: those of user and supervisor mode,
#: those of VS and machine mode, and those of the hypervisor and of Smrnmi. Each reaches from 256 numbers below to 255
#: above. A direct restorer also reaches the floating-point and, with one addition, the integer registers from the first
#: one, and has 2-byte loads from the second one.
_BASES = {"LOW": 0xFF, "MIDDLE": 0x2FF, "HIGH": 0x6FF}
_DIRECT_BASES = {"LOW": 0x9E, "MIDDLE": 0x300, "HIGH": 0x6FF}
#: The first distance in bytes that one load cannot reach.
_NEAR = 2048
#: Bytes of the trap handler (firmware/include/trap.inc), and of an instruction of the code behind it with which a
#: failed probe goes on.
_TRAP_HANDLER = 36
_INSTRUCTION_SIZE = 4
#: The trap handler while CSRs are probed: it goes on at PROBED.
_PROBE_TRAP = ("gcpt_probe_trap:", "    csrr    a4, mepc", "    jr      PROBED")
#: Beginnings of that code with their instructions: only_first, for groups of which a hart may have a part; else the
#: write that clears mstatus.MDT, as mret would.
_PARTIAL, _WHOLE = 4, 1
#: What that code notes, by guard; the table in restore.S explains the registers.
_ABSENT_NOTES = {"envcfg": ("t5, 0",), "pmp16": ("s7, 1",)}

#: The members of struct gcpt_plan before the layout.
PLAN_FIELDS = ("base", "block_size", "harts", "restored", "nemu")


def sources(config: BuildConfig) -> list[str]:
    """List the sources of a restorer.

    Args:
        config: The configuration.

    Returns:
        File names in firmware/.
    """
    names = ["head.S", "fail.S", "restore.S", "complete.S"]
    if not config.direct:
        names += ["boot_planned.S", "plan.c"]
    if config.protobuf:
        names += ["header.c", "decode.c"]
    if needs_printf(config):
        names.append("console.c")
        names.append("csr_names.c")
    if config.display_cpu:
        names.append("display.c")
    if config.selfcheck:
        names.append("selfcheck.c")
    if config.log != "quiet":
        names.append("log.c")
    if config.payload_position is not None:
        names.append("payload.S")
    if config.extended:
        names.append("extended.S")
    return names


def needs_printf(config: BuildConfig) -> bool:
    """Whether a restorer prints more than error lines.

    Args:
        config: The configuration.

    Returns:
        True if printf is linked.
    """
    return config.log != "quiet" or bool(config.display_cpu) or config.selfcheck


def has_data(config: BuildConfig) -> bool:
    """Whether a restorer has a .data section, which then contains the completeness flag.

    Args:
        config: The configuration.

    Returns:
        True if it has.
    """
    return not config.direct or config.platform.has_htif


def _mask(harts: Iterable[int]) -> tuple[int, int]:
    """Harts as two 64-bit masks: harts 0 to 63 and 64 to 127."""
    mask = sum(1 << hart for hart in set(harts))
    return mask & (1 << 64) - 1, mask >> 64


def _words(config: BuildConfig) -> str:
    """Assembler directives for the texts of the codes from 1 on, with sentences unless log=quiet.

    The text of a code that this restorer never ends with is empty.
    """
    texts = [
        f": {code.short}" + (f": {code.sentence}" if config.log != "quiet" else "")
        if _is_possible(code, config)
        else ""
        for code in CODES
    ]
    while not texts[-1]:
        texts.pop()
    return "; ".join(f'.asciz "{text}"' for text in texts)


def _is_possible(code: Code, config: BuildConfig) -> bool:
    """Whether a restorer can end with a code."""
    has_group = not code.group or code.group in config.csr_groups
    return has_group and (not code.option or bool(getattr(config, code.option)))


def _devices(config: BuildConfig) -> str:
    """Assembler directives for the table of devices: size and address of each, then a size of 0."""
    rows = (f".dword {device.size:#x}, {device.address:#x}" for device in config.platform.devices)
    return "; ".join([*rows, ".dword 0"])


def _defines(config: BuildConfig) -> dict[str, int | str]:
    platform = config.platform
    stop_low, stop_high = _mask(config.stop_cpu)
    display_low, display_high = _mask(config.display_cpu)
    others_low, others_high = _mask(range(1, config.harts))
    defines: dict[str, int | str] = {
        "GCPT_MODE_NAME": f'"{config.mode}"',
        "GCPT_DIRECT": int(config.direct),
        "GCPT_PROTOBUF": int(config.protobuf),
        "GCPT_FIND_MULTI_CORE": int(config.mode in ("dual_core", "auto")),
        "GCPT_FIND_SINGLE_CORE": int(config.mode in ("single_core", "auto")),
        "GCPT_DATA": int(has_data(config)),
        "GCPT_HARTS": config.harts,
        "GCPT_MAX_HARTS": layouts.MAX_HARTS,
        "GCPT_STOP": int(bool(config.stop_cpu)),
        "GCPT_STOP_LOW": stop_low,
        "GCPT_STOP_HIGH": stop_high,
        "GCPT_DISPLAY": int(bool(config.display_cpu)),
        "GCPT_DISPLAY_LOW": display_low,
        "GCPT_DISPLAY_HIGH": display_high,
        "GCPT_EXACT": int(config.exact),
        "GCPT_EXTENDED": int(config.extended),
        "GCPT_EXTENDED_OFFSET": layouts.EXTENDED_OFFSET,
        "GCPT_EXTENDED_MAGIC": extended.MAGIC,
        "GCPT_EXTENDED_VERSION": extended.VERSION,
        "GCPT_EXTENDED_ENTRIES": extended.MAX_ENTRIES,
        "GCPT_EXTENDED_DEVICE": extended.DEVICE,
        "GCPT_EXTENDED_INDIRECT": extended.INDIRECT,
        # Whether one load reaches the completeness flag from the trap handler.
        "GCPT_FLAG_NEAR": int(budgets.budget(config) < _NEAR),
        # 1: restore SIE from SPIE; 0: do not; -1: the restorer decides.
        "GCPT_SIE_LOST": {"auto": -1, "nemu": 1, "qemu": 0}[config.generator],
        "GCPT_FROM_FLASH": int(config.flash),
        "GCPT_RAM": int(config.ram is not None),
        "GCPT_OTHER_HARTS_LOW": others_low,
        "GCPT_OTHER_HARTS_HIGH": others_high,
        "GCPT_SELFCHECK": int(config.selfcheck),
        "GCPT_GUARDED": int(config.guarded),
        "GCPT_WITHOUT_C": int(config.without_c),
        "GCPT_ZCD": int((config.csrs in csrs.SETS or platform.zcd) and not config.without_c),
        "GCPT_PMP_ENTRIES": 64 if "pmp64" in config.csr_groups else 16,
        "GCPT_LOG": int(config.log != "quiet"),
        "GCPT_LOG_DEBUG": int(config.log == "debug"),
        "GCPT_HTIF_ALIGNMENT": HTIF_ALIGNMENT,
        "GCPT_STACK_SIZE": 1 << STACK_SHIFT,
        "GCPT_STACK_SHIFT": STACK_SHIFT,
        "GCPT_DRAM": platform.dram,
        "GCPT_DRAM_SHIFT": platform.dram.bit_length() - 1,  # a power of 2: what is below it is flash
        "GCPT_DRAM_SIZE": platform.dram_size,
        "GCPT_FLASH": platform.flash,
        "GCPT_RESERVED_SIZE": layouts.RESERVED_SIZE,
        "GCPT_CLINT": platform.clint,
        "GCPT_CLINT_MSIP": platforms.CLINT_MSIP,
        "GCPT_CLINT_MTIMECMP": platforms.CLINT_MTIMECMP,
        "GCPT_CLINT_MTIME": platforms.CLINT_MTIME,
        "GCPT_PATIENCE": platforms.PATIENCE,
        "GCPT_SYSCNT": platform.syscnt,
        "GCPT_SYSCNT_MTIME": platforms.SYSCNT_MTIME,
        "GCPT_SYSCNT_UPDATE": platforms.SYSCNT_UPDATE,
        "GCPT_UART": platform.uart.address,
        "GCPT_UART_SHIFT": platform.uart.shift,
        "GCPT_FINISHER": platform.finisher,
        "GCPT_PAYLOAD": int(config.payload_position is not None),
        "GCPT_PAYLOAD_IN_IMAGE": int(config.payload is not None),
        "GCPT_PAYLOAD_POSITION": config.payload_position or 0,
        "GCPT_DTB": int(config.dtb is not None),
        "GCPT_CHECKPOINT_MAGIC": layouts.CHECKPOINT_MAGIC,
        "GCPT_COMPLETE_FLAG": layouts.COMPLETE_FLAG,
        "GCPT_HEADER_MAGIC": layouts.HEADER_MAGIC,
        "GCPT_HEADER_WINDOW_SIZE": layouts.HEADER_WINDOW_SIZE,
        "GCPT_BLOCK_SIZE": layouts.BLOCK_SIZE,
        "GCPT_MULTI_CORE_OFFSET": layouts.MULTI_CORE_OFFSET,
        "GCPT_NEMU_PROTOBUF_OFFSET": layouts.NEMU_PROTOBUF_OFFSET,
        "GCPT_LARGEST_OFFSET": layouts.LARGEST_OFFSET,
        "GCPT_CSR_COUNT": layouts.CSR_COUNT,
        "GCPT_DEFAULT_VLENB": layouts.DEFAULT_VLEN // 8,
        "GCPT_MAX_VLENB": layouts.MAX_VLEN // 8,
        "GCPT_MAX_VLENB_SHIFT": (layouts.MAX_VLEN // 8).bit_length() - 1,
        "GCPT_TRAMPOLINE_SHIFT": trampoline.SHIFT,
        "GCPT_TRAMPOLINE_SIZE": 1 << trampoline.SHIFT,
        "GCPT_TRAMPOLINE_END": platform.dram + layouts.RESERVED_SIZE,
    }
    for kind in platforms.UART_KINDS:
        defines[f"GCPT_UART_{kind.upper()}"] = int(platform.uart.kind == kind)
    for end in platforms.ENDS:
        defines[f"GCPT_END_{end.upper()}"] = int(platform.end == end)
    for i, version in enumerate(layouts.HEADER_VERSIONS, 1):
        defines[f"GCPT_HEADER_VERSION_{i}"] = version
    if config.header_addr is not None:
        defines["GCPT_HEADER_ADDR"] = config.header_addr
    defines |= {f"GCPT_{name}_BASE": number for name, number in _bases(config).items()}
    for group in csrs.GROUPS:
        defines[f"GCPT_CSRS_{group.upper()}"] = int(group in config.csr_groups)
    for name in (
        "mstatus",
        "mtvec",
        "mepc",
        "mip",
        "mnepc",
        "mnstatus",
        "henvcfg",
        "hgatp",
        "hstatus",
        "miselect",
        "siselect",
        "vsiselect",
        "tselect",
        "vstart",
        "vl",
        "vtype",
        "vlenb",
        "fcsr",
        "pmpcfg0",
        "pmpaddr0",
        "mseccfg",
        "tdata1",
        "hvip",
    ):
        defines[f"CSR_{name.upper()}"] = csrs.BY_NAME[name].number
    for name in ("mstatus", "vlenb"):
        defines[f"GCPT_CSR_{name.upper()}"] = csrs.BY_NAME[name].number
    for code in CODES:
        defines[f"GCPT_CODE_{code.name}"] = code.number
    defines |= _offsets()
    for name in layouts.DEFAULT.items():
        defines[f"GCPT_MESSAGE_FIELD_{name}"] = layouts.MESSAGE_FIELDS[name]
    return defines


def _offsets() -> dict[str, int]:
    """Offsets in bytes of the fields of a block and of the members of the plan."""
    offsets = {f"LAYOUT_{name}": offset for name, offset in layouts.DEFAULT.items().items()}
    plan = (*PLAN_FIELDS, *layouts.DEFAULT.items())
    return offsets | {f"PLAN_{name}": 8 * i for i, name in enumerate(plan)}


def config_header(config: BuildConfig) -> str:
    """Write gcpt_config.h, the configuration as macros for C and assembly.

    Args:
        config: The configuration.

    Returns:
        The header.
    """
    lines = [
        "/* Generated from the options and the inventories. */",
        "#ifndef GCPT_CONFIG_H",
        "#define GCPT_CONFIG_H",
        "",
    ]
    for name, value in _defines(config).items():
        number = f"{value:#x}" if isinstance(value, int) and value > 9 else str(value)
        lines.append(f"#define {name} {number}")
    fields = " ".join(f"FIELD({name}, {offset:#x})" for name, offset in layouts.DEFAULT.items().items())
    lines += [
        f"#define GCPT_LAYOUT_FIELDS(FIELD) {fields}",
        f"#define GCPT_WORDS {_words(config)}",
        f"#define GCPT_EXTENDED_DEVICES {_devices(config)}",
        "",
        "#endif",
        "",
    ]
    return "\n".join(lines)


def _bases(config: BuildConfig) -> dict[str, int]:
    return _DIRECT_BASES if config.direct else _BASES


def _write(csr: Csr, config: BuildConfig) -> str:
    """The macro of restore_macros.h that writes a CSR."""
    if csr.name in ("mip", "vstimecmp"):
        return f"    put_{csr.name} {csr.number:#x}"
    if csr.name in ("mireg", "sireg", "vsireg"):
        return f"    put_selected {csr.number:#x}  /* {csr.name} */"
    return f"    {'merge_csr' if csr.merge else 'put_csr'} {csr.number:#x}  /* {csr.name} */"


def _guards(csr: Csr, config: BuildConfig) -> tuple[str, ...]:
    """What tells whether the hart has a CSR: outer guard first; macros of restore_macros.h begin with these names.

    A hypervisor CSR has a number 0x2.. or 0x6.. or is written by traps of a hart with H.
    """
    if not config.guarded:
        return ()
    envcfg = ("envcfg",) if "envcfg" in config.csr_groups else ()
    if csr.name == "menvcfg":
        return envcfg
    if csr.group in ("sstc", "vstimer", "zicfiss") and envcfg:
        return ("zicfiss" if csr.group == "zicfiss" else "sstc",)
    hypervisor = ("h",) if csr.number >> 8 in (2, 6) or csr.name in csrs.TRAP_VALUES else ()
    if csr.name in csrs.INDIRECT:
        return (*envcfg, "probe_csrind", *hypervisor)
    if csr.group == "aia":
        return (*envcfg, "probe_csrind", "probe_aia", *hypervisor)
    if csr.group in ("pmp16", "pmp64"):
        if csr.when is not When.EARLY:
            return ("pmp",)
        return ("probe_pmp16",) if csr.group == "pmp16" else ("probe_pmp16", "probe_pmp64")
    if csr.group in csrs.PROBED:
        return (*envcfg, f"probe_{csr.group}", *hypervisor)
    if csr.group == "smrnmi":
        return ("smrnmi",)
    if csr.name in ("medeleg", "mideleg"):
        return ("misa_s",)
    return hypervisor or (("s",) if csr.group == "base" and csr.number >> 8 == 1 else ())


class _Absent(NamedTuple):
    """Code behind the trap handler that a failed probe reaches.

    Attributes:
        label: Where it goes on.
        guard: The guard that failed.
    """

    label: str
    guard: str


class _Code:
    """Lines of one macro, with the open guards."""

    def __init__(self, name: str, absent: list[_Absent], bases: Iterable[int]) -> None:
        self.lines = [f"    .macro {name}"]
        self._name, self._absent, self._bases = name, absent, bases
        #: Open guards with their label.
        self._open: list[tuple[str, str]] = []
        self._labels, self._has_probes = 0, False

    def _close(self, depth: int) -> None:
        while len(self._open) > depth:
            self.lines.append(f"{self._open.pop()[1]}:")

    def guard(self, guards: tuple[str, ...], csr: Csr) -> bool:
        """Open and close guards so that exactly these are open.

        csr: the first CSR behind them. Returns whether a guard has written it.
        """
        common = 0
        while common < min(len(guards), len(self._open)) and self._open[common][0] == guards[common]:
            common += 1
        self._close(common)
        wrote = False
        for guard in guards[common:]:
            self._labels += 1
            label = f"{self._name}_{self._labels}_end"
            kind = guard.removeprefix("probe_")
            is_probe = guard == "envcfg" or guard != kind
            if is_probe and not self._has_probes:
                self.lines.append("    begin_probes")
                self._has_probes = True
            if guard == "envcfg":
                senvcfg = csrs.BY_NAME["senvcfg"].number
                self.lines.append(f"    put_envcfg {csr.number:#x}, {senvcfg:#x}, {label}  /* menvcfg, senvcfg */")
            elif guard != kind:
                self.lines.append(f"    put_probed {csr.number:#x}, {label}  /* {csr.name} */")
            else:
                self.lines.append(f"    only_with_{guard} {label}")
            if is_probe:
                self._absent.append(_Absent(label, kind))
                wrote = True
            self._open.append((guard, label))
        return wrote

    def end(self) -> list[str]:
        """Close all guards and the macro."""
        self._close(0)
        if self._has_probes:
            self.lines.append("    end_probes")
        return [*_overlapped(self.lines, self._bases), "    .endm", ""]


def _page(number: int, bases: Iterable[int]) -> int | None:
    """What far_base sets for a CSR that no base register reaches; None for the others."""
    *_, last = bases
    return None if any(-_NEAR <= 8 * (number - base) < _NEAR for base in bases) else (8 * (number - last) + _NEAR) >> 12


def _loads(numbers: list[int], bases: Iterable[int]) -> list[str]:
    """Load values of CSRs into a0 and a1 in turn, with one far_base for neighbours that no base register reaches."""
    loads = []
    registers = cycle(("a0", "a1"))
    for page, group in groupby(numbers, lambda number: _page(number, bases)):
        neighbours = list(group)
        is_shared = page is not None and len(neighbours) > 1
        load = "load_far" if is_shared else "load_csr"
        lines = [f"    {load} {register}, {number:#x}" for number, register in zip(neighbours, registers, strict=False)]
        if is_shared:
            lines[0] = f"    far_base {neighbours[0]:#x}\n{lines[0]}"
        loads += lines
    return loads


def _overlapped(lines: list[str], bases: Iterable[int]) -> list[str]:
    """Load the value of a CSR before the previous CSR is written, so that a core waits for both at once.

    A sequence of one, such as a selector, leaves its value in a0.
    """
    result: list[str] = []
    for is_write, group in groupby(lines, lambda line: line.startswith("    put_csr ")):
        sequence = list(group)
        if is_write:
            loads = _loads([int(line.split()[1], 16) for line in sequence], bases)
            writes = [line.replace("put_csr", f"put_loaded a{i % 2},") for i, line in enumerate(sequence)]
            sequence = [loads[0], *chain.from_iterable(zip(loads[1:], writes, strict=False)), writes[-1]]
        result += sequence
    return result


def _macro(config: BuildConfig, absent: list[_Absent], name: str, chosen: list[Csr]) -> list[str]:
    """An assembler macro that writes CSRs.

    absent: gets the code for groups that the hart lacks.
    """
    code = _Code(name, absent, _bases(config).values())
    rest = iter(chosen)
    for csr in rest:
        if code.guard(_guards(csr, config), csr):
            continue
        if csr.name.startswith("pmpcfg"):
            second = next(rest)
            code.lines.append(f"    put_pmpcfg {csr.number:#x}, {second.number:#x}  /* {csr.name}, {second.name} */")
        else:
            code.lines.append(_write(csr, config))
        if csr.name == csrs.TRAP_VALUES[-1]:
            code.lines.append("    hfence.gvma  /* for hgatp and PMP, on a hart with H like these CSRs */")
    return code.end()


def csr_assembly(config: BuildConfig) -> str:
    """Write gcpt_csrs.inc, the macros with which restore.S writes CSRs in the inventory's order.

    Args:
        config: The configuration, with the CSR groups.

    Returns:
        Assembly.
    """
    early, timer, lock, last = (
        csrs.chosen(config.csr_groups, when) for when in (When.EARLY, When.TIMER, When.LOCK, When.LAST)
    )
    checked = [*early, *timer, *lock]
    if config.guarded and "envcfg" in config.csr_groups:
        early.remove(csrs.BY_NAME["senvcfg"])  # put_envcfg writes it
    names = list(csrs.BY_NAME)
    before_vector = set(names[: names.index("vl")])
    before = [csr for csr in early if csr.name in before_vector]
    after = early[len(before) :]
    # restore.S writes these itself: the values of the last three depend on how the hart leaves.
    by_hand = ("mseccfg", "mtvec", "mepc", "mstatus")
    phases = {
        "csrs_before_vector": before,
        "csrs_vector": [csr for csr in after if csr.group == "v"],
        "csrs_float": [csr for csr in after if csr.group == "f"],
        "csrs_after_vector": [csr for csr in after if csr.group not in ("v", "f")],
        "csrs_timer": timer,
        "csrs_lock": [csr for csr in lock if csr.name not in by_hand],
        "csrs_last": [csr for csr in last if csr.name not in by_hand],
    }
    lines = ["/* Generated from the CSR inventory (site_scons/gcpt/isa/csrs.py). */", ""]
    absent: list[_Absent] = []
    for name, chosen in phases.items():
        lines += _macro(config, absent, name, chosen)
    if config.selfcheck:
        lines += _check_macros(config, checked, [*phases["csrs_last"], csrs.BY_NAME["mtvec"]])
    return "\n".join(lines + _absent_groups(lines, absent))


def _absent_groups(lines: list[str], absent: list[_Absent]) -> list[str]:
    """Where failed probes go on: code behind the trap handlers, and its distances from them.

    Another instruction of a group than its first may trap, too: the trap handler skips it. The handler of probes and
    the code for menvcfg are last: their neighbour is boot code, whose cache line holds some of them.
    """
    code: list[str] = []
    sets = []
    distance = _TRAP_HANDLER

    def add(label: str, guard: str, onward: list[str]) -> None:
        nonlocal distance
        notes = [f"    li      {note}" for note in _ABSENT_NOTES.get(guard, ())]
        is_partial = guard not in csrs.WHOLE
        first = f"    only_first probe_{label}" if is_partial else "    csrw    mstatus, s11"
        code.extend([first, *notes, *onward])
        sets.append(f"    .set absent_{label}, {distance}")
        distance += _INSTRUCTION_SIZE * ((_PARTIAL if is_partial else _WHOLE) + len(notes) + len(onward))

    for label, guard in absent:
        if guard != "envcfg":
            add(label, guard, [f"    j       {label}"])
    sets.append(f"    .set probe_trap_distance, {distance}")
    code += _PROBE_TRAP
    distance += _INSTRUCTION_SIZE * (len(_PROBE_TRAP) - 1)
    for label, guard in absent:
        if guard == "envcfg":
            add(label, guard, _onward(lines, label))
    return [*sets, "", "    .macro absent_groups", *code, "    .endm", ""]


def _onward(lines: list[str], label: str) -> list[str]:
    """Go on at a label or, if the hart lacks the groups of the guards behind it, too, at the end of these."""
    code: list[str] = []
    skipping = False
    for line in lines[lines.index(f"{label}:") :]:
        if skipping:
            skipping = line != f"{label}:"
        elif line.startswith("    only_with_"):
            guard, end = line.split()
            code += [f"    {guard} 1f", f"    j       {label}", "1:"]
            label, skipping = end, True
        elif not line.endswith(":"):
            break
    return [*code, f"    j       {label}"]


def _check_macros(config: BuildConfig, written: list[Csr], last: list[Csr]) -> list[str]:
    """The macros that read back the written CSRs.

    Reading a CSR that the hart lacks traps. So CSRs that a trap writes are read first and restored at the end.
    """
    parts = {name for csr in written if csr.merge for name in csr.after}
    steady = [csr for csr in written if csr.group != "counters" and csr.name not in parts]
    trapped = [csr for csr in steady if csr.name in csrs.TRAP_VALUES]
    checks = {csr.name: "check_merged" if csr.merge else "check_csr" for csr in steady}
    if "hvip" in checks:
        checks["mip"] = "check_mip"
        checks["hvip"] = "check_merged"  # QEMU 10 shows all of mip there, which check_mip compares
    lines = ["    .macro csrs_check"]
    for csr in (*trapped, *(csr for csr in steady if csr not in trapped)):
        lines.append(f"    {checks[csr.name]} {csr.number:#x}  /* {csr.name} */")
    lines += [*(_write(csr, config) for csr in trapped), "    .endm", "", "    .macro csrs_check_last"]
    lines += [f"    check_csr {csr.number:#x}  /* {csr.name} */" for csr in last]
    return [*lines, "    .endm", ""]


def csr_names() -> str:
    """Write gcpt_csr_names.inc, the numbers and names of all CSRs of the inventory, in the order of numbers."""
    shown = sorted(csrs.INVENTORY, key=lambda csr: csr.number)
    return "".join(f'{{ {csr.number:#x}, "{csr.name}" }},\n' for csr in shown)


def link_definitions(config: BuildConfig) -> str:
    """Write gcpt_defs.ld, the addresses that the linker script uses.

    Args:
        config: The configuration.

    Returns:
        Linker script assignments.
    """
    base = config.load_address
    alignment = 8
    if config.platform.has_htif:
        alignment = HTIF_ALIGNMENT if config.direct and not needs_printf(config) else PAGE_SIZE
    symbols = {
        "gcpt_load_address": base,
        "gcpt_state_begin": base + layouts.DEFAULT.magic_number,
        "gcpt_payload_position": config.payload_position or config.platform.dram + layouts.PAYLOAD_OFFSET,
        "gcpt_data_alignment": alignment,
    }
    if config.ram is not None:
        symbols["gcpt_ram"] = config.ram
    return "".join(f"{name} = {value:#x};\n" for name, value in symbols.items())
