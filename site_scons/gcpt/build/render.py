"""Generated sources of the firmware, from the configuration, the layouts and the inventories. Pure functions."""

from collections.abc import Iterable
from itertools import chain, groupby, pairwise
from typing import NamedTuple

from gcpt.checkpoint import extended, layouts
from gcpt.isa import csrs
from gcpt.isa.csrs import Csr, When
from gcpt.isa.paging import PAGE_SIZE
from gcpt.restorer import budgets, platforms, trampoline
from gcpt.restorer.codes import CODES, Code
from gcpt.restorer.config import STACK_SHIFT, BuildConfig
from gcpt.restorer.htif import HTIF_ALIGNMENT

#: CSR slots within reach of a 12-bit load offset from a base register: in total, below the base register, and upwards
#: from it with a compressed load.
WINDOW_CSRS = 512
WINDOW_BELOW = 256
WINDOW_COMPRESSED = 64
#: The first distance in bytes that one addition cannot move a base register, and one load cannot reach.
_NEAR = 2048
#: Bytes of the trap handler (firmware/include/trap.inc), and of an instruction of the code behind it with which a
#: failed probe goes on.
_TRAP_HANDLER = 36
_INSTRUCTION_SIZE = 4
#: What that code notes, by guard; the table in restore.S explains the registers.
_ABSENT_NOTES = {"envcfg": ("t5, 0", "t3, 0"), "smstateen": ("t3, 0",), "pmp16": ("s7, 1",)}
#: The position of the floating-point registers as a CSR number: the base register while a direct restorer loads them.
_FLOAT_WINDOW = (layouts.DEFAULT.float_reg - layouts.DEFAULT.csr_reg) // 8

#: The window and the first CSR number beyond it of the vector, floating-point and other user CSRs.
_LOW_WINDOW, _LOW_CSRS = 0, 0x100

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
        "GCPT_ZCD": int(config.csrs in csrs.SETS or platform.zcd),
        "GCPT_PMP_ENTRIES": 64 if "pmp64" in config.csr_groups else 16,
        "GCPT_LOG": int(config.log != "quiet"),
        "GCPT_LOG_DEBUG": int(config.log == "debug"),
        "GCPT_HTIF_ALIGNMENT": HTIF_ALIGNMENT,
        "GCPT_STACK_SIZE": 1 << STACK_SHIFT,
        "GCPT_STACK_SHIFT": STACK_SHIFT,
        "GCPT_DRAM": platform.dram,
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
    defines["GCPT_LOW_WINDOW"] = _LOW_WINDOW
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


def _span(run: Iterable[Csr]) -> int:
    """The difference between the largest and the smallest CSR number."""
    numbers = [csr.number for csr in run]
    return max(numbers) - min(numbers)


def _windows(chosen: list[Csr], reach: Iterable[Csr] = (), near: int | None = None) -> list[tuple[int, list[Csr]]]:
    """Split CSRs into runs that are in reach of one base register, as (CSR number of the base register, run).

    reach: CSRs that the last window must reach as well. near: the base register before the last window, if it matters.
    """
    runs: list[list[Csr]] = []
    for csr in chosen:
        if runs and _span([*runs[-1], csr]) < WINDOW_CSRS:
            runs[-1].append(csr)
        else:
            runs.append([csr])
    windows = []
    for i, run in enumerate(runs):
        last = i == len(runs) - 1
        numbers = [csr.number for csr in (*run, *(reach if last else ()))]
        windows.append((_base(numbers, near if last else None), run))
    return windows


