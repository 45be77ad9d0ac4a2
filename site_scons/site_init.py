"""Checks the versions of Python and SCons; SCons runs this file before SConstruct."""

import atexit
import gc
import sys

import SCons

_PYTHON = (3, 11)
_SCONS = (4, 5)


def _dotted(version):
    return ".".join(map(str, version))


def _refuse(need):
    print(f"gcpt: {need}: run ./sconsw, which installs suitable versions", file=sys.stderr)
    sys.exit(2)


if sys.version_info < _PYTHON:
    _refuse(f"Python {_dotted(sys.version_info[:2])} is too old, {_dotted(_PYTHON)} or newer is needed")
if tuple(int(part) for part in SCons.__version__.split(".")[:2]) < _SCONS:
    _refuse(f"SCons {SCons.__version__} is too old, {_dotted(_SCONS)} or newer is needed")

# SCons's objects live until the end: garbage collection, also at exit, takes a tenth of a run with nothing to do and
# frees nothing.
gc.disable()
atexit.register(gc.freeze)
