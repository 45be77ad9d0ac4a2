"""Mutation tests: tests detect the quick faults; survivors and invalid tables are reported."""

import subprocess
from pathlib import Path

import pytest

from gcpt.build import audit
from gcpt.dev import mutants
from gcpt.errors import UserError

ROOT = Path(__file__).parents[2]
FILE = "site_scons/gcpt/isa/mstatus.py"
#: A row of a table, in TOML; the text occurs once in the file.
ROW = {
    "name": "'x'",
    "file": f"'{FILE}'",
    "old": "'Privilege levels'",
    "new": "'Levels'",
    "tests": "['tests/isa/test_mstatus.py']",
}


def test_the_table_fits_the_sources() -> None:
    """Each fault's text occurs once in its file; each audit rule and each C file has a fault."""
    table = mutants.load(ROOT)
    assert len({mutant.name for mutant in table}) == len(table)
    files = {Path(mutant.file).name for mutant in table}
    assert files >= {path.name for path in (ROOT / "firmware").glob("*.c")}
    source = (ROOT / "site_scons/gcpt/build/audit.py").read_text()
    for rule in audit.RULES:
        body = source.partition(f"def {rule.__name__}(")[2].partition("\ndef ")[0]
        assert any(mutant.old in body for mutant in table), rule.__name__


def test_quick_faults_are_detected(capsys: pytest.CaptureFixture[str]) -> None:
    status = mutants.main(["--quick", "--jobs", "1"])
    output = capsys.readouterr().out
    assert status == 0, output
    assert output.count("detected  ") == sum(mutant.quick for mutant in mutants.load(ROOT))


@pytest.fixture
def copy(tmp_path: Path) -> mutants.Copy:
    return mutants.Copy(ROOT, tmp_path / "copy")


def test_a_copy_has_all_sources(copy: mutants.Copy) -> None:
    listed = subprocess.run(["git", "ls-files"], cwd=ROOT, capture_output=True, text=True, check=True).stdout
    assert [name for name in listed.splitlines() if (ROOT / name).exists() and not (copy.folder / name).exists()] == []


def _fault(**other: object) -> mutants.Mutant:
    plain = {
        "name": "x",
        "file": FILE,
        "old": "Privilege levels",
        "new": "Levels",
        "tests": ("tests/isa/test_mstatus.py",),
    }
    return mutants.Mutant(**{**plain, **other})  # type: ignore[arg-type]


def test_undetected_fault_survives(copy: mutants.Copy) -> None:
    """Afterwards the file is unchanged."""
    original = (copy.folder / FILE).read_text()
    result = copy.plant(_fault())
    assert (result.detected, (copy.folder / FILE).read_text()) == (False, original)
    assert "SURVIVED" in str(result)


def test_failed_build_is_unclear(copy: mutants.Copy) -> None:
    """Without a restorer no test runs, so none can detect the fault."""
    fault = _fault(
        file="firmware/fail.S", old="gcpt_park:\n", new="gcpt_park: x\n", tests=("tests/firmware/test_code.py",)
    )
    result = copy.plant(fault)
    assert (result.detected, "the build fails" in result.why) == (None, True)


def test_uncollectable_tests_are_unclear(copy: mutants.Copy) -> None:
    (copy.folder / "tests/isa/test_mstatus.py").write_text("import nothing_of_that_name\n")
    assert copy.plant(_fault()).detected is None


def _table(copy: mutants.Copy, **changed: str) -> None:
    row = "\n".join(f"{name} = {value}" for name, value in {**ROW, **changed}.items())
    (copy.folder / mutants.TABLE).write_text(f"[[mutant]]\n{row}\n")


def test_tests_must_pass_without_a_fault(copy: mutants.Copy, capsys: pytest.CaptureFixture[str]) -> None:
    _table(copy)
    with (copy.folder / "tests/isa/test_mstatus.py").open("a") as file:
        file.write("\n\ndef test_that_fails():\n    raise AssertionError\n")
    assert mutants.main([], copy.folder) == 1
    assert "fail without a fault" in capsys.readouterr().err


def test_a_survivor_fails_the_run(copy: mutants.Copy, capsys: pytest.CaptureFixture[str]) -> None:
    _table(copy)
    assert mutants.main([], copy.folder) == 1
    assert "0 of 1 planted faults detected" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("changed", "words"),
    [
        ({"old": "'import'", "file": "'site_scons/gcpt/build/audit.py'"}, "times in .*: want 1"),
        ({"old": "'nowhere at all'"}, "0 times"),
        ({"new": "'Privilege levels'"}, "equals the old text"),
        ({"tests": "['tests/isa/test_x.py']"}, "test_x.py does not exist"),
        ({"tests": "['tests/isa/test_mstatus.py::test_x[1]']"}, "test_x.1. does not exist"),
        ({"odd": "1"}, "fields of a fault are name, file"),
    ],
)
def test_invalid_table_is_refused(
    copy: mutants.Copy, changed: dict[str, str], words: str, capsys: pytest.CaptureFixture[str]
) -> None:
    _table(copy, **changed)
    with pytest.raises(UserError, match=words):
        mutants.load(copy.folder)
    assert mutants.main([], copy.folder) == 2
    assert capsys.readouterr().err.startswith("gcpt: ")
