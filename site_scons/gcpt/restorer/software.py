"""Recognises files that are not code or data as they lie in memory: ELF, compressed, U-Boot's and text formats."""

import re
import struct
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from gcpt.errors import UserError
from gcpt.restorer.options import CROSS_COMPILE

#: The first bytes of a device tree blob (Devicetree Specification 0.4, 5.2) and the size of its header in bytes.
DTB_MAGIC, _DTB_HEADER = b"\xd0\x0d\xfe\xed", 40
#: The node "images" of a U-Boot FIT image, as it lies in a device tree blob: FDT_BEGIN_NODE, name, padding.
_FIT_NODE = b"\0\0\0\x01images\0\0"
#: Bytes of a file that are enough to recognise it.
_HEAD = 1 << 16
#: ELF: e_machine of RISC-V, e_type of a relocatable file.
_RISCV, _RELOCATABLE = 243, 1
_OBJCOPY = f"{CROSS_COMPILE}objcopy"


@dataclass(frozen=True)
class Form:
    """A form of file that is not code as it lies in memory.

    Attributes:
        name: What the file is, with an article.
        remedy: What to do instead; FILE and OUT stand for the file and a new one.
    """

    name: str
    remedy: str


def _unpacked(name: str, command: str) -> Form:
    return Form(f"{name}-compressed", f"unpack it with {command} FILE > OUT")


def _text(name: str, kind: str) -> Form:
    return Form(name, f"convert it with {_OBJCOPY} -I {kind} -O binary FILE OUT")


def _starts(*magics: bytes) -> Callable[[bytes], bool]:
    return lambda head: head.startswith(magics)


def _at(offset: int, magic: bytes) -> Callable[[bytes], bool]:
    return lambda head: head[offset : offset + len(magic)] == magic


def _matches(pattern: bytes) -> Callable[[bytes], bool]:
    return lambda head: re.match(pattern, head) is not None


def _is_efi_application(head: bytes) -> bool:
    """Whether this is a PE file. A RISC-V Linux Image may be one as well, and is code at its first byte."""
    at = int.from_bytes(head[0x3C:0x40], "little")
    return head.startswith(b"MZ") and head[at : at + 4] == b"PE\0\0" and head[0x38:0x3C] != b"RSC\x05"


#: The forms besides ELF files and device trees, each with its test of the first bytes.
_FORMS: tuple[tuple[Callable[[bytes], bool], Form], ...] = (
    (_starts(b"\x1f\x8b"), _unpacked("gzip", "gzip -dc")),
    (_matches(rb"\x28\xb5\x2f\xfd|[\x50-\x5f]\x2a\x4d\x18"), _unpacked("zstd", "zstd -dc")),
    (_starts(b"\xfd7zXZ\0"), _unpacked("xz", "xz -dc")),
    (_matches(rb"(?s)\x5d\0\0.{2}\xff{8}"), _unpacked("lzma", "xz -dc --format=lzma")),
    (_starts(b"\x04\x22\x4d\x18", b"\x02\x21\x4c\x18"), _unpacked("lz4", "lz4 -dc")),
    (_matches(rb"BZh[1-9]1AY&SY"), _unpacked("bzip2", "bzip2 -dc")),
    (_starts(b"\x89LZO\0\r\n\x1a\n"), _unpacked("lzo", "lzop -dc")),
    (_starts(b"LZIP\1"), _unpacked("lzip", "lzip -dc")),
    (_starts(b"\x1f\x9d\x90"), _unpacked("compress", "gzip -dc")),
    (_starts(b"7z\xbc\xaf\x27\x1c"), Form("a 7z archive", "unpack it with 7z x FILE")),
    (_starts(b"Rar!\x1a\x07"), Form("a rar archive", "unpack it with unrar x FILE")),
    (_starts(b"PK\3\4"), Form("a zip archive", "unpack it with unzip FILE")),
    (_at(257, b"ustar"), Form("a tar archive", "unpack it with tar -xf FILE")),
    (_starts(b"QFI\xfb"), Form("a qcow2 disk image", "convert it with qemu-img convert -O raw FILE OUT")),
    (
        _starts(b"\x27\x05\x19\x56"),
        Form("a U-Boot legacy image (uImage)", "extract its content with dumpimage -T kernel -p 0 -o OUT FILE"),
    ),
    (_at(0x38, b"ARM\x64"), Form("a Linux Image for arm64", "build it for RISC-V")),
    (_at(0x202, b"HdrS"), Form("a Linux bzImage for x86", "build it for RISC-V")),
    (
        lambda head: head.startswith(b"MZ") and head[4:8] == b"zimg",
        Form("a compressed EFI image of Linux (vmlinuz.efi)", "use arch/riscv/boot/Image of the same build"),
    ),
    (_is_efi_application, Form("an EFI application", "use a raw binary of the software")),
    (_matches(rb":[0-9A-Fa-f]{10}"), _text("an Intel HEX file", "ihex")),
    (_matches(rb"S[0-3][0-9A-Fa-f]{8}"), _text("an S-record file", "srec")),
    (_matches(rb"@[0-9A-Fa-f]{1,16}\s"), Form("a Verilog hex file", "use the binary that it was made from")),
    (_starts(b"version https://git-lfs"), Form("a pointer of Git LFS", "fetch the file with git lfs pull")),
)
_FIT = Form("a U-Boot FIT image", "extract a part with dumpimage -T flat_dt -p 0 -o OUT FILE")
_DEVICE_TREE = Form("a device tree", "name the software")


