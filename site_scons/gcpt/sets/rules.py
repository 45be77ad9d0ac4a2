"""What the logs of a simulator say: whether it finished, and its figures."""

import math
import mmap
import re
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass
from pathlib import Path, PurePath
from typing import Any

from gcpt.errors import UserError, one_line

#: Bytes of a log's line in a message.
_LINE = 200
#: A number as simulators print it, with commas between thousands.
_NUMBER = r"(-?[\d,]+(?:\.\d+)?(?:e[-+]?\d+)?)"


@dataclass(frozen=True)
class Figure:
    """A figure in a log.

    Attributes:
        name: Its name.
        pattern: A regular expression whose first group is the number; the last match counts.
        is_rate: Whether it is work per time, such as IPC: its mean over instructions is the harmonic one.
    """

    name: str
    pattern: str
    is_rate: bool = False


@dataclass(frozen=True)
class Rules:
    """How a simulator is run and read.

    Attributes:
        name: The simulator's name.
        programs: A regular expression for its program's file name; "" for none.
        folder: The name of a point's folder, with the placeholders of ``str.format``.
        out: The file for its standard output.
        err: The file for its standard error; that of ``out`` for both in one.
        marks: Whether empty files ``running``, ``completed`` and ``abort`` tell its state.
        good: Regular expressions: one must be in a log of a finished run.
        bad: Regular expressions: none may be in a log of a finished run.
        needs_success: Whether a finished run also ends with exit status 0.
        figures: Its figures.
        logs: Further files with figures.
    """

    name: str
    programs: str = ""
    folder: str = "{workload}_{point}_{weight}"
    out: str = "simulator_out.txt"
    err: str = "simulator_err.txt"
    marks: bool = False
    good: tuple[str, ...] = ()
    bad: tuple[str, ...] = ()
    needs_success: bool = False
    figures: tuple[Figure, ...] = ()
    logs: tuple[str, ...] = ()

    def identity(self) -> dict[str, Any]:
        """Return what a judgement depends on, as JSON."""
        return asdict(self)


#: The simulators. A finished emu and NEMU print one of ``good``, and exit with 0 in other cases, too.
RULES: dict[str, Rules] = {
    rules.name: rules
    for rules in (
        Rules(
            name="emu",
            programs=r"emu|.*[-_.]emu",
            good=(r"HIT GOOD TRAP", r"EXCEEDING CYCLE/INSTR LIMIT"),
            bad=(r"ABORT at pc", r"FATAL:", r"Error:", r"HIT BAD TRAP"),
            figures=(
                Figure("instructions", rf"instrCnt\s*=\s*{_NUMBER}"),
                Figure("cycles", rf"cycleCnt\s*=\s*{_NUMBER}"),
                Figure("ipc", rf"\bIPC\s*=\s*{_NUMBER}", is_rate=True),
            ),
        ),
        Rules(
            name="gem5",
            programs=r"gem5.*",
            folder="{workload}_{point}",
            out="log.txt",
            err="log.txt",
            marks=True,
            good=(r"^Exiting @ tick \d+ because",),
            bad=(r"^panic:", r"^fatal:", r"Program aborted", r"gem5 has encountered a segmentation fault"),
            needs_success=True,
            figures=(
                Figure("instructions", rf"^simInsts\s+{_NUMBER}"),
                Figure("cycles", rf"^system\.(?:switch_)?cpus?0?\.numCycles\s+{_NUMBER}"),
                Figure("ipc", rf"^system\.(?:switch_)?cpus?0?\.ipc\s+{_NUMBER}", is_rate=True),
            ),
            logs=("m5out/stats.txt",),
        ),
        Rules(
            name="nemu",
            programs=r".*nemu.*",
            good=(r"HIT GOOD TRAP",),
            bad=(r"HIT CRITICAL ERROR", r"HIT BAD TRAP", r"ABORT at pc"),
            needs_success=True,
            figures=(Figure("instructions", rf"total guest instructions\s*=\s*{_NUMBER}"),),
        ),
    )
}


