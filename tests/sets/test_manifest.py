"""The manifest of ``gcpt set scan``, and what headers and digests say, with real checkpoints."""

import hashlib
import json
import shutil
import tomllib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import synthetic_set as synthetic_sets
from command import gcpt, here, refusal

from gcpt.checkpoint import edits
from gcpt.checkpoint.files import write_checkpoint
from gcpt.checkpoint.places import DUAL_CORE, SINGLE_CORE
from gcpt.machines import synthetic
from gcpt.machines.synthetic import DRAM, Mode, Recipe
from gcpt.sets.load import load, scan_set


def _write(path: Path, recipe: Recipe) -> Path:
    made = synthetic.make(recipe)
    memory = edits.patched((bytes(1 << 20) for _ in range(128)), [(at - DRAM, data) for at, data in made.memory])
    write_checkpoint(path, made.harts, memory, DUAL_CORE if recipe.harts > 1 else SINGLE_CORE, "zstd")
    return path


@pytest.fixture
def checkpoint(tmp_path: Path) -> Path:
    return _write(tmp_path / "checkpoint.zstd", Recipe((Mode.U,)))


def _scan(*arguments: str | Path) -> tuple[int, dict[str, Any]]:
    run = here("set", "scan", *arguments, "--json", "-j", "1")
    assert run.stderr == ""
    return run.returncode, json.loads(run.stdout)


@pytest.mark.parametrize("name", ["gcpt-set.toml", "gcpt-set.json"])
def test_what_a_manifest_says(tmp_path: Path, checkpoint: Path, name: str) -> None:
    made = synthetic_sets.make(tmp_path / "set", points=12, content=checkpoint)
    (made.root / "gcpt").mkdir()
    (made.root / "gcpt/gcpt.bin").write_bytes(b"restorer")
    (made.clusters("mcf") / "sampling.json").write_text('{"method": "simpoint"}')
    status, printed = _scan(made.root, "--digest", "-o", made.root / name)
    assert status == 0
    text = (made.root / name).read_text()
    content = tomllib.loads(text) if name.endswith("toml") else json.loads(text)
    assert (content["gcpt_set"], content["root"]) == (1, ".")
    assert (content["restorer"], content["samplings"]) == ("gcpt/gcpt.bin", [["mcf", "simpoint"]])
    key = synthetic_sets.key_of(made)
    (point,) = [point for point in content["points"] if (point["workload"], point["point"]) == key]
    assert point == {
        "workload": key[0],
        "point": key[1],
        "path": str(made.images[key].relative_to(made.root)),
        "bytes": checkpoint.stat().st_size,
        "weight": made.weights[key],
        "weight_source": "json:json/checkpoints_all.json",
        "sha256": hashlib.sha256(checkpoint.read_bytes()).hexdigest(),
        "container": "zstd",
        "layout": "single_core",
        "harts": 1,
        "vlen": 128,
        "privilege": ["U"],
        "generator": "QEMU",
    }
    assert {**point, "chosen": True, "missing": False} in printed["points"]
    assert load(made.root / name) == load(made.root)


def test_the_embedded_restorer(tmp_path: Path, build_restorer: Callable[..., Any]) -> None:
    packed = tmp_path / "packed.zstd"
    plain = _write(tmp_path / "plain.zstd", Recipe())
    run = gcpt("pack", build_restorer(mode="single_core").image, plain, "-o", packed)
    assert run.returncode == 0, run.stderr
    made = synthetic_sets.make(tmp_path / "set", points=6, content=packed)
    _, printed = _scan(made.root)
    assert all(point["restorer"] for point in printed["points"])


def test_points_that_differ_from_their_workload(tmp_path: Path, checkpoint: Path) -> None:
    made = synthetic_sets.make(tmp_path / "set", points=24, content=checkpoint)
    key = synthetic_sets.key_of(made)
    path = made.images[key]
    path.unlink()
    _write(path, Recipe((Mode.U,), harts=2, vlen=256))
    status, printed = _scan(made.root)
    assert status == 1
    assert {(found["code"], found["workload"], found["point"]) for found in printed["findings"]} == {("mixed", *key)}
    named = {found["what"].split()[0] for found in printed["findings"]}
    assert named == {"layout", "harts", "vlen"}
    assert here("set", "scan", made.root, "--quick").returncode == 0


def test_images_without_a_checkpoint(tmp_path: Path, checkpoint: Path) -> None:
    made = synthetic_sets.make(tmp_path / "set", points=12, content=checkpoint)
    first, second = (made.images[synthetic_sets.key_of(made, place)] for place in (0, 1))
    first.unlink()
    first.write_bytes(b"no checkpoint")
    second.unlink()
    second.write_bytes(checkpoint.read_bytes()[:100])
    _, printed = _scan(made.root)
    assert [found["code"] for found in printed["findings"]] == ["unreadable", "unreadable"]
    assert all(str(made.root) not in found["what"] for found in printed["findings"])


