"""Common to all subcommands: help with an example, one line for wrong usage, completion, installation."""

import subprocess
import zipfile
from collections.abc import Callable
from pathlib import Path

import pytest
from command import ENVIRONMENT, gcpt, refusal
from installation import Installation, installation, wheel

from gcpt import __version__
from gcpt.checkpoint.places import PROTOBUF
from gcpt.cli import SUBCOMMANDS

__all__ = ["installation", "wheel"]
ROOT = Path(__file__).parents[2]


def test_help_lists_each_command_on_a_line(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(ENVIRONMENT, "COLUMNS", "80")
    run = gcpt("--help")
    assert run.returncode == 0
    lines = [
        line.split(maxsplit=1) for line in run.stdout.partition("Commands:\n")[2].partition("\n\n")[0].splitlines()
    ]
    assert [tuple(line) for line in lines] == list(SUBCOMMANDS.items())
    assert not [line for line in run.stdout.splitlines()[1:] if line.endswith("...")]  # but for the usage line
    assert "Exit status: 0 success, 1 differences or problems found, 2 bad input or" in run.stdout


@pytest.mark.parametrize("name", SUBCOMMANDS)
def test_help_has_an_example(name: str) -> None:
    run = gcpt(name, "--help")
    assert run.returncode == 0
    assert "gcpt " + name in run.stdout.partition("\n  Example")[2]


@pytest.mark.parametrize("option", ["--jsn", "--no-such"])
@pytest.mark.parametrize("name", SUBCOMMANDS)
def test_unknown_option(name: str, option: str) -> None:
    assert option in refusal(gcpt(name, option))


def test_unknown_command() -> None:
    assert refusal(gcpt("completoin")) == "no command 'completoin': did you mean completion?"


def test_version() -> None:
    assert gcpt("--version").stdout == f"gcpt {__version__}\n"


def test_completion() -> None:
    """Bash completes ``gcpt compl`` on tab."""
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


def test_wheel(tmp_path: Path, checkpoint_file: Callable[..., Path], wheel: Path, installation: Installation) -> None:
    """The wheel has the package and the compiled message types but not gcpt.dev, and its commands work without it."""
    names = zipfile.ZipFile(wheel).namelist()
    assert {
        "gcpt/isa/csrs.py",
        "gcpt/cli/completion.py",
        "gcpt/checkpoint/checkpoint.descriptors",
        "gcpt/restorer/restorers.tar.xz",
        "gcpt/report/templates/style.css",
    } <= set(names)
    assert not [name for name in names if not name.startswith("gcpt") or name.startswith("gcpt/dev")]
    out, page = tmp_path / "out", tmp_path / "page.html"
    checkpoint = checkpoint_file(place=PROTOBUF)

    def run(*arguments: str | Path) -> str:
        run = installation.run(*arguments)
        assert (run.returncode, run.stderr) == (0, "")
        return run.stdout

    assert all("Example" in run(name, "--help") for name in SUBCOMMANDS)
    assert "layout: protobuf" in run("info", checkpoint, "--html", page) + run("info", checkpoint)
    run("convert", checkpoint, out, "--layout", "single_core")
    assert "the same state and memory" in run("diff", checkpoint, out)
    assert "compdef" in run("completion", "zsh")
    assert page.is_file()
