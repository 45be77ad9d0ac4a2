"""Run a simulator for a point: its command line, and what its logs say afterwards."""

import errno
import json
import os
import re
import shutil
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from gcpt.errors import UserError
from gcpt.sets import process
from gcpt.sets.points import Point
from gcpt.sets.results import FAILED, FINISHED, Result, failure, folder_name
from gcpt.sets.rules import Rules, judge

#: The placeholders of a command line.
PLACEHOLDERS = {
    "checkpoint": "the checkpoint's image",
    "flash": "the flash image of a pair",
    "restorer": "the restorer",
    "workload": "the workload",
    "point": "the point's number",
    "weight": "the point's weight",
    "name": "WORKLOAD_POINT",
    "folder": "the point's folder, in which the command runs",
    "here": "the folder in which gcpt was started",
}
_PLACEHOLDER = re.compile(r"\{(\w+)\}")
#: The files that mark the state of a folder.
_RUNNING, _COMPLETED, _ABORT = "running", "completed", "abort"
#: Bytes that are free on a disk that is not full.
_FREE = 1 << 20


def weight_text(weight: float | None) -> str:
    """Write a weight as the names of checkpoints do.

    Args:
        weight: The weight; None if unknown.

    Returns:
        Six decimals.
    """
    return f"{weight or 0:.6f}"


@dataclass(frozen=True)
class RunCommand:
    """Run a command for each point.

    Attributes:
        command: The program's path and its arguments, with placeholders.
        rules: How the simulator is run and read.
        restorer: The restorer; None without one.
        limit: Seconds for a point; None without a limit.
        here: The folder in which gcpt was started.
    """

    command: tuple[str, ...]
    rules: Rules
    restorer: Path | None
    limit: float | None
    here: Path

    def identity(self) -> dict[str, Any]:
        """Return what the result depends on besides files, as JSON; logs can be read again with other rules."""
        return {"command": list(self.command)}

    def files(self) -> list[Path]:
        """Return the files besides the checkpoint that the result depends on."""
        words = [Path(word.replace("{here}", str(self.here))) for word in self.command]
        uses_restorer = self.restorer and any("{restorer}" in word for word in self.command)
        named = [word for word in words if word.is_absolute() and word.is_file()]
        return [*named, *([self.restorer] if uses_restorer and self.restorer else [])]

    def folder(self, point: Point) -> str:
        """Return the name of a point's folder.

        Args:
            point: The point.
        """
        name = self.rules.folder.format(workload=point.workload, point=point.point, weight=weight_text(point.weight))
        return folder_name(name)

    def arguments(self, point: Point, folder: Path) -> list[str]:
        """Return the command line for a point.

        Args:
            point: The point.
            folder: The point's folder.

        Raises:
            UserError: A placeholder has no value for the point.
        """
        values: Mapping[str, str | Path | None] = {
            "checkpoint": point.path,
            "flash": point.flash,
            "restorer": self.restorer,
            "workload": point.workload,
            "point": point.point,
            "weight": weight_text(point.weight),
            "name": point.name,
            "folder": folder,
            "here": self.here,
        }

        def value(match: re.Match[str]) -> str:
            if match[1] not in values:
                return match[0]
            if values[match[1]] is None:
                raise UserError(
                    f"{point.name}: {match[0]}: the point has no {match[1]} image"
                    if match[1] == "flash"
                    else f"{match[0]}: the set has no restorer: give --restorer"
                )
            return str(values[match[1]])

        return [_PLACEHOLDER.sub(value, word) for word in self.command]

    def __call__(self, point: Point, folder: Path) -> Result:
        """Run the command.

        Args:
            point: The point.
            folder: The point's folder.

        Returns:
            The result.

        Raises:
            OSError: The disk is full.
        """
        out, err = folder / self.rules.out, folder / self.rules.err
        self._mark(folder, _RUNNING)
        try:
            ending = process.run(self.arguments(point, folder), folder, out, err, self.limit)
        except process.BusyError as error:
            return failure(point, "start", str(error))
        except OSError as error:
            if error.errno in (errno.ENOSPC, errno.EDQUOT):
                raise
            return failure(point, "start", f"{error.filename or self.command[0]}: {error.strerror or error}")
        result = self.read(point, folder, ending.status, ending.is_late, ending.seconds)
        if not result.is_finished and shutil.disk_usage(folder).free < _FREE:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), str(folder))
        self._mark(folder, _COMPLETED if result.is_finished else _ABORT)
        return result

    def read(self, point: Point, folder: Path, status: int, is_late: bool, seconds: float) -> Result:
        """Judge a run by its logs.

        Args:
            point: The point.
            folder: The point's folder.
            status: The exit status, negative for a signal.
            is_late: Whether it was stopped at the time limit.
            seconds: Its time.

        Returns:
            The result.

        Raises:
            OSError: A log cannot be read.
        """
        verdict = judge(self.rules, folder, status)
        cause, message = verdict.cause, verdict.message
        if is_late and cause != "log":
            cause, message = "time limit", f"stopped after {seconds:.1f} s"
        return Result(
            point.workload,
            point.point,
            point.weight,
            FAILED if cause else FINISHED,
            cause,
            message,
            status,
            seconds,
            figures=verdict.figures,
            facts={"rules": self.rules.identity(), "late": is_late},
            limit=self.limit,
        )

    def holds(self, earlier: Result) -> bool:
        """Return True: logs that are gone do not change a verdict.

        Args:
            earlier: The earlier result.
        """
        return True

    def again(self, point: Point, folder: Path, earlier: Result) -> Result | None:
        """Judge an earlier run anew if the rules changed since.

        Args:
            point: The point.
            folder: The point's folder.
            earlier: The earlier result.

        Returns:
            The new result; None if the earlier one stays.

        Raises:
            OSError: A log cannot be read.
        """
        if "rules" not in earlier.facts or earlier.status is None or _same(earlier.facts["rules"], self.rules):
            return None
        if not (folder / self.rules.out).exists():
            return None
        return self.read(point, folder, earlier.status, bool(earlier.facts.get("late")), earlier.seconds)

    def _mark(self, folder: Path, state: str) -> None:
        if not self.rules.marks:
            return
        for name in (_RUNNING, _COMPLETED, _ABORT):
            with suppress(FileNotFoundError):
                (folder / name).unlink()
        (folder / state).touch()


