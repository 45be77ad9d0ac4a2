"""``scons run`` and ``scons debug`` on a terminal, which the checkpoint's console or gdb uses."""

import subprocess
from collections.abc import Callable
from pathlib import Path

from command import ENVIRONMENT, SCONS, Terminal, child, wait_until

from gcpt.machines.gdb import TIMEOUT

ROOT = Path(__file__).parents[2]
Make = Callable[..., Path]


#: Clock ticks of processor time by which a machine that spins is known to run.
_RUNNING = 20


def _ticks(process: str) -> int:
    """The processor time of a process in user mode, in clock ticks (proc(5))."""
    return int(Path(f"/proc/{process}/stat").read_text().rpartition(") ")[2].split()[11])


def _scons(folder: Path, *arguments: str) -> list[str]:
    return [*SCONS, f"build_dir={folder / 'out'}", *arguments]


def test_run_without_a_checkpoint_runs_the_demo(tmp_path: Path) -> None:
    with Terminal(_scons(tmp_path, "run"), ROOT) as terminal:
        terminal.expect("here it goes on, with every register in its place.")
        assert terminal.wait() == 0
    assert (tmp_path / "out/auto-qemu-virt/gcpt.bin").exists()


def test_run_has_the_terminal_and_its_exit_status(tmp_path: Path, checkpoint_file: Make) -> None:
    """Ctrl-A X reaches QEMU; the checkpoint's hart spins forever."""
    with Terminal(_scons(tmp_path, "run", f"ckpt={checkpoint_file()}", "mode=single_core"), ROOT) as terminal:
        terminal.expect(r"\[RUN\] \S*ckpt.zst")
        terminal.wait_raw()
        terminal.type("\x01x")
        assert terminal.wait() == 0
    assert "Terminated" in terminal.seen
    bad = checkpoint_file(change=lambda harts: setattr(harts[0], "mode", 2), name="bad.zst")
    command = _scons(tmp_path, "run", f"ckpt={bad}", "mode=single_core")
    run = subprocess.run(
        command, cwd=ROOT, env=ENVIRONMENT, stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False
    )
    assert (run.returncode, "gcpt: error 13 hart 0" in run.stdout) == (13, True)


def test_ending_scons_run_ends_qemu(tmp_path: Path, checkpoint_file: Make) -> None:
    command = _scons(tmp_path, "run", f"ckpt={checkpoint_file()}", "mode=single_core")
    with subprocess.Popen(command, cwd=ROOT, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL) as running:
        machine = wait_until(lambda: child(running.pid, "qemu"))
        running.terminate()
        assert running.wait(TIMEOUT) == 143
    assert not Path(f"/proc/{machine}").exists()


def test_debug_is_a_gdb_session(tmp_path: Path, checkpoint_file: Make) -> None:
    """It shows source lines, breaks in the restorer and at the restored pc, handles Ctrl-C and ends with 0."""
    command = _scons(tmp_path, "debug", "debug=1", f"ckpt={checkpoint_file()}", "mode=single_core")
    with Terminal(command, ROOT) as terminal:
        terminal.expect(r"\* hart 0: M pc 0x1000\s+\(gdb\) ")
        terminal.type("break gcpt_restore\ncontinue\n")
        terminal.expect(r"gcpt_restore \(\) at firmware/restore.S:\d+\r\n\d+\s+csrr +a0, misa")
        terminal.type("break-restored\ncontinue\n")
        terminal.expect("Temporary breakpoint 2, ")
        terminal.type("harts\n")
        terminal.expect(r"\* hart 0: S pc 0x[0-9a-f]+ \(its restored pc\)")
        machine = child(terminal.process.pid, "qemu")
        stopped = _ticks(machine)
        terminal.type("continue\n")
        terminal.expect("Continuing")
        wait_until(lambda: _ticks(machine) > stopped + _RUNNING)
        terminal.type("\x03")
        terminal.expect("SIGINT")
        terminal.type("quit\n")
        assert terminal.wait() == 0
    assert "interrupted" not in terminal.seen
