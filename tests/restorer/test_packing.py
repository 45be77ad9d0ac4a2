"""Embedding and removing a restorer, and the image formats with addresses."""

import io
import re
import tempfile
from dataclasses import replace
from pathlib import Path

import pytest
from elftools.elf.elffile import ELFFile
from hypothesis import given
from hypothesis import strategies as st

from gcpt.checkpoint import edits, elf_image, header, search, stamp, streams, verilog_hex
from gcpt.checkpoint.files import CheckpointFile, open_checkpoint, write_checkpoint
from gcpt.checkpoint.layouts import MIB
from gcpt.checkpoint.places import DUAL_CORE, PROTOBUF, SINGLE_CORE, Place, PlaceKind
from gcpt.checkpoint.stamp import Stamp
from gcpt.errors import UserError
from gcpt.machines import synthetic
from gcpt.machines.synthetic import Mode, Recipe
from gcpt.restorer import packing
from gcpt.restorer.packing import Restorer

#: Bytes of an image's start in these tests.
SIZE = 8192
FLAG = (0xCAFF).to_bytes(8, "little")
AT_START = Place(PlaceKind.PROTOBUF, 168, MIB, header_at=0)
HEADER = header.encode(header.Header(168, 1, MIB))


def restorer_bytes(size: int, stamped: str = "") -> bytes:
    """The bytes of a restorer without code. stamped: its mode, for a restorer with a stamp."""
    end = (stamp.encode(Stamp("0.1.0", options={"mode": stamped})) if stamped else b"") + FLAG
    head = bytes.fromhex("6f000011") + size.to_bytes(4, "little")
    window = bytes(256) if stamped in ("normal", "auto") else b""
    return head + window + b"\x13" * (size - len(head) - len(window) - len(end)) + end


def restorer(size: int, stamped: str = "") -> Restorer:
    embedded = packing.embedded(restorer_bytes(size, stamped), "image")
    assert embedded is not None
    return embedded


@given(st.sampled_from(["", "normal", "dual_core"]), st.integers(60, 150), st.binary(max_size=900))
def test_what_lay_under_a_restorer_comes_back(mode: str, words: int, under: bytes) -> None:
    """Any data, also after a swap with a restorer of another size."""
    before = under.ljust(SIZE, b"\0")
    for place in (DUAL_CORE, AT_START):
        image_start = HEADER + before[len(HEADER) :] if place is AT_START else before
        first, second = restorer(8 * words, mode), restorer(8 * words + 400, "auto")
        carrying = packing.start(first, place, image_start)
        if carrying.lost:
            continue
        old, again = packing.bare(carrying.data, "image")
        assert (old, again) == (first, image_start)
        swapped = packing.start(second, place, again)
        if not swapped.lost:
            assert packing.bare(swapped.data, "image") == (second, image_start)
            assert len(swapped.data) == SIZE


def test_a_header_goes_into_the_window() -> None:
    carrying = packing.start(restorer(800, "normal"), AT_START, HEADER.ljust(MIB, b"\0"))
    assert (carrying.kept, carrying.lost) == (0, 0)
    assert carrying.data[8 : 8 + len(HEADER)] == HEADER
    assert not carrying.data[800:].strip(b"\0")  # nothing else is saved
    read = io.BytesIO(carrying.data)

    def reader(offset: int, size: int) -> bytes:
        read.seek(offset)
        return read.read(size)

    assert search.locate(reader).place == Place(PlaceKind.PROTOBUF, 168, MIB, header_at=8, marked=False)


def test_a_window_counts_only_in_a_restorer() -> None:
    """In an image without a restorer, the same bytes are no header."""
    data = (bytes(8) + HEADER).ljust(4 * MIB, b"\0")
    with pytest.raises(UserError, match="no checkpoint"):
        search.locate(lambda offset, size: data[offset : offset + size])


