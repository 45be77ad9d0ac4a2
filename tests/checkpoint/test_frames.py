"""Rows of gzip members and zstd frames: every byte of content, or an error that names the place."""

import gzip
import random
import subprocess
import tempfile
from pathlib import Path

import pytest
import zstandard
from hypothesis import given, settings
from hypothesis import strategies as st

from gcpt.checkpoint import containers, frames, streams
from gcpt.errors import UserError

PROGRAMS = {"gzip": "gzip", "zstd": "zstd"}
#: A part of a file and its content.
Part = tuple[bytes, bytes]


@st.composite
def _content(draw: st.DrawFn) -> bytes:
    """Data of a frame: none, short, or longer than a read; repeated or not."""
    length = draw(st.sampled_from((0, 1, 3, 300, 5000, 200_000)))
    seed = draw(st.integers(0, 1 << 30))
    # No content that starts like a container of its own.
    return b"\x13" * min(length, 1) + random.Random(seed).randbytes(max(0, length - 1))


@st.composite
def _frame(draw: st.DrawFn, name: str) -> Part:
    data = draw(_content())
    if name == "gzip":
        return gzip.compress(data, draw(st.sampled_from((0, 1, 9))), mtime=draw(st.integers(0, 1 << 31))), data
    options = {key: draw(st.booleans()) for key in ("write_checksum", "write_content_size")}
    return zstandard.ZstdCompressor(draw(st.sampled_from((1, 3, 19))), **options).compress(data), data


@st.composite
def _skippable(draw: st.DrawFn) -> Part:
    length = draw(st.sampled_from((0, 1, 4, 5000, 100_000)))
    magic = bytes((0x50 | draw(st.integers(0, 15)),)) + b"\x2a\x4d\x18"
    inner = draw(st.sampled_from((b"\x28\xb5\x2f\xfd", b"\x1f\x8b\x08\0", b"data")))
    return magic + length.to_bytes(4, "little") + (inner * length)[:length], b""


def _padding() -> st.SearchStrategy[Part]:
    return st.sampled_from((1, 3, 4, 5000, 70_000)).map(lambda size: (bytes(size), b""))


@st.composite
def _file(draw: st.DrawFn, padding: bool = True) -> tuple[str, list[Part]]:
    """A container, and the parts of a file in it: the first is not padding, which a raw file starts with."""
    name = draw(st.sampled_from(("gzip", "zstd")))
    kinds = [_frame(name), *([_skippable()] if name == "zstd" else [])]
    first = draw(st.one_of(*kinds))
    rest = draw(st.lists(st.one_of(*kinds, *([_padding()] if padding else [])), max_size=6))
    return name, [first, *rest]


def _read(data: bytes) -> bytes:
    with tempfile.NamedTemporaryFile() as file:
        file.write(data)
        file.flush()
        chunks = list(streams.chunks(Path(file.name)))
    assert all(0 < len(chunk) <= 1 << 20 for chunk in chunks)
    return b"".join(chunks)


@given(_file())
@settings(max_examples=60)
def test_any_row_of_parts(file: tuple[str, list[Part]]) -> None:
    _, parts = file
    assert _read(b"".join(data for data, _ in parts)) == b"".join(content for _, content in parts)


@given(_file(padding=False))
@settings(max_examples=20)
def test_as_the_commands_do(file: tuple[str, list[Part]]) -> None:
    """``gzip -dc`` and ``zstd -dc`` give the same content."""
    name, parts = file
    data = b"".join(data for data, _ in parts)
    run = subprocess.run([PROGRAMS[name], "-dc"], input=data, capture_output=True, check=True)
    assert _read(data) == run.stdout


@given(_file(), st.integers(1, 40), st.integers(1, 40), st.sampled_from((1, 7, 1 << 12)))
@settings(max_examples=60)
def test_wherever_reads_end(file: tuple[str, list[Part]], read: int, first: int, piece: int) -> None:
    """Magic numbers, headers and checksums are cut anywhere by the ends of reads."""
    name, parts = file
    parts = [(data, content) for data, content in parts if len(data) < 6000]
    with tempfile.NamedTemporaryFile() as target, pytest.MonkeyPatch.context() as patch:
        target.write(b"".join(data for data, _ in parts))
        target.flush()
        target.seek(0)
        patch.setattr(frames, "_READ", read)
        patch.setattr(frames, "_FIRST", first)
        content = b"".join(frames.decompress(target.file, name, piece))
    assert content == b"".join(content for _, content in parts)


