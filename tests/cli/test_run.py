"""``gcpt run`` and ``gcpt debug``: real QEMU, real gdb."""

import re
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

from command import ENVIRONMENT, child, gcpt, on_terminal, refusal, wait_until
from restorer import Restorer

from gcpt.checkpoint import edits, output
from gcpt.checkpoint.places import DUAL_CORE
from gcpt.machines import demo
from gcpt.machines.gdb import TIMEOUT
from gcpt.machines.synthetic import Mode, Recipe

Make = Callable[..., Path]


def _demo(folder: Path) -> Path:
    path = folder / "demo.gz"
    zeros = (bytes(1 << 20) for _ in range(demo.IMAGE_SIZE >> 20))
    output.write(path, edits.patched(zeros, demo.image().items()), "gzip")
    return path


def test_run(tmp_path: Path) -> None:
    """The workload continues, prints, and ends the command with its exit status; the file is unchanged."""
    path = _demo(tmp_path)
    before = path.read_bytes()
    run = gcpt("run", path)
    assert run.returncode == 0
    assert "here it goes on, with every register in its place." in run.stdout
    assert path.read_bytes() == before


def test_run_on_a_terminal(tmp_path: Path) -> None:
    run = on_terminal(80, "run", _demo(tmp_path))
    assert (run.returncode, "with every register in its place." in run.stdout) == (0, True), run.stdout


def test_progress_is_shown_on_a_terminal(checkpoint_file: Make, tmp_path: Path) -> None:
    """For unpacking and diff, with the total size if the image is raw; not in a pipe."""
    path, raw = checkpoint_file(), tmp_path / "raw"
    output.unpack(path, raw)
    compressed, whole = r".* [1-9]\S*/\? ", r".* 134\.2/134\.2 MB"
    for arguments, bar in (
        (("verify", raw), whole),
        (("run", _demo(tmp_path)), compressed),
        (("debug", raw, "--batch"), whole),
    ):
        run = on_terminal(120, *arguments)
        assert run.returncode == 0, run.stdout
        assert re.search(f"unpacking {Path(arguments[1]).name}{bar}", run.stdout), run.stdout
    assert re.search(f"comparing{whole}", on_terminal(120, "diff", raw, path).stdout)
    assert re.search(f"comparing{compressed}", on_terminal(120, "diff", path, raw).stdout)
    assert gcpt("diff", raw, path).stderr == ""


