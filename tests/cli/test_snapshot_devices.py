"""``gcpt snapshot`` takes devices along: a restored guest answers what is typed, which it does not without them."""

import subprocess
from dataclasses import replace
from pathlib import Path

import pytest
from command import gcpt, refusal
from guests import assemble, exact, symbol

from gcpt.checkpoint import extended
from gcpt.checkpoint.extended import DeviceWrite, IndirectWrite
from gcpt.checkpoint.files import open_checkpoint, write_checkpoint
from gcpt.machines import boot
from gcpt.machines.arrival import run_to_first
from gcpt.machines.qemu import Qemu, QemuError, version
from gcpt.restorer.options import CROSS_COMPILE

_SOURCE = Path(__file__).parents[1] / "guests" / "console.S"
_ADDRESS = 0x8010_0000
IMSIC = ("-machine", "aia=aplic-imsic")
#: Seconds in which a guest that answers has answered many times over.
_NEVER = 5


def _guest(folder: Path, harts: int, is_imsic: bool) -> Path:
    elf, image = folder / "console.elf", folder / "console.bin"
    defines = (f"-DHARTS={harts}", f"-DIMSIC={is_imsic:d}")
    flags = (
        "-march=rv64g",
        "-mabi=lp64d",
        "-nostdlib",
        "-static",
        f"-Wl,-Ttext={_ADDRESS:#x}",
        "-Wl,--no-warn-rwx-segments",
    )
    subprocess.run([f"{CROSS_COMPILE}gcc", *flags, *defines, _SOURCE, "-o", elf], check=True)
    subprocess.run([f"{CROSS_COMPILE}objcopy", "-O", "binary", elf, image], check=True)
    return image


def _answers(path: Path, folder: Path, options: tuple[str, ...]) -> bool:
    folder.mkdir()
    setup = boot.prepare(path, folder)
    machine = replace(setup.machine, extra=options)
    with Qemu(setup.memory, machine, folder, paused=True) as running, running.gdb() as gdb:
        run_to_first(gdb, {hart: state.pc for hart, state in setup.harts.items()})
        gdb.resume()
        running.type("hELLO")
        try:
            running.expect_next("Hello", 60 if setup.config.extended else _NEVER)
        except QemuError:
            return False
    return True


@pytest.mark.parametrize("harts", [1, 2, 4])
@pytest.mark.parametrize("options", [(), IMSIC], ids=["PLIC", "IMSIC"])
def test_a_guest_answers(tmp_path: Path, harts: int, options: tuple[str, ...]) -> None:
    guest, path, without = _guest(tmp_path, harts, bool(options)), tmp_path / "taken.zst", tmp_path / "without.zst"
    start = ("--load", f"{guest}@{_ADDRESS:#x}", "--harts", str(harts))
    run = gcpt("snapshot", "-o", path, *start, "--on", "ready", "--", *options)
    assert (run.returncode, run.stderr) == (0, "")
    opened = open_checkpoint(path)
    lists = [extended.of(state) or () for state in opened.harts]
    assert any(isinstance(write, DeviceWrite) for write in lists[0])
    assert any(isinstance(write, IndirectWrite) for write in lists[-1]) == bool(options)
    assert _answers(path, tmp_path / "with", options)
    report = gcpt("verify", path, "--", *options)
    assert report.returncode == 0 and ", 0 unexplained" in report.stdout, report.stdout
    for state in opened.harts:
        extended.put(state, ())
    write_checkpoint(without, opened.harts, opened.memory(), opened.place)
    assert not _answers(without, tmp_path / "without", options)


def test_all_triggers(tmp_path: Path) -> None:
    """Not only the one that tselect selects."""
    binary, elf = assemble(tmp_path, "triggers", "triggers")
    path = tmp_path / "taken.zst"
    run = gcpt("snapshot", "-o", path, "--load", f"{binary}@{_ADDRESS:#x}", "--at", hex(symbol(elf, "end")))
    assert (run.returncode, run.stderr) == (0, "")
    values = {f"tdata1[{index:#x}]": 0x2000_0000_0000_0014 for index in (0, 1)}
    values |= {"tdata2[0x0]": (1 << 64) - 0xFF8, "tdata2[0x1]": (1 << 64) - 0x1000}
    assert extended.by_name(extended.of(open_checkpoint(path).harts[0]) or ()) == values
    exact(path)


def test_control_transfer_records(tmp_path: Path) -> None:
    """Smctr, which QEMU 10 has: the newest entry first. Other QEMUs refuse their -cpu."""
    binary, elf = assemble(tmp_path, "records", "records")
    path, loop = tmp_path / "taken.zst", symbol(elf, "loop")
    cpu = "rv64,v=true,h=true,sstc=true,svpbmt=true,smctr=true,ssctr=true,smcsrind=true,sscsrind=true"
    load_it = ("--load", f"{binary}@{_ADDRESS:#x}", "--at", hex(loop), "--hart", "0", "--after", "101")
    run = gcpt("snapshot", "-o", path, *load_it, "--", "-cpu", cpu)
    if version() < (10, 0):
        assert "smctr" in refusal(run)
        return
    assert (run.returncode, run.stderr) == (0, "")
    records = extended.by_name(extended.of(open_checkpoint(path).harts[0]) or ())
    jumps = [(loop, loop + 8), (loop + 8, loop)] * 8  # 101 instructions end with a jump to the second one
    for number, (source, target) in enumerate(jumps):
        assert records[f"sireg[{0x200 + number:#x}] (ctrsource{number})"] == source | 1
        assert records[f"sireg2[{0x200 + number:#x}] (ctrtarget{number})"] & ~1 == target
    report = gcpt("verify", "--cpu", cpu, path)
    assert report.returncode == 0 and ", 0 unexplained" in report.stdout, report.stdout
