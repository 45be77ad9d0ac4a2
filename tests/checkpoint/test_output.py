"""Written files: sparse, reproducible, and complete or not there at all."""

import random
import subprocess
import sys
import zlib
from collections.abc import Iterator
from pathlib import Path

import pytest
import zstandard
from packers import CONTENT, PACKERS

from gcpt.checkpoint import containers, output
from gcpt.checkpoint.layouts import MIB
from gcpt.errors import UserError


def test_pieces(tmp_path: Path) -> None:
    out = tmp_path / "out"
    output.write_pieces(out, [(5, b"five"), (1_000_000, b"million")], 2_000_000)
    content = out.read_bytes()
    assert len(content) == 2_000_000
    assert (content[5:9], content[1_000_000:1_000_007]) == (b"five", b"million")
    assert content.count(0) == 2_000_000 - 11


def _unpacked(path: Path, name: str) -> bytes:
    """The content according to the gzip and zstd commands."""
    if name == "raw":
        return path.read_bytes()
    program = {"gzip": "gzip", "zstd": "zstd"}[name]
    return subprocess.run([program, "-dc"], stdin=path.open("rb"), capture_output=True, check=True).stdout


@pytest.mark.parametrize("name", containers.CONTAINERS)
def test_write(name: str, tmp_path: Path) -> None:
    out, again = tmp_path / "out", tmp_path / "again"
    content = CONTENT + bytes(-len(CONTENT) % (128 << 10)) if name == "zstd" else CONTENT
    for path in (out, again):
        assert output.write(path, [CONTENT[:7], CONTENT[7:]], name) == len(content)
    assert _unpacked(out, name) == content
    assert out.read_bytes() == again.read_bytes()
    assert containers.container_of(out) == name
    assert out.stat().st_blocks * 512 < 1_000_000


def _start(data: bytes, name: str) -> tuple[bytes, bytes]:
    """The content of the first frame or member according to other libraries, and the bytes after it."""
    stream = zlib.decompressobj(31) if name == "gzip" else zstandard.ZstdDecompressor().decompressobj()
    return stream.decompress(data), stream.unused_data


@pytest.mark.parametrize("size", [0, 7, MIB - 1, MIB, MIB + 1, 3 * MIB + 5])
@pytest.mark.parametrize("piece", [1000, 1 << 17, MIB, 3 * MIB])
@pytest.mark.parametrize("name", ["gzip", "zstd"])
def test_the_first_mib_has_a_frame_of_its_own(name: str, piece: int, size: int, tmp_path: Path) -> None:
    out, content = tmp_path / "out", random.Random(1).randbytes(size)
    length = output.write(out, (content[at : at + piece] for at in range(0, size, piece)), name)
    content = content.ljust(length, b"\0")
    start, rest = _start(out.read_bytes(), name)
    assert start == content[:MIB] and bool(rest) == (length > MIB)
    assert _unpacked(out, name) == content


@pytest.mark.parametrize("name", ["gzip", "zstd"])
def test_the_first_mib_is_replaced_alone(name: str, tmp_path: Path) -> None:
    """The rest is copied as it is, even if it is damaged; the same bytes as from a file that is written whole."""
    out, whole = tmp_path / "out", tmp_path / "whole"
    old, new, rest = bytes(MIB), b"new".ljust(MIB, b"\0"), CONTENT[: 2 * MIB]
    output.write(out, [old, rest], name)
    output.write(whole, [new, rest], name)
    damaged = bytearray(out.read_bytes())
    assert output.replace_start(out, new) and out.read_bytes() == whole.read_bytes()
    damaged[-20] ^= 1
    out.write_bytes(damaged)
    assert output.replace_start(out, new)
    assert _start(out.read_bytes(), name)[1] == _start(bytes(damaged), name)[1]


@pytest.mark.parametrize("name", containers.CONTAINERS)
def test_files_of_others_have_no_start_to_replace(name: str, tmp_path: Path) -> None:
    """Whatever their first frame holds."""
    for content in (CONTENT[: 3 * MIB], bytes(MIB + 1), bytes(MIB - 1)):
        out = tmp_path / "out"
        out.write_bytes(PACKERS[name](content) + (PACKERS[name](CONTENT) if name != "raw" else b""))
        before = out.read_bytes()
        assert not output.replace_start(out, b"new".ljust(MIB, b"\0"))
        assert out.read_bytes() == before
    assert list(tmp_path.iterdir()) == [out]


def _interrupted() -> Iterator[bytes]:
    yield b"new"
    raise KeyboardInterrupt


@pytest.mark.parametrize("name", containers.CONTAINERS)
def test_an_interrupted_write_changes_nothing(name: str, tmp_path: Path) -> None:
    out = tmp_path / "out"
    out.write_bytes(b"old")
    with pytest.raises(KeyboardInterrupt):
        output.write(out, _interrupted(), name)
    assert (out.read_bytes(), list(tmp_path.iterdir())) == (b"old", [out])


def test_a_full_disk_changes_nothing(tmp_path: Path) -> None:
    out = tmp_path / "out"
    out.write_bytes(b"old")
    program = (
        "import resource, signal; from pathlib import Path; from gcpt.checkpoint import output;"
        "signal.signal(signal.SIGXFSZ, signal.SIG_IGN); resource.setrlimit(resource.RLIMIT_FSIZE, (1000, 1000));"
        f"output.write(Path({str(out)!r}), [b'x' * 100_000], 'raw')"
    )
    environment = {"PYTHONPATH": str(Path(output.__file__).parents[2])}
    run = subprocess.run([sys.executable, "-c", program], env=environment, capture_output=True, text=True, check=False)
    assert "UserError" in run.stderr and "File too large: nothing was written" in run.stderr
    assert (out.read_bytes(), list(tmp_path.iterdir())) == (b"old", [out])


def test_a_target_keeps_its_mode_and_its_link(tmp_path: Path) -> None:
    real, link = tmp_path / "real", tmp_path / "link"
    real.write_bytes(b"old")
    real.chmod(0o640)
    link.symlink_to(real)
    output.write(link, [b"new"], "raw")
    assert link.is_symlink() and real.read_bytes() == b"new" and real.stat().st_mode & 0o777 == 0o640


def test_a_missing_folder(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"x: No such file or directory: nothing was written"):
        output.write(tmp_path / "none" / "x", [], "raw")


def test_an_interrupt_as_a_file_is_created(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Ctrl-C after the system created the file and before Python has it."""
    create = Path.open

    def create_and_interrupt(path: Path, *arguments: str) -> None:
        create(path, *arguments).close()
        raise KeyboardInterrupt

    monkeypatch.setattr(Path, "open", create_and_interrupt)
    with pytest.raises(KeyboardInterrupt), output.replacing(tmp_path / "out"):
        pass
    assert list(tmp_path.iterdir()) == []
