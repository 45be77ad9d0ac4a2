"""Each test on QEMU has a bench of its own, in a folder of its own."""

from benches import bench

__all__ = ["bench"]
