"""``gcpt snapshot``: checkpoints of real software, taken by the tests, and their restores."""

import json
import re
import socket
import subprocess
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from command import gcpt, here, on_terminal, refusal
from guests import ADDRESS, LOAD_U_BOOT, OPENSBI, USER_ALIAS, Worker, answer, exact, symbol

from gcpt.checkpoint import output
from gcpt.checkpoint.files import PLACES, open_checkpoint
from gcpt.checkpoint.places import PlaceKind
from gcpt.machines import qemu, qmp
from gcpt.machines.arrival import run_to_first
from gcpt.machines.qemu import Machine, Qemu

#: Bits of mie: the timer interrupts of S, VS and M mode.
TIMERS = 1 << 5 | 1 << 6 | 1 << 7
WORKERS = (
    Worker(1, sv=39),
    Worker(1, sv=48),
    Worker(0, sv=39),
    Worker(0, sv=48),
    Worker(1, virtual=True, sv=39),
    Worker(0, virtual=True, sv=39),
    Worker(3),
)


def _assert_success(run: subprocess.CompletedProcess[str]) -> None:
    assert (run.returncode, run.stderr) == (0, ""), run.stderr


@pytest.mark.parametrize(("harts", "layout"), [(1, "auto"), (2, "auto"), (4, "auto"), (2, "protobuf")])
def test_u_boot_at_its_prompt(u_boot: Callable[..., Path], harts: int, layout: str) -> None:
    path = u_boot(harts, layout)
    opened = open_checkpoint(path)
    kinds = {"auto": PlaceKind.SINGLE_CORE if harts == 1 else PlaceKind.DUAL_CORE, "protobuf": PlaceKind.PROTOBUF}
    assert (len(opened.harts), opened.place.kind, opened.container) == (harts, kinds[layout], "zstd")
    assert sorted(state.mode for state in opened.harts) == [1] + [3] * (harts - 1)
    exact(path)
    assert answer(path) == "answer=42"


def test_type_after_several_patterns(tmp_path: Path) -> None:
    """Each --type belongs to the --on before it: here none to the first, two to the last but one."""
    path = tmp_path / "out.zst"
    boot = ("--on", "OpenSBI", "--on", "stop autoboot", "--type", "\\n")
    prompt = ("--on", "=> $", "--type", "setenv answer ", "--type", "42\\n", "--on", "=> $")
    _assert_success(gcpt("snapshot", "-o", path, *LOAD_U_BOOT, *boot, *prompt))
    assert answer(path) == "answer=42"


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory: pytest.TempPathFactory) -> str:
    """The end of the output of a worker that is not stopped."""
    folder = tmp_path_factory.mktemp("undisturbed")
    with _started(Worker(1), folder) as running:
        assert running.wait_exit() == 0
        return running.output()[-21:]


def _started(worker: Worker, folder: Path, *extra: str, endless: bool = False) -> Qemu:
    memory = folder / "memory"
    pieces = [
        (0, qemu.jump(0x8000_0000, ADDRESS)),
        (ADDRESS - 0x8000_0000, worker.build(folder, endless)[0].read_bytes()),
    ]
    output.write_pieces(memory, pieces, 128 << 20)
    return Qemu(memory, Machine(extra=extra), folder, paused=False)


@pytest.mark.parametrize("worker", WORKERS, ids=str)
@pytest.mark.parametrize(("dots", "vlen"), [(7, 128)])
def test_the_sum_is_kept_across_a_restore(
    tmp_path: Path, worker: Worker, dots: int, vlen: int, undisturbed: str
) -> None:
    """Stopped while it computes or waits; a U-mode worker in U mode: registers, rounding mode and timer interrupts
    continue."""
    path = tmp_path / "worker.gz"
    binary, elf = worker.build(tmp_path)
    load = ("--load", f"{binary}@{ADDRESS:#x}")
    in_user_mode = ("--at", hex(symbol(elf, "round") + USER_ALIAS)) if worker.level == 0 else ()
    _assert_success(gcpt("snapshot", "-o", path, *load, "--vlen", str(vlen), "--on", rf"\.{{{dots}}}", *in_user_mode))
    state = open_checkpoint(path).harts[0]
    assert state.mode == worker.level
    assert state.get("mie") & TIMERS and state.get("satp" if not worker.virtual else "vsatp") >> 60 == worker.satp_mode
    assert bool(state.get("mstatus") >> 39 & 1) == worker.virtual
    assert len(state.v[0]) == vlen // 8
    exact(path)
    run = gcpt("run", path)
    assert run.returncode == 0, run.stdout
    if vlen == 128:  # longer vectors change the sum
        assert run.stdout.endswith(undisturbed)
    assert run.stdout.count(".") <= 24 - dots


