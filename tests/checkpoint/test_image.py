"""Checkpoint files: containers by their first bytes, sparse output, damage that is reported."""

import contextlib
import gzip
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import zstandard
from hypothesis import given
from hypothesis import strategies as st

from gcpt.checkpoint import image
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


def _unpacked(path: Path, name: str) -> bytes:
    """By the command-line programs, which are nobody's work here."""
    if name == "raw":
        return path.read_bytes()
    program = {"gzip": "gzip", "zstd": "zstd"}[name]
    return subprocess.run([program, "-dc"], stdin=path.open("rb"), capture_output=True, check=True).stdout


@pytest.mark.parametrize("name", image.CONTAINERS)
def test_write(name: str, tmp_path: Path) -> None:
    out, again = tmp_path / "out", tmp_path / "again"
    content = CONTENT + bytes(-len(CONTENT) % (128 << 10)) if name == "zstd" else CONTENT
    for path in (out, again):
        assert image.write(path, [CONTENT[:7], CONTENT[7:]], name) == len(content)
    assert _unpacked(out, name) == content
    assert out.read_bytes() == again.read_bytes()
    assert image.container_of(out) == name
    assert out.stat().st_blocks * 512 < 1_000_000


def _interrupted() -> Iterator[bytes]:
    yield b"new"
    raise KeyboardInterrupt


@pytest.mark.parametrize("name", image.CONTAINERS)
def test_an_interrupted_write_leaves_all_as_it_was(name: str, tmp_path: Path) -> None:
    out = tmp_path / "out"
    out.write_bytes(b"old")
    with pytest.raises(KeyboardInterrupt):
        image.write(out, _interrupted(), name)
    assert (out.read_bytes(), list(tmp_path.iterdir())) == (b"old", [out])


def test_a_full_disk_leaves_all_as_it_was(tmp_path: Path) -> None:
    out = tmp_path / "out"
    out.write_bytes(b"old")
    program = (
        "import resource, signal; from pathlib import Path; from gcpt.checkpoint import image;"
        "signal.signal(signal.SIGXFSZ, signal.SIG_IGN); resource.setrlimit(resource.RLIMIT_FSIZE, (1000, 1000));"
        f"image.write(Path({str(out)!r}), [b'x' * 100_000], 'raw')"
    )
    environment = {"PYTHONPATH": str(Path(image.__file__).parents[2])}
    run = subprocess.run([sys.executable, "-c", program], env=environment, capture_output=True, text=True, check=False)
    assert "UserError" in run.stderr and "File too large: nothing was written" in run.stderr
    assert (out.read_bytes(), list(tmp_path.iterdir())) == (b"old", [out])


def test_a_target_keeps_its_mode_and_its_link(tmp_path: Path) -> None:
    real, link = tmp_path / "real", tmp_path / "link"
    real.write_bytes(b"old")
    real.chmod(0o640)
    link.symlink_to(real)
    image.write(link, [b"new"], "raw")
    assert link.is_symlink() and real.read_bytes() == b"new" and real.stat().st_mode & 0o777 == 0o640


def test_a_folder_that_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"x: No such file or directory: nothing was written"):
        image.write(tmp_path / "none" / "x", [], "raw")


@given(
    st.lists(st.binary(max_size=9), max_size=6),
    st.lists(st.tuples(st.integers(0, 60), st.binary(max_size=20)), max_size=5),
)
def test_patched(content: list[bytes], pieces: list[tuple[int, bytes]]) -> None:
    wanted = bytearray(b"".join(content))
    for offset, data in pieces:
        if data:
            wanted += bytes(max(0, offset + len(data) - len(wanted)))
            wanted[offset : offset + len(data)] = data
    assert b"".join(image.patched(content, pieces)) == wanted


def test_holes_are_not_read(tmp_path: Path) -> None:
    """A raw image of 16 GiB with some bytes in it goes through in no time, and all of it."""
    path = tmp_path / "big"
    image.write_pieces(path, [(5 << 30, b"here"), (16 << 30, b"end")], (16 << 30) + 3)
    before = _read_by_this_process()
    length = sum(map(len, image.chunks(path)))
    assert length == (16 << 30) + 3
    assert _read_by_this_process() - before < 1 << 20


def _read_by_this_process() -> int:
    """Bytes that read calls gave this process."""
    return int(Path("/proc/self/io").read_text().split()[1])


@pytest.mark.parametrize("name", ["gzip", "zstd"])
def test_memory_stays_small(name: str, tmp_path: Path) -> None:
    """4 GiB of zeros, out and in: kilobytes of a file."""
    path = tmp_path / "zeros"
    program = (
        "import re; from pathlib import Path; from gcpt.checkpoint import image;"
        f"path = Path({str(path)!r}); zeros = bytes(1 << 20);"
        f"image.write(path, (zeros for _ in range(4096)), {name!r});"
        "assert sum(map(len, image.chunks(path))) == 4 << 30;"
        "print(re.search(r'VmHWM:\\s+(\\d+)', Path('/proc/self/status').read_text())[1])"
    )
    environment = {"PYTHONPATH": str(Path(image.__file__).parents[2])}
    run = subprocess.run([sys.executable, "-c", program], env=environment, capture_output=True, text=True, check=True)
    assert int(run.stdout) < 200 << 10


def test_a_window_of_gigabytes_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "wide"
    subprocess.run(["zstd", "-q", "--ultra", "--long=31", "-o", path], input=bytes(300 << 20), check=True)
    with pytest.raises(UserError, match=r"wide: damaged: .*(memory|window)"):
        list(image.chunks(path))


@given(st.sampled_from(["gzip", "zstd"]), st.binary(max_size=200), st.integers(0, 1 << 16))
def test_any_bytes_after_a_magic(name: str, data: bytes, seed: int) -> None:
    """Content or one line, whatever follows: random bytes, and a real stream with a byte changed."""
    real = bytearray(PACKERS[name](bytes(range(200)) * 20))
    real[seed % len(real)] ^= 1 << seed % 8
    for content in (image._MAGICS[name] + data, bytes(real)):
        with tempfile.NamedTemporaryFile() as file:
            file.write(content)
            file.flush()
            with contextlib.suppress(UserError):
                assert all(len(chunk) <= 1 << 20 for chunk in image.chunks(Path(file.name)))