def rules_for(program: str) -> Rules | None:
    """Return the rules of a simulator.

    Args:
        program: The path of its program.

    Returns:
        Its rules; None if no simulator has this name.
    """
    name = PurePath(program).name
    return next((rules for rules in RULES.values() if re.fullmatch(rules.programs, name)), None)


def check_patterns(rules: Rules) -> None:
    """Check that all patterns are regular expressions, and those of figures have a group.

    Args:
        rules: The rules.

    Raises:
        UserError: One is not.
    """
    figures = [figure.pattern for figure in rules.figures]
    for pattern in (*rules.good, *rules.bad, *figures):
        try:
            groups = re.compile(pattern.encode(), re.MULTILINE).groups
        except re.error as error:
            raise UserError(f"{pattern!r} is not a regular expression: {error}") from error
        if pattern in figures and not groups:
            raise UserError(rf"{pattern!r} has no group for the figure: put the number in parentheses, as IPC = (\S+)")


@contextmanager
def _content(path: Path) -> Iterator[bytes | mmap.mmap]:
    """The bytes of a file; none of a file that is empty or absent."""
    try:
        with path.open("rb") as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as data:
            yield data
    except (OSError, ValueError):
        if path.exists() and path.stat().st_size:
            raise
        yield b""


@dataclass(frozen=True)
class Verdict:
    """What the logs say.

    Attributes:
        cause: One of ``results.CAUSES`` for a failure, else "".
        message: The line of a log, or what is missing.
        figures: The figures that the logs have.
    """

    cause: str
    message: str
    figures: dict[str, float]


def judge(rules: Rules, folder: Path, status: int) -> Verdict:
    """Read the logs of a run that ended.

    Args:
        rules: The rules of the simulator.
        folder: The point's folder.
        status: The exit status, negative for a signal.

    Returns:
        The verdict.

    Raises:
        OSError: A log cannot be read.
    """
    logs = [folder / name for name in dict.fromkeys((rules.out, rules.err))]
    figures = read_figures(rules.figures, [*logs, *(folder / name for name in rules.logs)])
    if line := _first_line(logs, rules.bad):
        return Verdict("log", line, figures)
    good = _first_line(logs, rules.good)
    if rules.good and not good:
        return Verdict("silent", f"{_ending(status)}, without {' or '.join(rules.good)} in {rules.out}", figures)
    if status and (rules.needs_success or not rules.good):
        return Verdict("status", _ending(status), figures)
    return Verdict("", "", figures)


def _ending(status: int) -> str:
    return f"it ended with signal {-status}" if status < 0 else f"it ended with status {status}"


def _first_line(logs: Iterable[Path], patterns: Sequence[str]) -> str:
    """Return the first line with one of the patterns; "" if there is none."""
    if not patterns:
        return ""
    expression = re.compile("|".join(f"(?:{pattern})" for pattern in patterns).encode(), re.MULTILINE)
    for path in logs:
        with _content(path) as data:
            if match := expression.search(data):
                start = data.rfind(b"\n", 0, match.start()) + 1
                end = data.find(b"\n", match.end())
                line = data[start : end if end >= 0 else len(data)]
                return (
                    one_line(re.sub(rb"\x1b\[[\d;]*m", b"", line)[:_LINE].decode(errors="replace")) or "an empty line"
                )
    return ""


def read_figures(figures: Iterable[Figure], logs: Sequence[Path]) -> dict[str, float]:
    """Read figures from logs.

    Args:
        figures: The figures.
        logs: The files; the first one with a figure decides.

    Returns:
        The figures by name, without those that no log has.

    Raises:
        OSError: A log cannot be read.
    """
    values = {}
    for figure in figures:
        expression = re.compile(figure.pattern.encode(), re.MULTILINE)
        for path in logs:
            with _content(path) as data:
                last = None
                for match in expression.finditer(data):
                    last = match[1]
            if last is not None and (value := _number(last)) is not None:
                values[figure.name] = value
                break
    return values


def _number(text: bytes) -> float | None:
    """A number with commas between thousands; None for what no mean can be computed of."""
    with suppress(ValueError):
        value = float(text.replace(b",", b""))
        return value if math.isfinite(value) else None
    return None
