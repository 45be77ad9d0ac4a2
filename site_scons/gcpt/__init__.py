"""gcpt: describe, build, inspect and check restorers of RISC-V checkpoints ("rvgcpt").

Plain Python that never imports SCons: the build's thin adapters are in ``site_scons/site_tools``.
"""

__version__ = "0.1.0"
