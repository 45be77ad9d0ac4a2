"""``gcpt validate`` reports each finding for a checkpoint with that fault, and none for a sound one."""

import dataclasses
from pathlib import Path

import pytest
from faults import LOOP, OFF, REFUSED, RESTORED, TRAPPED, Fault, sound

from gcpt.checkpoint import header, output, streams
from gcpt.checkpoint.header import Header
from gcpt.checkpoint.layouts import DEFAULT, MIB, MULTI_CORE, MULTI_CORE_OFFSET
from gcpt.checkpoint.places import DUAL_CORE, PROTOBUF, SINGLE_CORE, Checkpoint, Place
from gcpt.errors import UserError
from gcpt.isa import mstatus
from gcpt.machines import synthetic
from gcpt.machines.synthetic import DRAM, Mode, Recipe, Synthetic
from gcpt.restorer.platforms import BY_NAME
from gcpt.validate import findings
from gcpt.validate.findings import Severity
from gcpt.validate.verdict import Report, validate

SIZE = 32 * MIB
Pieces = list[tuple[int, bytes]]


def _file(tmp_path: Path, checkpoint: Synthetic, place: Place = SINGLE_CORE, more: Pieces | None = None) -> Path:
    path = tmp_path / "checkpoint"
    pieces = [*synthetic.blocks(Checkpoint(place, checkpoint.harts)), *checkpoint.memory, *(more or [])]
    output.write_pieces(path, [(address - DRAM, data) for address, data in pieces], SIZE)
    return path


def _codes(report: Report, *severities: Severity) -> list[str]:
    chosen = severities or tuple(Severity)
    assert all(finding.what and "None" not in finding.what for finding in report.findings)
    assert all(finding.hart is None or isinstance(finding.hart, int) for finding in report.findings)
    return [finding.kind.code for finding in report.findings if finding.severity in chosen]


def _word(address: int, value: int) -> tuple[int, bytes]:
    return address, value.to_bytes(8, "little")


def _assert_finding(code: str, report: Report, related: tuple[str, ...] = ()) -> None:
    """Expect a finding, and no others except ``related``: a fault is reported once."""
    codes = set(_codes(report))
    assert code in codes
    assert codes <= {code, *related}


@pytest.mark.parametrize("place", [SINGLE_CORE, DUAL_CORE, PROTOBUF], ids=lambda place: place.kind.value)
@pytest.mark.parametrize("paging", [True, False], ids=["paging", "bare"])
@pytest.mark.parametrize("mode", [*Mode], ids=lambda mode: mode.value)
def test_sound_checkpoints(tmp_path: Path, place: Place, mode: Mode, paging: bool) -> None:
    checkpoint = sound(Recipe((mode,), paging=paging, locks=False))
    assert _codes(validate(_file(tmp_path, checkpoint, place), "qemu-virt")) == []


@pytest.mark.parametrize("mode", [Mode.S, Mode.M])
def test_many_sound_harts(tmp_path: Path, mode: Mode) -> None:
    report = validate(_file(tmp_path, sound(Recipe((mode, Mode.U), harts=5, locks=False)), DUAL_CORE), "qemu-virt")
    assert _codes(report) == []
    assert report.location and report.location.harts == 5


#: Further findings that the same fault causes.
_RELATED = {"pmp-locked": ("pmp-pc", "pmp-root"), "pmp-off": ("csrs-left-out",)}


@pytest.mark.parametrize(
    "fault",
    # Faults that need a restorer with options are in tests/validate/test_verdicts.py.
    [fault for fault in (*REFUSED, *TRAPPED, *RESTORED, *OFF) if not fault.options],
    ids=lambda fault: fault.code,
)
def test_faults_of_a_hart(tmp_path: Path, fault: Fault) -> None:
    checkpoint = sound(fault.recipe)
    fault.change(checkpoint.harts[0])
    report = validate(_file(tmp_path, checkpoint, more=list(fault.memory)), "qemu-virt")
    _assert_finding(fault.code, report, _RELATED.get(fault.code, ()))
    assert [finding.hart for finding in report.findings if finding.kind.code == fault.code] == [0]


