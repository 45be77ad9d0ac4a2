"""Files that are no code as it lies in memory: recognised by real tools' output, wherever code is wanted."""

import lzma
import struct
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest
from command import gcpt, refusal
from hypothesis import given
from hypothesis import strategies as st

from gcpt.errors import UserError
from gcpt.restorer import software
from gcpt.restorer.options import CROSS_COMPILE
from gcpt.restorer.resolution import resolve

#: An endless loop.
LOOP = bytes.fromhex("6f000000")
ADDRESS = "0x80100000"


def _command(*words: str, stdin: bytes | None = None) -> Callable[[Path], bytes]:
    """Make the content of a file with a tool; IN: the loop's file."""

    def make(folder: Path) -> bytes:
        (folder / "in").write_bytes(LOOP * 64)
        command = [word.replace("IN", str(folder / "in")) for word in words]
        return subprocess.run(command, input=stdin, cwd=folder, capture_output=True, check=True).stdout

    return make


def _tree(source: str) -> Callable[[Path], bytes]:
    return _command("dtc", "-I", "dts", "-O", "dtb", "-", stdin=f"/dts-v1/; / {{ {source} }};".encode())


def _elf(*options: str, tool: str = f"{CROSS_COMPILE}gcc") -> Callable[[Path], bytes]:
    def make(folder: Path) -> bytes:
        (folder / "a.S").write_text(".globl _start\n_start: nop\n")
        subprocess.run([tool, "-nostdlib", *options, "a.S", "-o", "a.elf"], cwd=folder, check=True)
        return (folder / "a.elf").read_bytes()

    return make


def _objcopy(form: str) -> Callable[[Path], bytes]:
    def make(folder: Path) -> bytes:
        (folder / "in").write_bytes(LOOP * 64)
        subprocess.run([f"{CROSS_COMPILE}objcopy", "-I", "binary", "-O", form, "in", "out"], cwd=folder, check=True)
        return (folder / "out").read_bytes()

    return make


def _bytes(*pieces: tuple[int, bytes]) -> Callable[[Path], bytes]:
    def make(_: Path) -> bytes:
        data = bytearray(0x400)
        for at, piece in pieces:
            data[at : at + len(piece)] = piece
        return bytes(data)

    return make


