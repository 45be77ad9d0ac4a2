"""Mutation tests: plant faults one at a time in a copy of the project, and check that tests detect them.

    python -m gcpt.dev.mutants [--quick] [--jobs N] [WORD]

WORD: only faults with this in their names. --quick: only faults marked as quick. --jobs: parallel copies (2). Prints a
line for each fault and the score. Exit status: 0 the tests detected all faults, 1 a fault survived or its result is
unclear, 2 bad usage.

tests/mutants.toml has the faults. Their tests first run without a fault and must pass; --quick skips this run, because
it is part of the full test run.
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
from gcpt.restorer.options import OPTIONS_FILE

TABLE = Path("tests/mutants.toml")
#: Not copied: caches in any folder; history, environment, build results and the user's options at the top.
_IGNORED = shutil.ignore_patterns("__pycache__", ".*_cache", ".hypothesis", ".sconsw.lock", "compile_commands.json")
_IGNORED_AT_TOP = (".git", ".venv", "build", OPTIONS_FILE)
#: Time limit for the tests of one fault, in seconds, enough on a busy machine.
_TIMEOUT = 900.0
#: Prefixes of environment variables of an outer test session, which the tests of a copy must not see.
_SESSION_VARIABLES = ("PYTEST", "COVERAGE", "COV_", firmware_coverage.VARIABLE)
#: Exit statuses of pytest, and SCons' message for a failed build.
_PASSED, _FAILED = 0, 1
_NOT_BUILT = "scons: *** ["


@dataclass(frozen=True)
class Mutant:
    """A fault.

    Attributes:
        name: Its name.
        file: The source file.
        old: The text to replace, which occurs once in the file.
        new: Its replacement.
        tests: Test files or test functions; at least one must fail.
        build: Whether a failed build counts as detection.
        quick: Whether the full test run plants the fault.
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
    """The result of a fault.

    Attributes:
        mutant: The fault.
        detected: Whether a test detected it; None if unclear.
        why: The first test that failed, or the reason for an unclear result.
        seconds: Time of the tests.
    """

    mutant: Mutant
    detected: bool | None
    why: str
    seconds: float

    def __str__(self) -> str:
        word = {True: "detected", False: "SURVIVED", None: "UNCLEAR"}[self.detected]
        return f"{word:8}  {self.seconds:5.1f} s  {self.mutant.file}: {self.mutant.name}  [{self.why}]"


def load(root: Path) -> list[Mutant]:
    """Read the table of faults.

    Args:
        root: The project.

    Returns:
        The faults.

    Raises:
        UserError: Rows of the table are invalid; one line for each.
    """
    rows = tomllib.loads((root / TABLE).read_text())["mutant"]
    try:
        mutants = [Mutant(**{**row, "tests": tuple(row["tests"])}) for row in rows]
    except (KeyError, TypeError) as error:
        raise UserError(
            f"{TABLE}: {error}: the fields of a fault are {', '.join(Mutant.__dataclass_fields__)}"
        ) from None
    faults = [f"{TABLE}: {mutant.name}: {fault}" for mutant in mutants for fault in _faults(root, mutant)]
    if faults:
        raise UserError("\ngcpt: ".join(faults))
    return mutants


def _faults(root: Path, mutant: Mutant) -> Iterator[str]:
    """The problems of a row."""
    count = (root / mutant.file).read_text().count(mutant.old)
    if count != 1:
        yield f"the old text occurs {count} times in {mutant.file}: want 1"
    if mutant.old == mutant.new:
        yield "the new text equals the old text"
    for test in mutant.tests:
        name, _, function = test.partition("::")
        file = root / name
        if not file.is_file() or (function and f"def {function.partition('[')[0]}(" not in file.read_text()):
            yield f"{test} does not exist"


class Copy:
    """A copy of a project's sources that shares the original's environment and third-party sources.

    Attributes:
        folder: The copy.
        shared: The folder of real checkpoints beside the original.
    """

    def __init__(self, root: Path, folder: Path) -> None:
        self.folder = folder
        self.shared = root.parent / "shared"

        def ignored(where: str, names: list[str]) -> set[str]:
            return _IGNORED(where, names) | set(_IGNORED_AT_TOP if Path(where) == root else ())

        shutil.copytree(root, folder, ignore=ignored)
        (folder / "build").mkdir()
        for name in (".venv", "build/third_party"):
            (folder / name).symlink_to((root / name).resolve())

    def test(
        self, tests: Sequence[str], *arguments: str, timeout: float = _TIMEOUT
    ) -> "subprocess.CompletedProcess[str]":
        """Run pytest in the copy until the first failure.

        Args:
            tests: Test files or test functions.
            arguments: Further arguments for pytest.
            timeout: Time limit in seconds.

        Returns:
            The completed process.

        Raises:
            subprocess.TimeoutExpired: The tests exceed the time limit.
        """
        temporary = self.folder.with_name(f"{self.folder.name}.tests")  # beside the copy, because tests copy it
        shutil.rmtree(temporary, ignore_errors=True)
        command = [sys.executable, "-m", "pytest", "-x", "-q", "-p", "no:cacheprovider", f"--basetemp={temporary}"]
        environment = {
            "GCPT_SHARED": str(self.shared),
            **os.environ,
            "PYTHONPATH": str(self.folder / "site_scons"),
            "PYTHONDONTWRITEBYTECODE": "1",
            "HYPOTHESIS_STORAGE_DIRECTORY": str(self.folder / "hypothesis"),
        }
        for name in [name for name in environment if name.startswith(_SESSION_VARIABLES)]:
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

    def plant(self, mutant: Mutant, *arguments: str) -> MutantResult:
        """Plant a fault, run its tests, and remove the fault.

        Args:
            mutant: The fault.
            arguments: Further arguments for pytest.

        Returns:
            Its result.
        """
        file, start = self.folder / mutant.file, time.monotonic()
        original = file.read_text()
        try:
            file.write_text(original.replace(mutant.old, mutant.new))
            detected, why = judge(mutant, self.test(mutant.tests, *arguments))
        except subprocess.TimeoutExpired:
            detected, why = None, f"the tests exceeded {_TIMEOUT:.0f} s"
        finally:
            file.write_text(original)
        return MutantResult(mutant, detected, why, time.monotonic() - start)


