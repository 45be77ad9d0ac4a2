"""``gcpt validate`` predicts what happens on QEMU: refused with the signal's code, trapped at once, or restored.

The images have embedded restorers, whose options validate uses.
"""

from pathlib import Path

import pytest
from bench import CODES, DRAM, Bench, assert_exact, memory_of, of_place
from faults import NOT_ADVISED, OFF, REFUSED, RESTORED, TRAP, TRAPPED, Fault, sound

from gcpt.checkpoint import header
from gcpt.checkpoint.header import Header
from gcpt.checkpoint.layouts import DEFAULT, HEADER_WINDOW, MULTI_CORE, MULTI_CORE_OFFSET
from gcpt.checkpoint.places import DUAL_CORE, NEMU, PROTOBUF, SINGLE_CORE
from gcpt.machines import qemu
from gcpt.machines.arrival import run_to_first
from gcpt.machines.qemu import Machine
from gcpt.machines.synthetic import Mode, Recipe, Synthetic
from gcpt.restorer import packing
from gcpt.validate.findings import Severity
from gcpt.validate.verdict import Report, validate

MODES = ("single_core", "dual_core")
MCAUSE, MEPC = 0x342, 0x341
_EPMP = qemu.cpu(smepmp=True)


def _damaged(fault: Fault) -> Synthetic:
    checkpoint = sound(fault.recipe)
    fault.change(checkpoint.harts[0])
    return Synthetic(checkpoint.harts, [*checkpoint.memory, *fault.memory])


def _errors(report: Report) -> list[tuple[str, int]]:
    return [(finding.kind.code, finding.signal) for finding in report.of(Severity.ERROR)]


def _assert_refused(bench: Bench, memory: Path, code: str, machine: Machine | None = None) -> None:
    """Expect ``code`` to be the first error with a signal, and the restorer to end with that signal."""
    errors = [(name, signal) for name, signal in _errors(validate(memory)) if signal]
    assert errors and errors[0][0] == code, errors
    end = bench.end(memory, machine)
    assert (end.status, end.error()[0]) == (errors[0][1],) * 2


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("fault", REFUSED, ids=lambda fault: fault.code)
def test_refused(bench: Bench, mode: str, fault: Fault) -> None:
    checkpoint = _damaged(fault)
    memory = bench.restored(checkpoint, of_place(mode), bench.build(mode, **dict(fault.options)))
    machine = Machine(cpu=_EPMP) if fault.code == "mseccfg" else Machine(memory=memory_of(checkpoint))
    _assert_refused(bench, memory, fault.code, machine)


@pytest.mark.parametrize("fault", TRAPPED, ids=lambda fault: fault.code)
def test_trapped_at_once(bench: Bench, fault: Fault) -> None:
    """An error without a signal: the checkpoint restores, and its first instruction traps to the workload's handler."""
    checkpoint = _damaged(fault)
    memory = bench.restored(checkpoint, SINGLE_CORE, bench.build("single_core"))
    assert (fault.code, 0) in [(finding.kind.code, finding.signal) for finding in validate(memory).findings]
    with bench.run(memory, Machine(), paused=True) as running, running.gdb() as gdb:
        run_to_first(gdb, {0: TRAP})
        assert gdb.read_csr(0, MCAUSE) in fault.causes
        assert gdb.read_csr(0, MEPC) == checkpoint.harts[0].pc
        assert "gcpt: error" not in running.output()


@pytest.mark.parametrize("fault", OFF)
def test_no_pmp_entry_is_on(bench: Bench, fault: Fault) -> None:
    """QEMU 7.2 already traps at the mret to a mode below M. It has 16 entries."""
    memory = bench.restored(_damaged(fault), SINGLE_CORE, bench.build("single_core"))
    assert _errors(validate(memory)) == [("pmp-off", 0)]
    with bench.run(memory, Machine(), paused=True) as running, running.gdb() as gdb:
        run_to_first(gdb, {0: TRAP})
        assert gdb.read_csr(0, MCAUSE) == 2


def test_no_pmp(bench: Bench) -> None:
    """On harts without PMP, a checkpoint of such harts restores, with a restorer that writes none."""
    checkpoint = _damaged(OFF[0])
    memory = bench.restored(checkpoint, SINGLE_CORE, bench.build("single_core", csrs="-pmp16"))
    report = validate(memory)
    assert [finding.kind.code for finding in report.of(Severity.WARNING)] == ["pmp-off-left-out", "csrs-left-out"]
    assert _errors(report) == []
    with bench.run(memory, Machine(cpu=f"{qemu.cpu()},pmp=false"), paused=True) as running, running.gdb() as gdb:
        run_to_first(gdb, {0: checkpoint.harts[0].pc})


