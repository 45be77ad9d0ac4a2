"""``gcpt set run``: run a simulator for each point of a set, and score what its logs say."""

from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import click

from gcpt.cli.output import InputPath, OutputFolder, Seconds, json_option
from gcpt.cli.set.options import Choice, Engine, engine_options, set_options
from gcpt.errors import UserError

if TYPE_CHECKING:
    from gcpt.sets.rules import Figure, Rules

_RULES = ("emu", "gem5", "nemu")


@click.command()
@set_options
@click.option(
    "-o", "--results", type=OutputFolder(), required=True, metavar="DIR", help="The folder for logs and results."
)
@click.option("--restorer", type=InputPath(), help="The {restorer}; by default that of the set.")
@click.option("--time-limit", type=Seconds(), help="Seconds for a point; then it is stopped and failed.")
@click.option(
    "--rules", "rules_name", type=click.Choice(_RULES), help="How to read the logs; by default by the program's name."
)
@click.option(
    "--good", multiple=True, metavar="PATTERN", help="Instead of the rules: a log of a finished point has one of these."
)
@click.option("--bad", multiple=True, metavar="PATTERN", help="Also: a log of a finished point has none of these.")
@click.option(
    "--figure",
    "figures",
    multiple=True,
    metavar="NAME=PATTERN",
    help="A figure: the last number in the logs that the pattern's group matches.",
)
@click.option(
    "--rate", "rates", multiple=True, metavar="NAME=PATTERN", help="A figure such as IPC, with a harmonic mean."
)
@engine_options("--on")
@json_option
@click.argument("command_words", nargs=-1, type=click.UNPROCESSED, metavar="-- COMMAND...", required=True)
def command(
    choice: Choice,
    results: Path,
    restorer: Path | None,
    time_limit: float | None,
    rules_name: str | None,
    good: tuple[str, ...],
    bad: tuple[str, ...],
    figures: tuple[str, ...],
    rates: tuple[str, ...],
    engine: Engine,
    as_json: bool,
    command_words: tuple[str, ...],
) -> int:
    """Run COMMAND for each point of SET, and score the points whose logs say that they finished.

    COMMAND is a program and its arguments, without a shell. It runs in the point's folder in DIR. Placeholders:
    {checkpoint}, {restorer}, {flash}, {workload}, {point}, {weight}, {name}, {folder}, and {here}, the folder in which
    gcpt was started. Started again, it goes on: what has a result for the same checkpoint, command and gcpt is not done
    again. Exit status 1: a point failed.

    \b
    Example:
      gcpt set run spec06 -o results -- ./build/emu -i {checkpoint} --diff {here}/nemu.so -I 40000000
      gcpt set run spec06 -o results --coverage 0.8 --time-limit 86400 -- emu -i {checkpoint} --gcpt-restore {restorer}
      gcpt set run spec06 -o results --good 'my run is over' --rate 'ipc=IPC: (\\S+)' -- ./simulator {checkpoint}
    """
    from gcpt.cli.set.progress import say_event
    from gcpt.cli.set.scores import print_failures, print_scores, score_json, summary
    from gcpt.cli.set.session import work_on
    from gcpt.sets.command import RunCommand, check_command

    here = Path.cwd()
    words = check_command(command_words, here)
    rules = _rules(words[0], rules_name, good, bad, [*_figures(figures, False), *_figures(rates, True)])
    restorer = restorer or choice.whole.restorer
    if any("{restorer}" in word for word in words):
        if restorer is None:
            raise UserError(f"{choice.folder}: the set has no restorer for {{restorer}}: give --restorer")
        restorer = restorer.absolute()
        if not restorer.is_file():
            raise UserError(f"{restorer}: is no file for {{restorer}}: give --restorer")
    if any("{flash}" in word for word in words):
        for point in choice.points:
            if point.flash is None:
                raise UserError(f"{point.path}: has no flash image for {{flash}}: choose other points")
    work = RunCommand(words, rules, restorer, time_limit, here)
    done = work_on(choice, engine, work, results, as_json, command=list(words), rules=rules.identity())
    if as_json:
        say_event("end", **score_json(done, rules.figures), failed=[result.name for result in done if result.cause])
    else:
        print_scores(done, rules.figures)
        print_failures(done)
        print(f"{results}: {summary(done)}")
    return 0 if all(result.is_finished for result in done) else 1


def _rules(
    program: str, name: str | None, good: tuple[str, ...], bad: tuple[str, ...], figures: "list[Figure]"
) -> "Rules":
    """The rules for a program with the user's patterns."""
    from gcpt.sets.rules import RULES, Rules, check_patterns, rules_for

    known = RULES[name] if name else rules_for(program)
    if known is None:
        if not good:
            raise UserError(
                f"{program}: how its logs say that it finished is not known: give --rules or --good PATTERN"
            )
        known = Rules("own")
    names = {figure.name for figure in figures}
    rules = replace(
        known,
        good=good or known.good,
        bad=known.bad + bad,
        figures=(*(figure for figure in known.figures if figure.name not in names), *figures),
    )
    check_patterns(rules)
    return rules


def _figures(texts: tuple[str, ...], is_rate: bool) -> "list[Figure]":
    from gcpt.sets.rules import Figure

    figures = []
    for text in texts:
        name, equals, pattern = text.partition("=")
        if not (name and equals and pattern):
            raise UserError(rf"{text!r}: write NAME=PATTERN, such as ipc=IPC: (\S+)")
        figures.append(Figure(name.strip(), pattern, is_rate))
    return figures
