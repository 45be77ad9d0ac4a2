"""One run over the points of a set, as all working subcommands of ``gcpt set`` do it."""

from contextlib import nullcontext
from pathlib import Path
from typing import TYPE_CHECKING, Any

from gcpt.cli.set.options import Choice, Engine
from gcpt.cli.set.progress import say_event, showing
from gcpt.cli.set.scores import print_failures, summary

if TYPE_CHECKING:
    from gcpt.sets.perform import Work
    from gcpt.sets.results import Result


def work_on(
    choice: Choice, engine: Engine, work: "Work", folder: Path | None, as_json: bool, quiet: bool = False, **facts: Any
) -> "list[Result]":
    """Do the work on the points, and show the progress.

    Args:
        choice: The points.
        engine: How to work.
        work: What is done with each point.
        folder: The folder of the results; None if none are kept.
        as_json: Print events as JSON.
        quiet: Show no points as they end, except on a terminal.
        facts: Values for the description of the run, as JSON.

    Returns:
        The results, sorted by workload and point.

    Raises:
        UserError: The folder is in use, a cluster is not there, or the disk is full.
    """
    from gcpt.sets import engine as sets_engine
    from gcpt.sets.executors import Needs

    folder = folder.absolute() if folder else None
    with sets_engine.owned(folder) if folder else nullcontext():
        plan = sets_engine.plan(choice.points, work, folder, engine.do_failed)
        if folder:
            sets_engine.begin(folder, choice.points, work.folder, set=str(choice.folder.absolute()), **facts)
        results = list(plan.kept)
        paths = (choice.folder.absolute(), *work.files(), *([folder] if folder else []))
        needs = Needs(engine.jobs, engine.cores, folder or Path.cwd(), paths)
        with showing(len(plan.tasks), len(plan.kept), as_json, quiet) as show:
            if plan.tasks:
                with engine.on.open(needs) as executor:
                    for result in sets_engine.execute(executor, plan.tasks, engine.retries):
                        results.append(result)
                        show(result)
    return sorted(results, key=lambda result: (result.workload, len(result.point), result.point))


def report_checks(choice: Choice, done: "list[Result]", as_json: bool) -> int:
    """Print what became of each point after checks.

    Args:
        choice: The points.
        done: The results.
        as_json: Print them as JSON.

    Returns:
        The exit status.
    """
    if as_json:
        points = [{"name": result.name, "state": result.state, **result.facts} for result in done]
        failed = {result.name: [result.cause, result.message] for result in done if result.cause}
        say_event("end", points=points, failed=failed)
    else:
        print_failures(done)
        print(f"{choice.folder}: {summary(done)}")
    return 0 if all(result.is_finished for result in done) else 1
