"""Size budgets of restorers, in bytes without the payload."""

from gcpt.restorer.config import BuildConfig

#: A direct restorer: the smallest default limit of a loader (docs/consumers.md), XS-GEM5 without V.
SINGLE_CORE = 0x700
#: Addition for HTIF: tohost and fromhost in one cache line each, and the flag in a separate section.
HTIF = 0x80
#: A direct restorer with additional CSR groups, flash or a payload: the default limit of difftest and gsim.
SINGLE_CORE_MORE = 0xE00
PROTOBUF = 12288
#: A restorer that prints. It shares the first MiB with the state, which starts far above this size.
PRINTING = 0x8000


def budget(config: BuildConfig) -> int:
    """The size limit of a restorer.

    Args:
        config: The restorer's configuration.

    Returns:
        Bytes from the first one to the end of the completeness flag, without a device tree.
    """
    if config.direct:
        htif = "htif" in (config.platform.uart.kind, config.platform.end)
        large = config.csrs or config.flash or config.payload
        return (SINGLE_CORE_MORE if large else SINGLE_CORE) + (HTIF if htif else 0)
    if config.log == "quiet" and not config.display_cpu and not config.selfcheck:
        return PROTOBUF
    return PRINTING


def line(path: str, size: int, config: BuildConfig) -> str:
    """Format an output file's line of the size report.

    Args:
        path: The file.
        size: Its size in bytes.
        config: The restorer's configuration.

    Returns:
        The path and the size, with the budget of an image without payload.
    """
    limited = path.endswith(".bin") and not config.payload
    return f"{path}  {size:,} bytes" + (f" of {budget(config):,}" if limited else "")