def test_images_that_changed_since_the_manifest(tmp_path: Path) -> None:
    made = synthetic_sets.make(tmp_path / "set", "flash")
    manifest = made.root / "gcpt-set.toml"
    assert _scan(made.root, "--quick", "--digest", "-o", manifest)[0] == 0
    assert _scan(manifest, "--quick", "--digest")[0] == 0
    longer, other, gone, flash = (made.images[key] for key in list(made.images)[:4])
    flash = flash.with_name(flash.name.replace("memory", "flash"))
    longer.write_bytes(b"longer than it was")
    other.write_bytes(b"MEMORY")
    flash.write_bytes(b"FLASH")
    gone.unlink()
    found = _scan(manifest, "--quick", "--digest")[1]["findings"]
    keys = list(made.images)
    assert {(row["code"], row["workload"], row["point"]) for row in found} == {
        ("changed", *keys[0]),
        ("changed", *keys[1]),
        ("missing", *keys[2]),
        ("changed", *keys[3]),
    }
    by_size = scan_set(manifest).whole.findings
    assert {(one.code, one.key) for one in by_size} == {("changed", keys[0]), ("missing", keys[2])}


def test_a_manifest_elsewhere_is_trusted_on_demand(tmp_path: Path) -> None:
    made = synthetic_sets.make(tmp_path / "set")
    manifest = tmp_path / "other" / "gcpt-set.toml"
    manifest.parent.mkdir()
    assert _scan(made.root, "--quick", "-o", manifest)[0] == 0
    assert "--allow-outside" in refusal(gcpt("set", "scan", manifest, "--quick"))
    assert load(manifest, allow_outside=True).points == load(made.root).points


_POINT = 'workload = "mcf"\npoint = "1"\npath = "a"\n'


@pytest.mark.parametrize(
    "points",
    [
        "[[points]]\n" + _POINT.replace('"a"', '"../a"'),
        "[[points]]\n" + _POINT.replace('"a"', '"/etc/passwd"'),
        "[[points]]\n" + _POINT.replace('"a"', '"link"'),
        "[[points]]\n" + _POINT + 'flash = "../a"\n',
        "[[points]]\n" + _POINT.replace('"mcf"', '"m/../cf"'),
        "[[points]]\n" + _POINT.replace('"mcf"', '"m\\u001b[2Jcf"'),
        "[[points]]\n" + _POINT.replace('"1"', '"-1"'),
        "[[points]]\n" + _POINT.replace('"1"', "1"),
        "[[points]]\n" + _POINT.replace('"a"', '"a\\u0000"'),
        "[[points]]\n" + _POINT + "weight = 1.5\n",
        "[[points]]\n" + _POINT + "weight = nan\n",
        "[[points]]\n" + _POINT + "weight = true\n",
        "[[points]]\n" + _POINT + "[[points]]\n" + _POINT,
        "points = 3",
        "points = [3]",
        "points = " + "[" * 50_000,
        'restorer = "../gcpt.bin"\npoints = []',
        'samplings = "random"\npoints = []',
        'samplings = [["a", 1]]\npoints = []',
        'samplings = [["a", "b", "c"]]\npoints = []',
        "points = [",
        "",
    ],
)
def test_hostile_manifests_get_one_line(tmp_path: Path, points: str) -> None:
    (tmp_path / "link").symlink_to("/etc/passwd")
    (tmp_path / "a").write_bytes(b"memory")
    manifest = tmp_path / "gcpt-set.toml"
    manifest.write_text('gcpt_set = 1\nroot = "."\n' + points)
    assert len(refusal(gcpt("set", "scan", manifest, "--quick"))) < 400 + len(str(manifest))


def test_other_versions_and_names(tmp_path: Path) -> None:
    manifest = tmp_path / "gcpt-set.json"
    manifest.write_text('{"gcpt_set": 2, "points": []}')
    assert "this version" in refusal(gcpt("set", "scan", manifest))
    made = synthetic_sets.make(tmp_path / "set", points=6)
    assert "unknown ending .yaml: choose one of .toml, .json" in refusal(
        gcpt("set", "scan", made.root, "--quick", "-o", tmp_path / "set.yaml")
    )
    shutil.rmtree(made.points)
    status, printed = _scan(made.root, "--quick", "-o", tmp_path / "set/gcpt-set.toml")
    assert status == 1 and len(printed["findings"]) == 6
    again = scan_set(made.root / "gcpt-set.toml")
    assert [found.code for found in again.whole.findings] == ["missing"] * 6