@pytest.mark.parametrize("worker", [WORKERS[0], WORKERS[4], WORKERS[6]], ids=str)
def test_a_running_machine_continues_unchanged(tmp_path: Path, worker: Worker, undisturbed: str) -> None:
    """Two checkpoints of one run: the run and both restores print the same sum each time, until a key ends them."""
    socket = tmp_path / "qmp"
    paths = [tmp_path / "first.zst", tmp_path / "second"]
    with _started(worker, tmp_path, "-qmp", f"unix:{socket},server=on,wait=off", endless=True) as running:
        for path in paths:
            running.expect_next(r"\.{2}")
            _assert_success(gcpt("snapshot", "-o", path, "--gdb", running.gdb_path, "--qmp", socket, "--force"))
        running.type("x")
        assert running.wait_exit() == 0
        assert set(re.findall("sum.*\n", running.output())) == {undisturbed}
    for path in paths:
        exact(path)
        assert gcpt("run", path, typed="x").stdout.endswith(undisturbed)


@pytest.mark.parametrize(("layout", "name"), [("auto", "dual_core"), ("protobuf", "protobuf")])
def test_json(tmp_path: Path, layout: str, name: str) -> None:
    """Taken at once, with two harts: the same harts as info prints, and nothing else on standard output."""
    path, binary = tmp_path / "now.gz", Worker(3).build(tmp_path)[0]
    arguments = ("-o", path, "--load", f"{binary}@{ADDRESS:#x}", "--harts", "2", "--layout", layout)
    run = gcpt("snapshot", "--json", *arguments)
    _assert_success(run)
    report = json.loads(run.stdout)
    assert report.pop("harts") == json.loads(gcpt("info", "--json", path).stdout)["harts"]
    assert report == {"file": str(path), "flash": None, "container": "gzip", "layout": name, "bytes": 128 << 20}


def test_at_a_pc_and_some_instructions_later(tmp_path: Path) -> None:
    worker = Worker(1, sv=39)
    binary, elf = worker.build(tmp_path)
    states = {}
    for after in (0, 2):
        path = tmp_path / f"{after}"
        more = ("--after", str(after)) if after else ()
        _assert_success(
            gcpt("snapshot", "-o", path, "--load", f"{binary}@{ADDRESS:#x}", "--at", hex(symbol(elf, "round")), *more)
        )
        states[after] = open_checkpoint(path).harts[0]
    assert states[0].pc == symbol(elf, "round")
    assert (states[0].x[20], states[2].x[20]) == (0, 4000)  # lui and addi of s4


def test_a_moment_that_is_not_reached(tmp_path: Path) -> None:
    """Hart 0 spins at +4, hart 1 at +8. Long counting shows its progress."""
    file, out = tmp_path / "code", tmp_path / "out"
    file.write_bytes(bytes.fromhex("f32240f1 63800200 6f000000"))  # csrr t0, mhartid; 1: beqz t0, 1b; 2: j 2b
    where = ("-o", out, "--load", f"{file}@{ADDRESS:#x}", "--harts", "2")
    message = refusal(gcpt("snapshot", *where, "--at", hex(ADDRESS + 8), "--hart", "0", "--timeout", "1"))
    assert message == f"hart 0 never reached pc {ADDRESS + 8:#x} within 1 s: give a longer --timeout"
    message = refusal(gcpt("snapshot", *where, "--after", "100G", "--timeout", "1"))
    assert re.match(
        r"--after 100000000000: hart 0 executed only [1-9]\d+ instructions within 1 s: give a long", message
    )
    assert not out.exists()
    run = on_terminal(120, "snapshot", *where, "--at", hex(ADDRESS + 8), "--hart", "1", "--after", "3000")
    assert (run.returncode, "hart 1: pc 0x80100008 mode M" in run.stdout) == (0, True), run.stdout
    assert re.search("running .* 3000/3000 instructions", run.stdout)