@given(_file(), st.integers(1, 6), st.binary(min_size=1, max_size=300))
@settings(max_examples=60)
def test_stray_data_is_an_error_at_its_offset(file: tuple[str, list[Part]], place: int, stray: bytes) -> None:
    name, parts = file
    magics = {"gzip": (b"\x1f",), "zstd": (b"\x28", *(bytes((0x50 | low,)) for low in range(16)))}[name]
    if stray[0] == 0 or stray.startswith(magics):
        stray = b"\x13" + stray
    place = min(place, len(parts))
    before = b"".join(data for data, _ in parts[:place])
    with pytest.raises(UserError, match=rf"at byte {len(before):#x}, after {name} data: copy the file again"):
        _read(before + stray + b"".join(data for data, _ in parts[place:]))


@given(_file(), st.integers(0, 1 << 20), st.integers(0, 7))
@settings(max_examples=60)
def test_a_flipped_bit_loses_nothing(file: tuple[str, list[Part]], at: int, bit: int) -> None:
    """In the magic number of any part but the first: an error, or a part that is skipped as the format wants."""
    _, parts = file
    starts = [len(b"".join(data for data, _ in parts[:number])) for number in range(1, len(parts))]
    starts = [start for start, (data, content) in zip(starts, parts[1:], strict=True) if content]
    if not starts:
        return
    data = bytearray(b"".join(data for data, _ in parts))
    data[starts[at % len(starts)] + at % 2] ^= 1 << bit
    with pytest.raises(UserError):
        _read(bytes(data))


@pytest.mark.parametrize("name", ["gzip", "zstd"])
@pytest.mark.parametrize("level", [1, 9])
def test_a_cut_at_every_byte(name: str, level: int, tmp_path: Path) -> None:
    """An error or the whole content; of several frames, all before the cut at a frame's end."""
    content = b"\x13" + random.Random(level).randbytes(200) + bytes(500)
    skippable = b"\x53\x2a\x4d\x18\x05\0\0\0hello"
    packed = gzip.compress(content, level) if name == "gzip" else zstandard.ZstdCompressor(level).compress(content)
    parts = [(packed, content), (bytes(5), b""), (packed, content), (bytes(9), b"")]
    if name == "zstd":
        parts = [(skippable, b""), *parts[:1], (skippable, b""), *parts[1:], (skippable, b"")]
    whole, ends, at, so_far = b"".join(data for data, _ in parts), {}, 0, b""
    for data, part in parts:
        if not data.strip(b"\0"):  # padding may end anywhere
            ends |= dict.fromkeys(range(at, at + len(data)), so_far)
        at, so_far = at + len(data), so_far + part
        ends[at] = so_far
    for cut in range(4, len(whole) + 1):
        if cut in ends:
            assert _read(whole[:cut]) == ends[cut], cut
            continue
        with pytest.raises(UserError, match="the file ends in the middle of"):
            _read(whole[:cut])


def test_what_pzstd_writes(tmp_path: Path) -> None:
    """It starts with a skippable frame, and has one before each frame."""
    content = b"\x13" + random.Random(1).randbytes(20 << 20)
    path, packed = tmp_path / "content", tmp_path / "content.zst"
    path.write_bytes(content)
    subprocess.run(["pzstd", "-q", "-1", "-p", "3", str(path), "-o", str(packed)], check=True)
    assert containers.is_skippable(packed.read_bytes()[:4])
    assert containers.container_of(packed) == "zstd"
    assert b"".join(streams.chunks(packed)) == content


def test_many_small_frames(tmp_path: Path) -> None:
    path = tmp_path / "many"
    path.write_bytes(zstandard.ZstdCompressor().compress(b"\x13") * 50_000)
    assert b"".join(streams.chunks(path)) == b"\x13" * 50_000
