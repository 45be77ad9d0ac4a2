"""Times of QEMU's record and replay, alone and with the plugin of gcpt profile, and of the plugin that counts a hart.

Processor time of QEMU, so that they hold on a busy machine, too: instructions a second, and ratios to a plain run.
"""

import resource
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from statistics import median

from gcpt.checkpoint import output
from gcpt.checkpoint.layouts import MIB
from gcpt.dev.figures import SPEED, Figures
from gcpt.machines.plugins import compiled_plugin
from gcpt.machines.qemu import Machine, Qemu
from gcpt.machines.replay import Recording
from gcpt.machines.stops import plugin as counting

_ROUNDS = 5
#: Instructions of a run, in millions.
_MILLIONS = 1006.6
#: lui s0, 0xa000; auipc s1, 1; 1: ld a0, 0(s1); addi a0, a0, 3; sd a0, 0(s1); xor a1, a1, a0; addi s0, s0, -1;
#: bnez s0, 1b, and then a store of 0x5555 to the finisher: 1.0 billion instructions.
_CODE = bytes.fromhex(
    "3704000a 97140000 03b50400 13053500 23b0a400 b3c5a500 1304f4ff e31604fe b7021000 37530000 13035355 23a06200"
)


def _seconds(running: Qemu) -> float:
    """Run a paused machine to its end; return the processor time of QEMU."""
    with running.gdb() as gdb:
        before = _children_seconds()
        gdb.resume()
        running.wait_exit()
        return _children_seconds() - before


def _children_seconds() -> float:
    """Return the processor time of all children that ended."""
    usage = resource.getrusage(resource.RUSAGE_CHILDREN)
    return usage.ru_utime + usage.ru_stime


def measure(folder: Path) -> Figures:
    """Measure each kind of run, and a plain one just after it.

    Args:
        folder: A temporary folder.

    Returns:
        Medians of the instructions a second, in millions, and of the ratios of the times.

    Raises:
        QemuError: A run does not end.
        UserError: QEMU's plugin cannot be compiled.
    """
    memory, machine = folder / "memory", Machine()

    def fill() -> None:
        output.write_pieces(memory, [(0, _CODE)], 128 * MIB)

    recording = Recording(machine, memory, fill, folder)

    def plain(options: Sequence[str] = ()) -> float:
        fill()
        with Qemu(memory, replace(machine, extra=tuple(options)), folder) as running:
            return _seconds(running)

    def counted() -> float:
        with counting(0, folder) as plugin:
            return plain(plugin.options)

    def recorded(mode: str, options: Sequence[str] = ()) -> float:
        with recording.start(mode, extra=options) as (running, _):
            return _seconds(running)

    def profiled() -> float:
        with compiled_plugin("blocks", folder) as plugin:
            return recorded("replay", plugin.options)

    kinds: dict[str, Callable[[], float]] = {
        "record": lambda: recorded("record"),
        "replay": lambda: recorded("replay"),
        "replay with gcpt profile's plugin": profiled,
        "run with a plugin that counts a hart": counted,
    }
    rounds = [[(run(), plain()) for run in kinds.values()] for _ in range(_ROUNDS)]
    pairs = dict(zip(kinds, zip(*rounds, strict=True), strict=True))
    speeds = {name: _MILLIONS / median(own for own, _ in times) for name, times in pairs.items()}
    speeds["plain run of QEMU"] = _MILLIONS / median(other for times in pairs.values() for _, other in times)
    ratios = {
        f"{name} / plain run of QEMU": median(own / other for own, other in times) for name, times in pairs.items()
    }
    return {SPEED: speeds, "ratio": ratios}