def judge(mutant: Mutant, done: "subprocess.CompletedProcess[str]") -> tuple[bool | None, str]:
    """Judge a test run with a fault.

    Args:
        mutant: The fault.
        done: The completed pytest.

    Returns:
        Whether a test detected the fault (None if unclear), and the test or the reason.
    """
    first = next((line for line in done.stdout.splitlines() if line.startswith(("FAILED ", "ERROR "))), "")
    if done.returncode == _PASSED:
        return False, f"all of {' '.join(mutant.tests)} passed"
    if done.returncode != _FAILED:
        return None, f"pytest exited with status {done.returncode}: {(first or done.stdout.strip())[-200:]}"
    if _NOT_BUILT in done.stdout and not mutant.build:
        return None, "the build fails: no test could run"
    return True, first.partition(" ")[2].partition(" - ")[0]


def run(mutants: Sequence[Mutant], root: Path, jobs: int, *arguments: str) -> Iterator[MutantResult]:
    """Plant all faults.

    Args:
        mutants: The faults.
        root: The project.
        jobs: Number of copies that run in parallel.
        arguments: Further arguments for pytest.

    Yields:
        The results, in the order of ``mutants``.
    """
    with tempfile.TemporaryDirectory(prefix="gcpt-mutants-") as folder, ThreadPoolExecutor(jobs) as pool:
        copies: SimpleQueue[Copy] = SimpleQueue()
        for job in range(jobs):
            copies.put(Copy(root, Path(folder, str(job))))

        def plant(mutant: Mutant) -> MutantResult:
            copy = copies.get()
            try:
                return copy.plant(mutant, *arguments)
            finally:
                copies.put(copy)

        yield from pool.map(plant, mutants)


def baseline(mutants: Sequence[Mutant], root: Path, jobs: int) -> str:
    """Run the tests of all faults without a fault.

    Args:
        mutants: The faults.
        root: The project.
        jobs: Number of pytest workers.

    Returns:
        The end of pytest's output if tests fail; otherwise empty.
    """
    tests = sorted({test for mutant in mutants for test in mutant.tests})
    limit = _TIMEOUT * len(tests)
    with tempfile.TemporaryDirectory(prefix="gcpt-mutants-") as folder:
        copy = Copy(root, Path(folder, "original"))
        try:
            done = copy.test(tests, "-n", str(jobs), "-p", "no:xdist.looponfail", timeout=limit)
        except subprocess.TimeoutExpired:
            return f"the tests exceeded {limit:.0f} s"
    return "" if done.returncode == _PASSED else done.stdout[-3000:]


def main(arguments: Sequence[str] | None = None, root: Path = ROOT) -> int:
    """Run the mutation tests.

    Args:
        arguments: The arguments; by default those of the process.
        root: The project.

    Returns:
        The exit status.
    """
    parser = ArgumentParser("python -m gcpt.dev.mutants", description="Plant faults and check that tests detect them.")
    parser.add_argument("word", nargs="?", default="", help="only faults with this in their names")
    parser.add_argument("--quick", action="store_true", help="only faults marked as quick")
    parser.add_argument("--jobs", type=int, default=2, help="number of parallel copies")
    options = parser.parse_args(arguments)
    try:
        mutants = [
            mutant for mutant in load(root) if options.word in mutant.name and (mutant.quick or not options.quick)
        ]
        if not mutants:
            raise UserError(f"{TABLE}: no fault with {options.word!r} in its name")
    except UserError as error:
        print(f"gcpt: {error}", file=sys.stderr)
        return 2
    if not options.quick and (failures := baseline(mutants, root, options.jobs)):
        print(f"{failures}\nThe tests fail without a fault: fix them first.", file=sys.stderr)
        return 1
    detected = 0
    for result in run(mutants, root, options.jobs):
        print(result, flush=True)
        detected += result.detected is True
    print(f"{detected} of {len(mutants)} planted faults detected")
    return 0 if detected == len(mutants) else 1


if __name__ == "__main__":
    sys.exit(main())
