"""Set up a checkpoint to boot on stock QEMU: a memory image with a suitable restorer, and a machine that fits.

If the image has no usable restorer, gcpt.machines.restorers provides one.
"""

import os
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path

from gcpt.checkpoint import generators, output, streams
from gcpt.checkpoint.files import CheckpointFile, open_checkpoint
from gcpt.checkpoint.layouts import DEFAULT_VLEN, MAX_VLEN, MIB
from gcpt.checkpoint.state import HartState
from gcpt.checkpoint.streams import Watch
from gcpt.errors import UserError
from gcpt.machines import early_memory, qemu, restorers
from gcpt.machines.judges import QEMU, Judge
from gcpt.machines.qemu import Machine
from gcpt.restorer import htif, packing, plan
from gcpt.restorer.config import BuildConfig
from gcpt.restorer.packing import Restorer
from gcpt.restorer.platforms import BY_NAME
from gcpt.restorer.resolution import resolve

#: QEMU's virt machine: its least memory and the size of its flash in bytes.
_MIN_MEMORY, _FLASH_SIZE = 128 * MIB, 32 * MIB
#: At reset QEMU writes its device tree to the end of memory, or of its first GiB: room for it behind an image.
_TREE_ROOM, _TREE_LIMIT = 4 * MIB, 1024 * MIB
#: The last instructions of firmware/restore.S, with and without C: ld sp, 272(sp); mret.
_LEAVE_CODES = (bytes.fromhex("526173002030"), bytes.fromhex("0331011173002030"))


@dataclass(frozen=True)
class BootSetup:
    """What a machine needs to boot a checkpoint.

    Attributes:
        checkpoint: The checkpoint.
        memory: The raw image that is the machine's memory.
        machine: The machine.
        config: Build options of the restorer.
        elf: The restorer with symbols, if known.
        leave: Physical address of the restorer's mret to the workload; None if unknown.
        judge: The simulator to boot it on.
        note: A sentence for the user; "" if there is nothing to say.
        htif: Addresses of HTIF's symbols in the restorer; empty if it does not use HTIF.
        image: Bytes of the image; the machine may have more memory.
    """

    checkpoint: CheckpointFile
    memory: Path
    machine: Machine
    config: BuildConfig
    elf: Path | None
    leave: int | None
    judge: Judge = QEMU
    note: str = ""
    htif: dict[str, int] = field(default_factory=dict)
    image: int = 0

    @property
    def vlen(self) -> int:
        """VLEN of hart 0 in bits."""
        return _vlen(self.checkpoint)

    @property
    def harts(self) -> dict[int, HartState]:
        """The restored harts by number: all except those in stop_cpu=."""
        states = enumerate(self.checkpoint.harts)
        return {hart: state for hart, state in states if hart not in self.config.stop_cpu}


