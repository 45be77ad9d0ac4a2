"""ELF files of images: another reader loads the same memory, and files that cannot be an image are refused."""

import io
import os
import struct
import tempfile
from itertools import pairwise
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from elftools.elf.elffile import ELFFile
from hypothesis import example, given
from hypothesis import strategies as st

from gcpt.checkpoint import elf_image, streams
from gcpt.errors import UserError
from gcpt.isa.paging import PAGE_SIZE

if TYPE_CHECKING:
    from _typeshed import ReadableBuffer

BASE = 0x8000_0000
MIB = 1 << 20
_PLACES = st.integers(0, 3 * MIB // PAGE_SIZE) | st.sampled_from([0, 1, 255, 256, 257, 258, 512, 513, 514])


def _written(path: Path, image: bytes, base: int = BASE) -> bytes:
    with path.open("wb") as file:
        assert elf_image.write(file, streams.pages([image]), base) == len(image)
    return path.read_bytes()


def _image(places: set[int], tail: int) -> bytes:
    image = bytearray((max(places) + 1) * PAGE_SIZE if places else 0)
    for place in places:
        image[place * PAGE_SIZE + 7] = place % 255 + 1
    return bytes(image) + bytes(tail)


def test_a_segment_at_the_end_of_the_file(tmp_path: Path) -> None:
    """Another tool's file may have its program headers first and end with the last segment, and no sooner."""
    path, image = tmp_path / "image.elf", _image({0}, 0)
    data = bytearray(_written(path, image))
    headers = data[int.from_bytes(data[32:40], "little") :][:56]
    headers[8:16] = (64 + 56).to_bytes(8, "little")  # p_offset
    data[32:40] = (64).to_bytes(8, "little")  # e_phoff
    data[56:58] = (1).to_bytes(2, "little")  # e_phnum
    data = data[:64] + headers + image
    path.write_bytes(data)
    with path.open("rb") as file:
        assert b"".join(elf_image.chunks(file, MIB)) == image
    path.write_bytes(data[:-1])
    with path.open("rb") as file, pytest.raises(UserError, match="truncated"):
        list(elf_image.chunks(file, MIB))


@given(st.sets(_PLACES, max_size=6), st.integers(0, 2 * PAGE_SIZE), st.sampled_from([1, 4096, 100_000, 8 * MIB]))
@example({0, 257}, 0, 100_000)  # 256 pages of zeros: two segments
@example({0, 256}, 0, 100_000)  # 255 pages of zeros: one
def test_another_reader_loads_the_same_memory(places: set[int], tail: int, piece: int) -> None:
    piece = max(piece, 64)
    image = _image(places, tail)
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "image.elf")
        _written(path, image)
        with path.open("rb") as file:
            elf = ELFFile(file)
            segments = list(elf.iter_segments())
            assert (elf.get_machine_arch(), elf["e_type"], elf["e_entry"]) == ("RISC-V", "ET_EXEC", BASE)
            memory = bytearray(len(image))
            for segment in segments:
                assert segment["p_type"] == "PT_LOAD" and segment["p_flags"] == 7
                assert segment["p_vaddr"] == segment["p_paddr"] and segment["p_filesz"] == segment["p_memsz"]
                assert segment["p_offset"] % segment["p_align"] == segment["p_vaddr"] % segment["p_align"] == 0
                at = segment["p_paddr"] - BASE
                memory[at : at + segment["p_filesz"]] = segment.data()
            gaps = [b["p_paddr"] - a["p_paddr"] - a["p_memsz"] for a, b in pairwise(segments)]
            assert all(gap >= MIB for gap in gaps)
            assert bytes(memory) == image
            first = segments[0]["p_paddr"] - BASE if segments else 0
            chunks = list(elf_image.chunks(file, piece))
        assert all(0 < len(chunk) <= piece for chunk in chunks)
        assert b"".join(chunks) == image[first:]
        assert elf_image.base_of(path) == (BASE + first if image else 0)


