"""Checkpoint files: containers by their first bytes, sparse output, damage that is reported."""

import gzip
from collections.abc import Callable
from pathlib import Path

import pytest
import zstandard

from gcpt import image
from gcpt.errors import UserError

CONTENT = b"head" + bytes(300_000) + b"middle" + bytes(5_000_000) + b"tail" + bytes(1000)
PACKERS: dict[str, Callable[[bytes], bytes]] = {
    "raw": bytes,
    "gzip": gzip.compress,
    "zstd": zstandard.ZstdCompressor().compress,
}


@pytest.fixture(params=PACKERS)
def packed(request: pytest.FixtureRequest, tmp_path: Path) -> Path:
    """CONTENT in each container, under a name that lies."""
    path = tmp_path / {"raw": "a.zst", "gzip": "a.raw", "zstd": "a.gz"}[request.param]
    path.write_bytes(PACKERS[request.param](CONTENT))
    return path


@pytest.mark.parametrize("name", PACKERS)
def test_container(name: str) -> None:
    assert image.container(PACKERS[name](CONTENT)[:4]) == name


def test_container_of_nothing() -> None:
    assert image.container(b"") == "raw"


def test_chunks_are_the_content_and_never_empty(packed: Path) -> None:
    chunks = list(image.chunks(packed))
    assert b"".join(chunks) == CONTENT
    assert all(chunks)


@pytest.mark.parametrize("size", [0, 1, 4, 300_010, len(CONTENT), len(CONTENT) + 1])
def test_prefix(packed: Path, size: int) -> None:
    assert image.read_prefix(packed, size) == CONTENT[:size]


@pytest.mark.parametrize("size", [0, 8_000_000])
def test_unpack_is_sparse(packed: Path, tmp_path: Path, size: int) -> None:
    out = tmp_path / "out"
    assert image.unpack(packed, out, size) == len(CONTENT)
    assert out.read_bytes() == CONTENT + bytes(max(0, size - len(CONTENT)))
    assert out.stat().st_blocks * 512 < 1_000_000


@pytest.mark.parametrize("name", ["gzip", "zstd"])
def test_several_frames(name: str, tmp_path: Path) -> None:
    path = tmp_path / "a"
    path.write_bytes(PACKERS[name](CONTENT) + PACKERS[name](b"more"))
    assert b"".join(image.chunks(path)) == CONTENT + b"more"


@pytest.mark.parametrize("name", ["gzip", "zstd"])
@pytest.mark.parametrize("padding", [1, 3, 4, 5000])
def test_padding_after_the_last_frame(name: str, padding: int, tmp_path: Path) -> None:
    path = tmp_path / "a"
    path.write_bytes(PACKERS[name](CONTENT) + bytes(padding))
    assert b"".join(image.chunks(path)) == CONTENT


@pytest.mark.parametrize("name", ["gzip", "zstd"])
def test_cut_short(name: str, tmp_path: Path) -> None:
    path = tmp_path / "a"
    packed = PACKERS[name](CONTENT)
    path.write_bytes(packed[: len(packed) - 5])
    with pytest.raises(UserError, match=r"/a: the file ends in the middle"):
        list(image.chunks(path))


@pytest.mark.parametrize("name", ["gzip", "zstd"])
def test_damaged(name: str, tmp_path: Path) -> None:
    path = tmp_path / "a"
    packed = bytearray(PACKERS[name](bytes(range(256)) * 1000))
    packed[4:30] = b"\xff" * 26
    path.write_bytes(packed)
    with pytest.raises(UserError, match=r"/a: damaged: "):
        list(image.chunks(path))


def test_no_such_file(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"nothing: No such file"):
        image.read_prefix(tmp_path / "nothing", 1)


def test_pieces(tmp_path: Path) -> None:
    out = tmp_path / "out"
    image.write_pieces(out, [(5, b"five"), (1_000_000, b"million")], 2_000_000)
    content = out.read_bytes()
    assert len(content) == 2_000_000
    assert (content[5:9], content[1_000_000:1_000_007]) == (b"five", b"million")
    assert content.count(0) == 2_000_000 - 11