def test_a_pc_in_flash(tmp_path: Path) -> None:
    """Flash is memory too, which is not read."""
    checkpoint = sound(Recipe((Mode.S,), paging=False, locks=False))
    state = checkpoint.harts[0]
    for pc, codes in ((BY_NAME["qemu-virt"].flash + 64, []), (BY_NAME["qemu-virt"].flash - 64, ["pc-outside"])):
        state.pc = pc
        state.set("mepc", pc)
        assert _codes(validate(_file(tmp_path, checkpoint), "qemu-virt")) == codes


@pytest.mark.parametrize(
    ("mode", "entry", "code"),
    [(Mode.U, 0xC0, "pc-absent"), (Mode.S, 0xC0, "pc-unmapped"), (Mode.U, 0xCF, "pc-unmapped")],
)
def test_a_page_that_software_may_map(tmp_path: Path, mode: Mode, entry: int, code: str) -> None:
    """A program may run on a page that is not there yet (V = 0), but not on one of the system's (U = 0)."""
    checkpoint = sound(Recipe((mode,), locks=False))
    table = DRAM + 0x70_0000
    checkpoint.harts[0].set("satp", 8 << 60 | table >> 12)
    entries = (table, (DRAM >> 12 << 10 | entry).to_bytes(8, "little") * 512)
    _assert_finding(code, validate(_file(tmp_path, checkpoint, more=[entries]), "qemu-virt"), ("stack-unmapped",))


@pytest.mark.parametrize(("vstimecmp", "codes"), [(499, ["vstimecmp-due"]), (500, ["vstimecmp-due"]), (501, [])])
def test_the_guests_time_wraps(tmp_path: Path, vstimecmp: int, codes: list[str]) -> None:
    """Its 64 bits are those of mtime + htimedelta."""
    checkpoint = sound(Recipe((Mode.S,), locks=False))
    state = checkpoint.harts[0]
    state.mtime = 1 << 40
    for name, value in (("htimedelta", (1 << 64) - (1 << 40) + 500), ("vstimecmp", vstimecmp)):
        state.set(name, value)
    for name in ("menvcfg", "henvcfg"):
        state.set(name, state.get(name) | 1 << 63)
    state.mtimecmp = (1 << 64) - 1
    state.set("stimecmp", (1 << 64) - 1)
    assert _codes(validate(_file(tmp_path, checkpoint), "qemu-virt")) == codes


@pytest.mark.parametrize("fault", [fault for fault in RESTORED if fault.code == "pmp-stack"], ids=["bare", "S", "VS"])
def test_the_stack_by_both_of_its_addresses(tmp_path: Path, fault: Fault) -> None:
    checkpoint = sound(fault.recipe)
    fault.change(checkpoint.harts[0])
    report = validate(_file(tmp_path, checkpoint, more=list(fault.memory)), "qemu-virt")
    [what] = [finding.what for finding in report.findings if finding.kind.code == "pmp-stack"]
    sp = checkpoint.harts[0].x[2]
    physical = DRAM + 0x70_0000
    assert what.startswith(f"sp is {sp:#x}") and (", physical " in what) == (sp != physical), what


def test_long_lists_are_cut(tmp_path: Path) -> None:
    """Unknown CSRs: the first ones, and the number of the rest."""
    for count, more in ((6, ""), (9, " and 3 more")):
        checkpoint = sound()
        for number in range(0x7C0, 0x7C0 + count):
            checkpoint.harts[0].csr[number] = 1
        [finding] = validate(_file(tmp_path, checkpoint), "qemu-virt").findings
        names = ", ".join(hex(number) for number in range(0x7C0, 0x7C6))
        assert (finding.kind.code, finding.what) == ("csrs-unknown", names + more)


@pytest.mark.parametrize("level", [Mode.M, Mode.M_NEMU], ids=lambda mode: mode.value)
@pytest.mark.parametrize("distance", [-8, 8])
def test_reach_of_the_jump(tmp_path: Path, level: Mode, distance: int) -> None:
    """A jump reaches 1 MiB from the jal in hart 0's trampoline; an mret that the generator prepared reaches any pc."""
    checkpoint = sound(Recipe((level,), locks=False))
    state = checkpoint.harts[0]
    state.pc = DRAM + MIB - 8 + MIB + distance
    if level is Mode.M_NEMU:
        state.set("mepc", state.pc)
    report = validate(_file(tmp_path, checkpoint, more=[(state.pc, LOOP)]), "qemu-virt")
    assert _codes(report) == (["m-mode-far"] if level is Mode.M and distance > 0 else [])


