"""A checkpoint made ready for stock QEMU: its memory with the right restorer over the start, and a machine that fits.

One that comes without a restorer gets one for QEMU's virt machine, built by the project that this package is part of.
"""

import os
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

from gcpt import config, header, image, qemu, stamp
from gcpt.checkpoint import CheckpointFile, open_checkpoint
from gcpt.config import BuildConfig
from gcpt.errors import UserError
from gcpt.layouts import DEFAULT_VLEN, MAX_VLEN, MIB, RESERVED_SIZE
from gcpt.qemu import Machine
from gcpt.render import HEADER_WINDOW_SIZE
from gcpt.state import HartState, Kind

_ROOT = Path(__file__).resolve().parents[2]
#: Where the restorers go that are built on the way.
_BUILT = Path("build/restorers")
#: QEMU's virt machine: what its memory has at least, its flash, and which platform it is.
_LEAST_MEMORY, _FLASH_SIZE, _PLATFORM = 128 * MIB, 32 * MIB, "qemu-virt"
#: What only the build can follow of the options that a stamp holds.
_OF_FILES = ("gcpt_payload", "gcpt_payload_position", "gcpt_dtb")
#: The first 8 bytes of a restorer: jal zero, and its size.
_HEAD, _JAL = 8, 0x6F
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


def build(mode: str) -> tuple[Path, Path]:
    """gcpt.bin and gcpt.elf of ``mode=`` for QEMU's virt machine; UserError where they cannot be built."""
    if not (_ROOT / "SConstruct").is_file():
        raise UserError("no restorer was named, and there is no checkout to build one in: give --restorer gcpt.bin")
    options = {"mode": mode, "platform": _PLATFORM, "build_dir": str(_BUILT)}
    scons = [sys.executable, "-m", "SCons", "-Q", *(f"{name}={value}" for name, value in options.items())]
    run = subprocess.run(scons, cwd=_ROOT, capture_output=True, text=True, check=False)
    if run.returncode:
        last = (run.stderr.strip() or run.stdout.strip() or "no output").splitlines()[-1]
        raise UserError(f"the restorer cannot be built (mode={mode}): {last}: ./sconsw mode={mode} shows why")
    folder = _ROOT / config.resolve(options).variant_dir
    return folder / "gcpt.bin", folder / "gcpt.elf"


def _stamped(data: bytes, name: Path) -> BuildConfig:
    """The configuration that a restorer's stamp tells; where it has none, what restores most on QEMU's virt machine."""
    found = stamp.find(data)
    if found is None:
        return config.resolve({"mode": "auto", "platform": _PLATFORM})
    options = {key: value for key, value in found.options.items() if key not in _OF_FILES}
    made = config.resolve(options)
    if made.platform.clint != config.resolve({"platform": _PLATFORM}).platform.clint:
        raise UserError(f"{name}: this restorer is for platform={made.platform.name}; QEMU needs one for {_PLATFORM}")
    return made


def _read(path: Path) -> bytes:
    try:
        data = path.read_bytes()
    except OSError as error:
        raise UserError(f"{path}: {error.strerror}") from error
    jump, size = int.from_bytes(data[:4], "little") & 0xFFF, int.from_bytes(data[4:8], "little")
    if jump != _JAL or not 2 * _HEAD <= size <= len(data):
        raise UserError(f"{path}: this is no restorer: want a gcpt.bin, whose bytes 4 to 7 are its size")
    return data


def _carried(memory: Path) -> bytes | None:
    """What the image starts with, if that is a stamped restorer."""
    with memory.open("rb") as file:
        data = file.read(RESERVED_SIZE)
    return data if stamp.find(data) else None


def _place(memory: Path, data: bytes, made: BuildConfig, checkpoint: CheckpointFile) -> None:
    """Put a restorer over the start; a header that lies there goes into its window."""
    size = int.from_bytes(data[4:8], "little")
    over = data[:size]
    if checkpoint.header is not None and checkpoint.place.header_at < size and made.protobuf:
        encoded = header.encode(checkpoint.header)[:HEADER_WINDOW_SIZE]
        over = data[:_HEAD] + encoded.ljust(HEADER_WINDOW_SIZE, b"\0") + data[_HEAD + HEADER_WINDOW_SIZE : size]
    with memory.open("r+b") as file:
        file.write(over)


def _vlen(checkpoint: CheckpointFile) -> int:
    return 8 * checkpoint.harts[0].get("vlenb") or DEFAULT_VLEN


def prepare(
    path: Path, folder: Path, restorer: Path | None = None, flash: Path | None = None, memory: int = 0
) -> Prepared:
    """Make the checkpoint ``path`` ready in ``folder``, which has to be there; nothing else is written.

    restorer: a gcpt.bin; by default the one that the image carries, or one built for its layout. flash: the flash image
    of a pair. memory: bytes of the machine's; by default the image's size. UserError when it does not fit a stock QEMU.
    """
    checkpoint = open_checkpoint(path, flash)
    if _vlen(checkpoint) > MAX_VLEN // 2:
        raise UserError(f"{path}: VLEN is {_vlen(checkpoint)} bits; QEMU has at most {MAX_VLEN // 2}")
    raw, state = folder / "memory", folder / "flash" if flash else None
    image.unpack(path, raw, max(memory, _LEAST_MEMORY))
    if flash and state:
        image.unpack(flash, state, _FLASH_SIZE)
    first = state or raw
    size = -(-raw.stat().st_size // MIB) * MIB
    os.truncate(raw, size)
    elf = None
    data = None if restorer else _carried(first)
    if data is None:
        if restorer is None:
            modes = {Kind.SINGLE_CORE: "single_core", Kind.DUAL_CORE: "dual_core", Kind.PROTOBUF: "normal"}
            restorer, elf = build("single_core" if flash else modes[checkpoint.place.kind])
        data = _read(restorer)
        made = _stamped(data, restorer)
        _place(first, data, made, checkpoint)
    else:
        made = _stamped(data, path)
    machine = Machine(len(checkpoint.harts), size, qemu.cpu(_vlen(checkpoint)), flash=state)
    found = data.find(_LEAVES)
    # From flash an M-mode checkpoint has its trampoline elsewhere: it is waited for at its pc.
    leave = made.platform.dram + found + len(_LEAVES) - 4 if found >= 0 and not flash else None
    return Prepared(checkpoint, raw, machine, made, elf, leave)