#: Forms by name: what makes a file, words of the message.
FORMS: dict[str, tuple[Callable[[Path], bytes], str]] = {
    "ELF": (_elf("-march=rv64gc", "-mabi=lp64d"), "an ELF file, not code"),
    "ELF, relocatable": (_elf("-c"), "an ELF file that is not linked"),
    "ELF, 32 bits": (_elf("-march=rv32i", "-mabi=ilp32"), "an ELF file for 32-bit RISC-V"),
    "ELF, x86": (_elf(tool="gcc"), "another architecture (Advanced Micro Devices X86-64)"),
    "ELF, big-endian": (_bytes((0, b"\x7fELF\2\2\1"), (16, b"\0\2\0\x15")), "another architecture (PowerPC64)"),
    "ELF, cut short": (lambda _: b"\x7fELF", "another architecture"),
    "gzip": (_command("gzip", "-c", "IN"), "gzip-compressed"),
    "zstd": (_command("zstd", "-c", "IN"), "zstd-compressed"),
    "zstd, skippable frame first": (lambda _: b"\x50\x2a\x4d\x18\4\0\0\0size", "zstd-compressed"),
    "xz": (_command("xz", "-c", "IN"), "xz-compressed"),
    "lzma": (lambda _: lzma.compress(LOOP * 64, lzma.FORMAT_ALONE), "lzma-compressed"),
    "lz4": (lambda _: b"\x04\x22\x4d\x18" + bytes(16), "lz4-compressed"),
    "lz4 of kernels": (lambda _: b"\x02\x21\x4c\x18" + bytes(16), "lz4-compressed"),
    "bzip2": (_command("bzip2", "-c", "IN"), "bzip2-compressed"),
    "lzo": (lambda _: b"\x89LZO\0\r\n\x1a\n" + bytes(16), "lzo-compressed"),
    "lzip": (lambda _: b"LZIP\1" + bytes(30), "lzip-compressed"),
    "compress": (lambda _: b"\x1f\x9d\x90" + bytes(30), "compress-compressed"),
    "7z": (lambda _: b"7z\xbc\xaf\x27\x1c" + bytes(30), "a 7z archive"),
    "rar": (lambda _: b"Rar!\x1a\x07\x01\0" + bytes(30), "a rar archive"),
    "zip": (lambda _: b"PK\3\4" + bytes(30), "a zip archive"),
    "tar": (_command("tar", "-c", "in"), "a tar archive"),
    "qcow2": (lambda _: b"QFI\xfb" + bytes(100), "a qcow2 disk image"),
    "uImage": (lambda _: struct.pack(">7I4B32s", 0x27051956, *range(6), 5, 26, 2, 0, b"Linux") + LOOP, "legacy image"),
    "FIT": (_tree('images { kernel { data = "x"; }; };'), "a U-Boot FIT image"),
    "device tree": (_tree('model = "board";'), "a device tree, not code"),
    "Image for arm64": (_bytes((0x38, b"ARM\x64")), "a Linux Image for arm64"),
    "bzImage": (_bytes((0x202, b"HdrS")), "a Linux bzImage for x86"),
    "vmlinuz.efi": (_bytes((0, b"MZ\0\0zimg")), "a compressed EFI image"),
    "EFI application": (_bytes((0, b"MZ"), (0x3C, b"\x80"), (0x80, b"PE\0\0")), "an EFI application"),
    "Intel HEX": (_objcopy("ihex"), "an Intel HEX file"),
    "S-records": (_objcopy("srec"), "an S-record file"),
    "Verilog hex": (_objcopy("verilog"), "a Verilog hex file"),
    "Git LFS": (lambda _: b"version https://git-lfs", "a pointer of Git LFS"),
}  # fmt: skip
#: Forms that a device tree may be wrapped in: not itself.
WRAPPED = [name for name in FORMS if name != "device tree"]


@pytest.fixture
def made(tmp_path: Path) -> Callable[[str], Path]:
    """``made("gzip")``: a file of this form."""

    def make(name: str) -> Path:
        path = tmp_path / "file.img"
        path.write_bytes(FORMS[name][0](tmp_path))
        return path

    return make


def _assert_refused(error: str, subject: str, name: str, path: Path) -> None:
    assert error.startswith(f"{subject}: ") and FORMS[name][1].removesuffix(", not code") in error, error
    assert "\n" not in error and "FILE" not in error and "OUT" not in error
    if "with " in error and name != "Git LFS":
        assert str(path) in error.partition("with ")[2]


@pytest.mark.parametrize("name", FORMS)
def test_payload(made: Callable[[str], Path], name: str) -> None:
    path = made(name)
    with pytest.raises(UserError) as refused:
        resolve({"gcpt_payload": str(path)})
    _assert_refused(str(refused.value), f"gcpt_payload={path}", name, path)


@pytest.mark.parametrize("name", WRAPPED)
def test_device_tree(made: Callable[[str], Path], tmp_path: Path, name: str) -> None:
    path, code = made(name), tmp_path / "loop.bin"
    code.write_bytes(LOOP)
    with pytest.raises(UserError, match="not a device tree blob") as refused:
        resolve({"gcpt_payload": str(code), "gcpt_dtb": str(path)})
    _assert_refused(str(refused.value), f"gcpt_dtb={path}", name, path)


@pytest.mark.parametrize("name", FORMS)
def test_load(made: Callable[[str], Path], tmp_path: Path, name: str) -> None:
    """The first file has the code to start: nothing else is accepted."""
    path, out = made(name), tmp_path / "checkpoint"
    error = refusal(gcpt("snapshot", "-o", out, "--load", f"{path}@{ADDRESS}"))
    _assert_refused(error, f"--load {path}", name, path)
    assert "--data" not in error and not out.exists()