def test_what_cannot_be_kept_is_counted() -> None:
    """The workload uses the space behind the restorer."""
    before = b"reset".ljust(800, b"\0") + b"\x01" * 100
    carrying = packing.start(restorer(800), DUAL_CORE, before.ljust(MIB, b"\0"))
    assert (carrying.kept, carrying.lost) == (0, 5)
    assert carrying.data[800:900] == b"\x01" * 100


def _file(path: Path, place: Place, harts: int = 1, memory: dict[int, bytes] | None = None) -> CheckpointFile:
    built = synthetic.make(Recipe((Mode.S,) * harts))
    content = edits.patched([bytes(MIB)] * 4, [*(memory or {}).items()])
    write_checkpoint(path, built.harts, content, place)
    return open_checkpoint(path)


@pytest.mark.parametrize("harts", [1, 2])
def test_a_restorer_ends_where_the_state_begins(tmp_path: Path, harts: int) -> None:
    """Not a byte later, also with --force."""
    for begin, fits in ((800, True), (792, False)):
        low = PROTOBUF.layout.span(harts)[0]
        path = tmp_path / f"{begin}"
        opened = _file(path, replace(PROTOBUF, base=begin - low), harts)
        if fits:
            assert packing.pack(restorer(800), opened, False, force=True).start[:800] == restorer(800).data
            continue
        with pytest.raises(UserError, match=f"uses the first 800 bytes, but the state of {path} starts at byte 792"):
            packing.pack(restorer(800), opened, False, force=True)


@pytest.mark.parametrize(("at", "says"), [(63, ""), (64, "the workload uses byte 0x40, but the restorer needs")])
def test_reset_code_may_be_covered(tmp_path: Path, at: int, says: str) -> None:
    """Nothing behind it without --force."""
    opened = _file(tmp_path / "image", SINGLE_CORE, memory={at: b"\x01"})
    if says:
        with pytest.raises(UserError, match=says):
            packing.pack(restorer(800), opened, False)
        return
    assert "the restorer covers 64 bytes, saved behind it" in packing.pack(restorer(800), opened, False).notes[-1]


def test_reset_code_that_cannot_be_saved(tmp_path: Path) -> None:
    opened = _file(tmp_path / "image", SINGLE_CORE, memory={0: b"\x01", 804: b"\x01"})
    with pytest.raises(UserError, match="covers 1 bytes, and the space behind it is in use"):
        packing.pack(restorer(800), opened, False)
    assert packing.pack(restorer(800), opened, False, force=True).notes[-1] == "the restorer overwrote 1 bytes"


def test_a_swap_keeps_the_address_of_an_elf_file(tmp_path: Path) -> None:
    opened, packed, raw = _file(tmp_path / "image", SINGLE_CORE), tmp_path / "packed.elf", tmp_path / "packed"
    packing.write((packing.Output(packed, "elf", 0x1_0000_0000), packing.pack(restorer(800), opened, False)))
    packing.write((packing.Output(raw, "raw"), packing.pack(restorer(1200), opened, False)))
    assert packing.swap(packed, restorer(1200))[0].data == restorer(800).data
    assert elf_image.base_of(packed) == 0x1_0000_0000
    assert b"".join(streams.chunks(packed)) == b"".join(streams.chunks(raw))


@pytest.mark.parametrize("size", [0, 8, 1 << 20, (1 << 32) - 1])
def test_a_record_that_is_not_whole_is_none(size: int) -> None:
    """Invalid lengths are cheap, and invalid records stay unchanged."""
    first = restorer(800)
    data = first.data + b"gcptkept" + size.to_bytes(4, "little") + b"\x01\x02\x03\x04" + b"data"
    old, before = packing.bare(data.ljust(MIB, b"\0"), "image")
    assert (old, len(before), before[:800]) == (first, MIB, bytes(800))
    assert before[800:] == data[800:].ljust(MIB - 800, b"\0")


