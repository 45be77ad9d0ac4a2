"""README, CONTRIBUTING and docs/: links lead to files, and commands are valid."""

import re
from collections.abc import Iterator
from importlib import import_module
from pathlib import Path

import click
import pytest

from gcpt.cli import SUBCOMMANDS
from gcpt.dev import docs_site
from gcpt.restorer import options

ROOT = Path(__file__).parents[2]
PAGES = [
    ROOT / "README.md",
    ROOT / "CONTRIBUTING.md",
    ROOT / "SECURITY.md",
    ROOT / "third_party/README.md",
    *sorted(ROOT.glob("docs/*.md")),
]
#: What ends a command in a line: placeholders, comments, descriptions.
_END = re.compile(r" {2,}| #| \||\s>|;|&&")
#: Values that docs/adding.md adds.
_ADDED = ("example",)
_SCONS_FLAGS = re.compile(r"-[cshnqQj]\w*|--(verbose|setup-only|help|jobs)")


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_links_lead_to_files(page: Path) -> None:
    text = page.read_text()
    links = [link for link in re.findall(r"\]\(([^)\s]+)\)", text) if "://" not in link]
    assert not [link for link in links if not (page.parent / link.partition("#")[0]).exists()]


def test_the_readme_leads_to_the_pages() -> None:
    """To the first of them; that it leads to all others is what ``./sconsw docs`` checks."""
    assert "](docs/index.md)" in (ROOT / "README.md").read_text()


def test_every_option_is_explained() -> None:
    text = (ROOT / "docs/options.md").read_text()
    assert docs_site.undocumented(text) == []
    only_in_table = re.sub(r"(?<!\| )`ram=", "`rom=", text)
    assert docs_site.undocumented(only_in_table) == ["ram"]


def _commands(page: Path, *programs: str) -> Iterator[list[str]]:
    """Split the command lines of a page that start with one of ``programs``, in code blocks and inline code."""
    text = page.read_text().replace("\\\n", " ")
    lines = re.findall(r"^ {4,}(?:\$ )?(.*)$", text, re.MULTILINE) + re.findall(r"`([^`\n]+)`", text)
    for line in lines:
        for part in re.split(r" && ", line):
            words = re.findall(r'(?:[^\s"]|"[^"]*")+', _END.split(part)[0])
            while words and re.fullmatch(r"[A-Z_]+=.*", words[0]):
                del words[0]
            if words and words[0] in programs and len(words) > 1:
                yield words


def _targets() -> set[str]:
    return {name for names, _ in options.TARGETS for name in names}


def _scons_fault(words: list[str]) -> str:
    """The first invalid word of a ``scons`` command; empty if the command is valid."""
    for word in words:
        name, equals, value = word.partition("=")
        if _SCONS_FLAGS.fullmatch(word) or word in ("ARGS...", "TARGET", "...") or word.startswith("["):
            continue
        if not equals and word not in _targets():
            return f"{word} is no target"
        if equals and name not in options.BY_NAME:
            return f"{name}= is no option"
        choices = options.BY_NAME[name].choices if equals else ()
        if choices and value not in (*choices, *(alias for alias, _ in options.BY_NAME[name].aliases), *_ADDED, "..."):
            return f"{word}: {name}= has no such value"
    return ""


def _gcpt_fault(words: list[str]) -> str:
    """The invalid subcommand or option of a ``gcpt`` command; empty if the command is valid."""
    if words[0] in ("COMMAND", "--help", "--version"):
        return ""
    if words[0] not in SUBCOMMANDS:
        return f"gcpt {words[0]} is no command"
    command: click.Command = import_module(f"gcpt.cli.{words[0]}").command
    if isinstance(command, click.Group) and len(words) > 1 and not words[1].startswith("-"):
        subcommand = command.get_command(click.Context(command), words[1])
        if subcommand is None:
            return f"gcpt {words[0]} {words[1]} is no command"
        command = subcommand
    known = {name for parameter in command.params for name in parameter.opts} | {"--help", "-h"}
    own = words[: words.index("--")] if "--" in words else words
    flags = [word.partition("=")[0] for word in own[1:] if word.startswith("-")]
    return "".join(f"gcpt {words[0]} has no {flag}" for flag in flags if flag not in known)


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_commands_are_valid(page: Path) -> None:
    scons = [(words, _scons_fault(words[1:])) for words in _commands(page, "./sconsw", "scons")]
    tool = [(words, _gcpt_fault(words[1:])) for words in _commands(page, "gcpt", ".venv/bin/gcpt")]
    assert not [(" ".join(words), fault) for words, fault in scons + tool if fault]


def test_commands_are_found() -> None:
    """The check of commands would pass if it found none."""
    lines = [" ".join(words) for page in PAGES for words in _commands(page, "./sconsw", "scons", "gcpt")]
    assert {"./sconsw bench bench_quick=1", "gcpt info FILE --hart 0", "scons mode=dual_core stop_cpu=1"} <= set(lines)
    assert len(lines) > 100


@pytest.mark.parametrize(
    ("words", "fault"),
    [
        ("mode=dual_core tset", "tset is no target"),
        ("mode=dual", "mode=dual: mode= has no such value"),
        ("stopcpu=1", "stopcpu= is no option"),
    ],
)
def test_invalid_commands_are_found(words: str, fault: str) -> None:
    assert _scons_fault(words.split()) == fault
    assert _gcpt_fault(["inof", "FILE"]) == "gcpt inof is no command"
    assert _gcpt_fault(["info", "FILE", "--hrat"]) == "gcpt info has no --hrat"
    assert _gcpt_fault(["set", "rnu", "SET"]) == "gcpt set rnu is no command"
    assert _gcpt_fault(["set", "run", "SET", "--time-limt"]) == "gcpt set has no --time-limt"
