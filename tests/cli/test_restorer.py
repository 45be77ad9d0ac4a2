"""``gcpt restorer`` in a checkout and in an installation without one; the commands that find their restorers there."""

import hashlib
import json
from collections.abc import Callable
from pathlib import Path

import pytest
from command import gcpt, refusal
from installation import Installation, installation, plain_installation, wheel

from gcpt.checkpoint.places import DUAL_CORE, PROTOBUF, SINGLE_CORE
from gcpt.errors import UserError
from gcpt.machines import builds, demo
from gcpt.machines.synthetic import Mode, Recipe
from gcpt.restorer import ready

__all__ = ["installation", "plain_installation", "wheel"]
ROOT = Path(__file__).parents[2]
CHOICES = [
    {"platform": "xiangshan", "mode": "auto"},
    {"platform": "spike", "mode": "single_core"},
    {"platform": "qemu-virt", "mode": "dual_core", "log": "info"},
]


def _words(options: dict[str, str]) -> list[str]:
    return [word for name, value in options.items() for word in (f"--{name}", value)]


def _sha256(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()


def test_a_checkout_and_an_installation_write_what_the_build_makes(
    installation: Installation, session_folder: Path, tmp_path: Path
) -> None:
    rows = {row["variant"]: row for row in json.loads(installation.run("restorer", "--list", "--json").stdout)}
    assert len(rows) == len(ready.variants())
    for options in CHOICES:
        built = builds.build(ROOT, session_folder / "ready", options)
        outputs = [tmp_path / "installation.bin", tmp_path / "checkout.bin"]
        run = installation.run("restorer", *_words(options), "-o", outputs[0])
        assert (run.returncode, run.stderr) == (0, "")
        assert (
            gcpt("restorer", *_words(options), "-o", outputs[1]).stdout.splitlines()[1:] == run.stdout.splitlines()[1:]
        )
        row = rows[built.config.variant]
        assert {_sha256(path) for path in outputs} == {_sha256(built.image)} == {row["sha256"]}
        assert row["sha256"] in run.stdout
        assert row["bytes"] == built.image.stat().st_size
        assert options.items() <= {"platform": "xiangshan", "mode": "normal", **row["options"]}.items()


def test_the_list_names_every_restorer_once() -> None:
    run = gcpt("restorer", "--list")
    header, *lines, last = run.stdout.splitlines()
    assert (run.returncode, run.stderr, header.split()) == (0, "", ["platform", "mode", "log", "bytes", "sha256"])
    names = [tuple(line.split()[:3]) for line in lines]
    assert names == [tuple(options.values()) for options in ready.variants()]
    assert last.startswith(f"{len(lines)} restorers of gcpt ")


def test_a_checkpoint_restores_on_spike_with_a_restorer_of_the_wheel(
    plain_installation: Installation, checkpoint_file: Callable[..., Path]
) -> None:
    for recipe, place in ((Recipe((Mode.S,)), None), (Recipe((Mode.U, Mode.M), harts=2), DUAL_CORE)):
        file = checkpoint_file(recipe, place) if place else checkpoint_file(recipe)
        run = plain_installation.run("verify", "--on", "spike", file)
        assert (run.returncode, run.stderr) == (0, "")
        assert run.stdout.splitlines()[-1].endswith(", 0 unexplained")


def test_an_installation_runs_a_checkpoint_to_its_end(plain_installation: Installation, tmp_path: Path) -> None:
    demo.main([str(tmp_path / "demo.gz")])
    run = plain_installation.run("run", tmp_path / "demo.gz")
    assert run.returncode == 0, run.stderr
    assert "with every register in its place." in run.stdout


def test_an_installation_without_ready_restorers_says_so(
    plain_installation: Installation, checkpoint_file: Callable[..., Path], tmp_path: Path
) -> None:
    """As pip makes one from source, where neither SCons nor picolibc is."""
    archive = plain_installation.package / "restorer" / ready.ARCHIVE
    archive.rename(tmp_path / "archive")
    try:
        runs = [
            plain_installation.run(*arguments)
            for arguments in (
                ("restorer", "--list"),
                ("restorer", "-o", tmp_path / "gcpt.bin"),
                ("verify", checkpoint_file()),
            )
        ]
    finally:
        (tmp_path / "archive").rename(archive)
    for run in runs:
        assert "has no ready restorers, because pip built it from source: install a released wheel" in refusal(run)


def test_gdb_has_the_symbols_of_a_ready_restorer(
    plain_installation: Installation, checkpoint_file: Callable[..., Path]
) -> None:
    run = plain_installation.run("debug", checkpoint_file(), "--batch", "-x", "info symbol gcpt_restore")
    assert run.returncode == 0 and "gcpt_restore in section .text" in run.stdout, run.stdout + run.stderr


def test_pack_embeds_a_ready_restorer_that_fits(
    plain_installation: Installation, checkpoint_file: Callable[..., Path], tmp_path: Path
) -> None:
    """... on the machine and for the checkpoint's layout; the same as with its file."""
    out, gcpt_bin, same = (tmp_path / name for name in ("packed.zst", "gcpt.bin", "same.zst"))
    for mode, place in (("single_core", SINGLE_CORE), ("dual_core", DUAL_CORE), ("normal", PROTOBUF)):
        checkpoint = checkpoint_file(Recipe(harts=1), place)
        run = plain_installation.run("pack", "--platform", "spike", checkpoint, "-o", out)
        assert (run.returncode, run.stderr) == (0, "")
        assert gcpt("restorer", "--platform", "spike", "--mode", mode, "-o", gcpt_bin).returncode == 0
        assert gcpt("pack", gcpt_bin, checkpoint, "-o", same).returncode == 0
        assert out.read_bytes() == same.read_bytes()
    message = refusal(plain_installation.run("pack", "--swap", "--platform", "spike", out))
    assert message == "--swap wants GCPT_BIN CKPT...: give the new restorer and the packed images"


def test_options_without_a_ready_restorer_are_named(
    plain_installation: Installation, checkpoint_file: Callable[..., Path], session_folder: Path, tmp_path: Path
) -> None:
    """The embedded restorer is for another machine, and its options are not those of a ready one."""
    built = builds.build(ROOT, session_folder / "ready", {"mode": "single_core", "csrs": "+sdtrig"})
    packed = tmp_path / "packed.zst"
    assert gcpt("pack", built.image, checkpoint_file(), "-o", packed).returncode == 0
    message = refusal(plain_installation.run("verify", "--on", "qemu", packed))
    assert "no ready restorer has the options mode=single_core csrs=+sdtrig platform=qemu-virt: to build it" in message


def test_the_archive_is_reproducible_and_a_damaged_one_is_named(session_folder: Path, tmp_path: Path) -> None:
    built = builds.build(ROOT, session_folder / "ready", {"mode": "single_core"})
    archives = [tmp_path / "one", tmp_path / "two"]
    for archive in archives:
        ready.write(archive, [("single_core", built.image, built.elf)])
    assert archives[0].read_bytes() == archives[1].read_bytes()
    assert ready.read(archives[0])["single_core"].data == built.image.read_bytes()
    whole = archives[0].read_bytes()
    for damaged in (whole[: len(whole) // 2], b"", whole[:100] + b"gcpt" + whole[104:]):
        archives[1].write_bytes(damaged)
        ready.read.cache_clear()
        with pytest.raises(UserError, match=r"two: .*: install gcpt again"):
            ready.read(archives[1])


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ([], "restorer: nothing to do: give -o gcpt.bin to write a restorer, or --list"),
        (["--list", "--mode", "auto"], "--list lists all restorers: remove -o, --platform, --mode and --log"),
        (["--log", "debug", "-o", "x"], "'debug' is not one of 'quiet', 'info'"),
    ],
)
def test_wrong_usage(arguments: list[str], message: str, tmp_path: Path) -> None:
    assert message.removeprefix("restorer: ") in refusal(gcpt("restorer", *arguments, cwd=tmp_path))
    assert not list(tmp_path.iterdir())