@pytest.mark.parametrize(
    ("data", "says"),
    [
        (b"", "not a restorer"),
        (restorer_bytes(800)[:7], "not a restorer"),
        (b"\x13" * 800, "not a restorer"),
        (b"\x6f\0\0\0" + (2 * MIB).to_bytes(4, "little"), "not a restorer"),
        (restorer_bytes(800)[:799], "truncated: 799 of 800 bytes"),
    ],
)
def test_no_restorer(tmp_path: Path, data: bytes, says: str) -> None:
    path = tmp_path / "gcpt.bin"
    path.write_bytes(data)
    with pytest.raises(UserError, match=says):
        packing.read(path)


def test_a_payload_stays_out(tmp_path: Path) -> None:
    path = tmp_path / "gcpt.bin"
    path.write_bytes(restorer_bytes(800) + b"payload")
    assert packing.read(path).data == restorer_bytes(800)


# Formats with addresses.

#: Pieces of an image by page, as bytes from the page's start, and the image's length in bytes.
IMAGES = st.tuples(
    st.dictionaries(st.integers(0, 900), st.binary(min_size=1, max_size=5000), max_size=6), st.integers(1, 900 * 4096)
)


def _image(parts: tuple[dict[int, bytes], int]) -> bytes:
    pieces, length = parts
    content = bytearray(length)
    for page, data in pieces.items():
        content[4096 * page :][: len(data)] = data
        content[4096 * page : 4096 * page + len(data)] = data
    return bytes(content[:length])


def _chunks(content: bytes, size: int) -> list[bytes]:
    return [content[start : start + size] for start in range(0, len(content), size)]


@given(IMAGES, st.sampled_from([4096, 65_537, 1 << 20]))
def test_pages(parts: tuple[dict[int, bytes], int], size: int) -> None:
    content = _image(parts)
    pages = list(streams.pages(_chunks(content, size)))
    again = bytearray(len(content))
    for offset, page in pages:
        assert offset % 4096 == 0 and (len(page) == 4096 or offset + len(page) == len(content))
        again[offset : offset + len(page)] = page
    assert again == content
    assert sum(1 for _, page in pages if not any(page)) <= 1
    assert pages[-1][0] + len(pages[-1][1]) == len(content)


@given(IMAGES)
def test_elf(parts: tuple[dict[int, bytes], int]) -> None:
    """pyelftools and gcpt read the same content."""
    content = _image(parts)
    with tempfile.NamedTemporaryFile() as file:
        assert elf_image.write(file.file, streams.pages(_chunks(content, 1 << 20)), 0x8000_0000) == len(content)
        file.flush()
        elf = ELFFile(file.file)
        assert (elf["e_machine"], elf["e_type"], elf["e_entry"]) == ("EM_RISCV", "ET_EXEC", 0x8000_0000)
        memory = bytearray(len(content))
        end = 0
        for segment in elf.iter_segments():
            start = segment["p_paddr"] - 0x8000_0000
            assert segment["p_type"] == "PT_LOAD" and segment["p_vaddr"] == segment["p_paddr"] and start >= end
            assert segment["p_memsz"] == segment["p_filesz"] and segment["p_offset"] % segment["p_align"] == 0
            memory[start : start + segment["p_filesz"]] = segment.data()
            end = start + segment["p_filesz"]
        assert memory == content
        first = elf_image.base_of(Path(file.name)) - 0x8000_0000
        assert b"".join(streams.chunks(Path(file.name))) == content[first:]


@given(
    IMAGES, st.dictionaries(st.sampled_from(["tohost", "fromhost", "begin_signature"]), st.integers(0, (1 << 64) - 1))
)
def test_elf_with_symbols(parts: tuple[dict[int, bytes], int], symbols: dict[str, int]) -> None:
    """Sections and symbols do not change what is loaded; pyelftools finds each symbol."""
    content = _image(parts)
    with tempfile.NamedTemporaryFile() as file:
        elf_image.write(file.file, streams.pages(_chunks(content, 1 << 20)), 0x8000_0000, symbols)
        file.flush()
        elf = ELFFile(file.file)
        assert 0 < elf["e_shstrndx"] < elf["e_shnum"]
        table = elf.get_section_by_name(".symtab")
        assert {symbol.name: symbol["st_value"] for symbol in table.iter_symbols() if symbol.name} == symbols
        assert {symbol["st_size"] for symbol in table.iter_symbols() if symbol.name} <= {8}
        first = elf_image.base_of(Path(file.name)) - 0x8000_0000
        assert b"".join(streams.chunks(Path(file.name))) == content[first:]


