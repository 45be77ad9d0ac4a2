"""The QEMU adapter: errors and exit codes, with the output in their messages."""

import os
import signal
from pathlib import Path

import pytest
from bench import DRAM, Bench
from command import child

from gcpt.machines.qemu import Machine, Qemu, QemuError, cpu, version


def test_early_end_shows_qemus_message(bench: Bench) -> None:
    with (
        bench.run(bench.image([]), Machine(cpu="no-such-cpu"), paused=True) as running,
        pytest.raises(QemuError, match=r"(?s)ended early, with status 1.*no-such-cpu.*qemu\.log"),
    ):
        running.gdb()


def test_pattern_that_does_not_come(bench: Bench) -> None:
    with (
        bench.run(bench.image([]), Machine(), paused=True) as running,
        pytest.raises(QemuError, match=r"(?s)did not print 'login:' within 0\.2 s.*console\.log"),
    ):
        running.expect("login:", 0.2)


def test_end_while_waiting(bench: Bench) -> None:
    with (
        bench.run(_ending(bench, 42), Machine()) as running,
        pytest.raises(
            QemuError, match=r"before its console printed 'login:' \(the console printed nothing\), with status 42"
        ),
    ):
        running.expect("login:")


def test_a_full_disk(bench: Bench) -> None:
    """QEMU gets a SIGBUS for a page of its memory that the disk has no room for."""
    with bench.run(bench.image([]), Machine(), paused=True) as running:
        running.gdb().close()
        os.kill(int(child(os.getpid(), "qemu")), signal.SIGBUS)
        with pytest.raises(QemuError, match=r"the disk of .* is full: set TMPDIR to another folder"):
            running.expect("login:")


@pytest.mark.parametrize("code", [0, 1, 42])
def test_exit_status_is_the_finishers_code(bench: Bench, code: int) -> None:
    assert bench.end(_ending(bench, code)).status == code


def test_a_machine_that_does_not_end(bench: Bench) -> None:
    with (
        bench.run(bench.image([]), Machine(), paused=True) as running,
        pytest.raises(QemuError, match=r"did not end within 0\.2 s"),
    ):
        running.wait_exit(0.2)


def test_nothing_is_left_behind(bench: Bench) -> None:
    with Qemu(bench.image([]), Machine(), bench.folder) as running:
        running.gdb().close()
        process, sockets = running._process, running.gdb_path.parent
    assert process.poll() is not None
    assert not sockets.exists()


def _ending(bench: Bench, code: int) -> Path:
    """A program that gives the finisher ``code``: lui t0, 0x100; li t1, ...; sw t1, (t0)."""
    value = 0x5555 if code == 0 else code << 16 | 0x3333
    high, low = (value + 0x800) >> 12, value & 0xFFF
    words = [0x001002B7, high << 12 | 6 << 7 | 0x37, low << 20 | 6 << 15 | 6 << 7 | 0x1B, 0x0062A023, 0x6F]
    return bench.image([(DRAM, b"".join(word.to_bytes(4, "little") for word in words))])


@pytest.mark.parametrize(
    ("installed", "own"),
    [("7.2.22", "x-epmp=true"), ("8.2.0", "pmu-mask=0xfffffff8,smepmp=true"), ("10.0.13", "smepmp=true")],
)
def test_a_hart_with_everything_by_version(tmp_path: Path, installed: str, own: str) -> None:
    program = tmp_path / "qemu"
    program.write_text(f"#!/bin/sh\necho 'QEMU emulator version {installed}'\n")
    program.chmod(0o755)
    options = cpu(256, str(program), smepmp=True)
    assert options.startswith("rv64,v=true,vlen=256,") and options.endswith(f",{own}")
    assert ("pmu-mask" in options) == (version(str(program)) >= (8, 2))
