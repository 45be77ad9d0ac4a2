"""``--on``: what it names, before anything is read or started."""

from collections.abc import Callable
from pathlib import Path

import pytest
from command import gcpt, refusal

_ADDRESS = "{value}: not the address of a scheduler: write {kind}://HOST:PORT"
_ENGINES = "ssh:FILE, slurm, lsf, pbs, sge, dask://HOST:PORT, tls://HOST:PORT"


@pytest.mark.parametrize(
    "command", [("validate",), ("verify", "--engine"), ("run", "-o", "out"), ("pack", "gcpt.bin", "-o", "new")]
)
@pytest.mark.parametrize("value", ["pigeon", "dask://node7", "slurm:colour=red", "ssh:"])
def test_every_command_looks_first(command: tuple[str, ...], value: str, tmp_path: Path) -> None:
    """The set is not read, and no folder of results begun."""
    name, *words = command
    words = [*words, value] if "--engine" in words else [*words, "--on", value]
    tail = ("--", "emu") if name == "run" else ()
    sets = ("gcpt.bin", "absent", *words[1:]) if name == "pack" else ("absent", *words)
    message = refusal(gcpt("set", name, *sets, *tail, cwd=tmp_path))
    assert "absent" not in message and not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    ("value", "message"),
    [
        ("pigeon", f"pigeon: no such engine: give one of {_ENGINES}, or leave it out for this machine"),
        ("slurmy:memory=1GB", f"slurmy:memory=1GB: no such engine: give one of {_ENGINES}, or leave it out"),
        ("ssh", "ssh: the file of hosts is missing: give ssh:FILE"),
        ("ssh:", "ssh: the file of hosts is missing: give ssh:FILE"),
        ("ssh:absent", "absent: No such file or directory: give a file of hosts"),
        ("ssh:.", ".: Is a directory: give a file of hosts"),
        ("ssh:empty", "empty: names no host: write one in a line, such as 4/node7"),
        ("ssh:binary", "binary: is no text: give a file of hosts"),
        ("slurm:memory", "slurm: 'memory' is no option: write NAME=VALUE with one of partition, account"),
        ("pbs:cores=many", "pbs: cores=many: give a whole number"),
        *(
            (f"{kind}:{rest}", _ADDRESS.format(value=f"{kind}:{rest}", kind=kind))
            for kind in ("dask", "tls")
            for rest in ("", "//", "node7:8786", "//node7", "//node7:", "//:8786", "//node7:0", "//node7:65536")
        ),
        ("dask://node7:8786/x", _ADDRESS.format(value="dask://node7:8786/x", kind="dask")),
        ("dask", _ADDRESS.format(value="dask", kind="dask")),
    ],
)
def test_no_engine(value: str, message: str, tmp_path: Path) -> None:
    (tmp_path / "empty").write_text("# nobody\n\n")
    (tmp_path / "binary").write_bytes(b"\xff\xfe")
    assert refusal(gcpt("set", "validate", "set", "--on", value, cwd=tmp_path)).startswith(message)


def test_options_that_do_not_go_with_an_engine(make_set: Callable[..., Path], tmp_path: Path) -> None:
    """Nothing is written."""
    words = ("set", "validate", make_set({"mcf": {"1": (1, "")}}), "-o", tmp_path / "out")
    pinned = "--cores: only workers on this machine are pinned: leave out --cores or --on"
    assert refusal(gcpt(*words, "--cores", "1", "--on", "dask://127.0.0.1:1")) == pinned
    message = refusal(gcpt(*words, "--on", "slurm:memory=1GB"))
    assert message == "slurm: the number of jobs is missing: give it with --jobs" and not (tmp_path / "out").exists()
