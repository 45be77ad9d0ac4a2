"""A guest whose registers tell how many instructions it executed."""

from pathlib import Path

from guests import ADDRESS

from gcpt.checkpoint.state import HartState

#: li a0, 0; li a1, 0; li a2, 0; 1: addi a0, a0, 1; add a1, a1, a0; xor a2, a2, a1; j 1b
_CODE = bytes.fromhex("13050000 93050000 13060000 13051500 b385a500 3346b600 6ff05fff")


def counter(folder: Path) -> tuple[str, ...]:
    """Write the guest; return the options that load it."""
    (file := folder / "counter").write_bytes(_CODE)
    return ("--load", f"{file}@{ADDRESS:#x}")


def assert_counted(state: HartState, instructions: int) -> None:
    """Fail unless a hart executed exactly so many instructions of it."""
    rounds, rest = divmod(max(instructions - 3, 0), 4)
    position = instructions if instructions < 3 else 3 + rest
    assert state.pc == ADDRESS + 4 * position
    if instructions >= 3:
        added = rounds + (rest > 0)
        assert (state.x[10], state.x[11]) == (added, _sum_to(rounds + (rest > 1)) % (1 << 64))


def _sum_to(last: int) -> int:
    return last * (last + 1) // 2
