"""What all subcommands have: help with an example, one line for wrong usage, completion, an installation."""

import subprocess
import sys
import zipfile
from pathlib import Path

import pytest
from command import gcpt, refusal

from gcpt import __version__
from gcpt.cli import SUBCOMMANDS

ROOT = Path(__file__).parents[2]


def test_help_lists_all() -> None:
    run = gcpt("--help")
    assert run.returncode == 0
    listed = [line.split()[0] for line in run.stdout.partition("Commands:\n")[2].splitlines() if line.startswith("  ")]
    assert [name for name in listed if name in SUBCOMMANDS] == list(SUBCOMMANDS)


@pytest.mark.parametrize("name", SUBCOMMANDS)
def test_help_has_an_example(name: str) -> None:
    run = gcpt(name, "--help")
    assert run.returncode == 0
    assert "gcpt " + name in run.stdout.partition("Example")[2]


@pytest.mark.parametrize("option", ["--jsn", "--no-such"])
@pytest.mark.parametrize("name", SUBCOMMANDS)
def test_unknown_option(name: str, option: str) -> None:
    assert option in refusal(gcpt(name, option))


def test_unknown_command() -> None:
    assert refusal(gcpt("completoin")) == "there is no command 'completoin': did you mean completion?"


def test_version() -> None:
    assert gcpt("--version").stdout == f"gcpt {__version__}\n"


def test_completion() -> None:
    """What bash gets when somebody types ``gcpt compl`` and presses tab."""
    script = gcpt("completion", "bash").stdout
    probe = f'{script}\nCOMP_WORDS=(gcpt compl); COMP_CWORD=1; _gcpt_completion gcpt; echo "${{COMPREPLY[@]}}"\n'
    command = ROOT / ".venv" / "bin" / "gcpt"
    shell = subprocess.run(
        ["bash", "-c", probe],
        env={"PATH": f"{command.parent}:/usr/bin:/bin"},
        capture_output=True,
        text=True,
        check=True,
    )
    assert shell.stdout.strip() == "completion"


def test_wheel(tmp_path: Path) -> None:
    """``pip install .`` makes a wheel that holds the package and the compiled message types."""
    pip = [sys.executable, "-m", "pip", "--disable-pip-version-check", "wheel", "--no-deps", "--quiet"]
    subprocess.run([*pip, "--no-build-isolation", "--wheel-dir", tmp_path, ROOT], check=True, timeout=120)
    [wheel] = tmp_path.glob("gcpt-*.whl")
    names = zipfile.ZipFile(wheel).namelist()
    assert {
        "gcpt/isa/csrs.py",
        "gcpt/cli/completion.py",
        "gcpt/checkpoint.descriptors",
        "gcpt/report/templates/style.css",
    } <= set(names)
    assert not [name for name in names if not name.startswith("gcpt")]
