"""Boot firmware with a kernel as a boot loader does: where each file lies, and the device tree that names them.

The restorer's MiB and the blocks of several harts are kept out of the kernel's memory by nodes of reserved-memory.
OpenSBI's fw_jump goes to a fixed address and copies the device tree to another; newer ones (that of Debian 13) count
both from themselves. A jump to the kernel lies at both addresses. fw_dynamic is told where to go.
"""

import struct
import subprocess
from dataclasses import dataclass, replace
from pathlib import Path

from gcpt.checkpoint.layouts import DEFAULT_VLEN, MIB, RESERVED_SIZE
from gcpt.checkpoint.places import own_size, place_for
from gcpt.errors import UserError
from gcpt.installing import remedy
from gcpt.machines import device_tree
from gcpt.machines.qemu import Machine, escaped, jump
from gcpt.restorer.platforms import BY_NAME

_DRAM = BY_NAME["qemu-virt"].dram
#: Where the firmware lies: behind the restorer.
FIRMWARE = _DRAM + RESERVED_SIZE
#: Where fw_jump.bin of OpenSBI's generic platform goes, and where it copies the device tree to.
JUMP, _TREE = _DRAM + 2 * MIB, _DRAM + 34 * MIB
#: Where one goes that counts from itself: the state of several harts begins there, too.
OWN_JUMP = FIRMWARE + 2 * MIB
#: A kernel and an initramfs begin at multiples of this.
_ALIGNMENT = 2 * MIB
#: The least memory of a machine with a kernel.
_LEAST_MEMORY = 256 * MIB
#: A Linux Image for RISC-V (Documentation/arch/riscv/boot-image-header.rst): magic2 and image_size.
_MAGIC, _MAGIC_AT, _SIZE_AT = b"RSC\x05", 0x38, 0x10
#: struct fw_dynamic_info of OpenSBI: magic, version, and a mode of S.
_INFO_MAGIC, _INFO_VERSION, _SUPERVISOR = 0x4942534F, 2, 1

#: auipc a2, 0; addi a2, a2, 16: the address behind this code and a jump.
_POINT_A2 = bytes.fromhex("17060000 13060601")


@dataclass(frozen=True)
class Reserved:
    """Memory that the kernel must not use: its address and size in bytes."""

    address: int
    size: int


