"""The registers of a hart by name, for display."""

from gcpt.checkpoint.state import HartState
from gcpt.isa.csrs import BY_NUMBER

#: ABI names of the integer registers.
X_NAMES = (
    *("zero", "ra", "sp", "gp", "tp", "t0", "t1", "t2", "s0", "s1"),
    *(f"a{i}" for i in range(8)),
    *(f"s{i}" for i in range(2, 12)),
    *(f"t{i}" for i in range(3, 7)),
)


def registers(state: HartState, everything: bool = False) -> dict[str, int | str]:
    """List the registers of a hart.

    Args:
        state: The hart's state.
        everything: Include registers that are 0.

    Returns:
        The values by name: pc, x, f, CSRs and v. A vector register is hexadecimal text, highest byte first.
    """
    values: dict[str, int | str] = {"pc": state.pc}
    values |= {f"x{i} ({X_NAMES[i]})": value for i, value in enumerate(state.x) if value or everything}
    values |= {f"f{i}": value for i, value in enumerate(state.f) if value or everything}
    for number, value in enumerate(state.csr):
        if value or (everything and number in BY_NUMBER):
            values[BY_NUMBER[number].name if number in BY_NUMBER else f"csr {number:#x}"] = value
    values |= {f"v{i}": value[::-1].hex() for i, value in enumerate(state.v) if any(value) or everything}
    return values
