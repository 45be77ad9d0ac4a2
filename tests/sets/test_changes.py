"""``gcpt set convert``, ``pack`` and ``swap``: what the single commands write, for each point."""

import json
import os
import signal
import subprocess
import sys
from collections.abc import Callable
from hashlib import sha256
from pathlib import Path
from typing import Any

import pytest
from command import ENVIRONMENT, gcpt, refusal, wait_until
from real_points import write_point

from gcpt.dev import synthetic_sets
from gcpt.machines.synthetic import Mode, Recipe
from gcpt.sets.load import scan_set

Build = Callable[..., Any]
_LIST = """# name path skip fw_warmup detailed_warmup sample
mcf_1068 mcf/1068/_1068_0.250000_memory_.zstd 0 0 20 20
mcf_402 mcf/402 0 0 20 20
  456.hmmer_8 {root}/checkpoint/456.hmmer/8 0 0 20 20
"""


@pytest.fixture(scope="module")
def checkpoints(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A set with indexes: two checkpoints and a damaged one."""
    root = tmp_path_factory.mktemp("set")
    write_point(root, "mcf", "1068", Recipe())
    write_point(root, "mcf", "402", Recipe((Mode.U,), seed=2))
    cut = write_point(root, "456.hmmer", "8", Recipe())
    cut.write_bytes(cut.read_bytes()[:200])
    (root / "json").mkdir()
    points = {"mcf": {"points": {"1068": "0.25", "402": "0.25"}}, "456.hmmer": {"points": {"8": "0.25"}}}
    (root / "json/checkpoints_all.json").write_text(json.dumps(points))
    (root / "checkpoint/checkpoint.lst").write_text(_LIST.format(root=root))
    return root


@pytest.fixture(scope="module")
def restorer(build_restorer: Build) -> Path:
    path: Path = build_restorer(mode="single_core", platform="qemu-virt").image
    return path


def _images(root: Path) -> dict[str, Path]:
    """The images of a set, by workload and point."""
    files = (path for path in sorted(root.glob("checkpoint/*/*/_*")) if not path.name.startswith("."))
    return {f"{path.parts[-3]}_{path.parts[-2]}": path for path in files}


def _digests(root: Path) -> dict[str, str]:
    return {name: sha256(path.read_bytes()).hexdigest() for name, path in _images(root).items()}


def _end(run: subprocess.CompletedProcess[str]) -> dict[str, Any]:
    content: dict[str, Any] = json.loads(run.stdout.splitlines()[-1])
    return content


def test_convert(checkpoints: Path, tmp_path: Path) -> None:
    """Each image is what gcpt convert writes; a damaged one is named; indexes lead to the new names."""
    out = tmp_path / "out"
    run = gcpt("set", "convert", checkpoints, "-o", out, "--container", "gzip", "--layout", "protobuf", "--json")
    end = _end(run)
    assert run.returncode == 1 and list(end["failed"]) == ["456.hmmer_8"]
    assert "456.hmmer/8/_8_0.250000_memory_.zstd: " in end["failed"]["456.hmmer_8"][1]
    images, single = _images(out), tmp_path / "single.gz"
    assert list(images) == ["mcf_1068", "mcf_402"]
    for name, path in images.items():
        assert path.name.endswith("_memory_.gz")
        gcpt("convert", _images(checkpoints)[name], single, "--layout", "protobuf")
        assert path.read_bytes() == single.read_bytes()
    lines = (out / "checkpoint/checkpoint.lst").read_text()
    assert lines == _LIST.format(root=out).replace(".zstd", ".gz")
    assert (out / "json/checkpoints_all.json").read_bytes() == (checkpoints / "json/checkpoints_all.json").read_bytes()
    scan = gcpt("set", "scan", out, "--json")
    assert {found["code"] for found in json.loads(scan.stdout)["findings"]} == {"missing"}, scan.stdout


def test_convert_goes_on(checkpoints: Path, tmp_path: Path) -> None:
    """What is written stays; an image that is gone or was changed is written again."""
    out = tmp_path / "out"
    words = ("set", "convert", checkpoints, "-o", out, "--workload", "mcf", "--json")
    assert gcpt(*words).returncode == 0
    first = _digests(out)
    kept = json.loads(gcpt(*words).stdout.splitlines()[0])
    assert (kept["kept"], kept["points"]) == (2, 2)
    images = _images(out)
    images["mcf_402"].unlink()
    images["mcf_1068"].write_bytes(b"")
    assert json.loads(gcpt(*words).stdout.splitlines()[0])["kept"] == 0
    assert _digests(out) == first


@pytest.mark.parametrize("layout", ["current", "older", "oldest"])
def test_points_that_are_left_out(tmp_path: Path, layout: str) -> None:
    """The indexes of the new set name its points, of the same weights; a second command adds others."""
    point = write_point(tmp_path / "one", "mcf", "1", Recipe())
    made, out = synthetic_sets.make(tmp_path / "set", layout, 12, point), tmp_path / "new"
    convert = ("set", "convert", made.root, "-o", out, "--json")
    assert _end(gcpt(*convert, "--coverage", "0.3", "--workload", "mcf", "--workload", "bmk_31"))["failed"] == {}
    scan = scan_set(out)
    assert (scan.whole.findings, len(scan.whole.points)) == ((), 2)
    assert all(made.weights[point.key] == point.weight for point in scan.whole.points)
    assert gcpt(*convert, "--workload", "mcf").returncode == 0
    assert len(scan_set(out).whole.points) == 3 and not scan_set(out).whole.findings
    assert gcpt(*convert).returncode == 0
    assert len(scan_set(out).whole.points) == 12 and not scan_set(out).whole.findings
    assert (out / made.json.relative_to(made.root)).read_bytes() == made.json.read_bytes()


def test_folders_that_are_refused(checkpoints: Path, tmp_path: Path) -> None:
    inner = checkpoints / "inner"
    message = refusal(gcpt("set", "convert", checkpoints, "-o", inner))
    assert message.startswith(f"-o {inner}: lies in the set") and not inner.exists()
    (tmp_path / "other").touch()
    assert "has other files" in refusal(gcpt("set", "convert", checkpoints, "-o", tmp_path))


def test_pack_and_swap(checkpoints: Path, restorer: Path, build_restorer: Build, tmp_path: Path) -> None:
    """The same bytes as from gcpt pack and gcpt pack --swap."""
    out, single = tmp_path / "packed", tmp_path / "single.zstd"
    run = gcpt("set", "pack", checkpoints, restorer, "-o", out)
    assert run.returncode == 1 and "456.hmmer_8" in run.stdout
    for name, path in _images(out).items():
        assert gcpt("pack", restorer, _images(checkpoints)[name], "-o", single).returncode == 0
        assert path.read_bytes() == single.read_bytes()
    other = build_restorer(mode="single_core", platform="qemu-virt", log="info").image
    assert gcpt("pack", "--swap", other, single).returncode == 0
    before = _digests(out)
    swapped = _end(gcpt("set", "swap", out, other, "--workload", "mcf", "--json"))
    assert [point["changed"] for point in swapped["points"]] == [True, True]
    assert _images(out)["mcf_402"].read_bytes() == single.read_bytes()
    after = _digests(out)
    assert all(before[name] != after[name] for name in before)
    again = _end(gcpt("set", "swap", out, other, "--workload", "mcf", "--json"))
    assert [point["changed"] for point in again["points"]] == [False, False] and _digests(out) == after


@pytest.mark.parametrize("place", ["gcpt", "build/gcpt/build"])
def test_the_sets_own_restorer(place: str, restorer: Path, tmp_path: Path) -> None:
    """A new set has it, or the one that its points embed; swap leaves it, and says so."""
    root = tmp_path / "set"
    image = write_point(root, "mcf", "1", Recipe())
    own = root / place / "gcpt.bin"
    own.parent.mkdir(parents=True)
    own.write_bytes(b"own")
    converted, packed, extracted = (
        tmp_path / name / place / "gcpt.bin" for name in ("converted", "packed", "extracted")
    )
    assert gcpt("set", "convert", root, "-o", tmp_path / "converted").returncode == 0
    assert converted.read_bytes() == b"own" and scan_set(tmp_path / "converted").whole.restorer == converted
    assert gcpt("set", "archive", root, "-o", tmp_path / "archive").returncode == 0
    assert gcpt("set", "extract", tmp_path / "archive", "-o", tmp_path / "extracted").returncode == 0
    assert extracted.read_bytes() == b"own"
    assert gcpt("set", "pack", root, restorer, "-o", tmp_path / "packed").returncode == 0
    assert packed.read_bytes() == restorer.read_bytes() and own.read_bytes() == b"own"
    assert gcpt("set", "swap", tmp_path / "packed", restorer).stderr == ""
    packed.write_bytes(b"own")
    said = gcpt("set", "swap", tmp_path / "packed", restorer).stderr
    assert said == f"gcpt: {packed}: the set's own restorer stays as it is: copy {restorer} over it\n"
    assert packed.read_bytes() == b"own" and image.exists()


def test_a_restorer_outside_its_set(restorer: Path, tmp_path: Path) -> None:
    """A link that leads out is a finding, and not followed; a new set says that it has none."""
    root, new, secret = tmp_path / "set", tmp_path / "new", tmp_path / "secret"
    write_point(root, "mcf", "1", Recipe())
    (root / "gcpt").mkdir()
    (root / "gcpt/gcpt.bin").symlink_to(secret)
    secret.write_bytes(restorer.read_bytes())
    scan = scan_set(root).whole
    assert scan.restorer is None
    assert [(found.code, found.path) for found in scan.findings] == [("path-leaves-set", "gcpt/gcpt.bin")]
    assert gcpt("set", "convert", root, "-o", new).returncode == 0 and not (new / "gcpt").exists()
    assert gcpt("set", "convert", root, "-o", new, "--allow-outside").returncode == 0
    assert (new / "gcpt/gcpt.bin").read_bytes() == secret.read_bytes()
    manifest = root / "gcpt-set.json"
    assert gcpt("set", "scan", root, "-o", manifest, "--allow-outside").returncode == 0
    content = json.loads(manifest.read_text())
    manifest.write_text(json.dumps({**content, "restorer": str(secret)}))
    said = gcpt("set", "convert", manifest, "-o", tmp_path / "third", "--allow-outside").stderr
    assert said.endswith(f"gcpt: {tmp_path / 'third'}: has no restorer of its own: {secret} lies outside the old set\n")


def test_swap_names_what_it_leaves(checkpoints: Path, restorer: Path) -> None:
    """Points without a restorer, and damaged ones."""
    before = _digests(checkpoints)
    run = gcpt("set", "swap", checkpoints, restorer)
    assert run.returncode == 1 and "mcf_1068: " in run.stdout and "no embedded restorer" in run.stdout
    assert "456.hmmer_8" in run.stdout and "3 failed" in run.stdout
    assert _digests(checkpoints) == before


def test_a_worker_killed_in_the_middle_of_a_swap(restorer: Path, build_restorer: Build, tmp_path: Path) -> None:
    """Each image is the old or the new one; the same command completes the swap."""
    root, out = tmp_path / "set", tmp_path / "packed"
    for number in range(3):
        write_point(root, "mcf", str(number + 1), Recipe(seed=number), random_mib=60)
    assert gcpt("set", "pack", root, restorer, "-o", out).returncode == 0
    other = build_restorer(mode="single_core", platform="qemu-virt", log="info").image
    before = _digests(out)
    words = ["set", "swap", str(out), str(other), "-j", "1", "--retries", "0"]
    with subprocess.Popen([sys.executable, "-m", "gcpt", *words], env=ENVIRONMENT, stdout=subprocess.PIPE) as client:
        partial = wait_until(lambda: next(iter(out.glob("checkpoint/*/*/.*.partial")), None))
        os.kill(int(partial.name.split(".")[-3]), signal.SIGKILL)
        client.communicate(timeout=300)
    assert client.returncode == 1
    middle = _digests(out)
    assert gcpt(*words).returncode == 0
    after = _digests(out)
    assert set(after) == set(before) and all(after[name] != before[name] for name in after)
    assert not list(out.rglob("*.partial"))
    assert all(middle[name] in (before[name], after[name]) for name in middle)
    assert any(middle[name] == before[name] for name in middle)
