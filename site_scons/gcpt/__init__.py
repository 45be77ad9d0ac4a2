"""gcpt: build restorers of RISC-V checkpoints ("rvgcpt"), and inspect, convert, pack, check and boot checkpoints.

The package does not import SCons: the adapters for the build are in ``site_scons/site_tools``.
"""

__version__ = "0.1.0"