def _same(known: object, rules: Rules) -> bool:
    return bool(known == json.loads(json.dumps(rules.identity())))


def check_command(words: Sequence[str], here: Path) -> tuple[str, ...]:
    """Check a command line and find its program.

    Args:
        words: The program and its arguments.
        here: The current folder.

    Returns:
        The words, with the program's absolute path.

    Raises:
        UserError: The program is not there, a placeholder is unknown, or an argument names a file of the current
            folder, in which the command does not run.
    """
    if not words:
        raise UserError("no command: write it after --, as in gcpt set run SET -o DIR -- emu -i {checkpoint}")
    program = shutil.which(words[0].replace("{here}", str(here)))
    if program is None:
        raise UserError(f"{words[0]}: no such program: give its path")
    for word in words[1:]:
        for name in _PLACEHOLDER.findall(word):
            if name not in PLACEHOLDERS:
                raise UserError(f"{{{name}}}: no such placeholder: use one of {', '.join(PLACEHOLDERS)}")
        if not word.startswith(("/", "-", "{")) and "/" in word and (here / word).is_file():
            raise UserError(f"{word}: the command runs in each point's folder: write {{here}}/{word}")
    if not any("{checkpoint}" in word or "{flash}" in word for word in words):
        raise UserError("the command does not name the checkpoint: write {checkpoint} where its path belongs")
    return (str(here / program), *words[1:])