@contextmanager
def _running_code(folder: Path, code: str) -> Iterator[tuple[object, ...]]:
    """Start two harts with code at their first instruction; yield the options that attach to them."""
    socket, memory = folder / "qmp", folder / "memory"
    output.write_pieces(memory, [(0, bytes.fromhex(code))], 128 << 20)
    machine = Machine(2, extra=("-qmp", f"unix:{socket},server=on,wait=off"))
    with Qemu(memory, machine, folder) as running:
        with running.gdb() as gdb:
            run_to_first(gdb, dict.fromkeys(range(2), 0x8000_0000))
        yield "--gdb", running.gdb_path, "--qmp", socket, "--force"


def test_a_running_machine_is_stepped(tmp_path: Path) -> None:
    """One hart of it, as a note says; a count that takes too long is refused."""
    with _running_code(tmp_path, "13051500 6ff0dfff") as where:  # 1: addi a0, a0, 1; j 1b
        run = gcpt("snapshot", "-o", tmp_path / "out", *where, "--after", "21", "--hart", "1")
        assert (run.returncode, run.stderr) == (0, "")
        assert "note: --after stepped hart 1 only" in run.stdout
        assert [state.x[10] for state in open_checkpoint(tmp_path / "out").harts] == [0, 12]  # a0 was the hart's number
        message = refusal(gcpt("snapshot", "-o", tmp_path / "no", *where, "--after", "100000000", "--timeout", "1"))
        assert re.fullmatch(
            r"--after 100000000: only [1-9]\d+ instructions within 1 s: give a longer --timeout", message
        )


def test_a_sleeping_hart_cannot_be_stepped(tmp_path: Path) -> None:
    with _running_code(tmp_path, "73005010 6ff0dfff") as where:  # 1: wfi; j 1b
        message = refusal(gcpt("snapshot", "-o", tmp_path / "out", *where, "--after", "9", "--timeout", "1"))
    assert message == "--after: hart 0 sleeps in a wfi and cannot be stepped: choose another --hart, or use --at"


@pytest.mark.parametrize("harts", [1, 4])
def test_without_a_moment(tmp_path: Path, harts: int) -> None:
    """Taken before the first instruction of each hart, not in QEMU's reset code."""
    path, load = tmp_path / "first.zst", ("--load", f"{OPENSBI}@0x80100000")
    _assert_success(gcpt("snapshot", "-o", path, "--harts", str(harts), *load))
    assert [(state.pc, state.mode) for state in open_checkpoint(path).harts] == [(0x8010_0000, 3)] * harts
    exact(path)
    run = gcpt("snapshot", "-o", tmp_path / "again", "--harts", str(harts), *load, "--at", "0x80100000")
    assert run.stdout.count("pc 0x80100000 mode M") == harts


@pytest.mark.parametrize("layout", ["nemu", "flash"])
def test_layouts_of_nemu(tmp_path: Path, layout: str, undisturbed: str) -> None:
    path, flash = tmp_path / "worker.gz", tmp_path / "flash.gz"
    binary, _ = Worker(1, sv=39).build(tmp_path)
    more = ("--flash-out", flash) if layout == "flash" else ()
    arguments = ("--load", f"{binary}@{ADDRESS:#x}", "--on", r"\.{7}", "--layout", layout, *more)
    _assert_success(gcpt("snapshot", "-o", path, *arguments))
    pair = (path, "--flash", flash) if layout == "flash" else (path,)
    assert open_checkpoint(path, flash if more else None).place == PLACES["single_core" if more else "nemu"]
    exact(*pair)
    assert gcpt("run", *pair).stdout.endswith(undisturbed)