class _Header(io.BytesIO):
    """A file that keeps only its ELF header."""

    at, end, header = 0, 0, b""

    def seek(self, at: int, whence: int = 0) -> int:
        self.at = at + self.end * (whence == os.SEEK_END)
        return self.at

    def tell(self) -> int:
        return self.at

    def write(self, data: "ReadableBuffer") -> int:
        content = bytes(data)
        self.header = content if self.at == 0 else self.header
        self.at += len(content)
        self.end = max(self.end, self.at)
        return len(content)


def test_most_segments() -> None:
    """The number of sections is that of the header: from 0xff00 on, it would be elsewhere."""
    most, file = 0xFF00 - 1 - 4, _Header()
    elf_image.write(file, [(number * 2 * MIB, b"1") for number in range(most)], 0, {"tohost": 0})
    assert struct.unpack_from("<HHHHH", file.header, 54) == (56, most, 64, 0xFF00 - 1, 0xFF00 - 2)
    with pytest.raises(UserError, match=f"needs {most + 1:,} segments, but an ELF file holds at most {most:,}"):
        elf_image.write(_Header(), [(number * 2 * MIB, b"1") for number in range(most + 1)], 0)


_PHDR = struct.Struct("<IIQQQQQQ")


def _changed(tmp_path: Path, segments: list[tuple[int, int, int]], change: dict[int, bytes]) -> list[bytes]:
    """Read a file with segments (offset, address, size) and with other bytes at some offsets."""
    header = bytearray(_written(tmp_path / "whole", _image({0}, 0))[:64])
    header[32:40] = (64).to_bytes(8, "little")
    header[56:58] = len(segments).to_bytes(2, "little")
    table = b"".join(_PHDR.pack(1, 7, at, address, address, size, size, 4096) for at, address, size in segments)
    data = bytearray(header + table).ljust(4096, b"x")
    for offset, value in change.items():
        data[offset : offset + len(value)] = value
    path = tmp_path / "changed"
    path.write_bytes(data)
    with path.open("rb") as file:
        return list(elf_image.chunks(file, 4096))


ONE = [(4000, BASE, 96)]


@pytest.mark.parametrize(
    ("segments", "change"),
    [
        (ONE, {}),
        (ONE, {7: b"\3"}),  # another operating system: EI_OSABI
        ([(4000, BASE, 48), (4048, BASE + 48, 48)], {}),  # one follows the other
        ([(4048, BASE + 48, 48), (4000, BASE, 48)], {}),  # in any order
        ([(4000, BASE, 96), (99_999, BASE, 0)], {}),  # nothing to load
        ([(4000, BASE, 96), (99_999, BASE, 96)], {64 + 56: b"\4"}),  # a note
    ],
)
def test_accepted(tmp_path: Path, segments: list[tuple[int, int, int]], change: dict[int, bytes]) -> None:
    assert b"".join(_changed(tmp_path, segments, change)) == b"x" * 96


@pytest.mark.parametrize(
    ("segments", "change", "words"),
    [
        *[(ONE, {offset: b"\x7e"}, "not a 64-bit little-endian ELF file") for offset in range(7)],
        (ONE, {18: b"\xf2"}, "not a RISC-V ELF file"),
        (ONE, {54: b"\x39"}, "not a RISC-V ELF file"),
        ([(4000, BASE, 97)], {}, "truncated"),
        (ONE, {32: (4096 - 55).to_bytes(8, "little")}, "truncated"),
        ([(4000, BASE, 48), (4000, BASE + 47, 48)], {}, "overlap"),
        ([(4000, BASE, 48), (4000, BASE + (1 << 41), 1)], {}, "too far apart"),
    ],
)
def test_refused(tmp_path: Path, segments: list[tuple[int, int, int]], change: dict[int, bytes], words: str) -> None:
    with pytest.raises(UserError, match=words):
        _changed(tmp_path, segments, change)


def test_a_file_shorter_than_its_header(tmp_path: Path) -> None:
    path = tmp_path / "short"
    path.write_bytes(_written(tmp_path / "whole", _image({0}, 0))[:63])
    with pytest.raises(UserError, match="not a 64-bit"):
        elf_image.base_of(path)
