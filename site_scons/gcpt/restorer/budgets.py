"""Size budgets of restorers, in bytes without the payload."""

from gcpt.isa.csrs import DEFAULT_SET, SETS
from gcpt.restorer.config import BuildConfig

#: Addition for HTIF: tohost and fromhost in one cache line each, and the flag in a separate section.
HTIF = 0x80
#: Addition for ``debug=1``, which the stamp names and no loader with a limit loads.
DEBUG = 0x10
#: Addition for ``extended=1`` in a direct restorer.
EXTENDED = 0x280
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
        additions = ((HTIF, config.platform.has_htif), (DEBUG, config.debug), (EXTENDED, config.extended))
        return _direct(config) + sum(size for size, is_on in additions if is_on)
    if config.log == "quiet" and not config.display_cpu and not config.selfcheck:
        return PROTOBUF
    return PRINTING


def _direct(config: BuildConfig) -> int:
    """The limit of the smallest set that has all of the restorer's groups."""
    default = SETS[DEFAULT_SET].limit
    if config.flash or config.payload_position is not None or config.without_c:
        return default
    limits = (one.limit for one in SETS.values() if set(config.csr_groups) <= set(one.groups))
    return min(limits, default=default)


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