def _base(numbers: list[int], near: int | None = None) -> int:
    """The best CSR number for a base register: it reaches all, and as many as possible with compressed loads.

    near: the base register before; one that a single addition moves there comes first.
    """
    lowest, highest = max(numbers) - (WINDOW_CSRS - WINDOW_BELOW) + 1, min(numbers) + WINDOW_BELOW
    if near is not None:
        within = range(max(lowest, near - _NEAR // 8 + 1), min(highest, near + _NEAR // 8 - 1) + 1)
        lowest, highest = (within[0], within[-1]) if within else (lowest, highest)
    # Only these bases reach one more CSR with a compressed load than the next lower base.
    steps = sorted({number - WINDOW_COMPRESSED + 1 for number in numbers})
    candidates = [lowest, *(base for base in steps if lowest < base <= highest)]
    return max(candidates, key=lambda base: sum(base <= number < base + WINDOW_COMPRESSED for number in numbers))


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
    if csr.group == "smstateen" and hypervisor:
        return (*hypervisor, "smstateen")
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
    """Lines of one macro, with the present window and the open guards."""

    def __init__(self, config: BuildConfig, name: str, window: int | None, absent: list[_Absent]) -> None:
        self.lines = [f"    .macro {name}"]
        self._config, self._name = config, name
        self._window = window
        self._absent = absent
        #: Open guards with the window at their beginning and their label.
        self._open: list[tuple[str, int | None, str]] = []
        self._labels = 0

    def _close(self, depth: int) -> None:
        while len(self._open) > depth:
            guard, window, label = self._open.pop()
            if self._is_apart(guard):
                self.lines += [f"    j       {label}", "    .subsection 0"]
            self.lines.append(f"{label}:")
            if window != self._window:
                self._window = None

    def _close_others(self, guards: tuple[str, ...]) -> int:
        """Close the open guards that are not among these; count the ones that stay open."""
        common = 0
        while common < min(len(guards), len(self._open)) and self._open[common][0] == guards[common]:
            common += 1
        self._close(common)
        return common

    def guard(self, guards: tuple[str, ...], csr: Csr) -> bool:
        """Open and close guards so that exactly these are open.

        csr: the first CSR behind them. Returns whether a guard has written it.
        """
        common = self._close_others(guards)
        wrote = False
        for guard in guards[common:]:
            self._labels += 1
            label = f"{self._name}_{self._labels}_end"
            kind = guard.removeprefix("probe_")
            if guard == "envcfg":
                senvcfg = csrs.BY_NAME["senvcfg"].number
                self.lines.append(f"    put_envcfg {csr.number:#x}, {senvcfg:#x}, {label}  /* menvcfg, senvcfg */")
            elif guard == "probe_csrind":
                self.lines.append(f"    probe {csr.number:#x}, {label}")
            elif guard != kind:
                flag = ", t3" if kind == "smstateen" else ""
                self.lines.append(f"    put_probed {csr.number:#x}, {label}{flag}  /* {csr.name} */")
            elif self._is_apart(guard):
                self.lines.append(f"    apart_with_{guard}")
            else:
                self.lines.append(f"    only_with_{guard} {label}")
            if guard == "envcfg" or guard != kind:
                self._absent.append(_Absent(label, kind))
                wrote = guard != "probe_csrind"
            self._open.append((guard, self._window, label))
        return wrote

    def _is_apart(self, guard: str) -> bool:
        """Whether the code of a guard is behind all other code, where harts without the group do not fetch it."""
        return self._config.direct and (guard, self._name) == ("h", "csrs_after_vector")

    def window(self, base: int, guards: tuple[str, ...] = ()) -> None:
        """Set the base register, unless it is there. guards: first close all others."""
        if guards:
            self._close_others(guards)
        if self._window is not None and 0 < abs(8 * (base - self._window)) < _NEAR:
            self.lines.append(f"    move_csr_window {base:#x}")
        elif base != self._window:
            self.lines.append(f"    csr_window {base:#x}")
        self._window = base

    def end(self, window: int | None = None) -> list[str]:
        """Close all guards and the macro. window: the base register that the next macro expects."""
        self._close(0)
        if window is not None:
            self.window(window)
        return [*_overlapped(self.lines), "    .endm", ""]


def _overlapped(lines: list[str]) -> list[str]:
    """Load the value of a CSR before the previous CSR is written, so that a core waits for both at once.

    A sequence of one, such as a selector, leaves its value in a0.
    """
    result: list[str] = []
    for is_write, group in groupby(lines, lambda line: line.startswith("    put_csr ")):
        sequence = list(group)
        if is_write:
            pairs = [(f"a{i % 2}", line) for i, line in enumerate(sequence)]
            loads = [f"    load_csr {register}, {line.split()[1]}" for register, line in pairs]
            writes = [line.replace("put_csr", f"put_loaded {register},") for register, line in pairs]
            sequence = [loads[0], *chain.from_iterable(zip(loads[1:], writes, strict=False)), writes[-1]]
        result += sequence
    return result


def _macro(
    config: BuildConfig,
    absent: list[_Absent],
    name: str,
    windows: list[tuple[int, list[Csr]]],
    at: int | None = None,
    end: int | None = None,
) -> list[str]:
    """An assembler macro that writes the CSRs of windows. hvip is loaded in reach of hgatp, long before it is written.

    absent: gets the code for groups that the hart lacks. at: CSR number of the base register before the macro. end: the
    same afterwards, if the next macro relies on it.
    """
    code = _Code(config, name, at, absent)
    for base, run in windows:
        rest = iter(run)
        for csr in rest:
            guards = _guards(csr, config)
            if guards and csr.name != "hvip":
                code.window(base, guards)
            if code.guard(guards, csr):
                continue
            if csr.name == "hvip":
                code.lines.append(f"    put_held {csr.number:#x}  /* hvip */")
                continue
            code.window(base)
            if csr.name.startswith("pmpcfg"):
                second = next(rest)
                code.lines.append(
                    f"    put_pmpcfg {csr.number:#x}, {second.number:#x}  /* {csr.name}, {second.name} */"
                )
            else:
                code.lines.append(_write(csr, config))
            if csr.name == "mstateen3":
                code.lines.append(f"    put_csr_alone {csrs.BY_NAME['sstateen0'].number:#x}  /* sstateen0 */")
            if csr.name == "hgatp":
                code.lines.append(f"    hold_hvip {csrs.BY_NAME['hvip'].number:#x}")
            if csr.name == csrs.TRAP_VALUES[-1]:
                code.lines.append("    hfence.gvma  /* for hgatp and PMP, on a hart with H like these CSRs */")
    return code.end(end)


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
        early.remove(csrs.BY_NAME["senvcfg"])  # put_envcfg writes it, without a window
    if "smstateen" in config.csr_groups:
        early.remove(csrs.BY_NAME["sstateen0"])  # written after mstateen3, without a window
    names = list(csrs.BY_NAME)
    before_vector = set(names[: names.index("vl")])
    before = [csr for csr in early if csr.name in before_vector]
    # restore.S writes these three itself, after all others: the values depend on how the hart leaves.
    by_hand = [csrs.BY_NAME[name] for name in ("mtvec", "mepc", "mstatus")]
    last = [csr for csr in last if csr not in by_hand]
    reach = [*last, *by_hand, csrs.BY_NAME["mip"]]
    lines = ["/* Generated from the CSR inventory (site_scons/gcpt/isa/csrs.py). */", ""]
    absent: list[_Absent] = []
    lines += _macro(config, absent, "csrs_before_vector", _windows(before))
    after = early[len(before) :]
    low = _FLOAT_WINDOW if config.direct else _LOW_WINDOW
    for name, group in (("csrs_vector", "v"), ("csrs_float", "f")):
        lines += _macro(config, absent, name, [(low, [csr for csr in after if csr.group == group])], low)
    after = [csr for csr in after if csr.group not in ("v", "f")]
    near = [csr for csr in after if csr.number < _LOW_CSRS]
    *windows, (_, run) = _windows(after[len(near) :])
    waiting = [csr for i, csr in enumerate(timer) if _span([*run, *timer[: i + 1]]) < WINDOW_CSRS]
    base = _base([csr.number for csr in (*run, *waiting)])
    final = _windows([csr for csr in lock if csr.name != "mseccfg"], reach, base)  # restore.S writes mseccfg
    final = final or [(_base([csr.number for csr in reach], base), [])]
    end = final[-1][0]
    lines += _macro(config, absent, "csrs_after_vector", [(low, near), *windows, (base, run)], low, base)
    late = _windows(timer[len(waiting) :])
    if config.direct and [csr.name for csr in late[0][1]] == ["mip"]:
        late[0] = (end, late[0][1])
    lines += _macro(config, absent, "csrs_timer", [(base, waiting), *late], base, end)
    lines += _macro(config, absent, "csrs_lock", final, end, end)
    lines += _macro(config, absent, "csrs_last", [(end, last)], end)
    if config.selfcheck:
        lines += _check_macros(config, checked, [*last, csrs.BY_NAME["mtvec"]], end)
    return "\n".join(lines + _absent_groups(lines, absent))


def _absent_groups(lines: list[str], absent: list[_Absent]) -> list[str]:
    """Where failed probes go on: code behind the trap handler, and its distances from it.

    It clears mstatus.MDT, as mret would, and restores mtvec, unless the label is followed by another probe. The code
    for menvcfg is last: its neighbour is boot code, whose cache line holds some of it.
    """
    follows = {label.removesuffix(":"): after for label, after in pairwise(lines)}
    code: list[str] = []
    sets = []
    for label, guard in sorted(absent, key=lambda group: group.guard == "envcfg"):
        probed = follows[label].startswith(("    put_probed ", "    probe "))
        notes = [f"    li      {note}" for note in _ABSENT_NOTES.get(guard, ())]
        back = [] if probed else ["    csrw    mtvec, s5"]
        sets.append(f"    .set absent_{label}, {_TRAP_HANDLER + _INSTRUCTION_SIZE * len(code)}")
        onward = _onward(lines, label) if guard == "envcfg" else [f"    j       {label}"]
        code += ["    csrw    mstatus, s11", *back, *notes, *onward]
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
        elif not line.endswith(":") and "csr_window" not in line:
            break
    return [*code, f"    j       {label}"]


def _check_macros(config: BuildConfig, written: list[Csr], last: list[Csr], window: int) -> list[str]:
    """The macros that read back the written CSRs. window: CSR number of the base register afterwards.

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
    for base, run in [*_windows(trapped), *_windows([csr for csr in steady if csr not in trapped])]:
        lines.append(f"    csr_window {base:#x}")
        lines += [f"    {checks[csr.name]} {csr.number:#x}  /* {csr.name} */" for csr in run]
    lines.append(f"    csr_window {window:#x}")
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
