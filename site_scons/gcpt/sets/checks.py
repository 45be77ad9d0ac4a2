"""The work of ``gcpt set validate``, ``verify`` and ``info``: what the single commands do, for one point."""

import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from gcpt.errors import SimulatorError
from gcpt.machines.judges import Judge
from gcpt.scratch import scratch_folder
from gcpt.sets.points import Point
from gcpt.sets.results import FAILED, FINISHED, Result, folder_name


def point_result(point: Point, cause: str, message: str, facts: dict[str, Any]) -> Result:
    """Describe what became of a point.

    Args:
        point: The point.
        cause: One of CAUSES for a failure, else "".
        message: One line about a failure, else "".
        facts: What the work found out, as JSON.

    Returns:
        The result.
    """
    state = FAILED if cause else FINISHED
    return Result(point.workload, point.point, point.weight, state, cause, message, facts=facts)


@dataclass(frozen=True)
class Check:
    """What all works on points without a simulator's logs have in common."""

    def files(self) -> list[Path]:
        """Return the files besides the checkpoint that the result depends on."""
        return []

    def folder(self, point: Point) -> str:
        """Return the name of a point's folder.

        Args:
            point: The point.
        """
        return folder_name(point.name)

    def holds(self, earlier: Result) -> bool:
        """Return True: a result does not depend on what became of the files that the work wrote.

        Args:
            earlier: The earlier result.
        """
        return True

    def again(self, point: Point, folder: Path, earlier: Result) -> Result | None:
        """Return None: an earlier result stays.

        Args:
            point: The point.
            folder: The point's folder.
            earlier: The earlier result.
        """
        return None


@dataclass(frozen=True)
class Validate(Check):
    """Check whether a point would restore.

    Attributes:
        platform: The platform; "" for that of the embedded restorer.
        harts: Harts of the machine; 0 for enough.
    """

    platform: str
    harts: int

    def identity(self) -> dict[str, Any]:
        """Return what the result depends on besides files, as JSON."""
        return {"validate": [self.platform, self.harts]}

    def __call__(self, point: Point, folder: Path) -> Result:
        """Validate the point.

        Args:
            point: The point.
            folder: The point's folder.

        Returns:
            The result: the codes of its findings.

        Raises:
            UserError: The checkpoint cannot be read.
        """
        from gcpt.validate.findings import Severity
        from gcpt.validate.verdict import validate

        report = validate(point.path, self.platform, self.harts, point.flash)
        serious = report.of(Severity.ERROR) + report.of(Severity.WARNING)
        codes = list(dict.fromkeys(found.kind.code for found in serious))
        rows = [
            {"code": found.kind.code, "severity": found.kind.severity.value, "hart": found.hart, "what": found.what}
            for found in report.findings
        ]
        facts = {"platform": report.config.platform.name, "mode": report.config.mode, "findings": rows}
        return point_result(point, "findings" if codes else "", ", ".join(codes), facts)


@dataclass(frozen=True)
class Info(Check):
    """Describe a point."""

    def identity(self) -> dict[str, Any]:
        """Return what the result depends on besides files, as JSON."""
        return {"info": []}

    def __call__(self, point: Point, folder: Path) -> Result:
        """Describe the point.

        Args:
            point: The point.
            folder: The point's folder.

        Returns:
            The result: what ``gcpt info --json`` prints.

        Raises:
            UserError: The checkpoint cannot be read.
        """
        from gcpt.report.description import describe

        return point_result(point, "", "", describe(point.path, point.flash))


@dataclass(frozen=True)
class Verify(Check):
    """Restore a point in a simulator and compare every register.

    Attributes:
        judge: The simulator.
        restorer: The restorer; None for the embedded one, or one built for the point.
        timeout: Seconds for all harts to arrive.
    """

    judge: Judge
    restorer: Path | None
    timeout: float

    def identity(self) -> dict[str, Any]:
        """Return what the result depends on besides files, as JSON."""
        judge = self.judge
        return {"verify": [judge.name, judge.program, judge.cpu, judge.machine, judge.isa, list(judge.options)]}

    def files(self) -> list[Path]:
        """Return the files besides the checkpoint that the result depends on."""
        return [self.restorer] if self.restorer else []

    def __call__(self, point: Point, folder: Path) -> Result:
        """Verify the point.

        Args:
            point: The point.
            folder: The point's folder.

        Returns:
            The result: registers that differ.

        Raises:
            UserError: The checkpoint cannot be read or booted.
        """
        from gcpt.machines.boot import prepare
        from gcpt.machines.judging import compare

        with scratch_folder() as scratch:
            setup = prepare(point.path, scratch, self.restorer, point.flash, judge=self.judge, early=True)
            try:
                report = compare(setup, scratch, scratch, self.timeout, lambda _: None)
            except SimulatorError as error:
                return _stopped(point, error.console, error)
        rows = [
            {"hart": row.hart, "name": row.name, "wanted": row.wanted, "got": row.got, "reason": row.reason}
            for row in report.mismatches
        ]
        names = ", ".join(f"hart {row.hart} {row.name}" for row in report.unexplained[:4])
        facts = {"compared": report.items, "unexplained": len(report.unexplained), "differences": rows}
        return point_result(point, "mismatch" if report.unexplained else "", names, facts)


def _stopped(point: Point, console: str, error: Exception) -> Result:
    """A machine that stopped elsewhere: the restorer's own line, if there is one."""
    line = re.search(r"^gcpt: error \d+ hart \d+.*$", console, re.MULTILINE)
    if line:
        return point_result(point, "mismatch", f"the restorer refused: {line[0].strip()}", {})
    return point_result(point, "error", (str(error).splitlines() or [type(error).__name__])[0], {})
