"""Whether a restorer can run from flash, and what memory it has to have for that."""

from gcpt.checkpoint.layouts import BLOCK_SIZE, MULTI_CORE_OFFSET, RESERVED_SIZE
from gcpt.errors import UserError
from gcpt.restorer.config import BuildConfig

#: Bytes from an instruction to the data that it finds from there (medany, RISC-V psABI "Code models").
_REACH = 1 << 31


def check(config: BuildConfig) -> None:
    """UserError unless the platform has flash, and ``ram=`` is given where it is needed, and only there."""
    if config.flash and not config.platform.flash:
        raise UserError(
            f"flash=1: platform={config.platform.name} has no flash: leave it out, or choose another platform="
        )
    if config.flash and config.payload:
        raise UserError(
            "flash=1: a payload cannot lie in the same image, it belongs to memory: leave gcpt_payload= out"
        )
    if config.ram is not None and not config.flash:
        raise UserError("ram= is for a restorer in flash: leave it out, or add flash=1")
    if config.ram is not None and config.direct:
        raise UserError("ram= is for what prints or serves several harts: mode=single_core log=quiet needs no memory")
    if config.flash and not config.direct and config.ram is None:
        raise UserError(
            "flash=1: printing and several harts need memory, and flash is read-only: give ram=ADDR, "
            "memory that neither the checkpoint's state nor its workload is in, or choose mode=single_core log=quiet"
        )
    if config.ram is not None:
        _check_ram(config, config.ram)


def _check_ram(config: BuildConfig, ram: int) -> None:
    """UserError unless the MiB at ``ram`` is memory that the code reaches, and does not begin in a block of a hart."""
    machine, end = config.platform, ram + RESERVED_SIZE
    memory_end = min(machine.dram + machine.dram_size, config.load_address + _REACH)
    if not machine.dram <= ram <= memory_end - RESERVED_SIZE:
        raise UserError(
            f"ram={ram:#x}: {ram:#x} to {end:#x} is not in the memory that the restorer in flash reaches, "
            f"{machine.dram:#x} to {memory_end:#x} on {machine.name}"
        )
    blocks = machine.dram + MULTI_CORE_OFFSET
    blocks_end = blocks + config.harts * BLOCK_SIZE
    if config.mode != "single_core" and blocks <= ram < blocks_end:
        raise UserError(
            f"ram={ram:#x} is in the state of {config.harts} harts at {blocks:#x} to {blocks_end:#x}: "
            f"choose {blocks_end:#x} or more, or what is free below it, or a lower harts="
        )
