"""The code of built restorers."""

import re

import pytest
from elftools.elf.elffile import ELFFile

from gcpt.restorer import platforms
from gcpt.restorer.options import CROSS_COMPILE

#: Floating-point and vector instructions: f... except fence, and v... .
_UNIT = re.compile(r"^(f(?!ence)|v)\w*(\.\w+)*$|^c?\.?f[ls][dw]")


def _by_label(listing: str) -> list[tuple[str, int, str]]:
    """(label, address, mnemonic) of each instruction of a disassembly."""
    instructions, label = [], ""
    for line in listing.splitlines():
        if match := re.match(r"[0-9a-f]+ <([\w.]+)>:", line):
            label = match[1]
        elif match := re.match(r" *([0-9a-f]+):\s[0-9a-f ]+\t(\S+)", line):
            instructions.append((label, int(match[1], 16), match[2]))
    return instructions


@pytest.mark.parametrize(
    "options",
    [
        {"mode": "single_core"},
        {"mode": "auto", "log": "debug", "display_cpu": "all", "selfcheck": "1"},
        {"mode": "normal", "log": "debug", "display_cpu": "all", "selfcheck": "1", "debug": "1"},
        {"mode": "auto", "log": "debug", "display_cpu": "all", "selfcheck": "1", "toolchain": "llvm"},
        {"mode": "auto", "log": "debug", "display_cpu": "all", "selfcheck": "1", "toolchain": "zig"},
    ],
    ids=lambda options: f"{options['mode']} {options.get('toolchain', '')}".strip(),
)
def test_c_touches_no_floating_point_or_vector_register(build_restorer, options):
    """When the trap handler calls C, the registers hold the checkpoint's state, which a compiler may overwrite."""
    restorer = build_restorer(platform="qemu-virt", **options)
    users = [(label, address) for label, address, mnemonic in _by_label(restorer.listing()) if _UNIT.match(mnemonic)]
    with (restorer.folder / "gcpt.elf").open("rb") as file:
        symbols = ELFFile(file).get_section_by_name(".symtab").iter_symbols()
        compiled = [symbol for symbol in symbols if symbol["st_info"]["type"] == "STT_FUNC"]
    # restore.S: loads of either kind are seen
    assert {label for label, _ in users} >= {"vlen_same", "load_float_registers"}
    for function in compiled:
        assert not [at for _, at in users if 0 <= at - function["st_value"] < function["st_size"]], function.name
    assert bool(compiled) == (options["mode"] != "single_core")


#: The register that firmware/restore.S calls LEAVING.
_LEAVING = {"single_core": "t2", "dual_core": "s8"}

#: With these options the restorer is assembly only, which is the same from all toolchains; listings differ.
_REFERENCE = {"cross_compile": CROSS_COMPILE}


def _listing(restorer) -> str:
    """The disassembly that the build writes for the reference toolchain."""
    return (restorer.folder / restorer.config.variant / "gcpt.dis").read_text()


def test_constants_are_no_instructions_in_the_listing(build_restorer, tmp_path):
    """Those of assembly are objects; GCC's strings have labels alone, and only with debug=1."""
    (dtb := tmp_path / "a.dtb").write_bytes(bytes.fromhex("d00dfeed00000040") + bytes(56))
    (payload := tmp_path / "fw.bin").write_bytes(bytes(64))
    given = {"gcpt_payload": str(payload), "gcpt_dtb": str(dtb), "selfcheck": "1", "debug": "1"}
    listing = _listing(build_restorer(platform="qemu-virt", mode="normal", **given, **_REFERENCE))
    constants = {"text_line", "text_words", "pmp_locks", "trampoline", "gcpt_dtb"}
    assert constants <= set(re.findall(r"<(\w+)>:", listing))
    assert not constants & {label for label, _, _ in _by_label(listing)}
    strings = {mnemonic for label, _, mnemonic in _by_label(listing) if label.startswith(".LC")}
    assert strings and all(mnemonic.startswith(".") for mnemonic in strings), strings
    assert "gcpt: error" in listing


def _code(restorer) -> list[str]:
    """The instructions of that disassembly in order, as "mnemonic operands", without the i that new binutils add."""
    words = re.findall(r"^ *[0-9a-f]+:\t[0-9a-f ]+\t(.*)", _listing(restorer), re.MULTILINE)
    return [re.sub(r"^(add|csr[csw])i ", r"\1 ", " ".join(text.split())) for text in words]


