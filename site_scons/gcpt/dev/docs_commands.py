"""The pages of the commands, as reStructuredText for Sphinx, from the click commands of ``gcpt``."""

import inspect
import re
from collections.abc import Iterator

import click
from sphinx.util.rst import escape

from gcpt.cli import SUBCOMMANDS, gcpt

_PROGRAM = "gcpt"


def commands() -> dict[str, click.Command]:
    """Map the name of each subcommand, such as ``set run``, to the command, in the order of ``gcpt --help``."""
    return dict(_members(gcpt, ""))


def _members(group: click.Group, prefix: str) -> Iterator[tuple[str, click.Command]]:
    context = click.Context(group, info_name=_PROGRAM)
    for name in group.list_commands(context):
        if command := group.get_command(context, name):
            yield prefix + name, command
            if isinstance(command, click.Group):
                yield from _members(command, f"{prefix}{name} ")


def _file(name: str) -> str:
    return name.replace(" ", "-")


def faults() -> Iterator[str]:
    """Yield a line for each command, and each of its options, without help text."""
    for name, command in commands().items():
        if not command.help:
            yield f"gcpt {name}: no help text: give its function a docstring"
        for option in command.params:
            if isinstance(option, click.Option) and not option.help:
                yield f"gcpt {name}: {option.opts[-1]} has no help text: give it help="


def pages() -> dict[str, str]:
    """Map file names to pages: ``index.rst``, and one page for each subcommand."""
    return {"index.rst": _index()} | {
        f"{_file(name)}.rst": _page(name, command) for name, command in commands().items()
    }


def _index() -> str:
    rows = [
        f"   * - :doc:`{_PROGRAM} {name} <{name}>`\n     - {_prose(summary)}" for name, summary in SUBCOMMANDS.items()
    ]
    blocks = [
        _title("The command gcpt", "="),
        _prose(gcpt.help or ""),
        ".. list-table::\n   :widths: auto\n\n" + "\n".join(rows),
        _prose(gcpt.epilog or ""),
        ".. toctree::\n   :hidden:\n\n" + "\n".join(f"   {_file(name)}" for name in commands()),
    ]
    return "\n\n".join(blocks) + "\n"


def _page(name: str, command: click.Command) -> str:
    context = click.Context(command, info_name=f"{_PROGRAM} {name}")
    usage = " ".join([f"{_PROGRAM} {name}", *command.collect_usage_pieces(context)])
    options = (parameter for parameter in command.params if isinstance(parameter, click.Option))
    records = [record for option in options if (record := option.get_help_record(context))]
    blocks = [_title(f"{_PROGRAM} {name}", "="), _code([usage]), *_help(command)]
    if records:
        blocks += [_title("Options", "-"), f".. program:: {_PROGRAM} {name}"]
        blocks += [f".. option:: {names}\n\n   {_prose(text)}" for names, text in records]
    return "\n\n".join(blocks) + "\n"


def _title(text: str, line: str) -> str:
    return f"{text}\n{line * len(text)}"


def _code(lines: list[str]) -> str:
    return "\n".join([".. code-block:: text", "", *(f"   {line}" for line in lines)])


def _prose(text: str) -> str:
    """Plain text as reStructuredText, with long options as code."""
    parts = re.split(r"(?<![\w-])(--[a-z][\w-]*)", text)
    return "".join(f"``{part}``" if at % 2 else escape(part) for at, part in enumerate(parts))


def _paragraphs(command: click.Command) -> list[str]:
    return inspect.cleandoc(command.help or "").split("\n\n")


def _help(command: click.Command) -> Iterator[str]:
    r"""The help text as reStructuredText. In blocks that click prints unchanged (after \b), indented lines are code."""
    for paragraph in _paragraphs(command):
        if not paragraph.startswith("\b\n"):
            yield _prose(paragraph)
            continue
        code: list[str] = []
        for line in [*paragraph.split("\n")[1:], ""]:
            if line.startswith("  "):
                code.append(line[2:])
                continue
            if code:
                yield _code(code)
                code = []
            if line:
                yield _prose(line)
