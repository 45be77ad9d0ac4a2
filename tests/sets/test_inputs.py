"""Options of ``gcpt set`` that no point can be done with: one line before the first point, and nothing is written."""

from pathlib import Path

import pytest
import synthetic_set as synthetic_sets
from command import here, refusal


@pytest.mark.parametrize("kind", ["missing", "loop", "folder", "code"])
@pytest.mark.parametrize("command", ["set verify SET -o OUT", "set run SET -o OUT", "set pack SET", "set swap SET"])
def test_a_restorer_that_is_none(tmp_path: Path, command: str, kind: str) -> None:
    made, restorer, out = synthetic_sets.make(tmp_path / "set", points=2), tmp_path / "restorer", tmp_path / "out"
    if kind == "loop":
        restorer.symlink_to(restorer)
    elif kind == "folder":
        restorer.mkdir()
    elif kind == "code":
        restorer.write_bytes(bytes(64))
    words = [{"SET": str(made.root), "OUT": str(out)}.get(word, word) for word in command.split()]
    if "run" in words:
        if kind == "code":
            return  # a simulator's restorer may be any file
        words += ["--restorer", str(restorer), "--good", ".", "--", "echo", "{checkpoint}", "{restorer}"]
    elif "verify" in words:
        words += ["--restorer", str(restorer)]
    else:
        words += [str(restorer), *(["-o", str(out)] if "pack" in words else [])]
    message = refusal(here(*words))
    assert message.startswith(f"{restorer}: ") and not out.exists(), message


@pytest.mark.parametrize("option", ["--coverage", "--min-weight"])
@pytest.mark.parametrize("value", ["nan", "NaN", "inf", "-0.1", "1.1", "x"])
def test_a_share_that_is_none(tmp_path: Path, option: str, value: str) -> None:
    made = synthetic_sets.make(tmp_path / "set", points=2)
    assert value in refusal(here("set", "scan", made.root, "--quick", option, value))
