"""Checks of a restorer that runs from flash, and of the memory that it uses."""

from gcpt.checkpoint.layouts import BLOCK_SIZE, MULTI_CORE_OFFSET, RESERVED_SIZE
from gcpt.errors import UserError
from gcpt.restorer.config import BuildConfig

#: Largest distance in bytes from code to its data (medany, RISC-V psABI "Code models").
_REACH = 1 << 31


def check(config: BuildConfig) -> None:
    """Check ``flash=`` and ``ram=`` against the rest of a configuration.

    Args:
        config: The configuration.

    Raises:
        UserError: The platform has no flash, a payload is configured, or ``ram=`` is missing, superfluous or misplaced.
    """
    if config.flash and not config.platform.flash:
        raise UserError(
            f"flash=1: platform={config.platform.name} has no flash: remove flash=1, or choose another platform="
        )
    if config.flash and config.payload:
        raise UserError(
            "flash=1: the image of a restorer in flash cannot contain a payload: remove gcpt_payload=, and give the "
            "address of one in memory with gcpt_payload_position="
        )
    if config.ram is not None and not config.flash:
        raise UserError("ram= is for a restorer in flash: remove it, or add flash=1")
    if config.ram is not None and config.direct:
        raise UserError("ram=: mode=single_core log=quiet needs no memory: remove ram=")
    if config.flash and not config.direct and config.ram is None:
        raise UserError(
            "flash=1: a restorer that prints or restores several harts needs writable memory: set ram=ADDR to "
            "memory that neither the state nor the workload uses, or choose mode=single_core log=quiet"
        )
    if config.ram is not None:
        _check_ram(config, config.ram)


def _check_ram(config: BuildConfig, ram: int) -> None:
    """Raise UserError unless code in flash reaches the MiB at ``ram`` and the MiB does not start in a hart's block."""
    machine, end = config.platform, ram + RESERVED_SIZE
    memory_end = min(machine.dram + machine.dram_size, config.load_address + _REACH)
    if not machine.dram <= ram <= memory_end - RESERVED_SIZE:
        raise UserError(
            f"ram={ram:#x}: {ram:#x} to {end:#x} is out of reach: choose memory within {machine.dram:#x} to "
            f"{memory_end:#x} on {machine.name}"
        )
    blocks = machine.dram + MULTI_CORE_OFFSET
    blocks_end = blocks + config.harts * BLOCK_SIZE
    if config.mode != "single_core" and blocks <= ram < blocks_end:
        raise UserError(
            f"ram={ram:#x}: overlaps the state of {config.harts} harts at {blocks:#x} to {blocks_end:#x}: "
            f"choose {blocks_end:#x} or more, free memory below the state, or a lower harts="
        )