@pytest.mark.parametrize(
    ("offset", "data", "says"),
    [
        (4, b"\x01", "not a 64-bit little-endian ELF file"),
        (18, b"\x3e\0", "not a RISC-V ELF file"),
        (32, (1 << 40).to_bytes(8, "little"), "is truncated"),
        (0x2000 + 32, (1 << 40).to_bytes(8, "little"), "is truncated"),
        (0x2000 + 24, (0x8020_0001).to_bytes(8, "little"), "its segments overlap"),
        (0x2000 + 56 + 24, (1 << 62).to_bytes(8, "little"), "too far apart"),
    ],
)
def test_an_elf_file_that_cannot_be(tmp_path: Path, offset: int, data: bytes, says: str) -> None:
    path = tmp_path / "elf"
    content = b"first".ljust(1 << 21, b"\0") + b"second"
    with path.open("w+b") as file:
        elf_image.write(file, streams.pages([content]), 0x8000_0000)
        file.flush()
        table = int.from_bytes(path.read_bytes()[32:40], "little")
        file.seek(offset if offset < 0x2000 else table + offset - 0x2000)
        file.write(data)
    with pytest.raises(UserError, match=says):
        list(streams.chunks(path))


def read_hex(text: str, width: int) -> dict[int, int]:
    """Parse as $readmemh does (IEEE 1364-2005, 17.2.9): bytes by address, lowest byte of a word first."""
    memory, at = {}, 0
    for token in re.sub(r"//.*|/\*.*?\*/", "", text).split():
        if token.startswith("@"):
            at = int(token[1:], 16)
            continue
        assert len(token) == 2 * width
        for byte in range(width):
            memory[width * at + byte] = int(token, 16) >> 8 * byte & 0xFF
        at += 1
    return memory


@pytest.mark.parametrize("all_pages", [False, True])
def test_hex_with_zeros(tmp_path: Path, all_pages: bool) -> None:
    """All pages on demand, else those of which a byte is read; never one beyond the image."""
    content, path = bytearray(40 * 4096 + 24), tmp_path / "image.hex"
    content[4096] = 1
    image = packing.Packed(
        iter([bytes(content)]), reads=[(8200, 8201), (20 * 4096 - 8, 20 * 4096 + 8), (1 << 20, 1 << 21)]
    )
    out = packing.Output(path, "hex", 0, 8, all_pages)
    assert packing.write((out, image)) == [len(content)]
    memory = read_hex(path.read_text(), 8)
    pages = range(41) if all_pages else [1, 2, 19, 20, 40]
    assert sorted(memory) == [at for page in pages for at in range(4096 * page, min(4096 * page + 4096, len(content)))]
    assert [at for at, byte in memory.items() if byte] == [4096]


@pytest.mark.parametrize("width", verilog_hex.WIDTHS)
@pytest.mark.parametrize("base", [0, 0x8000_0000])
def test_hex(width: int, base: int) -> None:
    content = bytes(range(1, 201)) + bytes(1 << 16) + b"more" + bytes(5000) + b"odd"
    out = io.BytesIO()
    assert verilog_hex.write(out, streams.pages([content]), width, base) == len(content)
    memory = read_hex(out.getvalue().decode(), width)
    assert {at - base: byte for at, byte in memory.items() if byte} == {at: b for at, b in enumerate(content) if b}
    assert len(memory) <= 3 * 4096 + width  # zeros are left out
