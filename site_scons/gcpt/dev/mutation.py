"""Mutation sample: mutmut's faults at random places of Python modules, one at a time in a copy of the project.

    python -m gcpt.dev.mutation [--seed N] [--jobs N] COUNT [WORD]

COUNT: number of faults, at different places. WORD: only modules with this in their names. --seed: repeat a sample.
--jobs: parallel copies (2). tests/mutation.toml names each module's tests, the faults that change no behaviour, which
do not count, and the floor. Prints the faults that survive, and the score. Exit status: 0 the score reaches the floor,
1 it does not, 2 bad usage.
"""

import difflib
import random
import resource
import sys
import time
import tomllib
from argparse import ArgumentParser
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import libcst
from mutmut.mutation import mutators

from gcpt.checkout import ROOT
from gcpt.dev import mutants
from gcpt.dev.mutants import Mutant

TABLE = Path("tests/mutation.toml")
PACKAGE = Path("site_scons/gcpt")
#: Time limit for one test, in seconds: a fault that loops forever is detected.
_TIMEOUT = 60
#: Limit for memory of one process, in bytes: a fault that fills memory is detected.
_MEMORY = 8 << 30
#: Not planted: tests do not have the words of every message.
_LEFT_OUT = mutators.operator_string


@dataclass(frozen=True)
class Table:
    """The table of modules.

    Attributes:
        floor: The least score in percent.
        tests: The test files of each module, by its path in the package.
        equivalent: Faults that change no behaviour: module, old lines, new lines, all without indentation.
    """

    floor: float
    tests: Mapping[str, tuple[str, ...]]
    equivalent: frozenset[tuple[str, str, str]]


def load(root: Path) -> Table:
    """Read the table of modules.

    Args:
        root: The project.

    Returns:
        The table.
    """
    values = tomllib.loads((root / TABLE).read_text())
    equivalent = frozenset((row["file"], row["old"], row["new"]) for row in values.get("equivalent", ()))
    package = root / PACKAGE
    tests = {
        str(path.relative_to(package)): tuple(tests)
        for pattern, tests in values["tests"].items()
        for path in sorted(package.glob(pattern))
    }
    return Table(values["floor"], tests, equivalent)


class _Places(libcst.CSTVisitor):
    """Faults by place. Annotations and decorators have none: hardly any code reads them."""

    def __init__(self) -> None:
        super().__init__()
        self.found: list[tuple[libcst.CSTNode, list[libcst.CSTNode]]] = []

    def on_visit(self, node: libcst.CSTNode) -> bool:
        operators = [operator for kind, operator in mutators.mutation_operators if isinstance(node, kind)]
        if faults := [fault for operator in operators if operator is not _LEFT_OUT for fault in operator(node)]:
            self.found.append((node, faults))
        return not isinstance(node, libcst.Annotation | libcst.Decorator)


def places(source: str) -> list[list[Callable[[], str]]]:
    """Find mutmut's faults in a module.

    Args:
        source: The module's text.

    Returns:
        The faults at each place: functions that return the text with the fault.
    """
    module, visitor = libcst.parse_module(source), _Places()
    module.visit(visitor)

    def planted(node: libcst.CSTNode, fault: libcst.CSTNode) -> str:
        return libcst.ensure_type(module.deep_replace(node, fault), libcst.Module).code

    return [[partial(planted, node, fault) for fault in faults] for node, faults in visitor.found]


def difference(old: str, new: str) -> tuple[int, str, str]:
    """Compare two texts that differ in one place.

    Args:
        old: The text.
        new: The text with a fault.

    Returns:
        The number of the first line that differs, and the lines of both that differ, without indentation.
    """
    before, after = old.splitlines(), new.splitlines()
    codes = [code for code in difflib.SequenceMatcher(None, before, after, False).get_opcodes() if code[0] != "equal"]
    (_, first, _, start, _), (_, _, last, _, end) = codes[0], codes[-1]
    return first + 1, _one_line(before[first:last]), _one_line(after[start:end])


def _one_line(lines: Sequence[str]) -> str:
    return " ".join(line.strip() for line in lines)


def sample(table: Table, root: Path, count: int, word: str, seed: int) -> Iterator[Mutant]:
    """Choose faults at random places.

    Args:
        table: The table of modules.
        root: The project.
        count: The number of places.
        word: Only modules with this in their names.
        seed: The seed of the choice.

    Yields:
        A fault for each place, except those that change no behaviour.
    """
    sources = {name: (root / PACKAGE / name).read_text() for name in table.tests if word in name}
    found = [(name, faults) for name, source in sources.items() for faults in places(source)]
    choice = random.Random(seed)
    for name, faults in choice.sample(found, min(count, len(found))):
        old, new = sources[name], choice.choice(faults)()
        line, before, after = difference(old, new)
        if (name, before, after) not in table.equivalent:
            title = f"line {line}: {before} -> {after or 'nothing'}"
            yield Mutant(title, str(PACKAGE / name), old, new, table.tests[name])


def main(arguments: Sequence[str] | None = None, root: Path = ROOT) -> int:
    """Test a sample.

    Args:
        arguments: The arguments; by default those of the process.
        root: The project.

    Returns:
        The exit status.
    """
    parser = ArgumentParser("python -m gcpt.dev.mutation", description="Plant random faults in Python modules.")
    parser.add_argument("count", type=int, help="number of faults")
    parser.add_argument("word", nargs="?", default="", help="only modules with this in their names")
    parser.add_argument("--seed", type=int, default=time.time_ns() % 1_000_000, help="seed of an earlier sample")
    parser.add_argument("--jobs", type=int, default=2, help="number of parallel copies")
    options = parser.parse_args(arguments)
    table = load(root)
    faults = list(sample(table, root, max(options.count, 0), options.word, options.seed))
    if not faults:
        print(f"gcpt: {TABLE}: no faults: want a number above 0 and a part of a module's name", file=sys.stderr)
        return 2
    print(f"{len(faults)} faults, seed={options.seed}", flush=True)
    with _limited_memory():
        return _score(faults, table.floor, root, options.jobs)


@contextmanager
def _limited_memory() -> Iterator[None]:
    """Limit the memory of the processes that are started, for faults that ask for more and more of it."""
    before = resource.getrlimit(resource.RLIMIT_DATA)
    resource.setrlimit(resource.RLIMIT_DATA, (_MEMORY, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_DATA, before)


def _score(faults: list[Mutant], floor: float, root: Path, jobs: int) -> int:
    """Plant the faults, and print which survive and the score; return the exit status."""
    if failures := mutants.baseline(faults, root, jobs):
        print(f"{failures}\nThe tests fail without a fault: fix them first.", file=sys.stderr)
        return 1
    survivors = 0
    for result in mutants.run(faults, root, jobs, f"--timeout={_TIMEOUT}"):
        if result.detected is False:  # a module that cannot be imported is detected
            survivors += 1
            print(result, flush=True)
    score = 100 * (len(faults) - survivors) / len(faults)
    print(f"{len(faults) - survivors} of {len(faults)} random faults detected: {score:.0f} %; floor {floor} %")
    return 0 if score >= floor else 1


if __name__ == "__main__":
    sys.exit(main())
