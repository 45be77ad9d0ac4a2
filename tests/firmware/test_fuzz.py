"""Random registers and headers: each run ends in a restore, or in one line and its code as exit status.

No run hangs or loops on traps, and none writes outside the restorer's own memory.

GCPT_FUZZ_CASES=N runs N cases of each mode instead of the usual few, GCPT_FUZZ_SEED=N is the first seed; a failure
prints its mode and seed.
"""

import os
from collections import Counter
from random import Random

import endings
import hostile
import pytest
from bench import DRAM, Bench

from gcpt.checkpoint.layouts import MIB
from gcpt.checkpoint.places import DUAL_CORE, SINGLE_CORE
from gcpt.restorer import packing

CASES = int(os.environ.get("GCPT_FUZZ_CASES", "50"))
FIRST = int(os.environ.get("GCPT_FUZZ_SEED", "0"))
#: Bytes of memory: few, because they are compared before and after.
MEMORY = 16 * MIB


def _make(mode: str, seed: int) -> hostile.Hostile:
    random = Random(f"{mode}.{seed}")
    if mode in ("normal", "auto") and seed % 4:
        return hostile.with_header(random)
    place = {"single_core": SINGLE_CORE, "normal": endings.NEMU}.get(mode, DUAL_CORE)
    return hostile.registers(random, place)


@pytest.mark.timeout(0)  # endings.run limits each machine
@pytest.mark.parametrize(
    ("mode", "csrs"),
    [("single_core", ""), ("dual_core", ""), ("normal", ""), ("auto", ""), ("dual_core", "+sdtrig,+smepmp")],
)
def test_hostile_checkpoints(bench: Bench, mode: str, csrs: str) -> None:
    restorer = bench.build(mode, **({"csrs": csrs} if csrs else {}))
    endings_seen: Counter[endings.Ending] = Counter()
    for seed in range(FIRST, FIRST + CASES):
        checkpoint = _make(mode, seed)
        memory = bench.image([piece for piece in checkpoint.pieces if piece[0] < DRAM + MEMORY], MEMORY)
        packing.place(memory, restorer.image)
        try:
            endings_seen[endings.run(bench, restorer, memory, mode, checkpoint.harts)] += 1
        except Exception as error:
            error.add_note(f"GCPT_FUZZ_SEED={seed} GCPT_FUZZ_CASES=1, mode={mode} {csrs}: {checkpoint.what}")
            raise
    print(mode, csrs, dict(endings_seen))
