"""Each audit rule on linked ELF files: a correct one passes, and the rule finds its planted fault."""

import subprocess
from pathlib import Path

import pytest

from gcpt.build import audit, provenance
from gcpt.checkpoint import stamp
from gcpt.restorer.resolution import resolve

ROOT = Path(__file__).parents[2]

#: A minimal restorer that passes all rules.
SOURCE = """
    .section .head, "ax", %progbits
    .option norvc
    .global _start
_start:
    j       code
    .word   gcpt_size
code:
    wfi
    .option norelax
    lla     a0, value
    j       code
    .section .data, "aw", %progbits
    .balign 8
value:
    .dword  1
    #STAMP
    .dword  0xcaff
    .section .bss, "aw", %nobits
    .zero   64
    .section .payload, "ax", %progbits
    #PAYLOAD
"""
SCRIPT = """
ENTRY(_start)
PHDRS { text PT_LOAD FLAGS(5); data PT_LOAD FLAGS(6); payload PT_LOAD FLAGS(5); }
SECTIONS
{
  .text 0x80000000 : { KEEP(*(.head)) *(.text) . = ALIGN(8); } :text
  .data : { *(.data) } :data
  gcpt_size = . - 0x80000000;
  .bss (NOLOAD) : { *(.bss) } :data
  .payload 0x80100000 : { KEEP(*(.payload)) } :payload
  .comment 0 : { *(.comment) }
  .riscv.attributes 0 : { *(.riscv.attributes) }
}
"""


def stamp_line(**options):
    """An assembler directive with the stamp of a restorer with these options."""
    data = stamp.encode(provenance.stamp_of(resolve(options), "12ab34cd", False))
    return f".byte {', '.join(map(str, data))}"


class Linker:
    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.options = {"mode": "single_core"}

    def __call__(self, source: dict[str, str] | None = None, script: dict[str, str] | None = None, *flags: str) -> Path:
        """Link SOURCE and SCRIPT after replacements."""
        self.write("source.S", SOURCE.replace("#STAMP", stamp_line(**self.options)), source or {})
        self.write("script.ld", SCRIPT, script or {})
        command = ["riscv64-unknown-elf-gcc", "-march=rv64imafdc", "-mabi=lp64d", "-nostdlib", "-static", "-no-pie"]
        command += ["-Wl,--build-id=none,--emit-relocs,--no-warn-rwx-segments", "-Wl,-z,max-page-size=4"]
        command += [*flags, "-T", "script.ld", "-o", "linked.elf", "source.S"]
        subprocess.run(command, cwd=self.folder, check=True)
        return self.folder / "linked.elf"

    def write(self, name: str, text: str, pieces: dict[str, str]) -> None:
        for piece, other in pieces.items():
            assert piece in text
            text = text.replace(piece, other)
        (self.folder / name).write_text(text)


@pytest.fixture
def link(tmp_path):
    return Linker(tmp_path)


def broken(elf, **options):
    return {violation.rule for violation in audit.audit(elf, resolve(options))}


@pytest.mark.parametrize("mode", ["single_core", "dual_core", "normal", "auto"])
def test_a_sound_restorer_passes(link, mode):
    link.options = {"mode": mode}
    assert audit.audit(link(), resolve({"mode": mode})) == []


def test_a_sound_restorer_with_payload_passes(link, tmp_path):
    (tmp_path / "fw.bin").write_bytes(b"payload!" * 3)
    link.options |= {"gcpt_payload": str(tmp_path / "fw.bin")}
    elf = link({"#PAYLOAD": f'.incbin "{tmp_path}/fw.bin"'})
    assert audit.audit(elf, resolve(link.options)) == []


STATE = {".zero   64": ".zero   0xecdb0 - 0x30"}

