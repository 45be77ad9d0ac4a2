"""Run the command while reads of a file fail, or while the file changes between two reads.

``run`` starts a process with faulty_reads.c preloaded, in which each case runs the command once.
"""

import ctypes
import hashlib
import json
import os
import shutil
import subprocess
import sys
from dataclasses import asdict, dataclass
from pathlib import Path

from command import UNMEASURED, here

_SOURCE = Path(__file__).with_suffix(".c")
#: The time of the last change of each file before a case, in seconds: long ago, so that a change changes it.
_BEFORE = 1_000_000_000
#: How a file can change while it is read.
CHANGES = ("cut", "grow", "rewrite", "replace", "remove")


@dataclass(frozen=True)
class Case:
    """``arguments`` of the command; ``action`` happens at each read of ``file``, one after another.

    ``file`` is a copy of ``original``, ``replacement`` the file that replaces it.
    """

    arguments: list[str]
    file: str
    original: str
    replacement: str
    action: str


@dataclass(frozen=True)
class Outcome:
    """The result of the case ``number`` when its action happened at a read; ``written`` is a SHA-256."""

    number: int
    read: int
    returncode: int
    stdout: str
    stderr: str
    written: str | None


def run(cases: list[Case], out: Path, folder: Path) -> list[Outcome]:
    """Run the cases; the outcomes of all reads, with the digest of ``out``, which each run starts without."""
    shim = folder / "faulty_reads.so"
    subprocess.run(["gcc", "-shared", "-fPIC", "-O1", "-Wall", "-o", shim, _SOURCE, "-ldl"], check=True)
    job = json.dumps({"shim": str(shim), "out": str(out), "cases": [asdict(case) for case in cases]})
    paths = os.pathsep.join((UNMEASURED["PYTHONPATH"], str(_SOURCE.parent)))
    environment = {**UNMEASURED, "PYTHONPATH": paths, "LD_PRELOAD": str(shim)}
    command = [sys.executable, str(Path(__file__))]
    result = subprocess.run(command, input=job, env=environment, capture_output=True, text=True, check=False)
    assert (result.returncode, result.stderr) == (0, ""), result.stderr
    return [Outcome(**row) for row in json.loads(result.stdout)]


def _main() -> None:
    job = json.load(sys.stdin)
    shim, out, rows = ctypes.CDLL(job["shim"]), Path(job["out"]), []
    for number, case in enumerate(job["cases"]):
        file, read = case["file"], 1
        while True:
            out.unlink(missing_ok=True)
            for original, copy in ((case["original"], file), (case["replacement"], f"{file}.other")):
                shutil.copy(original, copy)
                os.utime(copy, (_BEFORE, _BEFORE))
            shim.faulty_arm(file.encode(), read, case["action"].encode())
            run = here(*case["arguments"])
            calls = shim.faulty_disarm()
            if calls < read:
                break
            row = {"number": number, "read": read, "returncode": run.returncode}
            written = hashlib.sha256(out.read_bytes()).hexdigest() if out.exists() else None
            rows.append({**row, "stdout": run.stdout, "stderr": run.stderr, "written": written})
            read += 1
    json.dump(rows, sys.stdout)


if __name__ == "__main__":
    _main()
