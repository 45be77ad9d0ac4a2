"""The fixture ``bench`` for tests on QEMU."""

from benches import bench

__all__ = ["bench"]