def test_ending_the_command_ends_qemu(checkpoint_file: Make) -> None:
    """The checkpoint's hart spins forever."""
    command = [sys.executable, "-m", "gcpt", "run", str(checkpoint_file())]
    with subprocess.Popen(command, env=ENVIRONMENT, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as running:
        machine = wait_until(lambda: child(running.pid, "qemu"))
        running.terminate()
        assert running.wait(TIMEOUT) == 143
    assert not Path(f"/proc/{machine}").exists()


def test_run_ends_with_the_restorers_code(checkpoint_file: Make) -> None:
    run = gcpt("run", checkpoint_file(change=lambda harts: setattr(harts[0], "mode", 2)))
    assert (run.returncode, "gcpt: error 13 hart 0" in run.stdout) == (13, True)


def test_debug_stops_each_hart_at_its_first_instruction(checkpoint_file: Make) -> None:
    path = checkpoint_file(Recipe((Mode.S, Mode.M), harts=2), DUAL_CORE)
    run = gcpt("debug", path, "--batch", "-x", "thread 2", "-x", "csrs mscratch", "-x", "info symbol gcpt_restore")
    assert run.returncode == 0, run.stderr
    assert len(re.findall(r"hart \d: [SM] pc 0x[0-9a-f]+ \(its restored pc\)", run.stdout)) == 2
    assert re.search(r"^hart 1\n  mscratch +0x[0-9a-f]+$", run.stdout, re.MULTILINE)
    assert "gcpt_restore in section .text" in run.stdout


def test_debug_says_where_symbols_are(checkpoint_file: Make, build_restorer: Callable[..., Restorer]) -> None:
    restorer = build_restorer(mode="single_core", platform="qemu-virt")
    own = ["debug", checkpoint_file(), "--restorer", restorer.image, "--batch", "-x", "info symbol gcpt_restore"]
    without, with_symbols = gcpt(*own), gcpt(*own, "--symbols", restorer.folder / "gcpt.elf")
    assert "gcpt: no symbols: give the restorer's gcpt.elf" in without.stdout
    assert "gcpt_restore in section" not in without.stdout
    assert "gcpt_restore in section .text" in with_symbols.stdout and "no symbols" not in with_symbols.stdout


def test_debug_from_reset(checkpoint_file: Make) -> None:
    run = gcpt(
        "debug", checkpoint_file(), "--from-reset", "--batch", "-x", "b gcpt_restore", "-x", "c", "-x", "restored"
    )
    assert "Breakpoint 1, 0x" in run.stdout and "in gcpt_restore ()" in run.stdout
    assert re.search(r"\* hart 0: S pc 0x[0-9a-f]+ \(its restored pc\)", run.stdout)


def test_debug_names_harts_and_breaks_at_restored_pcs(checkpoint_file: Make) -> None:
    path = checkpoint_file(Recipe((Mode.S, Mode.M), harts=2), DUAL_CORE)
    commands = [
        "info threads",
        "break-restored",
        "info breakpoints",
        "continue",
        "continue",
        "harts",
        "csrs v?atp mscr",
        "csrs nosuch",
    ]
    run = gcpt("debug", path, "--from-reset", "--batch", *(word for text in commands for word in ("-x", text)))
    assert '"hart 0"' in run.stdout and '"hart 1"' in run.stdout
    assert "stop only in thread 1" in run.stdout and "stop only in thread 2" in run.stdout
    assert sorted(re.findall(r"Temporary breakpoint (\d), ", run.stdout)) == ["1", "2"], run.stdout
    assert re.search(r"hart \d: [SM] pc 0x[0-9a-f]+ \(its restored pc\)", run.stdout)
    assert re.search(r"^hart \d\n  mscratch +0x[0-9a-f]+\n  vsatp +0x[0-9a-f]+\n", run.stdout, re.MULTILINE)
    assert "csrs: nosuch: no such group or CSR: docs/csrs.md lists them" in run.stderr


def test_debug_server(checkpoint_file: Make, tmp_path: Path) -> None:
    """It prints its port and the script with the commands; it ends when gdb kills the machine."""
    script = tmp_path / "commands.py"
    command = [sys.executable, "-m", "gcpt", "debug", str(checkpoint_file()), "--server", "0", "--script", str(script)]
    with subprocess.Popen(command, env=ENVIRONMENT, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, text=True) as run:
        assert run.stdout is not None
        line = run.stdout.readline()
        pattern = rf"gcpt: stopped at reset, waiting for gdb: target remote (\S+), source {script}\n"
        address = re.fullmatch(pattern, line)
        assert address, line
        gdb = ["gdb-multiarch", "-q", "-nx", "-batch", "-ex", "set confirm off", "-ex", f"source {script}"]
        gdb += ["-ex", f"target remote {address[1]}", "-ex", "restored", "-ex", "kill"]
        session = subprocess.run(gdb, capture_output=True, text=True, check=False)
        assert re.search(r"\* hart 0: S pc 0x[0-9a-f]+ \(its restored pc\)", session.stdout), session
        assert run.wait(TIMEOUT) == 0


def test_bad_input(checkpoint_file: Make, tmp_path: Path) -> None:
    path = checkpoint_file()
    for size, message in (
        ("12x", "is not a size"),
        ("²G", "is not a size"),
        ("-1", "is not a size"),
        ("99999999999G", "is too large: give at most 2048G"),
        ("256", "is 256 bytes, which hold no firmware: did you mean 256M?"),
        ("512k", "is 524288 bytes, which hold no firmware: did you mean 512M?"),
        ("1M", "is 1048576 bytes, which hold no firmware: did you mean 128M?"),
        ("0", "is 0 bytes, which hold no firmware: did you mean 128M?"),
    ):
        assert f"{size!r} {message}" in refusal(gcpt("run", path, "--memory", size))
    assert refusal(gcpt("debug", path, "--symbols", "nosuch.elf")) == "nosuch.elf: no such file"
    assert "--server starts no gdb" in refusal(gcpt("debug", path, "--server", "0", "-x", "c"))
    assert "nowhere/x.py: No such file" in refusal(gcpt("debug", path, "--script", "/nowhere/x.py"))
    before = path.read_bytes()
    assert "unknown ending .zst: choose .py" in refusal(gcpt("debug", path, "--script", path))
    assert path.read_bytes() == before
    assert "No such file or directory" in refusal(gcpt("run", tmp_path / "none"))
