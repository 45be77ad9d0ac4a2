"""``gcpt set archive`` and ``extract``: images come back bit for bit; damaged and hostile archives get one line."""

import gzip
import hashlib
import json
import random
import struct
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from backports import zstd
from command import gcpt, here, refusal

from gcpt.checkpoint import output, streams
from gcpt.checkpoint.containers import container_of
from gcpt.dev import synthetic_sets
from gcpt.dev.set_archives import images
from gcpt.dev.synthetic_sets import Synthetic
from gcpt.errors import UserError
from gcpt.sets import archive_pages
from gcpt.sets.archive import open_archive
from gcpt.sets.load import scan_set

MIB = 1 << 20
TAIL = struct.Struct("<QQQ32s8s")


def _fill(made: Synthetic, mib: int = 2) -> None:
    """Give each image its content: most of it is common to all, and its container is that of its name."""
    for (path, pieces), number in zip(_contents(made, mib), range(1000), strict=False):
        container = "gzip" if path.suffix == ".gz" else "zstd"
        output.write(path, pieces, "raw" if number % 5 == 4 else container)


def _contents(made: Synthetic, mib: int) -> Iterator[tuple[Path, Iterator[bytes]]]:
    files = [file for path in made.images.values() for file in sorted(path.parent.iterdir())]
    yield from zip(files, images(len(files), mib, 0.1), strict=True)


def _content(path: Path) -> bytes:
    return b"".join(streams.chunks(path))


def _files(folder: Path) -> list[str]:
    return sorted(str(path.relative_to(folder)) for path in folder.rglob("*") if not path.is_dir())