@pytest.mark.parametrize("name", ["ELF", "gzip", "FIT"])
def test_load_beside_the_code(made: Callable[[str], Path], tmp_path: Path, name: str) -> None:
    """The message names --data, which loads the file as it is."""
    path, code, out = made(name), tmp_path / "loop.bin", tmp_path / "checkpoint"
    code.write_bytes(LOOP)
    arguments = ("snapshot", "-o", out, "--load", f"{code}@{ADDRESS}")
    error = refusal(gcpt(*arguments, "--load", f"{path}@0x80300000"))
    _assert_refused(error, f"--load {path}", name, path)
    assert error.endswith(f"; or load it as it is with --data {path}@0x80300000")
    assert not out.exists()
    run = gcpt(*arguments, "--data", f"{path}@0x80300000")
    assert (run.returncode, run.stderr) == (0, "")
    assert out.read_bytes()[0x30_0000:].startswith(path.read_bytes())


def _image_for_riscv(_: Path) -> bytes:
    """The header of a Linux Image that is an EFI application as well (Documentation/arch/riscv/boot-image-header)."""
    return _bytes((0, b"MZ"), (0x30, b"RISCV\0\0\0RSC\x05"), (0x3C, b"\x40"), (0x40, b"PE\0\0"))(Path())


@pytest.mark.parametrize(
    "content",
    [LOOP, LOOP * 64, bytes(64), b"\x13", _image_for_riscv(Path()), b"Hello, world\n"],
    ids=["loop", "loops", "zeros", "one byte", "Image for RISC-V", "text"],
)
def test_code_is_accepted(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "code"
    path.write_bytes(content)
    software.check(path, "code")


@given(st.binary(max_size=200))
def test_no_bytes_are_a_crash(data: bytes) -> None:
    for start in (b"", b"\x7fELF", b"MZ", b"\xd0\x0d\xfe\xed", b":", b"S1"):
        software.form(start + data)


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (lambda tree: tree[:-1], "truncated: "),
        (lambda tree: tree[:40], "truncated: 40 of the "),
        (lambda tree: tree[:4], "damaged: "),
        (lambda tree: tree[:4] + bytes(4) + tree[8:], "damaged: its header says 0 bytes"),
        (lambda tree: tree + b"\0", "1 bytes follow the device tree"),
        (lambda tree: tree + tree, "98 bytes follow the device tree"),
    ],
)
def test_size_of_a_device_tree(
    made: Callable[[str], Path], tmp_path: Path, change: Callable[[bytes], bytes], words: str
) -> None:
    """For gcpt_dtb= and for --load."""
    path, code = made("device tree"), tmp_path / "loop.bin"
    code.write_bytes(LOOP)
    options = {"gcpt_payload": str(code), "gcpt_dtb": str(path)}
    loads = ("--load", f"{code}@{ADDRESS}", "--load", f"{path}@0x80300000")
    resolve(options)
    assert gcpt("snapshot", "-o", tmp_path / "checkpoint", *loads).returncode == 0
    path.write_bytes(change(path.read_bytes()))
    with pytest.raises(UserError) as refused:
        resolve(options)
    assert str(refused.value).startswith(f"gcpt_dtb={path}: {words}"), refused.value
    assert refusal(gcpt("snapshot", "-o", tmp_path / "no", *loads)).startswith(f"--load {path}: {words}")
    assert not (tmp_path / "no").exists()


@pytest.mark.parametrize("command", ["snapshot", "profile", "generate"])
@pytest.mark.parametrize("content", [b"", FORMS["qcow2"][0](Path())], ids=["empty", "qcow2"])
def test_nothing_is_written(tmp_path: Path, command: str, content: bytes) -> None:
    """A file that is refused leaves no output, and no folder for one."""
    path, out = tmp_path / "file", tmp_path / "out"
    path.write_bytes(content)
    count = () if command == "snapshot" else ("--interval", "100")
    error = refusal(gcpt(command, "-o", out, "--load", f"{path}@{ADDRESS}", *count))
    assert error.startswith(f"--load {path}: ") and not out.exists(), error
