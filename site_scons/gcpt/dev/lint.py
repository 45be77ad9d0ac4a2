"""What tools find in the sources without running them.

    python -m gcpt.dev.lint [--fix] [NAME[,NAME...]] [OPTION=VALUE...]

NAME: a check, see CHECKS; none: all. --fix: let those that can mend what they find. OPTION=VALUE: the toolchain's
options, for the compile commands that clang-tidy takes. 0: nothing was found, 1: something was, 2: wrong usage.
"""

import json
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
from gcpt.restorer.options import nearest

_FORMAT, _TIDY = "clang-format-19", "clang-tidy-19"
#: Where the objects are built whose compile commands clang-tidy takes; relative to the root.
_BUILD = "build/lint"
#: Configurations that between them compile every C file, each with and without the branches of the preprocessor.
VARIANTS: tuple[tuple[str, ...], ...] = (
    ("mode=auto", "platform=qemu-virt", "log=debug", "display_cpu=all", "selfcheck=1"),
    ("mode=dual_core", "platform=southlake", "stop_cpu=1", "harts=8", "flash=1", "ram=0x2000040000"),
)
Command = list[str]


@dataclass(frozen=True)
class Request:
    """root: of the project to look at. settings: OPTION=VALUE for its builds. fix: mend what can be mended."""

    root: Path = ROOT
    settings: tuple[str, ...] = ()
    fix: bool = False

    def c_files(self) -> list[str]:
        """All C sources and headers, the host's of the tests too. Some of these are not to be formatted; see there."""
        folders = ("firmware", "firmware/include", "tests/firmware/host")
        return [f"{each}/{path.name}" for each in folders for path in sorted((self.root / each).glob("*.[ch]"))]


def _ruff(request: Request) -> Iterator[Command]:
    yield [sys.executable, "-m", "ruff", "check", *(["--fix"] if request.fix else []), "."]


def _format(request: Request) -> Iterator[Command]:
    yield [sys.executable, "-m", "ruff", "format", *([] if request.fix else ["--diff"]), "."]


def _mypy(request: Request) -> Iterator[Command]:
    yield [sys.executable, "-m", "mypy", "--no-error-summary"]


def _clang_format(request: Request) -> Iterator[Command]:
    yield [_FORMAT, *(["-i"] if request.fix else ["--dry-run", "-Werror"]), *request.c_files()]


def _clang_tidy(request: Request) -> Iterator[Command]:
    scons = [sys.executable, "-m", "SCons", "-s", f"build_dir={_BUILD}", *request.settings]
    for options in VARIANTS:
        yield [*scons, *options]
        yield [_TIDY, "--quiet", "-p", _BUILD, "--warnings-as-errors=*", *compiled(request.root / _BUILD)]


def compiled(build: Path) -> list[str]:
    """The firmware's C files of the configuration that was built last in ``build``."""
    entries = json.loads((build / "compile_commands.json").read_text())
    files = [Path(entry["directory"], entry["file"]).resolve() for entry in entries]
    return [str(path) for path in files if path.suffix == ".c" and path.parent.name == "firmware"]


#: Every check by its name: what it looks for, and the commands, which run one after the other until one fails.
CHECKS: dict[str, tuple[str, Callable[[Request], Iterator[Command]]]] = {
    "ruff": ("faults in Python", _ruff),
    "format": ("layout of Python", _format),
    "mypy": ("types of the package gcpt", _mypy),
    "clang-format": ("layout of C", _clang_format),
    "clang-tidy": ("faults in the firmware's C", _clang_tidy),
}


def run(name: str, request: Request) -> str:
    """What the check ``name`` found, as its tool prints it; "" where that is nothing."""
    for command in CHECKS[name][1](request):
        if not shutil.which(command[0]):
            return f"{command[0]} is not installed: ./sconsw --setup-only installs it\n"
        done = subprocess.run(command, cwd=request.root, capture_output=True, text=True, check=False)
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
            raise UserError(f"lint={name}: there is no such check, but {', '.join(CHECKS)}{nearest(name, (*CHECKS,))}")
    return names or list(CHECKS)


def main(arguments: Sequence[str]) -> int:
    request = Request(settings=tuple(word for word in arguments if "=" in word), fix="--fix" in arguments)
    try:
        names = _chosen([word for word in arguments if word != "--fix" and "=" not in word])
    except UserError as error:
        print(f"gcpt: {error}", file=sys.stderr)
        return 2
    bad = 0
    with ThreadPoolExecutor(1 if request.fix else 2) as pool:  # two that mend change files under each other's hands
        for name, (found, seconds) in zip(names, pool.map(_timed, names, [request] * len(names)), strict=True):
            print(f"{found}lint: {name} ({CHECKS[name][0]}): {'FOUND' if found else 'nothing'}, {seconds:.1f} s")
            bad += bool(found)
    return 1 if bad else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
