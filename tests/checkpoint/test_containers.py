"""Identification of containers by the first bytes of a file."""

import lzma
import subprocess
from pathlib import Path

import pytest
import zstandard
from command import here, refusal
from packers import CONTENT, PACKERS

from gcpt.checkpoint import containers, output
from gcpt.errors import UserError


@pytest.mark.parametrize("name", PACKERS)
def test_container(name: str) -> None:
    assert containers.container(PACKERS[name](CONTENT)[:4]) == name


def test_container_of_nothing() -> None:
    assert containers.container(b"") == "raw"


#: Formats that gcpt does not read: what packs the file "image", or the first bytes of what such a program writes.
_FOREIGN: dict[str, str | bytes] = {
    "xz": "xz -c image",
    "lzma": "xz --format=lzma -c image",
    "lz4": "lz4 -qc image",
    "bzip2": "bzip2 -c image",
    "tar": "tar -c image",
    "compress": b"\x1f\x9d\x90",
    "lzip": b"LZIP\1",
    "lzo": b"\x89LZO\0\r\n\x1a\n",
    "7z": b"7z\xbc\xaf\x27\x1c",
    "rar": b"Rar!\x1a\x07\x01\0",
    "zip": b"PK\x03\x04",
    "qcow2": b"QFI\xfb\0\0\0\3",
}


def _foreign(folder: Path, name: str) -> bytes:
    packer = _FOREIGN[name]
    if isinstance(packer, bytes):
        return packer + bytes(1000)
    (folder / "image").write_bytes(CONTENT)
    return subprocess.run(packer.split(), cwd=folder, capture_output=True, check=True).stdout


@pytest.mark.parametrize("packer", PACKERS)
@pytest.mark.parametrize("name", _FOREIGN)
def test_a_foreign_format_is_named(name: str, packer: str, tmp_path: Path) -> None:
    """With the command that unpacks it, as it is and compressed again."""
    (path := tmp_path / "a 'file'").write_bytes(PACKERS[packer](_foreign(tmp_path, name)))
    for command in (("info", path), ("validate", path), ("convert", path, tmp_path / "out")):
        message = refusal(here(*command))
        if packer != "raw":
            assert f"({name} in {packer}): unpack it first: {packer} -dc < " in message, message
        else:
            assert f": {name} is not a container that gcpt reads: unpack the file first: " in message, message
    assert not (tmp_path / "out").exists()
    if packer == "raw" and isinstance(_FOREIGN[name], str):
        (tmp_path / "image").unlink()
        line = message.rpartition("first: ")[2].replace("OUT", "image")
        subprocess.run(line, shell=True, cwd=tmp_path, check=True)
        assert (tmp_path / "image").read_bytes() == CONTENT


@pytest.mark.parametrize("preset", range(7))
def test_lzma_of_any_preset(preset: int) -> None:
    """The magic number of the oldest format of xz has the size of the dictionary, which the preset chooses."""
    head = lzma.compress(CONTENT, lzma.FORMAT_ALONE, preset=preset)[: containers.HEAD_SIZE]
    assert (match := containers.foreign(head, Path("a"))) and match == ("lzma", "xz --format=lzma -dc < a > OUT")


def test_a_dictionary_is_named(tmp_path: Path) -> None:
    """A frame that was compressed with a dictionary is refused by that name, also behind another frame."""
    words = [f"{number:x}".encode() * 50 for number in range(2000)]
    dictionary = zstandard.train_dictionary(4096, words)
    frame = zstandard.ZstdCompressor(dict_data=dictionary).compress(CONTENT)
    path = tmp_path / "image"
    for data in (frame, PACKERS["zstd"](CONTENT) + frame):
        path.write_bytes(data)
        with pytest.raises(UserError, match=rf"zstd dictionary \(number {dictionary.dict_id()}\)"):
            output.unpack(path, tmp_path / "out")
    assert not (tmp_path / "out").exists()
