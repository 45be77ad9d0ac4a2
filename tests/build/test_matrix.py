"""Several variants in one run: shared outputs, the printed lines, and the failure of one variant."""

import hashlib
import re
import subprocess

import pytest

from gcpt.restorer import platforms
from gcpt.restorer.options import MODES

MATRIX = """
[small]
mode = "single_core"
platform = ["xiangshan", "qemu-virt"]

[printing]
mode = "dual_core"
display_cpu = 0
stop_cpu = ["", "1"]

[again]
mode = "bare_metal"
"""
VARIANTS = ["single_core", "single_core-qemu-virt", "dual_core-display0", "dual_core-stop1-display0"]


@pytest.fixture
def matrix(project):
    (project / "release.toml").write_text(MATRIX)
    return project


def _table(run):
    rows = [
        line.split() for line in run.lines[run.lines.index(next(x for x in run.lines if x.startswith("variant "))) :]
    ]
    return {words[0]: words[1:] for words in rows[1:-1]}


def test_each_variant_is_what_it_is_alone(matrix):
    run = matrix.build("matrix", "matrix=release.toml", "log=quiet")
    rows = _table(run)
    assert list(rows) == VARIANTS
    assert (run.err, run.lines[-1]) == ("", "4 of 4 variants built")
    sources = [step for step in run.steps if step.startswith(("AS ", "CC "))]
    assert len(sources) == len(set(sources)) and "CC firmware/display.c" in sources
    for variant, (size, counted, digest) in rows.items():
        image = (matrix / f"build/{variant}/gcpt.bin").read_bytes()
        assert (size, digest) == (f"{len(image):,}", hashlib.sha256(image).hexdigest())
        assert re.fullmatch(r"3\d\d" if variant == "single_core-qemu-virt" else "-", counted)
        assert sum(line.startswith(f"{variant}: ") for line in run.lines) == 1
    check = subprocess.run(["sha256sum", "-c", "--strict", "SHA256SUMS"], cwd=matrix / "build", capture_output=True)
    assert (check.returncode, check.stdout.count(b": OK")) == (0, 4)
    assert not (matrix / "build/normal").exists(), "the default variant is not in the matrix"
    matrix.build("mode=dual_core", "display_cpu=0", "stop_cpu=1", "build_dir=alone")
    assert rows[VARIANTS[-1]][2] == hashlib.sha256((matrix / "alone/gcpt.bin").read_bytes()).hexdigest()
    again = matrix.build("matrix", "matrix=release.toml", "-j1")
    assert (again.steps, _table(again)) == (set(), rows)


def test_a_variant_that_fails_fails_the_run_and_not_the_others(matrix):
    matrix.replace("site_scons/gcpt/isa/csrs.py", "_RVA23, 0xE00)", "_RVA23, 0x10)")
    run = matrix.scons("matrix", "matrix=release.toml")
    assert run.status == 2
    assert [variant for variant, (size, *_) in _table(run).items() if size == "failed"] == VARIANTS[:2]
    assert all((matrix / f"build/{variant}/gcpt.bin").exists() for variant in VARIANTS[2:])
    assert run.lines[-1] == f"2 of 4 variants built; failed: {', '.join(VARIANTS[:2])}"
    assert "build/single_core/gcpt.elf" in run.err


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("[a]\nmode = 'triple'\n", "matrix=wrong.toml: [a]: mode=triple: want one of"),
        ("[a]\nmoode = 'auto'\n", "[a]: unknown option moode=auto; did you mean mode?"),
        (
            "[a]\nmode = ['dual_core', 'single_core']\nstop_cpu = 1\n",
            "[a]: stop_cpu=1: hart 1 is out of range for harts=1",
        ),
        ("[a]\nbuild_dir = 'x'\n", "[a]: build_dir= applies to all variants"),
        ("mode = 'auto'\n", "mode is outside a group"),
        ("", "the file is empty"),
        ('[a]\nmode = []\nlog = "info"\n', "[a]: mode = [] makes no variant"),
        ("[a\n", "matrix=wrong.toml: "),
    ],
)
def test_a_wrong_matrix_is_refused_before_anything_is_built(project, text, message):
    (project / "wrong.toml").write_text(text)
    before = project.contents()
    run = project.scons("matrix", "matrix=wrong.toml")
    assert (run.status, run.err.count("\n")) == (2, 1)
    assert message in run.err
    assert project.contents() == before


def test_a_matrix_that_is_not_there_is_named(project):
    assert "matrix=absent.toml: No such file" in project.scons("matrix", "matrix=absent.toml").err


def test_the_default_matrix_is_every_mode_on_every_platform(project):
    dry = project.scons("matrix", "-n")
    images = {step for step in dry.steps if step.startswith("BIN ")}
    assert (dry.status, len(images)) == (0, len(platforms.PLATFORMS) * len(MODES))
