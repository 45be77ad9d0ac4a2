"""Test content, and independent packers for each container."""

import gzip
from collections.abc import Callable

import zstandard

CONTENT = b"head" + bytes(300_000) + b"middle" + bytes(5_000_000) + b"tail" + bytes(1000)
PACKERS: dict[str, Callable[[bytes], bytes]] = {
    "raw": bytes,
    "gzip": gzip.compress,
    "zstd": zstandard.ZstdCompressor().compress,
}
