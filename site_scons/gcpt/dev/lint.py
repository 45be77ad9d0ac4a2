"""Static checks of the sources.

    python -m gcpt.dev.lint [--fix] [CHECK[,CHECK...]] [OPTION=VALUE...]

CHECK: a name in CHECKS; by default all. --fix: let the tools fix what they can. OPTION=VALUE: toolchain options for the
compile commands of clang-tidy. Exit status: 0 success, 1 problems found, 2 bad usage.
"""

import json
import os
import shutil
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

from gcpt.checkout import ROOT
from gcpt.errors import UserError
from gcpt.restorer.options import NO_OPTIONS_FILE, nearest

#: Folder of the plugin of QEMU.
_PLUGIN = "site_scons/gcpt/machines/plugin"
_FORMAT, _TIDY = "clang-format-19", "clang-tidy-19"
#: The build folder with the compile commands for clang-tidy, relative to the root.
_BUILD = "build/lint"
#: Configurations that together compile every C file, with both branches of each preprocessor condition.
VARIANTS: tuple[tuple[str, ...], ...] = (
    ("mode=auto", "platform=qemu-virt", "log=debug", "display_cpu=all", "selfcheck=1"),
    ("mode=dual_core", "platform=southlake", "stop_cpu=1", "harts=8", "flash=1", "ram=0x2000040000"),
)
Command = list[str]


@dataclass(frozen=True)
class Request:
    """What to check.

    Attributes:
        root: The project.
        settings: OPTION=VALUE for its builds.
        fix: Whether tools fix what they can.
    """

    root: Path = ROOT
    settings: tuple[str, ...] = ()
    fix: bool = False

    def c_files(self) -> list[str]:
        """List the C sources and headers of the firmware, of QEMU's plugin and of the tests' host programs.

        Returns:
            Paths relative to the root.
        """
        folders = ("firmware", "firmware/include", "tests/firmware/host", "tests/support", _PLUGIN)
        return [f"{folder}/{path.name}" for folder in folders for path in sorted((self.root / folder).glob("*.[ch]"))]


def _ruff(request: Request) -> Iterator[Command]:
    yield [sys.executable, "-m", "ruff", "check", *(["--fix"] if request.fix else []), "."]


def _format(request: Request) -> Iterator[Command]:
    yield [sys.executable, "-m", "ruff", "format", *([] if request.fix else ["--diff"]), "."]


def _mypy(request: Request) -> Iterator[Command]:
    yield [sys.executable, "-m", "mypy", "--no-error-summary"]


def _imports(_: Request) -> Iterator[Command]:
    linter = str(Path(sys.executable).with_name("lint-imports"))
    # It imports the package from the folder that it runs in.
    yield ["env", "--chdir=site_scons", linter, "--no-cache", "--no-logo", "../pyproject.toml"]


def _collection(_: Request) -> Iterator[Command]:
    yield [sys.executable, "-m", "gcpt.dev.collection"]


def _clang_format(request: Request) -> Iterator[Command]:
    yield [_FORMAT, *(["-i"] if request.fix else ["--dry-run", "-Werror"]), *request.c_files()]


def _clang_tidy(request: Request) -> Iterator[Command]:
    scons = [sys.executable, "-m", "SCons", "-s", NO_OPTIONS_FILE, f"build_dir={_BUILD}", *request.settings]
    for options in VARIANTS:
        yield [*scons, *options]
        yield [_TIDY, "--quiet", "-p", _BUILD, "--warnings-as-errors=*", *compiled(request.root / _BUILD)]


def compiled(build: Path) -> list[str]:
    """List the firmware's C files in the compile commands of a build.

    Args:
        build: The build folder.

    Returns:
        Absolute paths.
    """
    entries = json.loads((build / "compile_commands.json").read_text())
    files = [Path(entry["directory"], entry["file"]).resolve() for entry in entries]
    return [str(path) for path in files if path.suffix == ".c" and path.parent.name == "firmware"]


#: The checks by name: a description, and the commands, which run in order until one fails.
CHECKS: dict[str, tuple[str, Callable[[Request], Iterator[Command]]]] = {
    "ruff": ("Python code", _ruff),
    "format": ("Python formatting", _format),
    "mypy": ("Python types", _mypy),
    "imports": ("imports between modules", _imports),
    "collection": ("test files that pytest collects", _collection),
    "clang-format": ("C formatting", _clang_format),
    "clang-tidy": ("C code", _clang_tidy),
}


def run(name: str, request: Request) -> str:
    """Run a check.

    Args:
        name: Its name in CHECKS.
        request: What to check.

    Returns:
        The output of its tool; empty if the tool finds no problem.
    """
    environment = {**os.environ, "PYTHONPATH": str(request.root / "site_scons")}
    for command in CHECKS[name][1](request):
        if not shutil.which(command[0]):
            return f"{command[0]} is not installed: ./sconsw --setup-only installs it\n"
        done = subprocess.run(command, cwd=request.root, env=environment, capture_output=True, text=True, check=False)
        if done.returncode:
            return done.stdout + done.stderr
    return ""


def _timed(name: str, request: Request) -> tuple[str, float]:
    start = time.monotonic()
    return run(name, request), time.monotonic() - start


def _chosen(words: Sequence[str]) -> list[str]:
    names = [name for word in words for name in word.split(",") if name]
    for name in names:
        if name not in CHECKS:
            raise UserError(f"lint={name}: want one of {', '.join(CHECKS)}{nearest(name, (*CHECKS,))}")
    return names or list(CHECKS)


def main(arguments: Sequence[str]) -> int:
    """Run checks and print their problems.

    Args:
        arguments: Check names, ``--fix`` and OPTION=VALUE.

    Returns:
        The exit status.
    """
    request = Request(settings=tuple(word for word in arguments if "=" in word), fix="--fix" in arguments)
    try:
        names = _chosen([word for word in arguments if word != "--fix" and "=" not in word])
    except UserError as error:
        print(f"gcpt: {error}", file=sys.stderr)
        return 2
    failed = 0
    with ThreadPoolExecutor(1 if request.fix else 2) as pool:  # concurrent fixes would corrupt files
        for name, (problems, seconds) in zip(names, pool.map(_timed, names, [request] * len(names)), strict=True):
            print(f"{problems}lint: {name} ({CHECKS[name][0]}): {'FAILED' if problems else 'ok'}, {seconds:.1f} s")
            failed += bool(problems)
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