def prepare(
    path: Path,
    folder: Path,
    restorer: Path | None = None,
    flash: Path | None = None,
    memory: int = 0,
    watch: Watch = iter,
    judge: Judge = QEMU,
    early: bool = False,
) -> BootSetup:
    """Unpack a checkpoint and put a restorer over its start.

    Args:
        path: The memory image.
        folder: An existing folder for the raw images; nothing else is written, except a restorer's build.
        restorer: A gcpt.bin; by default the embedded restorer, or one built with its options for the judge, or for the
            checkpoint's layout.
        flash: The flash image of a flash pair.
        memory: The machine's memory in bytes; by default, and at least, the image's size.
        watch: Wraps the images' content as it is unpacked, such as for a progress bar.
        judge: The simulator to boot it on.
        early: Whether the machine ends at the first restored instructions: memory that it does not read until then may
            be zero.

    Returns:
        The images and the machine.

    Raises:
        UserError: A file cannot be read, the checkpoint does not fit the judge, or no restorer can be built.
    """
    checkpoint = open_checkpoint(path, flash)
    if judge.name != "qemu" and flash:
        raise UserError(
            f"--flash {flash}: {judge.title} has no flash: give --on qemu, or gcpt convert the pair to one image"
        )
    if judge.name == "qemu" and _vlen(checkpoint) > MAX_VLEN // 2:
        raise UserError(f"{path}: VLEN is {_vlen(checkpoint)} bits, QEMU supports at most {MAX_VLEN // 2}")
    raw, raw_flash = folder / "memory", folder / "flash" if flash else None
    given = packing.read(restorer) if restorer else None
    with raw.open("w+b") as file:
        content: Iterable[bytes] = watch(streams.chunks(path))
        if early and judge.name == "qemu" and (given is None or given.config):
            content = early_memory.without_rest(content, checkpoint, BY_NAME[judge.platform].dram, file)
        image = output.write_sparse(file, content)
        size = -(-max(_room(image, judge), memory, _MIN_MEMORY) // MIB) * MIB
        file.truncate(size)
    if flash and raw_flash:
        output.copy(watch(streams.chunks(flash)), raw_flash)
        os.truncate(raw_flash, max(raw_flash.stat().st_size, _FLASH_SIZE))
    first = raw_flash or raw
    embedded, before = packing.bare(packing.first_mib(first), str(flash or path))
    elf, note = None, ""
    if restorer is None and embedded and embedded.config and _fits(embedded.config, judge.platform):
        chosen = embedded
    else:
        if restorer is None:
            wanted = {"mode": plan.mode_for(checkpoint.place, flash is not None)}
            if embedded and embedded.config:
                wanted = plan.portable(embedded.config)
                name = embedded.config.platform.name
                note = f"the embedded restorer is for platform={name}: booted with its options for {judge.platform}"
            if plan.has_extended(checkpoint.harts, BY_NAME[judge.platform]):
                wanted = {**wanted, "extended": "1"}
            built = restorers.provide({**wanted, "platform": judge.platform}, folder)
            restorer, elf = built.image, built.elf if built.elf.exists() else None
        chosen = packing.read(restorer)
        packing.overwrite(first, 0, packing.start(chosen, checkpoint.place, before).data)
    config = _config(chosen, judge)
    generators.assume(checkpoint.harts, config.generator)
    cpu = judge.cpu or (qemu.cpu(_vlen(checkpoint), judge.program) if judge.name == "qemu" else "")
    machine = Machine(len(checkpoint.harts), size, cpu, judge.machine, raw_flash, judge.options, judge.program)
    leave = leave_address(chosen, config, flash is not None)
    start = config.platform.flash if flash else config.platform.dram
    symbols = {name: start + offset for name, offset in htif.words(chosen.data).items()}
    return BootSetup(checkpoint, raw, machine, config, elf, leave, judge, note, symbols, image)


def _room(image: int, judge: Judge) -> int:
    """Return the memory that keeps an image as it is; more than a GiB, QEMU overwrites some of it in any case."""
    return image + _TREE_ROOM if judge.name == "qemu" and image + _TREE_ROOM <= _TREE_LIMIT else image


def _fits(config: BuildConfig, platform: str) -> bool:
    """Whether a restorer runs on a judge that needs ``platform``."""
    return config.platform.clint == BY_NAME[platform].clint


def _config(restorer: Restorer, judge: Judge) -> BuildConfig:
    """Return the restorer's build options; if it has no stamp, those that restore most on the judge's platform."""
    most = resolve({"mode": "auto", "platform": judge.platform})
    config = restorer.config or most
    if not _fits(config, judge.platform):
        raise UserError(
            f"{restorer.name}: this restorer is for platform={config.platform.name}, but {judge.title} needs "
            f"{judge.platform}: choose another with --restorer"
        )
    return config


def _vlen(checkpoint: CheckpointFile) -> int:
    """Return the VLEN of hart 0 in bits."""
    return 8 * checkpoint.harts[0].get("vlenb") or DEFAULT_VLEN


def leave_address(restorer: Restorer, config: BuildConfig, from_flash: bool) -> int | None:
    """Return the address of the restorer's mret; None if it is unknown or ram= moves the trampolines."""
    code = next((code for code in _LEAVE_CODES if code in restorer.data), b"")
    offset = restorer.data.find(code) if code else -1
    if offset < 0 or config.ram is not None:
        return None
    return (config.platform.flash if from_flash else config.platform.dram) + offset + len(code) - 4
