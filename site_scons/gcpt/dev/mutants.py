"""Plants faults one at a time in a copy of the project and sees whether the tests that are to notice do.

    python -m gcpt.dev.mutants [--quick] [--jobs N] [WORD]

WORD: only faults with this in their names. --quick: those that are marked so. --jobs: how many at a time (2). Prints a
line for each and the score. 0: all were noticed, 1: one was not, or could not be judged;
2: wrong usage.

The faults are in tests/mutants.toml. Before any is planted, the tests that are to notice have to pass without it;
--quick leaves that to the run of all tests that it is a part of.
"""

import os
import shutil
import subprocess
import sys
import tempfile
import time
import tomllib
from argparse import ArgumentParser
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from queue import SimpleQueue

from gcpt.checkout import ROOT
from gcpt.dev import firmware_coverage
from gcpt.errors import UserError

TABLE = Path("tests/mutants.toml")
#: What is not copied: what is built, kept or remembered, and the history; anywhere, and at the top.
_LEFT_OUT = shutil.ignore_patterns("__pycache__", ".*_cache", ".hypothesis", ".sconsw.lock", "compile_commands.json")
_LEFT_OUT_ABOVE = (".git", ".venv", "build")
#: Seconds after which the tests of one fault count as stuck.
_TIMEOUT = 300.0
#: How the names of environment variables begin that belong to the session of which a run of this is a test.
_OF_THE_SESSION = ("PYTEST", "COVERAGE", "COV_", firmware_coverage.VARIABLE)
#: pytest's exit statuses, and how SCons ends what it cannot build.
_PASSED, _FAILED = 0, 1
_NOT_BUILT = "scons: *** ["


@dataclass(frozen=True)
class Mutant:
    """A fault: ``old``, which ``file`` has once, becomes ``new``. tests: files or tests, one of which has to fail.

    build: the build itself is what notices. quick: belongs to the short run.
    """

    name: str
    file: str
    old: str
    new: str
    tests: tuple[str, ...]
    build: bool = False
    quick: bool = False


@dataclass(frozen=True)
class MutantResult:
    """noticed: None where it cannot be said. why: the first test that failed, or what was in the way."""

    mutant: Mutant
    noticed: bool | None
    why: str
    seconds: float

    def __str__(self) -> str:
        word = {True: "noticed", False: "SURVIVED", None: "UNCLEAR"}[self.noticed]
        return f"{word:8}  {self.seconds:5.1f} s  {self.mutant.file}: {self.mutant.name}  [{self.why}]"


def load(root: Path) -> list[Mutant]:
    """The table of ``root``. UserError with a line for each row that is not as it has to be."""
    rows = tomllib.loads((root / TABLE).read_text())["mutant"]
    try:
        mutants = [Mutant(**{**row, "tests": tuple(row["tests"])}) for row in rows]
    except (KeyError, TypeError) as error:
        raise UserError(f"{TABLE}: {error}: a fault has {', '.join(Mutant.__dataclass_fields__)}") from None
    faults = [f"{TABLE}: {mutant.name}: {fault}" for mutant in mutants for fault in _faults(root, mutant)]
    if faults:
        raise UserError("\ngcpt: ".join(faults))
    return mutants


def _faults(root: Path, mutant: Mutant) -> Iterator[str]:
    """What is wrong with a row."""
    found = (root / mutant.file).read_text().count(mutant.old)
    if found != 1 or mutant.old == mutant.new:
        yield f"its old text is in {mutant.file} {found} times: want one to change"
    for test in mutant.tests:
        name, _, function = test.partition("::")
        file = root / name
        if not file.is_file() or (function and f"def {function.partition('[')[0]}(" not in file.read_text()):
            yield f"{test} does not exist"


