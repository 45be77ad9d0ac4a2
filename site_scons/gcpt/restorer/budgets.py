"""The most bytes that an image may have, less its payload: a table of data, and a line of a report."""

from gcpt.restorer.config import BuildConfig

#: What a loader takes at most by default, see docs/consumers.md: XS-GEM5 without V.
SINGLE_CORE = 0x700
#: tohost and fromhost, a cache line each, and the flag in a section of its own.
HTIF = 0x80
#: What difftest and gsim take by default: with more CSRs asked for, vector state read from flash, or a payload.
SINGLE_CORE_MORE = 0xE00
PROTOBUF = 12288
#: The first MiB, which workloads leave free, is shared with the state: a restorer that prints ends far below it.
PRINTING = 0x8000


def budget(config: BuildConfig) -> int:
    """Bytes of the restorer itself, from its first to the completeness flag; a device tree is not counted."""
    if config.direct:
        htif = "htif" in (config.platform.uart.kind, config.platform.end)
        more = config.csrs or config.flash or config.payload
        return (SINGLE_CORE_MORE if more else SINGLE_CORE) + (HTIF if htif else 0)
    if config.log == "quiet" and not config.display_cpu and not config.selfcheck:
        return PROTOBUF
    return PRINTING


def line(path: str, size: int, config: BuildConfig) -> str:
    """One output in the report: path, bytes, and of an image without payload how many it may have."""
    counted = path.endswith(".bin") and not config.payload
    return f"{path}  {size:,} bytes" + (f" of {budget(config):,}" if counted else "")