@pytest.fixture(scope="module")
def archive(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An archive of six images and their indexes."""
    folder = tmp_path_factory.mktemp("archive")
    made = synthetic_sets.make(folder / "set", points=6)
    _fill(made)
    assert here("set", "archive", made.root, "-o", folder / "set.gcptset").returncode == 0
    return folder / "set.gcptset"


@pytest.mark.parametrize("layout", synthetic_sets.LAYOUTS)
def test_every_layout_comes_back(tmp_path: Path, layout: str) -> None:
    made = synthetic_sets.make(tmp_path / "set", layout, 12)
    _fill(made)
    (made.root / "gcpt").mkdir()
    (made.root / "gcpt/gcpt.bin").write_bytes(b"restorer")
    packed, again = tmp_path / "set.gcptset", tmp_path / "again"
    assert here("set", "archive", made.root, "-o", packed).returncode == 0
    assert here("set", "extract", packed, "--check").returncode == 0
    run = here("set", "extract", packed, "-o", again, "--json")
    assert json.loads(run.stdout)["extracted"] == len(_files(made.root))
    assert _files(again) == _files(made.root)
    for name in _files(made.root):
        assert container_of(again / name) == container_of(made.root / name)
        assert _content(again / name) == _content(made.root / name)
    before, after = scan_set(made.root).whole, scan_set(again).whole
    assert after.findings == ()
    assert [(point.key, point.weight) for point in after.points] == [
        (point.key, point.weight) for point in before.points
    ]


def test_images_of_any_length_and_container(tmp_path: Path) -> None:
    rng = random.Random(3)
    contents = [b"\0", b"x", b"x" * 4095, rng.randbytes(4096), bytes(3 * MIB + 1), rng.randbytes(3 * MIB + 5)]
    writers: dict[str, Callable[[bytes], bytes]] = {
        "raw": bytes,
        "gzip": gzip.compress,
        "zstd": zstd.compress,
        "members": lambda data: gzip.compress(data[:100]) + gzip.compress(data[100:]),
        "elf": lambda data: b"\x7fELF" + data,
    }
    files = {}
    for number, (name, content) in enumerate((name, content) for name in writers for content in contents):
        path = tmp_path / f"set/mcf/{number}/_{number}_.gz"
        path.parent.mkdir(parents=True)
        path.write_bytes(writers[name](content))
        files[str(path.relative_to(tmp_path / "set"))] = (name, content)
    assert here("set", "archive", tmp_path / "set", "-o", tmp_path / "a").returncode == 0
    assert here("set", "extract", tmp_path / "a", "-o", tmp_path / "again").returncode == 0
    for path, (name, content) in files.items():
        again = tmp_path / "again" / path
        if name == "elf":
            assert again.read_bytes() == b"\x7fELF" + content
        else:
            assert _content(again) == content


@pytest.mark.parametrize(("share", "least"), [(0.05, 3.5), (0.3, 2.1), (0.7, 1.25)])
def test_it_is_smaller_than_each_image_by_itself(tmp_path: Path, share: float, least: float) -> None:
    """Eight points of a workload that rewrites a share of its pages between two points."""
    made = synthetic_sets.make(tmp_path / "set", "nemu", 48)
    kept = {key: path for key, path in made.images.items() if key[0] == "mcf"}
    for path, pieces in zip(kept.values(), images(len(kept), 4, share), strict=True):
        output.write(path, pieces, "zstd")
    run = gcpt("set", "archive", made.root, "--workload", "mcf", "-o", tmp_path / "a", "--json")
    each = sum(len(zstd.compress(_content(path), 3)) for path in kept.values())
    assert len(kept) == 8
    assert each / json.loads(run.stdout)["after"] > least


def test_pages_that_are_forgotten_are_stored_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    made = synthetic_sets.make(tmp_path / "set", points=6)
    _fill(made)
    monkeypatch.setattr(archive_pages, "_GENERATION", 7)
    monkeypatch.setattr(archive_pages, "_CACHED", 1)
    assert here("set", "archive", made.root, "-o", tmp_path / "a").returncode == 0
    assert here("set", "extract", tmp_path / "a", "-o", tmp_path / "again").returncode == 0
    for name in _files(made.root):
        assert _content(tmp_path / "again" / name) == _content(made.root / name)


def test_some_workloads(archive: Path, tmp_path: Path) -> None:
    assert here("set", "extract", archive, "-o", tmp_path / "some", "--workload", "mcf").returncode == 0
    assert {point.workload for point in scan_set(tmp_path / "some").present} == {"mcf"}
    assert "bmk: the archive has no such workload" in refusal(
        gcpt("set", "extract", archive, "--check", "--workload", "bmk")
    )


def test_an_extraction_goes_on_and_replaces_nothing(archive: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    here("set", "extract", archive, "-o", out)
    first, second, *_ = (path for path in _files(out) if "_memory_" in path)
    time = (out / second).stat().st_mtime_ns
    (out / first).unlink()
    run = here("set", "extract", archive, "-o", out, "--json")
    assert json.loads(run.stdout)["extracted"] == 1
    assert (out / second).stat().st_mtime_ns == time
    (out / first).unlink()
    (out / second).write_bytes(b"mine")
    assert "exists with another content" in refusal(gcpt("set", "extract", archive, "-o", out))
    assert (out / second).read_bytes() == b"mine"
    assert not (out / first).exists()


def test_links_in_the_folder_lead_nowhere(archive: Path, tmp_path: Path) -> None:
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / "out").mkdir()
    (tmp_path / "out/checkpoint").symlink_to(tmp_path / "elsewhere")
    assert "symbolic link" in refusal(gcpt("set", "extract", archive, "-o", tmp_path / "out"))
    assert _files(tmp_path / "elsewhere") == []


def test_a_set_that_is_not_whole_makes_no_archive(tmp_path: Path) -> None:
    made = synthetic_sets.make(tmp_path / "set", points=6)
    _fill(made)
    out = tmp_path / "a"
    out.write_bytes(b"earlier")
    (link := tmp_path / "link.gcptset").hardlink_to(made.json)
    assert "a file of the set" in refusal(gcpt("set", "archive", made.root, "-o", link))
    path = next(iter(made.images.values()))
    path.write_bytes(path.read_bytes()[:-9])
    assert str(path) in refusal(gcpt("set", "archive", made.root, "-o", out))
    path.unlink()
    run = gcpt("set", "archive", made.root, "-o", out)
    assert run.returncode == 2 and "has no image" in run.stderr
    assert out.read_bytes() == b"earlier"
    assert _files(tmp_path)[-1].startswith("set/")  # no partial file


def test_words_of_extract(archive: Path, tmp_path: Path) -> None:
    for words in ([], ["--check", "-o", tmp_path / "out"]):
        assert "give -o DIR" in refusal(gcpt("set", "extract", archive, *words))
    assert "is no archive" in refusal(
        gcpt("set", "extract", archive.parent / "set/checkpoint/checkpoint.lst", "--check")
    )
    assert "No such file" in refusal(gcpt("set", "extract", tmp_path / "none", "--check"))


def _digests(path: Path) -> dict[str, str]:
    with open_archive(path) as archive:
        contents = {entry.path: archive._reader.content(entry.stored, entry.path) for entry in archive.entries}
        return {name: hashlib.sha256(b"".join(content)).hexdigest() for name, content in contents.items()}


def test_damage_anywhere_is_found(archive: Path, tmp_path: Path) -> None:
    """Each bit flip either changes nothing that is extracted, or gets one line."""
    data, good = archive.read_bytes(), _digests(archive)
    rng = random.Random(5)
    places = [*range(16), *rng.sample(range(16, len(data)), 60), *range(len(data) - TAIL.size, len(data))]
    damaged, refused = tmp_path / "damaged", 0
    for place in places:
        damaged.write_bytes(data[:place] + bytes([data[place] ^ 1 << rng.randrange(8)]) + data[place + 1 :])
        try:
            assert _digests(damaged) == good
        except UserError as error:
            refused += 1
            assert "\n" not in str(error) and str(error).startswith(f"{damaged}: ")
    assert refused > len(places) * 0.9


@pytest.mark.parametrize("share", [0, 0.0001, 0.3, 0.9, 0.9999])
def test_an_archive_that_ends_early(archive: Path, tmp_path: Path, share: float) -> None:
    cut = tmp_path / "cut"
    cut.write_bytes(archive.read_bytes()[: int(archive.stat().st_size * share)])
    refusal(gcpt("set", "extract", cut, "-o", tmp_path / "out"))
    assert not (tmp_path / "out").exists()


def test_a_damaged_image_is_not_written(archive: Path, tmp_path: Path) -> None:
    """Those before it are; it leaves nothing, not even a partial file."""

    def change(content: dict[str, Any]) -> None:
        content["files"][3]["sha256"] = "0" * 64

    hostile = _with_index(archive, tmp_path, change)
    line = refusal(gcpt("set", "extract", hostile, "-o", tmp_path / "out"))
    with open_archive(archive) as opened:
        paths = [entry.path for entry in opened.entries]
    assert paths[3] in line and "SHA-256" in line
    assert _files(tmp_path / "out") == sorted(paths[:3])


def _with_index(archive: Path, folder: Path, change: Callable[[dict[str, Any]], object]) -> Path:
    """A copy of an archive with another index, which has its digest."""
    data = archive.read_bytes()
    at, size, _, _, end = TAIL.unpack(data[-TAIL.size :])
    content = json.loads(zstd.decompress(data[at : at + size]))
    change(content)
    text = json.dumps(content).encode()
    packed = zstd.compress(text)
    out = folder / "hostile"
    tail = TAIL.pack(at, len(packed), len(text), hashlib.sha256(packed).digest(), end)
    out.write_bytes(data[:at] + packed + tail)
    return out


def _set(name: str, value: object, place: int = 0) -> Callable[[dict[str, Any]], object]:
    return lambda content: content["files"][place].update({name: value})


@pytest.mark.parametrize(
    "change",
    [
        _set("path", "../outside"),
        _set("path", "/etc/passwd"),
        _set("path", "checkpoint/../../outside"),
        _set("path", "a//b"),
        _set("path", "."),
        _set("path", ""),
        _set("path", "a\nb"),
        _set("path", "a\x1b[2Jb"),
        _set("path", "a\0b"),
        _set("path", "\ud800"),
        _set("path", "x" * 300),
        _set("path", 7),
        _set("container", "elf"),
        _set("sha256", "0"),
        _set("size", 1 << 60),
        _set("size", -1),
        _set("size", 4096),
        _set("size", True),
        _set("size", 1.5),
        _set("runs", 1 << 40),
        _set("runs", 1),
        _set("runs_at", 0),
        _set("runs_at", 1 << 70),
        _set("runs_size", 1 << 40),
        _set("workload", "m/../cf"),
        _set("workload", ["mcf"]),
        _set("point", "-1"),
        _set("weight", 2),
        lambda content: content["files"].append(content["files"][0]),
        lambda content: content["files"][1].update(path=content["files"][0]["path"] + "/inner"),
        lambda content: content["files"].append(3),
        lambda content: content.update(files={}),
        lambda content: content.update(files=[{}] * 1_100_000),
        lambda content: content.update(pages=1),
        lambda content: content.update(pages=content["pages"] + 1),
        lambda content: content.update(pages=1 << 40),
        lambda content: content.update(frames=[]),
        lambda content: content["frames"].__setitem__(0, 1 << 50),
        lambda content: content["frames"].__setitem__(1, 5),
        lambda content: content["frames"].__setitem__(1, "x"),
        lambda content: content.clear(),
    ],
)
def test_hostile_indexes_get_one_line(
    archive: Path, tmp_path: Path, change: Callable[[dict[str, Any]], object]
) -> None:
    hostile = _with_index(archive, tmp_path, change)
    for words in (["--check"], ["-o", tmp_path / "out"]):
        run = here("set", "extract", hostile, *words)
        assert run.returncode == 2, run.stdout
        assert run.stderr.count("\n") == 1 and len(run.stderr) < 500 + len(str(hostile))
    assert not [path for path in tmp_path.rglob("*") if path.name in ("outside", "inner")]


def _bomb(archive: Path, folder: Path, where: str) -> Path:
    """An archive with a part of a few KiB that decompresses to 1 GiB."""
    data = archive.read_bytes()
    at, _, _, _, end = TAIL.unpack(data[-TAIL.size :])
    bomb = zstd.compress(bytes(1 << 30))
    if where == "index":
        tail = TAIL.pack(at, len(bomb), 1 << 20, hashlib.sha256(bomb).digest(), end)
        (folder / "bomb").write_bytes(data[:at] + bomb + tail)
        return folder / "bomb"
    (folder / "first").write_bytes(data[:at] + bomb + data[at : -TAIL.size] + _moved(data, len(bomb)))

    def change(content: dict[str, Any]) -> None:
        if where == "frame":
            content["frames"][:2] = [at, len(bomb)]
        else:
            content["files"][0].update(runs_at=at, runs_size=len(bomb))

    return _with_index(folder / "first", folder, change)


def _moved(data: bytes, by: int) -> bytes:
    at, *others = TAIL.unpack(data[-TAIL.size :])
    return TAIL.pack(at + by, *others)


@pytest.mark.parametrize("where", ["index", "frame", "runs"])
def test_bombs_get_one_line(archive: Path, tmp_path: Path, where: str) -> None:
    assert "another size" in refusal(gcpt("set", "extract", _bomb(archive, tmp_path, where), "--check"))