def test_every_hart_is_checked(tmp_path: Path) -> None:
    checkpoint = sound(Recipe(harts=4, locks=False))
    checkpoint.harts[2].mode = 2
    report = validate(_file(tmp_path, checkpoint, DUAL_CORE), "qemu-virt")
    assert [(finding.kind.code, finding.hart) for finding in report.findings] == [("mode", 2)]


@pytest.mark.parametrize("level", [10, 9])
@pytest.mark.parametrize(("platform", "modes"), [("xiangshan", (8, 9)), ("qemu-virt", (8, 9, 10))])
def test_translation_of_the_platform(tmp_path: Path, platform: str, modes: tuple[int, ...], level: int) -> None:
    checkpoint = sound()
    checkpoint.harts[0].set("satp", level << 60 | checkpoint.harts[0].get("satp") & (1 << 60) - 1)
    report = validate(_file(tmp_path, checkpoint), platform)
    # The tables are those of Sv39: another mode does not map the pc.
    assert _codes(report) == (["pc-unmapped"] if level in modes else ["translation-platform"])


@pytest.mark.parametrize(("platform", "most"), [("xiangshan", 128), ("qemu-virt", 1024), ("spike", 2048)])
def test_vlen_of_the_platform(tmp_path: Path, platform: str, most: int) -> None:
    for vlen in (128, 256, 1024, 2048):
        report = validate(_file(tmp_path, sound(Recipe(vlen=vlen, locks=False))), platform)
        assert _codes(report) == ([] if vlen <= most else ["vlen-platform"])


@pytest.mark.parametrize(("platform", "entries"), [("rocket", 8), ("qemu-virt", 16)])
@pytest.mark.parametrize("entry", [7, 8])
def test_pmp_entries_of_the_platform(tmp_path: Path, platform: str, entries: int, entry: int) -> None:
    checkpoint = sound(Recipe(vector=False, hypervisor=False, vs=0, locks=False))
    state = checkpoint.harts[0]
    whole = 0x1F << 8 * (entry % 8)  # NAPOT of everything
    for number in range(16):
        state.set(f"pmpaddr{number}", (1 << 54) - 1 if number == entry else 0)
    state.set("pmpcfg0", whole if entry < 8 else 0)
    state.set("pmpcfg2", whole if entry >= 8 else 0)
    report = validate(_file(tmp_path, checkpoint), platform)
    assert ("pmp-platform" in _codes(report)) == (entry >= entries)
    assert "pmp-off" not in _codes(report)


@pytest.mark.parametrize("vlenb", [1, 15, 24, 257, 512, 1 << 63])
def test_impossible_vlenb(tmp_path: Path, vlenb: int) -> None:
    """Reported only if there is vector state."""
    for vs, wanted in ((3, ["vlenb"]), (0, [])):
        checkpoint = sound(Recipe(vs=vs, locks=False))
        checkpoint.harts[0].set("vlenb", vlenb)
        assert _codes(validate(_file(tmp_path, checkpoint), "qemu-virt")) == wanted


# The image and its header.


def test_no_checkpoint(tmp_path: Path) -> None:
    path = _file(tmp_path, sound(), more=[_word(DRAM + DEFAULT.magic_number, 0)])
    report = validate(path)
    assert (_codes(report), report.location) == (["no-checkpoint"], None)


def _with_header(tmp_path: Path, value: Header, harts: int = 1) -> Report:
    checkpoint = sound(Recipe(harts=harts, locks=False))
    return validate(
        _file(tmp_path, checkpoint, PROTOBUF, [(DRAM + MULTI_CORE_OFFSET, header.encode(value))]), "qemu-virt"
    )


@pytest.mark.parametrize(
    ("change", "code"),
    [
        ({}, None),
        ({"version": 1}, "header-version"),
        ({"cpu_num": 0}, "header-value"),
        ({"cpu_num": 129}, "header-value"),
        ({"cpt_offset": 164}, "header-value"),
        ({"cpt_offset": -MULTI_CORE_OFFSET % (1 << 64)}, "header-value"),
        ({"cpt_offset": 1 << 50}, "header-value"),
        ({"cpu_num": 2, "single_core_size": 8}, "header-value"),
        ({"single_core_size": 1 << 31}, "header-value"),
        ({"layout": dataclasses.replace(MULTI_CORE, int_reg=4)}, "header-value"),
        ({"layout": dataclasses.replace(MULTI_CORE, csr_reg=1 << 31)}, "header-value"),
        ({"cpt_offset": SIZE}, "block-cut"),
    ],
)
def test_header(tmp_path: Path, change: dict, code: str | None) -> None:  # type: ignore[type-arg]
    value = Header(PROTOBUF.base - PROTOBUF.header_at, 1, PROTOBUF.stride, layout=MULTI_CORE)
    report = _with_header(tmp_path, dataclasses.replace(value, **change))
    assert _codes(report) == ([code] if code else [])