BELOW = (
    {".section .bss": '.section .low, "a", %progbits\n    .dword 1\n    .section .bss'},
    {".comment 0": ".low 0x7fff0000 : { KEEP(*(.low)) } :text\n  .comment 0"},
)
JUMP = "j       code\n"
#: Planted faults: the rule that finds it, replacements in SOURCE, replacements in SCRIPT.
FAULTS: dict[str, tuple[str, dict[str, str], dict[str, str]]] = {
    "rwx segment": ("segments_not_writable_and_executable", {}, {"FLAGS(6)": "FLAGS(7)"}),
    "load address is not link address": ("loaded_where_linked", {}, {".data : {": ".data : AT(0x80002000) {"}),
    "entry is not the first": ("entry_is_first", {"_start\n": "_start, code\n"}, {"ENTRY(_start)": "ENTRY(code)"}),
    "linked elsewhere": ("entry_is_first", {}, {"0x80000000": "0x80000100"}),
    "something lower is loaded": ("entry_is_first", *BELOW),
    "first jump is compressed": (
        "starts_with_jump",
        {"norvc": "rvc", f"{JUMP}    .word": "c.j code\n c.nop\n .word"},
        {},
    ),
    "no jump": ("starts_with_jump", {f"{JUMP}    .word": "nop\n    .word"}, {}),
    "jump and link": ("starts_with_jump", {f"{JUMP}    .word": "jal     code\n    .word"}, {}),
    "size word is short": ("size_word", {"gcpt_size": "gcpt_size - 8"}, {}),
    "size word counts NOBITS": (
        "size_word",
        {},
        {"gcpt_size = . - 0x80000000;": "", "  .payload": "  gcpt_size = . - 0x80000000;\n  .payload"},
    ),
    "no flag": ("complete_flag", {"0xcaff": "0xcafe"}, {}),
    "no stamp": ("stamped", {".dword  0xcaff": ".dword  0\n    .dword  0xcaff"}, {}),
    "another's stamp": ("stamped", {stamp_line(mode="single_core"): stamp_line(mode="dual_core")}, {}),
    "flag is not the last": ("complete_flag", {"0xcaff": "0xcaff, 0"}, {}),
    "64-bit address": ("position_independent", {".dword  1": ".dword  value"}, {}),
    "address in a section's middle": ("position_independent", {".dword  1": ".dword  _start + 6"}, {}),
    "address of an absolute symbol": (
        "position_independent",
        {".dword  1": ".dword  loaded"},
        {"SECTIONS": "loaded = 0x80000004;\nSECTIONS"},
    ),
    "GOT": ("statically_linked", {"lla     a0, value": ".option pic\n    la      a0, missing\n    .weak missing"}, {}),
    "a GOT without a use": (
        "statically_linked",
        {".section .bss": '.section .got, "aw", %progbits\n    .dword 1\n    .section .bss'},
        {".comment 0": ".got 0x80002000 : { KEEP(*(.got)) } :data\n  .comment 0"},
    ),
    "undefined symbol": ("statically_linked", {".dword  1": ".weak missing\n    .dword  missing"}, {}),
    "NOBITS reach into the state": ("leaves_state_alone", STATE, {}),
    "loaded bytes reach into the state": ("leaves_state_alone", {".dword  1": ".zero 0xecd98"}, {}),
    "NOBITS reach out of the MiB": ("within_reserved", {".zero   64": ".zero   0x100000"}, {}),
    "a section below": ("within_reserved", *BELOW),
    "a payload that is not configured": ("payload_in_place", {"#PAYLOAD": "nop"}, {}),
    "shared data that is not loaded": ("shared_data_is_loaded", {".zero   64": "lock: .zero 64"}, {}),
    "code in the page of tohost": (
        "no_code_beside_htif",
        {".dword  1": ".dword  1\n    .type tohost, @object\ntohost:\n    .dword  0\n    .zero 0xff0"},
        {},
    ),
    "too large": ("budget", {".dword  1": ".zero 0xe00"}, {}),
}


@pytest.mark.parametrize("fault", FAULTS)
def test_a_planted_fault_is_found_by_its_rule(link, fault):
    rule, source, script = FAULTS[fault]
    assert rule in broken(link(source, script), mode="single_core")


def test_every_rule_has_a_planted_fault():
    assert {rule for rule, *_ in FAULTS.values()} == {rule.__name__ for rule in audit.RULES}


def test_the_last_byte_before_the_state_may_be_used(link):
    elf = link({".zero   64": ".zero   0xecdb0 - 0x38"})
    assert broken(elf, mode="single_core") == set()


def test_dual_core_restorers_may_use_the_first_mib_but_the_trampolines(link):
    link.options = {"mode": "dual_core"}
    elf = link(STATE)
    assert broken(elf, mode="dual_core") == set()
    elf = link({".zero   64": ".zero   0xff000 - 0x38"})
    assert broken(elf, mode="dual_core") == set()
    elf = link({".zero   64": ".zero   0xff008 - 0x38"})
    assert broken(elf, mode="dual_core") == {"leaves_state_alone"}


@pytest.mark.parametrize("fault", ["another byte", "one byte more", "elsewhere", "not linked"])
def test_a_payload_that_is_not_the_file_is_found(link, tmp_path, fault):
    (tmp_path / "fw.bin").write_bytes(b"payload!" * 3)
    (tmp_path / "other.bin").write_bytes(b"payload!" * 2 + b"payload?")
    lines = {"another byte": f'.incbin "{tmp_path}/other.bin"', "not linked": ""}
    line = lines.get(fault, f'.incbin "{tmp_path}/fw.bin"') + ("\n    .byte 0" if fault == "one byte more" else "")
    elf = link({"#PAYLOAD": line}, {"0x80100000": "0x80100004"} if fault == "elsewhere" else {})
    assert "payload_in_place" in broken(elf, mode="single_core", gcpt_payload=str(tmp_path / "fw.bin"))


def test_debug_sections_may_hold_addresses(link):
    assert broken(link(None, None, "-g"), mode="single_core") == set()


def test_what_is_no_elf_is_a_finding(tmp_path):
    (tmp_path / "x").write_bytes(b"\x7fELF")
    (tmp_path / "y").write_text("text")
    assert broken(tmp_path / "x") == broken(tmp_path / "y") == {"readable"}


def test_command_line(link, tmp_path, capsys):
    good = str(link())
    assert audit.main([good, "mode=single_core"]) == 0
    assert audit.main([good, "mode=single_core", "platform=southlake"]) == 1
    assert f"{good}: audit rule entry_is_first: " in capsys.readouterr().out
    assert audit.main([]) == 2
    assert audit.main([good, "mode=x"]) == 2
    assert audit.main([str(tmp_path / "missing")]) == 2
    assert "missing" in capsys.readouterr().err
