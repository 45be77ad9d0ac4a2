"""The firmware's header decoder under libFuzzer, AddressSanitizer and UndefinedBehaviorSanitizer, on the host.

GCPT_FUZZ_SECONDS=N fuzzes for N seconds, with a new seed each time. libFuzzer prints where it saves an input that
fails; copy it to corpus/header/ with the fix.
"""

import os
import subprocess
from pathlib import Path

import pytest

HERE = Path(__file__).parent
CORPUS = HERE / "corpus" / "header"
DECODER = HERE.parents[1] / "firmware" / "decode.c"
SANITIZERS = ("-fsanitize=fuzzer,address,undefined", "-fno-sanitize-recover=all")
RUNS = 150_000
_SOURCES = ("header_fuzz.c", "host.c", "oracle.c")
#: Faults to plant in the decoder: (text, its replacement).
FAULTS = {
    "misaligned base": ("plan->base % 8 != 0", "false"),
    "misaligned field": ("begin & 7 || ", ""),
    "too many harts": ("|| plan->harts > GCPT_MAX_HARTS", ""),
    "field far away": ("begin > GCPT_LARGEST_OFFSET", "false"),
    "blocks overlap": ("plan->block_size >= high - low", "plan->block_size >= 8"),
    "last block beyond memory": ("(plan->harts - 1) * plan->block_size + ", ""),
    "into the restorer": ("bounds->image < begin + bytes", "bounds->image == begin + bytes"),
    "reads too far": ("bytes + GCPT_LONGEST_HEADER;", "bytes + GCPT_LONGEST_HEADER + 1;"),
}


def _fuzz(program: Path, findings: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    """Start from the corpus; inputs that reach new code go to the folder ``findings``."""
    command = [str(program), *arguments, "-max_len=512", f"-artifact_prefix={findings}/", str(findings), str(CORPUS)]
    return subprocess.run(command, capture_output=True, text=True, errors="replace", check=False)


@pytest.mark.timeout(0)
def test_any_bytes(host_program, tmp_path: Path) -> None:  # type: ignore[no-untyped-def]
    program = host_program("header_fuzz", _SOURCES, *SANITIZERS)
    seconds = os.environ.get("GCPT_FUZZ_SECONDS")
    bound = [f"-max_total_time={seconds}"] if seconds else ["-seed=1", f"-runs={RUNS}"]
    run = _fuzz(program, tmp_path, *bound)
    assert run.returncode == 0, run.stderr


@pytest.mark.parametrize("fault", FAULTS)
def test_planted_faults_are_found(host_program, tmp_path: Path, fault: str) -> None:  # type: ignore[no-untyped-def]
    """The corpus alone detects each of them."""
    old, new = FAULTS[fault]
    text = DECODER.read_text()
    assert text.count(old) == 1
    name = fault.replace(" ", "_")
    program = host_program(name, _SOURCES, *SANITIZERS, texts={"decode.c": text.replace(old, new)})
    run = _fuzz(program, tmp_path, "-runs=0")
    assert run.returncode != 0
    assert "invariant broken" in run.stderr or "AddressSanitizer" in run.stderr or "runtime error" in run.stderr