@dataclass(frozen=True)
class Arrangement:
    """Where firmware, kernel and initramfs lie, and what the device tree says.

    Attributes:
        kernel: Address of the kernel; None: the firmware has its own.
        initrd: Addresses of the initramfs's first byte and after its last; None: there is none.
        arguments: The kernel's command line; None: that of the machine.
        reserved: The memory to reserve.
    """

    kernel: int | None = None
    initrd: tuple[int, int] | None = None
    arguments: str | None = None
    reserved: tuple[Reserved, ...] = ()

    @property
    def jumps(self) -> dict[int, bytes]:
        """The jumps to the kernel by their addresses: where fw_jump goes and the kernel is not."""
        return {at: jump(at, self.kernel) for at in (JUMP, OWN_JUMP) if self.kernel not in (None, at)}

    @property
    def memory(self) -> int:
        """The least memory of the machine in bytes."""
        end = self.initrd[1] if self.initrd else self.kernel or 0
        return max(_LEAST_MEMORY, -(-(end - _DRAM) // _ALIGNMENT) * _ALIGNMENT + _LEAST_MEMORY // 4)

    def start(self, source: int, entry: int) -> bytes:
        """Assemble the code that starts the firmware, with the struct fw_dynamic_info that fw_dynamic finds in a2.

        Args:
            source: Address of the code.
            entry: Address of the firmware.

        Returns:
            The code, which changes only a2 and t0, and the struct.
        """
        info = struct.pack("<6Q", _INFO_MAGIC, _INFO_VERSION, self.kernel or 0, _SUPERVISOR, 0, 0)
        code = _POINT_A2 + jump(source + len(_POINT_A2), entry)
        return code + info


def image_head(kernel: Path) -> bytes:
    """Read as much of a kernel as its header has.

    Args:
        kernel: The file.

    Returns:
        Its first bytes.

    Raises:
        UserError: It cannot be read.
    """
    try:
        with kernel.open("rb") as file:
            return file.read(_MAGIC_AT + len(_MAGIC))
    except OSError as error:
        raise UserError(f"{kernel}: {error.strerror}") from error


def arrange(kernel: bytes, kernel_size: int, initrd_size: int | None, arguments: str | None, harts: int) -> Arrangement:
    """Choose where a kernel and its initramfs lie.

    Args:
        kernel: The start of the kernel, with the header of an Image if it has one.
        kernel_size: Bytes of its file.
        initrd_size: Bytes of the initramfs; None: there is none.
        arguments: The kernel's command line; None: that of the machine.
        harts: Number of harts.

    Returns:
        The arrangement.
    """
    size = kernel_size
    if kernel[_MAGIC_AT : _MAGIC_AT + len(_MAGIC)] == _MAGIC:
        size = max(size, int.from_bytes(kernel[_SIZE_AT : _SIZE_AT + 8], "little"))
    reserved = [Reserved(_DRAM, RESERVED_SIZE)]
    place, last = place_for("auto", harts), harts - 1
    if harts > 1:
        end = place.block(last) + own_size(place, last, DEFAULT_VLEN // 8)
        reserved.append(Reserved(_DRAM + place.base, -(-end // MIB) * MIB - place.base))
    behind = _aligned(max(_TREE + _ALIGNMENT, *(part.address + part.size for part in reserved)))
    address = JUMP if JUMP + size <= OWN_JUMP else behind
    start = _aligned(max(behind, address + size))
    initrd = None if initrd_size is None else (start, start + initrd_size)
    return Arrangement(address, initrd, arguments, tuple(reserved))


def _aligned(address: int) -> int:
    return -(-address // _ALIGNMENT) * _ALIGNMENT


def changed(blob: bytes, arrangement: Arrangement) -> bytes:
    """Return a machine's device tree with the arrangement.

    Args:
        blob: The machine's device tree.
        arrangement: The arrangement.

    Returns:
        The device tree.
    """
    root = device_tree.parse(blob)
    chosen = root.child("chosen")
    if arrangement.arguments is not None:
        chosen.properties["bootargs"] = device_tree.string(arrangement.arguments)
    if arrangement.initrd:
        for name, address in zip(("linux,initrd-start", "linux,initrd-end"), arrangement.initrd, strict=True):
            chosen.properties[name] = device_tree.cells(address)
    memory = root.child("reserved-memory")
    two = (2).to_bytes(4, "big")
    memory.properties |= {"#address-cells": two, "#size-cells": two, "ranges": b""}
    for part in arrangement.reserved:
        node = memory.child(f"gcpt@{part.address:x}")
        node.properties |= {"reg": device_tree.cells(part.address, part.size), "no-map": b""}
    return device_tree.encode(root)


def with_tree(machine: Machine, arrangement: Arrangement, folder: Path) -> Machine:
    """Give a machine the device tree of an arrangement.

    Args:
        machine: The machine.
        arrangement: The arrangement.
        folder: Folder for the device tree.

    Returns:
        The machine.

    Raises:
        UserError: QEMU is not installed, or refuses its options.
    """
    own, made = folder / "machine.dtb", folder / "boot.dtb"
    size = f"{machine.memory // MIB}M"
    command = [
        *(machine.program, "-machine", machine.name, "-cpu", machine.cpu, "-smp", str(machine.harts), "-m", size),
        *("-nodefaults", "-display", "none", "-bios", "none", "-serial", "null", "-seed", "0", *machine.extra),
        *("-machine", f"dumpdtb={escaped(own)}"),
    ]
    try:
        run = subprocess.run(command, stdin=subprocess.DEVNULL, capture_output=True, text=True)
    except FileNotFoundError as error:
        raise UserError(f"{error.filename}: not found: {remedy('QEMU')}") from error
    if run.returncode or not own.exists():
        raise UserError(f"QEMU wrote no device tree: {(run.stderr.strip() or 'no message').splitlines()[-1]}")
    made.write_bytes(changed(own.read_bytes(), arrangement))
    return replace(machine, extra=(*machine.extra, "-dtb", str(made)))
