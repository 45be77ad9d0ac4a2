"""Reading files of every container, and reports of damage."""

import contextlib
import subprocess
import sys
import tempfile
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from packers import CONTENT, PACKERS

from gcpt.checkpoint import containers, output, streams
from gcpt.errors import UserError


@pytest.fixture(params=PACKERS)
def packed(request: pytest.FixtureRequest, tmp_path: Path) -> Path:
    """A file with CONTENT in each container, with the ending of another one."""
    path = tmp_path / {"raw": "a.zst", "gzip": "a.raw", "zstd": "a.gz"}[request.param]
    path.write_bytes(PACKERS[request.param](CONTENT))
    return path


def test_chunks_are_the_content_and_never_empty(packed: Path) -> None:
    chunks = list(streams.chunks(packed))
    assert b"".join(chunks) == CONTENT
    assert all(chunks)


@given(st.lists(st.integers(0, 1200).map(lambda size: size - 600), max_size=5), st.integers(0, 5000))
def test_holes_are_zeros(runs: list[int], tail: int) -> None:
    """Data and holes (negative) of some 4 KiB blocks each, in any order, also at the end of the file."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "raw")
        with path.open("wb") as file:
            for run in runs:
                file.write(b"\xa5" * (4096 * run)) if run > 0 else file.seek(4096 * -run, 1)
            file.truncate(file.tell() + tail)
        chunks = list(streams.raw_chunks(path))
        assert all(0 < len(chunk) <= streams.PIECE for chunk in chunks)
        assert b"".join(chunks) == path.read_bytes()


@pytest.mark.parametrize("size", [0, 1, 4, 300_010, len(CONTENT), len(CONTENT) + 1])
def test_prefix(packed: Path, size: int) -> None:
    assert streams.read_prefix(packed, size) == CONTENT[:size]


@pytest.mark.parametrize("size", [0, 8_000_000])
def test_unpack_is_sparse(packed: Path, tmp_path: Path, size: int) -> None:
    out = tmp_path / "out"
    assert output.unpack(packed, out, size) == len(CONTENT)
    assert out.read_bytes() == CONTENT + bytes(max(0, size - len(CONTENT)))
    assert out.stat().st_blocks * 512 < 1_000_000


@pytest.mark.parametrize("name", ["gzip", "zstd"])
def test_several_frames(name: str, tmp_path: Path) -> None:
    path = tmp_path / "a"
    path.write_bytes(PACKERS[name](CONTENT) + PACKERS[name](b"more"))
    assert b"".join(streams.chunks(path)) == CONTENT + b"more"


@pytest.mark.parametrize("name", ["gzip", "zstd"])
@pytest.mark.parametrize("padding", [1, 3, 4, 5000])
def test_padding_after_the_last_frame(name: str, padding: int, tmp_path: Path) -> None:
    path = tmp_path / "a"
    path.write_bytes(PACKERS[name](CONTENT) + bytes(padding))
    assert b"".join(streams.chunks(path)) == CONTENT


@pytest.mark.parametrize("name", ["gzip", "zstd"])
def test_cut_short(name: str, tmp_path: Path) -> None:
    path = tmp_path / "a"
    packed = PACKERS[name](CONTENT)
    path.write_bytes(packed[: len(packed) - 5])
    with pytest.raises(UserError, match=r"/a: the file ends in the middle"):
        list(streams.chunks(path))


@pytest.mark.parametrize("name", ["gzip", "zstd"])
def test_damaged(name: str, tmp_path: Path) -> None:
    path = tmp_path / "a"
    packed = bytearray(PACKERS[name](bytes(range(256)) * 1000))
    packed[4:30] = b"\xff" * 26
    path.write_bytes(packed)
    with pytest.raises(UserError, match=r"/a: damaged: "):
        list(streams.chunks(path))


def test_no_such_file(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"nothing: No such file"):
        streams.read_prefix(tmp_path / "nothing", 1)


def test_holes_are_not_read(tmp_path: Path) -> None:
    """Reading a sparse raw image of 16 GiB reads less than 1 MiB from the file."""
    path = tmp_path / "big"
    output.write_pieces(path, [(5 << 30, b"here"), (16 << 30, b"end")], (16 << 30) + 3)
    before = _bytes_read()
    length = sum(map(len, streams.chunks(path)))
    assert length == (16 << 30) + 3
    assert _bytes_read() - before < 1 << 20


def _bytes_read() -> int:
    """Bytes that this process got from read calls."""
    return int(Path("/proc/self/io").read_text().split()[1])


@pytest.mark.parametrize("name", ["gzip", "zstd"])
def test_memory_stays_small(name: str, tmp_path: Path) -> None:
    """Writing and reading 4 GiB of zeros needs less than 200 MiB of memory."""
    path = tmp_path / "zeros"
    program = (
        "import re; from pathlib import Path; from gcpt.checkpoint import output, streams;"
        f"path = Path({str(path)!r}); zeros = bytes(1 << 20);"
        f"output.write(path, (zeros for _ in range(4096)), {name!r});"
        "assert sum(map(len, streams.chunks(path))) == 4 << 30;"
        "print(re.search(r'VmHWM:\\s+(\\d+)', Path('/proc/self/status').read_text())[1])"
    )
    environment = {"PYTHONPATH": str(Path(output.__file__).parents[2])}
    run = subprocess.run([sys.executable, "-c", program], env=environment, capture_output=True, text=True, check=True)
    assert int(run.stdout) < 200 << 10


def test_a_window_of_gigabytes_is_read(tmp_path: Path) -> None:
    path = tmp_path / "wide"
    subprocess.run(["zstd", "-q", "--ultra", "--long=31", "-o", path], input=bytes(300 << 20), check=True)
    assert sum(map(len, streams.chunks(path))) == 300 << 20


@given(st.sampled_from(["gzip", "zstd"]), st.binary(max_size=200), st.integers(0, 1 << 16))
def test_any_bytes_after_a_magic(name: str, data: bytes, seed: int) -> None:
    """Random bytes after a magic number, and a real stream with a changed bit, give content or one error line."""
    real = bytearray(PACKERS[name](bytes(range(200)) * 20))
    real[seed % len(real)] ^= 1 << seed % 8
    for content in (containers.MAGICS[name] + data, bytes(real)):
        with tempfile.NamedTemporaryFile() as file:
            file.write(content)
            file.flush()
            with contextlib.suppress(UserError):
                assert all(len(chunk) <= 1 << 20 for chunk in streams.chunks(Path(file.name)))