def test_a_field_beyond_the_largest_block(tmp_path: Path) -> None:
    """A restorer skips this field; tools refuse to follow its offset."""
    layout = dataclasses.replace(MULTI_CORE, int_reg_done=1 << 63)
    value = Header(PROTOBUF.base - PROTOBUF.header_at, 1, PROTOBUF.stride, layout=layout)
    damaged = "checkpoint: the protobuf header is damaged: a block would have 0x8000000000000008 bytes"
    with pytest.raises(UserError, match=damaged):
        _with_header(tmp_path, value)


def test_undecodable_header(tmp_path: Path) -> None:
    report = validate(_file(tmp_path, sound(), PROTOBUF, [(DRAM + MULTI_CORE_OFFSET + 6, b"\xff" * 600)]))
    assert _codes(report) == ["header-undecodable"]


def test_missing_magic_after_a_header(tmp_path: Path) -> None:
    path = _file(tmp_path, sound(), PROTOBUF, [_word(DRAM + PROTOBUF.block(0) + MULTI_CORE.magic_number, 0)])
    assert _codes(validate(path, "qemu-virt")) == ["magic-missing"]


def test_image_that_ends_within_a_block(tmp_path: Path) -> None:
    path = _file(tmp_path, sound(Recipe(harts=3, locks=False)), DUAL_CORE)
    with path.open("r+b") as file:
        file.truncate(DUAL_CORE.block(2) + DEFAULT.vector_reg)
    codes = [(finding.kind.code, finding.hart) for finding in validate(path, "qemu-virt").findings]
    assert ("block-cut", 2) in codes and ("block-cut", 1) not in codes


def test_layouts_of_an_earlier_checkpoint(tmp_path: Path) -> None:
    checkpoint = sound()
    more = synthetic.blocks(Checkpoint(SINGLE_CORE, checkpoint.harts))
    report = validate(_file(tmp_path, checkpoint, DUAL_CORE, more), "qemu-virt")
    assert _codes(report) == ["more-layouts"]
    assert report.location and report.location.place == DUAL_CORE


@pytest.mark.parametrize("platform", ["xiangshan", "qemu-virt"])
@pytest.mark.parametrize("over", [0, 4096])
@pytest.mark.parametrize("container", ["zstd", "gzip"])
def test_length_for_nemus_zstd_loader(tmp_path: Path, container: str, over: int, platform: str) -> None:
    raw, path = _file(tmp_path, sound()), tmp_path / "compressed"
    content = streams.read_prefix(raw, SIZE)[: 16 * MIB + over]
    if container == "zstd":
        from backports import zstd

        path.write_bytes(zstd.compress(content))
    else:
        output.write(path, [content], container)
    wrong = container == "zstd" and over and platform == "xiangshan"
    assert _codes(validate(path, platform)) == (["zstd-length"] if wrong else [])


# Harts.


def _validate_count(tmp_path: Path, harts: int, count: int, machine: int = 0) -> Report:
    checkpoint = sound(Recipe(harts=harts, locks=False))
    counted = _word(DRAM + DUAL_CORE.block(0) + DEFAULT.csr_reserve, count)
    return validate(_file(tmp_path, checkpoint, DUAL_CORE, [counted]), "qemu-virt", machine)


@pytest.mark.parametrize(
    ("harts", "count", "codes"),
    [
        (1, 0, []),
        (1, 1, []),
        (2, 2, []),
        (3, 2, ["hart-count-2"]),
        (3, 3, []),
        (1, 2, ["hart-unmarked"]),
        (2, 3, ["hart-unmarked"]),
        (3, 1, ["harts-uncounted"]),
        (4, 3, ["harts-uncounted"]),
    ],
)
def test_counts(tmp_path: Path, harts: int, count: int, codes: list[str]) -> None:
    reported = _codes(_validate_count(tmp_path, harts, count))
    assert [code for code in dict.fromkeys(reported) if "hart" in code] == codes