def _with(fault: Fault, csrs: str) -> str:
    """``csrs=`` of a restorer of the fault's options that also writes the group of ``csrs``, which begins with +."""
    groups = dict(fault.options).get("csrs", "")
    return f"{groups},{csrs[1:]}" if groups else csrs


@pytest.mark.parametrize(("fault", "csrs", "signal"), NOT_ADVISED, ids=[row[1] for row in NOT_ADVISED])
def test_no_advice_leads_to_a_refusal(bench: Bench, fault: Fault, csrs: str, signal: str) -> None:
    """A group that the restorer cannot write is not advised; a restorer that is built for it refuses the checkpoint."""
    checkpoint = _damaged(fault)
    memory = bench.restored(checkpoint, SINGLE_CORE, bench.build("single_core", **dict(fault.options)))
    (finding,) = validate(memory).findings
    assert finding.kind.code == fault.code
    assert f"csrs={csrs};" not in finding.what and csrs not in finding.kind.remedy
    assert (
        csrs not in finding.what
        or f"no restorer can write them: csrs={csrs} ends with code {CODES[signal]};" in finding.what
    )
    end = bench.end(
        bench.restored(checkpoint, SINGLE_CORE, bench.build("single_core", csrs=_with(fault, csrs))), Machine(cpu=_EPMP)
    )
    assert (end.status, end.error()[0]) == (CODES[signal],) * 2


@pytest.mark.parametrize(("mnstatus", "codes"), [(1 << 3, []), (1 << 3 | 1 << 7, ["csrs-left-out"])])
def test_nmie_is_always_set(bench: Bench, mnstatus: int, codes: list[str]) -> None:
    """A restorer that leaves mnstatus out sets NMIE nevertheless: it is no loss."""
    checkpoint = sound()
    checkpoint.harts[0].set("mnstatus", mnstatus)
    memory = bench.restored(checkpoint, SINGLE_CORE, bench.build("single_core", csrs="rva22"))
    found = [finding for finding in validate(memory).findings if "mnstatus" in finding.what]
    assert [finding.kind.code for finding in found] == codes


@pytest.mark.parametrize("fault", RESTORED, ids=lambda fault: fault.code)
def test_restored(bench: Bench, fault: Fault) -> None:
    """No error: the hart reaches its pc. A signal is the code of the line that the restorer prints."""
    checkpoint = _damaged(fault)
    memory = bench.restored(checkpoint, SINGLE_CORE, bench.build("single_core", **dict(fault.options)))
    report = validate(memory)
    assert _errors(report) == []
    assert fault.code in [finding.kind.code for finding in report.findings]
    signals = [finding.signal for finding in report.findings if finding.signal]
    with bench.run(memory, Machine(), paused=True) as running, running.gdb() as gdb:
        run_to_first(gdb, {0: checkpoint.harts[0].pc})
        assert [gdb.read_int(0, i) for i in range(1, 32)] == checkpoint.harts[0].x[1:]
        assert [code for code in CODES.values() if f"gcpt: error {code} hart 0" in running.output()] == signals


@pytest.mark.parametrize("level", [*Mode], ids=lambda mode: mode.value)
@pytest.mark.parametrize("mode", MODES)
def test_sound_checkpoints_are_exact(bench: Bench, mode: str, level: Mode) -> None:
    checkpoint, restorer = sound(Recipe((level,), locks=False)), bench.build(mode)
    memory = bench.restored(checkpoint, of_place(mode), restorer)
    assert validate(memory).findings == []
    assert_exact(bench.compare(memory, restorer, {0: checkpoint.harts[0]}, Machine()))


@pytest.mark.parametrize(
    ("change", "code"),
    [
        ({"version": 1}, "header-version"),
        ({"cpu_num": 129}, "header-value"),
        ({"cpt_offset": 164}, "header-value"),
        ({"cpt_offset": (0x1000 - MULTI_CORE_OFFSET) % (1 << 64)}, "header-value"),
        ({"cpu_num": 2, "single_core_size": 8}, "header-value"),
    ],
)
def test_header_refused(bench: Bench, change: dict, code: str) -> None:  # type: ignore[type-arg]
    values = {"cpt_offset": PROTOBUF.base - PROTOBUF.header_at, "cpu_num": 1, "single_core_size": PROTOBUF.stride}
    value = Header(**{**values, **change}, layout=MULTI_CORE)
    memory = bench.restored(sound(), PROTOBUF, bench.build("normal"))
    with memory.open("r+b") as file:
        file.seek(MULTI_CORE_OFFSET)
        file.write(header.encode(value).ljust(300, b"\0"))
    _assert_refused(bench, memory, code)