def _elf(head: bytes) -> Form:
    """The form of an ELF file (System V ABI, chapter 4)."""
    order, wide = "<>"[head[5:6] == b"\x02"], head[4:5] == b"\x02"
    kind, machine = struct.unpack_from(f"{order}HH", head.ljust(20, b"\0"), 16)
    if machine != _RISCV:
        from elftools.elf.descriptions import describe_e_machine
        from elftools.elf.enums import ENUM_E_MACHINE

        name = next((name for name, number in ENUM_E_MACHINE.items() if number == machine), machine)
        return Form(f"an ELF file for another architecture ({describe_e_machine(name)})", "build it for RISC-V")
    if not wide:
        return Form("an ELF file for 32-bit RISC-V", "build it for RV64")
    if kind == _RELOCATABLE:
        return Form("an ELF file that is not linked", f"link it, then run {_OBJCOPY} -O binary on the result")
    return Form("an ELF file", f"convert it with {_OBJCOPY} -O binary FILE OUT")


def form(head: bytes) -> Form | None:
    """Recognise a file that is not code.

    Args:
        head: The first 64 KiB of the file.

    Returns:
        Its form; None if it may be code, such as a raw binary or a Linux Image for RISC-V.
    """
    if head.startswith(b"\x7fELF"):
        return _elf(head)
    if head.startswith(DTB_MAGIC):
        return _FIT if _FIT_NODE in head else _DEVICE_TREE
    return next((form for test, form in _FORMS if test(head)), None)


def _head(path: Path) -> bytes:
    with path.open("rb") as file:
        return file.read(_HEAD)


def _refuse(path: Path, subject: str, problem: Form, hint: str) -> UserError:
    remedy = problem.remedy.replace("FILE", str(path)).replace("OUT", f"{path.stem}.bin")
    return UserError(f"{subject}: {problem.name}, not code as it lies in memory: {remedy}{hint}")


def check(path: Path, subject: str, tree: bool = False, hint: str = "") -> None:
    """Check that a file is code, or data, as it lies in memory.

    Args:
        path: The file.
        subject: The option and the file, for messages.
        tree: Accept a device tree, whose size is checked.
        hint: Another remedy, for the end of messages.

    Raises:
        UserError: The file has another form, such as ELF, gzip or a U-Boot image. The message has the command that
            converts it. Or it is empty.
        OSError: The file cannot be read.
    """
    head = _head(path)
    if not head:
        raise UserError(f"{subject}: is empty: copy it again")
    problem = form(head)
    if tree and problem is _DEVICE_TREE:
        check_device_tree(path, subject)
    elif problem:
        raise _refuse(path, subject, problem, hint)


def check_device_tree(path: Path, subject: str) -> None:
    """Check that a file is one complete device tree blob.

    Args:
        path: The file.
        subject: The option and the file, for messages.

    Raises:
        UserError: The file is something else, is truncated, or has data after the device tree.
        OSError: The file cannot be read.
    """
    head = _head(path)
    problem = form(head)
    if problem is not _DEVICE_TREE:
        if problem:
            remedy = problem.remedy.replace("FILE", str(path)).replace("OUT", f"{path.stem}.dtb")
            raise UserError(f"{subject}: {problem.name}, not a device tree blob: {remedy}")
        raise UserError(f"{subject}: not a device tree blob: compile it with dtc -O dtb")
    size, total = path.stat().st_size, int.from_bytes(head[4:8], "big")
    if total < _DTB_HEADER:
        raise UserError(f"{subject}: damaged: its header says {total} bytes in all: compile it again with dtc -O dtb")
    if size < total:
        raise UserError(f"{subject}: truncated: {size:,} of the {total:,} bytes in its header: copy it again")
    if size > total:
        raise UserError(
            f"{subject}: {size - total:,} bytes follow the device tree, whose header says {total:,}: "
            f"keep only the tree, with head -c {total} {path}"
        )