def test_a_qmp_address_that_does_not_speak_qmp(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Such as the gdb stub's."""
    monkeypatch.setattr(qmp, "TIMEOUT", 1)
    with socket.create_server(("localhost", 0)) as silent:
        port = silent.getsockname()[1]
        message = refusal(here("snapshot", "-o", tmp_path / "out", "--gdb", ":1", "--qmp", f":{port}"))
    assert message.endswith("the program that listens there does not speak QMP: is it the gdb stub?")


def test_memory_in_use(tmp_path: Path) -> None:
    file, out = tmp_path / "code", tmp_path / "out"
    file.write_bytes(bytes.fromhex("6f000000") * 1024)
    in_reserved = refusal(gcpt("snapshot", "-o", out, "--load", f"{file}@0x80001000"))
    assert "memory at 0x80001000 is in use, in the restorer's MiB" in in_reserved
    assert "keep Linux out with reserved-memory (docs/linux.md)" in in_reserved
    arguments = ("--harts", "2", "--load", f"{file}@0x80100000", "--load", f"{file}@0x804ee000")
    in_state = refusal(gcpt("snapshot", "-o", out, *arguments))
    assert "memory at 0x804ee000 is in use, in the place of the state (dual_core)" in in_state
    assert not out.exists()


def test_bad_input(tmp_path: Path) -> None:
    out, load = ("-o", tmp_path / "out"), ("--load", f"{OPENSBI}@0x80100000")
    refusals = {
        "nothing to run": out,
        "must be given together": (*out, "--gdb", ":1"),
        "want FILE@ADDR": (*out, "--load", "x"),
        "'x': the guest may not read its console yet": (*out, *load, "--type", "x", "--on", "y"),
        "not a regular expression": (*out, *load, "--on", "("),
        "No such file": (*out, "--load", "nosuch@0x80100000"),
        "is outside memory": (*out, "--load", f"{OPENSBI}@0x1000"),
        "did not print 'never' within 1 s": (*out, *load, "--on", "never", "--timeout", "1"),
        "no hart reached pc 0x90000000 within 1 s": (*out, *load, "--at", "0x90000000", "--timeout", "1"),
        "start QEMU with -qmp": (*out, "--gdb", ":1", "--qmp", tmp_path / "none"),
        "holds one hart, but there are 2": (*out, *load, "--harts", "2", "--layout", "single_core"),
        "layout flash holds one hart": (
            *out,
            *load,
            "--harts",
            "2",
            "--layout",
            "flash",
            "--flash-out",
            tmp_path / "f",
        ),
        "needs a second file for the flash image": (*out, *load, "--layout", "flash"),
        "is also the file for the memory image": (*out, *load, "--layout", "flash", "--flash-out", tmp_path / "out"),
        "--flash-out is for --layout flash": (*out, *load, "--flash-out", tmp_path / "f"),
        "the machine has harts 0 to 1": (*out, *load, "--harts", "2", "--hart", "2", "--after", "1"),
        "status 1: qemu-system-riscv64: -nosuch: invalid option": (*out, *load, "--", "-nosuch"),
        "port 70000 is out of range": (*out, "--gdb", ":1", "--qmp", ":70000"),
    }
    for message, arguments in refusals.items():
        assert message in refusal(gcpt("snapshot", *arguments))
    assert not (tmp_path / "out").exists()


def test_another_machine(tmp_path: Path) -> None:
    socket, memory = tmp_path / "qmp", tmp_path / "memory"
    output.write_pieces(memory, [], 128 << 20)
    machine = Machine(name="spike", extra=("-qmp", f"unix:{socket},server=on,wait=off"))
    with Qemu(memory, machine, tmp_path) as running:
        running.gdb().close()  # QEMU answers, so its QMP socket exists
        message = refusal(gcpt("snapshot", "-o", tmp_path / "out", "--gdb", running.gdb_path, "--qmp", socket))
    assert re.search(r"this machine is a spike: want virt", message)
