"""Outputs of ``gcpt set``: a file of the set or of the run, by any of its names, is no output of another kind."""

import os
from collections.abc import Callable
from pathlib import Path

import pytest
import synthetic_set as synthetic_sets
from command import here, refusal


def _same(file: Path, _: Path) -> Path:
    return file


def _symbolic(file: Path, link: Path) -> Path:
    link.symlink_to(file)
    return link


def _hard(file: Path, link: Path) -> Path:
    os.link(file, link)
    return link


NAMES: dict[str, Callable[[Path, Path], Path]] = {"itself": _same, "symbolic link": _symbolic, "hard link": _hard}


def _run(folder: Path, made: synthetic_sets.Synthetic) -> None:
    done = here("set", "run", made.root, "-o", folder, "--good", ".", "--", "echo", "{checkpoint}")
    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("kind", ["image", "index"])
@pytest.mark.parametrize("ending", ["toml", "json"])
def test_a_manifest_replaces_only_a_manifest(tmp_path: Path, name: str, kind: str, ending: str) -> None:
    made = synthetic_sets.make(tmp_path / "set", points=2)
    file = made.json if kind == "index" else next(iter(made.images.values()))
    before = file.read_bytes()
    out = NAMES[name](file, tmp_path / f"link.{ending}")
    message = refusal(here("set", "scan", made.root, "--quick", "-o", out))
    assert str(out) in message and file.read_bytes() == before


@pytest.mark.parametrize(
    ("source", "kind"),
    [
        *((source, kind) for source in ("folder", "index") for kind in ("pipe", "image", "index", "content")),
        *(("manifest", kind) for kind in ("image", "content")),
    ],
)
def test_a_manifest_lacks_nothing(tmp_path: Path, source: str, kind: str) -> None:
    """A set of which something cannot be read gets none, and keeps the old one, however the set is named."""
    made = synthetic_sets.make(tmp_path / "set", points=2)
    manifest, out = tmp_path / "old.toml", tmp_path / "new.toml"
    for file in (manifest, out):
        assert here("set", "scan", made.root, "--quick", "-o", file).returncode == 0
    before, image = out.read_bytes(), list(made.images.values())[-1]
    if kind == "pipe":
        os.mkfifo(image.with_name("_7_0.5_.gz"))
    elif kind == "index":
        (made.root / "json/other.json").symlink_to("gone")
    elif kind == "image":
        image.unlink()
        image.symlink_to(image.name)
    named = {"folder": made.root, "index": made.json, "manifest": manifest}[source]
    quick = [] if kind == "content" else ["--quick"]
    message = refusal(here("set", "scan", named, *quick, "-o", out))
    assert "the manifest would lack it: copy it again, or remove it" in message and out.read_bytes() == before
    assert here("set", "scan", named, *quick).returncode == 1


@pytest.mark.parametrize("ending", ["toml", "json"])
def test_a_manifest_replaces_itself(tmp_path: Path, ending: str) -> None:
    made = synthetic_sets.make(tmp_path / "set", points=2)
    out = tmp_path / f"gcpt-set.{ending}"
    out.touch()
    for source in (made.root, made.root, out):
        run = here("set", "scan", source, "--quick", "-o", out)
        assert run.returncode == 0 and out.stat().st_size > 100, run.stdout + run.stderr


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("kind", ["image", "run.json", "result.json"])
def test_a_report_replaces_only_a_page(tmp_path: Path, name: str, kind: str) -> None:
    made = synthetic_sets.make(tmp_path / "set", points=2)
    results = tmp_path / "results"
    _run(results, made)
    file = next(iter(made.images.values())) if kind == "image" else next(results.rglob(kind))
    before = file.read_bytes()
    message = refusal(here("set", "report", results, "--html", NAMES[name](file, tmp_path / "link.html")))
    wrong = "choose one of .html, .htm" if name == "itself" else "is no page"
    assert wrong in message and file.read_bytes() == before
    for _ in range(2):
        assert here("set", "report", results, "--html", tmp_path / "page.html").returncode == 0


@pytest.mark.parametrize("command", ["archive SET -o OUT", "convert SET -o OUT", "pack SET gcpt.bin -o OUT"])
def test_a_copy_lacks_nothing(tmp_path: Path, command: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """A part of the set that cannot be read, here an index that is a FIFO, is an error, not left out."""
    monkeypatch.chdir(tmp_path)
    made, out = synthetic_sets.make(tmp_path / "set", points=2), tmp_path / "out"
    (tmp_path / "gcpt.bin").write_bytes((0x6F).to_bytes(4, "little") + (64).to_bytes(4, "little") + bytes(56))
    synthetic_sets.plant(made, "an index that is a FIFO")
    run = here("set", *command.replace("SET", str(made.root)).replace("OUT", str(out)).split())
    assert run.returncode == 2 and "would lack it: copy it again" in run.stderr and not out.exists(), run.stderr
