"""What the installed QEMU cannot do: a test that needs it and fails is reported as expected to, with the reason."""

import re
import subprocess
import sys
from functools import cache
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest
from command import ENVIRONMENT

from gcpt.checkpoint.layouts import MIB
from gcpt.isa import mstatus
from gcpt.isa.csrs import BY_NAME
from gcpt.machines.qemu import Machine, Qemu
from gcpt.restorer.codes import CODES

#: What of mstatus the hart does not keep, and how a comparison and selfcheck=1 show it.
_GUEST = mstatus.MPV | mstatus.GVA
_MISMATCH = re.compile(r"(\w+): wanted (0x[0-9a-f]+), got (0x[0-9a-f]+)")
_CODE = next(code.number for code in CODES if code.name == "NO_HYPERVISOR")
NO_GUESTS = "this QEMU cannot hold mstatus.MPV, so no hart can be a guest"
#: The restorer's line, gdb's stop reply (the status in hexadecimal), and gcpt's lines.
_REFUSED = re.compile(rf"gcpt: error {_CODE} hart|stop reply 'W{_CODE:02x}'|\bcode {_CODE}\b|cannot hold mstatus.MPV")


@cache
def holds_guests() -> bool:
    """Whether a hart of QEMU with H keeps mstatus.MPV: that of QEMU 10.0.13 does not."""
    number = BY_NAME["mstatus"].number
    with TemporaryDirectory() as name:
        image = Path(name) / "memory"
        with image.open("wb") as file:
            file.truncate(128 * MIB)
        with Qemu(image, Machine(), Path(name)) as running, running.gdb() as gdb:
            gdb.write_csr(0, number, (gdb.read_csr(0, number) or 0) | mstatus.MPV)
            return bool((gdb.read_csr(0, number) or 0) & mstatus.MPV)


#: How the commands that replay show that a recording has no end.
_NO_END = re.compile(r"the (software|machine) ended before|did not end within|only \d+ instructions within")
#: lui t0, 0x100; lui t1, 5; addi t1, t1, 0x555; sw t1, 0(t0): a write of 0x5555 to the finisher ends the run.
_ENDING = bytes.fromhex("13000000" * 4 + "b7021000 37530000 13035355 23a06200")


@cache
def replays_the_end() -> bool:
    """Whether QEMU replays what a machine executed between its last timer and its end: QEMU 10.0.13 does not."""
    with TemporaryDirectory() as name:
        code = Path(name) / "code"
        code.write_bytes(_ENDING)
        words = ("profile", "-o", str(code.with_name("out.gz")), "--load", f"{code}@0x80100000", "--interval", "3")
        run = subprocess.run(
            [sys.executable, "-m", "gcpt", *words, "--timeout", "5"], env=ENVIRONMENT, capture_output=True
        )
        return run.returncode == 0


def _only_guest_bits(failure: str) -> bool:
    """Whether a comparison failed for mstatus.MPV and GVA alone."""
    found = _MISMATCH.findall(failure)
    return bool(found) and all(
        name == "mstatus" and not (int(wanted, 16) ^ int(got, 16)) & ~_GUEST for name, wanted, got in found
    )


def lacking(folder: Path | None, failure: str) -> str:
    """Why a test fails on this QEMU alone: a guest was refused or differs in MPV and GVA alone, or a replay has no end.

    Returns:
        The reason; "" if the QEMU is not at fault.
    """
    logs = folder.rglob("console.log") if folder else ()
    texts = [failure, *(log.read_text(errors="replace") for log in logs)]
    if _NO_END.search(failure) and not replays_the_end():
        return "this QEMU does not replay the last instructions before a machine ends"
    if not (any(map(_REFUSED.search, texts)) or _only_guest_bits(failure)) or holds_guests():
        return ""
    return NO_GUESTS


def judge(item: pytest.Item, report: pytest.TestReport) -> None:
    """Report a failure that the QEMU is at fault for as an expected one."""
    if report.when == "call" and report.failed:
        folder = getattr(item, "funcargs", {}).get("tmp_path")
        if reason := lacking(folder, report.longreprtext):
            report.outcome, report.wasxfail = "skipped", reason  # type: ignore[attr-defined]
