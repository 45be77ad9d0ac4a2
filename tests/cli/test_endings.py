"""Endings of output files: each is one of the file's format, or refused, by one check for all commands."""

from collections.abc import Callable, Iterator
from importlib import import_module
from pathlib import Path

import click
import pytest
from command import here, refusal

from gcpt.checkpoint.containers import MAGICS
from gcpt.cli import SUBCOMMANDS
from gcpt.cli.output import OutputPath
from gcpt.machines.builds import BuiltRestorer

Make = Callable[..., Path]
#: Outputs whose format the ending chooses; --container or --format allows any other ending.
CHOSEN = {
    *("convert OUT", "convert --flash-out", "snapshot -o", "snapshot --flash-out", "unpack -o"),
    *("pack -o", "pack --memory-out"),
}


def _outputs(name: str, command: click.Command) -> Iterator[tuple[str, OutputPath]]:
    """The output files of a command and its subcommands: command and option, and the type."""
    if isinstance(command, click.Group):
        context = click.Context(command)
        for inner in command.list_commands(context):
            found = command.get_command(context, inner)
            assert found
            yield from _outputs(f"{name} {inner}", found)
    for parameter in command.params:
        if isinstance(parameter.type, OutputPath):
            yield f"{name} {parameter.opts[0] if parameter.opts[0].startswith('-') else 'OUT'}", parameter.type


def _all() -> dict[str, OutputPath]:
    commands = {name: import_module(f"gcpt.cli.{name}").command for name in SUBCOMMANDS}
    return dict(output for name, command in commands.items() for output in _outputs(name, command))


def test_each_output_has_its_endings() -> None:
    outputs = _all()
    assert {output for output, kind in outputs.items() if not kind.endings} == CHOSEN
    assert len(outputs) > len(CHOSEN) + 8


@pytest.mark.parametrize("output", sorted(set(_all()) - CHOSEN))
def test_other_endings_are_refused(output: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    *words, option = output.split()
    endings = _all()[output].endings
    for ending in {".gz", ".GZ", ".zst", ".xz", ".elf", ".json", ".other"} - {*endings, ".GZ" * (".gz" in endings)}:
        message = refusal(here(*words, option, f"x{ending}"))
        named = f"x{ending}: unknown ending {ending}: choose "
        assert named in message and all(known in message for known in endings), message
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("output", sorted(CHOSEN))
def test_unknown_endings_are_refused(
    output: str, checkpoint_file: Make, build_restorer: Callable[..., BuiltRestorer], tmp_path: Path
) -> None:
    path, code = checkpoint_file(), tmp_path / "spin"
    code.write_bytes(bytes.fromhex("6f000000"))
    restorer = build_restorer(platform="qemu-virt", mode="single_core").image
    words = {
        "convert OUT": ("convert", path, "x.other"),
        "convert --flash-out": ("convert", path, "m", "--layout", "flash", "--flash-out", "x.other"),
        "snapshot -o": ("snapshot", "--load", f"{code}@0x80100000", "-o", "x.other"),
        "snapshot --flash-out": (
            *("snapshot", "--load", f"{code}@0x80100000", "-o", "m"),
            *("--layout", "flash", "--flash-out", "x.other"),
        ),
        "unpack -o": ("unpack", path, "-o", "x.other"),
        "pack -o": ("pack", restorer, path, "-o", "x.other"),
        "pack --memory-out": ("pack", restorer, path, "--flash", path, "-o", "m", "--memory-out", "x.other"),
    }[output]
    message = refusal(here(*words))
    assert "x.other: unknown ending .other: choose one of " in message, message


@pytest.mark.parametrize("ending", ["", ".bin", ".BIN", ".raw", ".img"])
def test_a_restorer_is_raw(ending: str, tmp_path: Path) -> None:
    out = tmp_path / f"gcpt{ending}"
    run = here("restorer", "--platform", "qemu-virt", "-o", out)
    assert run.returncode == 0 and not any(map(out.read_bytes().startswith, MAGICS.values())), run.stderr