@pytest.mark.parametrize(
    ("count", "marked", "findings"),
    [
        (2, (0, 2), [("hart-unmarked", 1), ("hart-count-2", None)]),
        (3, (0, 2), [("hart-unmarked", 1)]),
        (3, (0, 2, 3), [("hart-unmarked", 1), ("harts-uncounted", None)]),
        (4, (0, 1, 3), [("hart-unmarked", 2)]),
        (2, (0, 1, 3), []),
    ],
)
def test_gaps(tmp_path: Path, count: int, marked: tuple[int, ...], findings: list[tuple[str, int | None]]) -> None:
    """Each counted block without the magic number is a finding of its own, as a restorer counts."""
    checkpoint = sound(Recipe(harts=4, locks=False))
    words = [_word(DRAM + DUAL_CORE.block(0) + DEFAULT.csr_reserve, count)]
    words += [_word(DRAM + DUAL_CORE.block(hart) + DEFAULT.magic_number, 0) for hart in {*range(4)} - {*marked}]
    report = validate(_file(tmp_path, checkpoint, DUAL_CORE, words), "qemu-virt")
    assert [(one.kind.code, one.hart) for one in report.findings if "hart" in one.kind.code] == findings


def test_blocks_over_their_header(tmp_path: Path) -> None:
    report = _with_header(tmp_path, Header(64, 1, MIB, layout=MULTI_CORE))
    assert _codes(report) == ["header-value"]


def test_impossible_count(tmp_path: Path) -> None:
    assert "too-many-harts" in _codes(_validate_count(tmp_path, 1, 1 << 63))


@pytest.mark.parametrize(("machine", "codes"), [(0, []), (2, []), (1, ["harts-missing"])])
def test_harts_of_the_machine(tmp_path: Path, machine: int, codes: list[str]) -> None:
    assert _codes(_validate_count(tmp_path, 2, 2, machine)) == codes


def test_mtime_differs_between_harts(tmp_path: Path) -> None:
    checkpoint = sound(Recipe(harts=2, locks=False))
    checkpoint.harts[1].mtime += 1
    assert _codes(validate(_file(tmp_path, checkpoint, DUAL_CORE), "qemu-virt")) == ["mtime-differs"]


# The table.


def test_codes_are_words_and_signals_are_codes() -> None:
    from gcpt.restorer.codes import CODES

    assert len(findings.BY_CODE) == len(findings.KINDS)
    assert {severity.value for severity in Severity} == {"error", "warning", "note"}
    assert all(kind.means and kind.remedy and kind.code.islower() for kind in findings.KINDS)
    assert {kind.signal for kind in findings.KINDS} - {""} <= {code.name for code in CODES}
    assert all(kind.severity is Severity.ERROR for kind in findings.KINDS if kind.signal not in ("", "M_MODE_LOSS"))


def test_unknown_generator(tmp_path: Path) -> None:
    """Only where SIE may be lost: one hart, SPIE without SIE, and no csr_reserve."""
    uncounted = dataclasses.replace(PROTOBUF, layout=dataclasses.replace(PROTOBUF.layout, csr_reserve=0))
    for place, bits, codes in (
        (uncounted, mstatus.SPIE, ["generator-unknown"]),
        (uncounted, mstatus.SPIE | mstatus.SIE, []),
        (PROTOBUF, mstatus.SPIE, []),
    ):
        checkpoint = sound()
        [state] = checkpoint.harts
        state.set("mstatus", state.get("mstatus") & ~(mstatus.SIE | mstatus.SPIE) | bits)
        assert _codes(validate(_file(tmp_path, checkpoint, place), "qemu-virt")) == codes


_TESTS = ("checks", "losses", "verdicts")


def test_every_finding_is_tested() -> None:
    """Its code is in this file, in the tables of faults, or in the tests with restorers or all commands."""
    folder = Path(__file__).parents[1]
    names = ("support/faults.py", "firmware/test_hypervisor.py", "cli/test_counts.py")
    names += tuple(f"validate/test_{name}.py" for name in _TESTS)
    text = "".join((folder / name).read_text() for name in names)
    assert [code for code in findings.BY_CODE if f'"{code}"' not in text] == []