def _before(code: list[str], first: str, then: str) -> bool:
    """Whether ``then`` comes after the last instruction that begins with ``first``, and before the hart leaves."""
    at = max(i for i, line in enumerate(code) if line.startswith(first))
    for line in code[at + 1 :]:
        if line.startswith(then):
            return True
        if line.startswith(("mret", "jr ")):
            return False
    return False


@pytest.mark.parametrize("mode", ["single_core", "dual_core"])
def test_fences_that_no_simulator_misses(build_restorer, mode):
    """QEMU notices writes to code by itself: only the code shows the fence.i that RTL needs."""
    code = _code(build_restorer(platform="qemu-virt", mode=mode, **_REFERENCE))
    assert _before(code, "csrw pmpcfg2", "sfence.vma")
    # The trampoline's last word, then fence.i, before the hart jumps there.
    assert _before(code, f"sd a3,-8({_LEAVING[mode]})", "fence.i")


@pytest.mark.parametrize("csrs", ["", "rva22", "-h"])
@pytest.mark.parametrize("mode", ["single_core", "dual_core"])
def test_hgatp_is_fenced(build_restorer, mode, csrs):
    """No simulator keeps translations from before the restore: the code shows the hfence.gvma that hardware needs."""
    code = _code(build_restorer(platform="qemu-virt", mode=mode, **({"csrs": csrs} if csrs else {}), **_REFERENCE))
    assert ("hfence.gvma" in code) == (csrs != "-h")
    if csrs != "-h":
        assert _before(code, "csrw hgatp", "hfence.gvma") and _before(code, "csrw pmpcfg2", "hfence.gvma")


@pytest.mark.parametrize("mode", ["single_core", "dual_core"])
@pytest.mark.parametrize("platform", list(platforms.BY_NAME))
def test_nothing_traps_before_traps_are_enabled(build_restorer, platform, mode):
    """Few harts reset with NMIE clear or MDT set; only the write of mnstatus may trap, with MDT clear, to t0."""
    code = _code(build_restorer(platform=platform, mode=mode, **_REFERENCE))
    jump = next(i for i, line in enumerate(code) if line.startswith("jal t0,") and "enable_traps" in line)
    enable = next(i for i, line in enumerate(code) if re.match(r"csrs (mnstatus|0x744),8", line))
    first = enable - 4 - (code[enable - 1] == "li s6,0")
    assert code[first] == "csrw mtvec,t0" and re.match(r"add s5,t0,-?\d+", code[first + 1])
    assert re.match(r"ld s11,-16\(s5\)", code[first + 2]) and code[first + 3] == "csrw mstatus,s11"
    assert code[enable + 1] in ("jr t0", "jalr s6,t0")
    assert code[jump + 1] == f"csrrw {_LEAVING[mode]},mstatus,s11"  # a trap has set MDT again


_DEVICES = (0x200_0000, 0x200_C000 + 0x1000), (0x1000_0000, 0x1000_1000), (0x10_0000, 0x10_1000)
_STORE, _LOAD = ("sd", "sw", "sb"), ("ld", "lw", "lbu")


def _device_accesses(instructions: list[str]) -> list[int]:
    """Indices of loads and stores through a register that lui has set to a page of a device, and sums with it."""
    bases: set[str] = set()
    accesses = []
    for index, (name, _, operands) in enumerate(text.partition(" ") for text in instructions):
        registers = re.findall(r"[a-z]+\d*", operands)
        if name in (*_STORE, *_LOAD) and registers[-1] in bases:
            accesses.append(index)
        if name in (*_STORE, "fence") or name.startswith("b") or not registers:
            continue
        if name == "lui":
            page = int(operands.split(", ")[1], 0) << 12
            is_base = any(start <= page < end for start, end in _DEVICES)
        else:
            is_base = name in ("add", "addi", "addiw", "mv", "sh2add") and bool(bases & set(registers[1:]))
        (bases.add if is_base else bases.discard)(registers[0])
    return accesses


@pytest.mark.parametrize(
    "options",
    [_REFERENCE, {"cross_compile": "riscv64-linux-gnu-"}, {"toolchain": "llvm"}, {"toolchain": "zig"}],
    ids=["riscv64-unknown-elf", "riscv64-linux-gnu", "llvm", "zig"],
)
@pytest.mark.parametrize("mode", ["dual_core", "auto"])
def test_device_accesses_are_ordered(build_restorer, mode, options):
    """No emulator reorders memory and devices; compilers differ in what their atomics order."""
    listing = build_restorer(platform="qemu-virt", mode=mode, **options).listing()
    code = [
        " ".join(match[1].split()).replace("fence\t", "fence ")
        for match in re.finditer(r"^ *[0-9a-f]+: [0-9a-f ]+\t(.*?)(?: <.*>)?$", listing, re.MULTILINE)
    ]
    accesses = _device_accesses(code)
    stores = [i for i in accesses if code[i].split()[0] in _STORE]
    assert len(stores) >= 7 and len(accesses) - len(stores) >= 3
    wrong = [code[i - 1 : i + 2] for i in stores if code[i - 1] != "fence w, o"]
    wrong += [code[i - 1 : i + 2] for i in set(accesses) - set(stores) if code[i + 1] != "fence i, r"]
    assert not wrong


