"""Run by SCons before SConstruct: are Python and SCons new enough?"""

import atexit
import gc
import sys

import SCons

_PYTHON = (3, 11)
_SCONS = (4, 5)


def _dotted(version):
    return ".".join(map(str, version))


def _refuse(need):
    print(f"gcpt: {need}: run ./sconsw, which has the right ones", file=sys.stderr)
    sys.exit(2)


if sys.version_info < _PYTHON:
    _refuse(f"Python {_dotted(_PYTHON)} or newer is needed, this is {_dotted(sys.version_info[:2])}")
if tuple(int(part) for part in SCons.__version__.split(".")[:2]) < _SCONS:
    _refuse(f"SCons {_dotted(_SCONS)} or newer is needed, this is {SCons.__version__}")

# What SCons makes lives until the end: to look through it for garbage, Python does it once more when it ends, takes a
# tenth of a run with nothing to do and frees nothing.
gc.disable()
atexit.register(gc.freeze)