def test_header_in_the_window(bench: Bench) -> None:
    """A header in the restorer's window, and the same header at the start before the restorer is embedded."""
    checkpoint, restorer = sound(), bench.build("normal")
    memory = bench.synthetic_image(checkpoint, NEMU)
    before = validate(memory, "qemu-virt")
    first = packing.start(packing.read(restorer.image), NEMU, packing.first_mib(memory))
    packing.overwrite(memory, 0, first.data)
    after = validate(memory)
    assert before.findings == after.findings == []
    assert [report.location and report.location.place.header_at for report in (before, after)] == [0, HEADER_WINDOW]
    assert_exact(bench.compare(memory, restorer, {0: checkpoint.harts[0]}, Machine()))


def test_header_undecodable(bench: Bench) -> None:
    memory = bench.restored(sound(), PROTOBUF, bench.build("normal"))
    with memory.open("r+b") as file:
        file.seek(MULTI_CORE_OFFSET + 6)
        file.write(b"\xff" * 600)
    _assert_refused(bench, memory, "header-undecodable")


@pytest.mark.parametrize(("mode", "place"), [("single_core", DUAL_CORE), ("dual_core", SINGLE_CORE)])
def test_layout_of_another_mode(bench: Bench, mode: str, place: object) -> None:
    _assert_refused(bench, bench.restored(sound(), place, bench.build(mode)), "no-checkpoint")  # type: ignore[arg-type]


def test_more_harts_than_the_restorer_serves(bench: Bench) -> None:
    checkpoint = sound(Recipe(harts=3, locks=False))
    memory = bench.restored(checkpoint, DUAL_CORE, bench.build("dual_core", harts="2"))
    _assert_refused(bench, memory, "too-many-harts", Machine(harts=3))


def test_stopped_harts_are_not_checked(bench: Bench) -> None:
    checkpoint = sound(Recipe(harts=2, locks=False))
    checkpoint.harts[1].mode = 2
    memory = bench.restored(checkpoint, DUAL_CORE, bench.build("dual_core", stop_cpu="1"))
    assert _errors(validate(memory)) == []


@pytest.mark.parametrize("mode", MODES)
def test_restorer_cut_short(bench: Bench, mode: str) -> None:
    restorer = bench.build(mode)
    memory = bench.restored(sound(), of_place(mode), restorer)
    with memory.open("r+b") as file:
        file.seek(restorer.size - 8)
        file.write(bytes(8))
    _assert_refused(bench, memory, "restorer-cut")


def test_restorer_of_another_platform(bench: Bench) -> None:
    memory = bench.synthetic_image(sound(), SINGLE_CORE)
    packing.place(memory, bench.build("single_core", platform="spike").image)
    assert [finding.kind.code for finding in validate(memory, "qemu-virt").findings] == ["other-platform"]
    assert validate(memory, "spike").findings == validate(memory).findings == []


def test_payload_in_the_state(bench: Bench, tmp_path: Path) -> None:
    """A header may place the blocks where the build does not expect them."""
    payload = tmp_path / "payload"
    payload.write_bytes(bytes(64))
    for position, wanted in ((0x4000, ["payload-over-state"]), (0x10_0000, [])):
        at = f"{DRAM + PROTOBUF.base + position:#x}"
        restorer = bench.build("normal", gcpt_payload=str(payload), gcpt_payload_position=at)
        memory = bench.synthetic_image(sound(), PROTOBUF)
        with memory.open("r+b") as file:
            file.write(restorer.image.read_bytes()[: restorer.size])
        assert [finding.kind.code for finding in validate(memory).findings] == wanted


def test_restorer_over_the_state(bench: Bench) -> None:
    """As a restorer that is copied with all its memory does to a mode=single_core checkpoint."""
    memory = bench.synthetic_image(sound(), SINGLE_CORE)
    for size, wanted in ((DEFAULT.magic_number + 0x100, ["restorer-over-state"]), (DEFAULT.magic_number, [])):
        with memory.open("r+b") as file:
            file.write(bytes.fromhex("6f000000") + size.to_bytes(4, "little"))
            file.seek(size - 8)
            file.write((0xCAFF).to_bytes(8, "little"))
        assert [finding.kind.code for finding in validate(memory).findings] == wanted