class Copy:
    """A copy of the sources at ``root`` in ``folder``, with the environment and third-party sources of the original."""

    def __init__(self, root: Path, folder: Path) -> None:
        self.folder = folder
        self.shared = root.parent / "shared"

        def left_out(where: str, names: list[str]) -> set[str]:
            return _LEFT_OUT(where, names) | set(_LEFT_OUT_ABOVE if Path(where) == root else ())

        shutil.copytree(root, folder, ignore=left_out)
        (folder / "build").mkdir()
        for name in (".venv", "build/third_party"):
            (folder / name).symlink_to((root / name).resolve())

    def test(
        self, tests: Sequence[str], *arguments: str, timeout: float = _TIMEOUT
    ) -> "subprocess.CompletedProcess[str]":
        """Pytest of ``tests`` until the first that fails. TimeoutExpired."""
        temporary = self.folder.with_name(f"{self.folder.name}.tests")  # beside it: tests copy all of it, too
        shutil.rmtree(temporary, ignore_errors=True)
        command = [sys.executable, "-m", "pytest", "-x", "-q", "-p", "no:cacheprovider", f"--basetemp={temporary}"]
        environment = {
            "GCPT_SHARED": str(self.shared),
            **os.environ,
            "PYTHONPATH": str(self.folder / "site_scons"),
            "PYTHONDONTWRITEBYTECODE": "1",
            "HYPOTHESIS_STORAGE_DIRECTORY": str(self.folder / "hypothesis"),
        }
        for name in [name for name in environment if name.startswith(_OF_THE_SESSION)]:
            del environment[name]
        return subprocess.run(
            [*command, *arguments, *tests],
            cwd=self.folder,
            env=environment,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=timeout,
            check=False,
        )

    def plant(self, mutant: Mutant) -> MutantResult:
        """Whether the tests notice ``mutant``, which is gone again afterwards."""
        file, start = self.folder / mutant.file, time.monotonic()
        sound = file.read_text()
        try:
            file.write_text(sound.replace(mutant.old, mutant.new))
            noticed, why = judge(mutant, self.test(mutant.tests))
        except subprocess.TimeoutExpired:
            noticed, why = None, f"the tests did not end within {_TIMEOUT:.0f} s"
        finally:
            file.write_text(sound)
        return MutantResult(mutant, noticed, why, time.monotonic() - start)


def judge(mutant: Mutant, done: "subprocess.CompletedProcess[str]") -> tuple[bool | None, str]:
    """Whether a run of the tests noticed, and by what."""
    first = next((line for line in done.stdout.splitlines() if line.startswith(("FAILED ", "ERROR "))), "")
    if done.returncode == _PASSED:
        return False, f"all of {' '.join(mutant.tests)} passed"
    if done.returncode != _FAILED:
        return None, f"pytest ended with {done.returncode}: {(first or done.stdout.strip())[-200:]}"
    if _NOT_BUILT in done.stdout and not mutant.build:
        return None, "it does not build: no test had anything to notice"
    return True, first.partition(" ")[2].partition(" - ")[0]


def run(mutants: Sequence[Mutant], root: Path, jobs: int) -> Iterator[MutantResult]:
    """Each fault's result, in the order of ``mutants``, in ``jobs`` copies of ``root`` at a time."""
    with tempfile.TemporaryDirectory(prefix="gcpt-mutants-") as folder, ThreadPoolExecutor(jobs) as pool:
        copies: SimpleQueue[Copy] = SimpleQueue()
        for job in range(jobs):
            copies.put(Copy(root, Path(folder, str(job))))

        def plant(mutant: Mutant) -> MutantResult:
            copy = copies.get()
            try:
                return copy.plant(mutant)
            finally:
                copies.put(copy)

        yield from pool.map(plant, mutants)


def baseline(mutants: Sequence[Mutant], root: Path, jobs: int) -> str:
    """What fails of their tests without any fault; "" where that is nothing."""
    tests = sorted({test for mutant in mutants for test in mutant.tests})
    limit = _TIMEOUT * len(tests)
    with tempfile.TemporaryDirectory(prefix="gcpt-mutants-") as folder:
        copy = Copy(root, Path(folder, "sound"))
        try:
            done = copy.test(tests, "-n", str(jobs), "-p", "no:xdist.looponfail", timeout=limit)
        except subprocess.TimeoutExpired:
            return f"they did not end within {limit:.0f} s"
    return "" if done.returncode == _PASSED else done.stdout[-3000:]


def main(arguments: Sequence[str] | None = None, root: Path = ROOT) -> int:
    parser = ArgumentParser(
        "python -m gcpt.dev.mutants", description="Plants faults and sees whether the tests notice."
    )
    parser.add_argument("word", nargs="?", default="", help="only faults with this in their names")
    parser.add_argument("--quick", action="store_true", help="those that are marked so")
    parser.add_argument("--jobs", type=int, default=2, help="how many at a time")
    asked = parser.parse_args(arguments)
    try:
        mutants = [each for each in load(root) if asked.word in each.name and (each.quick or not asked.quick)]
        if not mutants:
            raise UserError(f"{TABLE} has no fault with {asked.word!r} in its name")
    except UserError as error:
        print(f"gcpt: {error}", file=sys.stderr)
        return 2
    if not asked.quick and (found := baseline(mutants, root, asked.jobs)):
        print(f"{found}\nThe tests do not pass without a fault.", file=sys.stderr)
        return 1
    noticed = 0
    for result in run(mutants, root, asked.jobs):
        print(result, flush=True)
        noticed += result.noticed is True
    print(f"{noticed} of {len(mutants)} planted faults were noticed")
    return 0 if noticed == len(mutants) else 1


if __name__ == "__main__":
    sys.exit(main())