@pytest.mark.parametrize("mode", ["single_core", "dual_core"])
def test_jumps_that_need_no_landing_pad(build_restorer, mode):
    """With Zicfilp, the target of an indirect jump through any other register must be a landing pad."""
    restorer = build_restorer(platform="qemu-virt", mode=mode, **_REFERENCE)
    with (restorer.folder / "gcpt.elf").open("rb") as file:
        symbols = ELFFile(file).get_section_by_name(".symtab").iter_symbols()
        compiled = {symbol.name for symbol in symbols if symbol["st_info"]["type"] == "STT_FUNC"}
    jumps = [
        (function, text)
        for function, text in _in_functions(_listing(restorer))
        if re.match(r"(jr|jalr)\b", text) and function not in compiled
    ]
    assert jumps and all(re.search(r"\b(ra|t0|t2)\)?$", text) for _, text in jumps), jumps


def _in_functions(listing: str) -> list[tuple[str, str]]:
    """(function, instruction) of each line of a listing by objdump; local labels belong to the function before."""
    instructions, function = [], ""
    for line in listing.splitlines():
        if match := re.match(r"[0-9a-f]+ <([A-Za-z_]\w*)>:", line):
            function = match[1]
        elif match := re.match(r" *[0-9a-f]+:\t[0-9a-f ]+\t(.*)", line):
            instructions.append((function, " ".join(match[1].split())))
    return instructions


def test_the_newer_xiangshan_is_told_the_time(build_restorer):
    """None of the emulators has SYSCNT."""
    code = _code(build_restorer(platform="xiangshan-syscnt", mode="single_core", **_REFERENCE))
    store = next(i for i, line in enumerate(code) if re.match(r"sw a2,24\(a1\)", line))
    assert (code[store - 1], code[store + 1]) == ("li a2,1", "lw a2,24(a1)")
    assert code[store + 2].startswith("bnez a2,")


@pytest.mark.parametrize(
    ("platform", "waits"),
    [
        ("qemu-virt", (r"lbu t2,5\(t1\)", r"andi? t2,t2,32$", r"beqz t2,")),
        ("xiangshan-syscnt", (r"lw t2,8\(t1\)", r"andi? t2,t2,8$", r"bnez t2,")),
    ],
)
def test_a_console_that_is_busy_is_waited_for(build_restorer, platform, waits):
    """QEMU's console always is."""
    code = iter(_code(build_restorer(platform=platform, mode="single_core", **_REFERENCE)))
    assert all(any(re.match(wait, line) for line in code) for wait in waits)


#: An instruction of 2 bytes in a listing: not padding, and not the size word behind the first instruction.
_TWO_BYTES = re.compile(r" *(?!8000000[46]:)[0-9a-f]+: [0-9a-f]{4} +\t(?!unimp)")


def _two_bytes(listing: str) -> int:
    """Count a listing's instructions of 2 bytes; constants of LLVM's are none."""
    blocks = re.split(r"^[0-9a-f]+ <", listing, flags=re.MULTILINE)
    return sum(
        bool(_TWO_BYTES.match(line)) for block in blocks if not block.startswith(".LCPI") for line in block.splitlines()
    )


@pytest.mark.parametrize("toolchain", ["gnu", "llvm", "zig"])
@pytest.mark.parametrize("mode", ["single_core", "auto"])
def test_no_instruction_has_two_bytes(build_restorer, mode, toolchain):
    """With without_c=1; a restorer for harts with C has hundreds of them."""
    options = _REFERENCE if toolchain == "gnu" else {"toolchain": toolchain}
    options |= {"platform": "qemu-virt", "mode": mode, "extended": "1"}
    restorers = [build_restorer(without_c=without_c, **options) for without_c in ("1", "0")]
    counts = [_two_bytes(restorer.listing()) for restorer in restorers]
    assert counts[0] == 0 and counts[1] > 100
    for restorer, has_compressed in zip(restorers, (0, 1), strict=True):
        with restorer.elf.open("rb") as file:
            assert ELFFile(file)["e_flags"] & 1 == has_compressed  # EF_RISCV_RVC
