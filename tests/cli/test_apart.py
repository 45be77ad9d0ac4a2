"""An output that is an input is refused by any of its names, and the input stays as it is."""

import os
from collections.abc import Callable
from pathlib import Path

import pytest
from command import here

Make = Callable[[Path, Path], Path]


def _link(kind: Callable[[Path, Path], None]) -> Make:
    def make(file: Path, name: Path) -> Path:
        kind(file, name)
        return name

    return make


NAMES: dict[str, Make] = {
    "same path": lambda file, _: file,
    "other spelling": lambda file, _: file.parent / ".." / file.parent.name / file.name,
    "symbolic link": _link(lambda file, name: name.symlink_to(file)),
    "hard link": _link(lambda file, name: os.link(file, name)),
}
#: IN: the input that the output OUT is; OTHER: another file.
COMMANDS: dict[str, tuple[str, ...]] = {
    "pack: GCPT_BIN": ("pack", "IN", "OTHER", "-o", "OUT"),
    "pack: memory": ("pack", "OTHER", "IN", "--flash", "OTHER", "-o", "OUT"),
    "pack --swap": ("pack", "--swap", "IN", "OUT"),
    "unpack": ("unpack", "IN", "--restorer-out", "OUT"),
    "snapshot: --load": ("snapshot", "--load", "IN@0x80100000", "-o", "OUT"),
    "snapshot: --data": ("snapshot", "--load", "OTHER@0x80100000", "--data", "IN@0x80200000", "-o", "OUT"),
    "snapshot: --flash-out": (
        "snapshot", "--load", "IN@0x80100000", "-o", "new", "--layout", "flash", "--flash-out", "OUT",
    ),
    "snapshot: QEMU's options": (
        "snapshot", "--load", "OTHER@0x80100000", "-o", "OUT", "--", "-drive", "file=IN,if=none",
    ),
    "profile: --load": ("profile", "--load", "IN@0x80100000", "-o", "OUT", "--interval", "5"),
    "info: FILE": ("info", "IN", "--html", "OUT"),
    "info: --flash": ("info", "OTHER", "--flash", "IN", "--html", "OUT"),
    "debug: CHECKPOINT": ("debug", "IN", "--script", "OUT"),
    "debug: --flash": ("debug", "OTHER", "--flash", "IN", "--script", "OUT"),
    "debug: --restorer": ("debug", "OTHER", "--restorer", "IN", "--script", "OUT"),
    "debug: --symbols": ("debug", "OTHER", "--symbols", "IN", "--script", "OUT"),
}  # fmt: skip


#: The ending of OUT, by a word of the command.
ENDINGS = {"--html": ".html", "--script": ".py", "profile": ".gz"}


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("command", COMMANDS)
def test_refused(tmp_path: Path, command: str, name: str) -> None:
    ending = next((value for word, value in ENDINGS.items() if word in COMMANDS[command]), "")
    file, other = tmp_path / f"input{ending}", tmp_path / "other"
    restorer = (0x6F).to_bytes(4, "little") + (64).to_bytes(4, "little") + bytes(56)
    file.write_bytes(restorer)
    other.write_bytes(restorer)
    out = NAMES[name](file, tmp_path / f"link{ending}")
    words = [
        word.replace("IN", str(file))
        .replace("OTHER", str(other))
        .replace("OUT", str(out))
        .replace("new", f"{file}.new")
        for word in COMMANDS[command]
    ]
    run = here(*words)
    assert (run.returncode, " is also " in run.stderr, run.stderr.count("\n")) == (2, True, 1), run.stderr
    assert file.read_bytes() == restorer
