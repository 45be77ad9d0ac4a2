"""``-`` where a folder goes: standard output takes none, so that it is refused; ``./-`` is a folder."""

from pathlib import Path

import pytest
import synthetic_set as synthetic_sets
from command import here, refusal
from guests import ADDRESS, TWO_PHASES

_LOAD = f"loop@{ADDRESS:#x}"
COMMANDS = (
    "simpoints profile -o -",
    f"generate -o - --load {_LOAD} --interval 100",
    f"snapshot -o - --load {_LOAD} --every 100 --last 300",
    "convert --to loadarch loop -",
    "convert --to whisper loop -",
    "verify loop --logs -",
    "set convert set -o -",
    "set pack set loop -o -",
    "set info set -o -",
    "set validate set -o -",
    "set verify set -o -",
    "set run set -o - --good . -- echo {checkpoint}",
    "set extract archive -o -",
)


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The working folder, with all inputs."""
    monkeypatch.chdir(tmp_path)
    synthetic_sets.make(Path("set"), points=2)
    Path("loop").write_bytes(TWO_PHASES)
    Path("profile").write_text("T:1:5\n")
    here("set", "archive", "set", "-o", "archive")
    return tmp_path


@pytest.mark.parametrize("command", COMMANDS)
def test_standard_output_is_no_folder(command: str, folder: Path) -> None:
    before = sorted(folder.rglob("*"))
    message = refusal(here(*command.split()))
    assert "folder" in message.lower() and sorted(folder.rglob("*")) == before, message


def test_a_folder_of_this_name(folder: Path) -> None:
    run = here("simpoints", "profile", "-o", "./-")
    assert (run.returncode, run.stderr) == (0, "") and (folder / "-/simpoints0").is_file()
