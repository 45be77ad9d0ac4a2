"""A checkpoint made ready for stock QEMU: its memory with the right restorer over the start, and a machine that fits.

One that comes without a restorer gets one for QEMU's virt machine, built by the project that this package is part of.
"""

import os
import subprocess
from dataclasses import dataclass
from pathlib import Path

from gcpt.checkout import ROOT
from gcpt.checkpoint import output
from gcpt.checkpoint.files import CheckpointFile, open_checkpoint
from gcpt.checkpoint.layouts import DEFAULT_VLEN, MAX_VLEN, MIB
from gcpt.checkpoint.state import HartState
from gcpt.checkpoint.streams import Watch
from gcpt.errors import UserError
from gcpt.machines import builds, qemu
from gcpt.machines.builds import Built
from gcpt.machines.qemu import Machine
from gcpt.restorer import packing, plan
from gcpt.restorer.config import BuildConfig
from gcpt.restorer.packing import Restorer
from gcpt.restorer.resolution import resolve

#: Where the restorers go that are built on the way.
_BUILT = Path("build/restorers")
#: QEMU's virt machine: what its memory has at least, its flash, and which platform it is.
_LEAST_MEMORY, _FLASH_SIZE, _PLATFORM = 128 * MIB, 32 * MIB, "qemu-virt"
#: How firmware/restore.S ends: ld sp, 272(sp); mret.
_LEAVES = bytes.fromhex("526173002030")


@dataclass(frozen=True)
class Prepared:
    """memory: the raw image that a machine starts from. restorer: its options. elf: its symbols, if they are known.

    leave: the address of the mret with which the restorer leaves to the workload, if it is one of this project's.
    """

    checkpoint: CheckpointFile
    memory: Path
    machine: Machine
    restorer: BuildConfig
    elf: Path | None
    leave: int | None

    @property
    def harts(self) -> dict[int, HartState]:
        """The harts that are restored, by number: all but the stopped ones."""
        every = enumerate(self.checkpoint.harts)
        return {hart: state for hart, state in every if hart not in self.restorer.stop_cpu}


def _build(mode: str) -> Built:
    """A restorer of ``mode=`` for QEMU's virt machine; UserError where it cannot be built."""
    if not (ROOT / "SConstruct").is_file():
        raise UserError("no restorer was named, and there is no checkout to build one in: give --restorer gcpt.bin")
    try:
        return builds.build(ROOT, _BUILT, {"mode": mode, "platform": _PLATFORM})
    except subprocess.CalledProcessError as error:
        last = (error.stderr.strip() or error.stdout.strip() or "no output").splitlines()[-1]
        raise UserError(
            f"the restorer cannot be built (mode={mode}): {last}: ./sconsw mode={mode} shows why"
        ) from error


def _fitting(restorer: Restorer) -> BuildConfig:
    """What it was built from; where it does not say so, what restores most on QEMU's virt machine."""
    virt = resolve({"mode": "auto", "platform": _PLATFORM})
    made = restorer.config or virt
    if made.platform.clint != virt.platform.clint:
        raise UserError(
            f"{restorer.name}: this restorer is for platform={made.platform.name}; QEMU needs one for {_PLATFORM}: "
            "--restorer names another"
        )
    return made


def _vlen(checkpoint: CheckpointFile) -> int:
    return 8 * checkpoint.harts[0].get("vlenb") or DEFAULT_VLEN


def prepare(
    path: Path,
    folder: Path,
    restorer: Path | None = None,
    flash: Path | None = None,
    memory: int = 0,
    watch: Watch = iter,
) -> Prepared:
    """Make the checkpoint ``path`` ready in ``folder``, which has to be there; nothing else is written.

    restorer: a gcpt.bin; by default the one that the image carries, or one built for its layout. flash: the flash image
    of a pair. memory: bytes of the machine's; by default the image's size. watch: what the images go through when they
    are unpacked. UserError when it does not fit a stock QEMU.
    """
    checkpoint = open_checkpoint(path, flash)
    if _vlen(checkpoint) > MAX_VLEN // 2:
        raise UserError(f"{path}: VLEN is {_vlen(checkpoint)} bits; QEMU has at most {MAX_VLEN // 2}")
    raw, state = folder / "memory", folder / "flash" if flash else None
    output.unpack(path, raw, max(memory, _LEAST_MEMORY), watch)
    if flash and state:
        output.unpack(flash, state, _FLASH_SIZE, watch)
    first = state or raw
    size = -(-raw.stat().st_size // MIB) * MIB
    os.truncate(raw, size)
    carried, before = packing.bare(packing.first_mib(first), str(flash or path))
    elf = None
    if restorer is None and carried and carried.stamp:
        chosen = carried
    else:
        if restorer is None:
            built = _build("single_core" if flash else plan.MODES[checkpoint.place.kind])
            restorer, elf = built.image, built.elf
        chosen = packing.read(restorer)
        packing.overwrite(first, 0, packing.start(chosen, checkpoint.place, before).data)
    made = _fitting(chosen)
    machine = Machine(len(checkpoint.harts), size, qemu.cpu(_vlen(checkpoint)), flash=state)
    return Prepared(checkpoint, raw, machine, made, elf, _leave(chosen, made, flash is not None))


def _leave(restorer: Restorer, made: BuildConfig, from_flash: bool) -> int | None:
    """The address of the restorer's mret; None where that is not known, or the trampolines are where ram= has them."""
    found = restorer.data.find(_LEAVES)
    if found < 0 or made.ram is not None:
        return None
    return (made.platform.flash if from_flash else made.platform.dram) + found + len(_LEAVES) - 4
